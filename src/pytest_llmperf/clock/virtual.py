"""Virtual time: waiting is jumped over, computing takes none of it.

Rule: this module opens and closes one stay in virtual time, and puts everything back, whatever happened. There is at
most one stay in a process, since it replaces functions of the module `time`.

- `enter_loop` is used in a coroutine and takes over the running loop in place; `enter_sync` is for code without a loop,
  and takes over each loop that this code runs (`asyncio.run`).
- Who lives in it: the thread that entered, and worker threads while they work for a loop in it (`asyncio.to_thread`,
  `run_in_executor`, `anyio.to_thread`). Their `time.sleep` takes virtual time.
- **Threads that the scenario starts by itself cannot be driven.** If a non-daemon thread that was started after the
  entry calls `time.sleep`, that call raises `UnsupportedThread`, and so does the exit: real and virtual waiting cannot
  be added up. Older threads and daemon threads are bystanders: they see and sleep real time.
- Real sockets: ``real_io="hybrid"`` lets time follow real time while something real is pending on an event loop;
  blocking sockets of synchronous code take no virtual time. ``real_io="refuse"`` raises `RealIO` on looking up and
  connecting, and, from a loop, on writing to a connection that was there already and on starting a process.
- Not possible: uvloop, Proactor loops, trio. `why_unsupported` tells beforehand.
"""

import asyncio
import socket
import threading
import warnings
from asyncio import selector_events
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any, Literal

from pytest_llmperf.clock import time_module
from pytest_llmperf.clock.errors import (
    ClockError,
    ClockWarning,
    RealIO,
    UnsupportedLoop,
    UnsupportedThread,
    VirtualDeadlock,
)
from pytest_llmperf.clock.running import in_event_loop, in_trio
from pytest_llmperf.clock.swaps import Swaps
from pytest_llmperf.clock.virtual_clock import VirtualClock
from pytest_llmperf.clock.virtual_loop import TakenLoop, missing_names
from pytest_llmperf.clock.virtual_work import Job, Work, hook_anyio

__all__ = ["RealIOPolicy", "VirtualClock", "enter_loop", "enter_sync", "why_unsupported"]

RealIOPolicy = Literal["hybrid", "refuse"]

_entering = threading.Lock()
_present: "_Stay | None" = None


def why_unsupported(loop: asyncio.AbstractEventLoop | None = None) -> str | None:
    """Why `enter_loop` would refuse here, or None if it would not.

    Args:
        loop: The loop to judge; by default the one that runs in this thread.
    """
    if loop is None:
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            return _why_no_loop()
    kind = f"{type(loop).__module__}.{type(loop).__qualname__}"
    missing = missing_names(loop)
    if (
        isinstance(loop, asyncio.BaseEventLoop)
        and not missing
        and isinstance(loop, selector_events.BaseSelectorEventLoop)
    ):
        return None
    if kind.startswith("uvloop"):
        return "uvloop keeps its timers in C, out of reach: use asyncio's own event loop, or the realtime clock"
    return (
        f"virtual time needs a selector event loop of asyncio, and {kind} is none"
        + (f" (it lacks {', '.join(missing)})" if missing else "")
        + ": use asyncio's own event loop, or the realtime clock"
    )


@contextmanager
def enter_loop(clock: VirtualClock, *, real_io: RealIOPolicy = "hybrid") -> Iterator[VirtualClock]:
    """Puts the running asyncio loop into virtual time; to be used within a coroutine.

    Timers that are armed already keep the time they have left, on the way in and on the way out.

    Args:
        clock: The time to live in.
        real_io: Whether real connections are waited for or refused.

    Raises:
        UnsupportedLoop: This loop cannot be taken over, or virtual time was entered already.
        UnsupportedThread: A thread of the scenario slept by itself.
        VirtualDeadlock: Nothing could happen any more; raised out of the block, whose wait is cancelled.
        RealIO: With ``real_io="refuse"``, something real was begun.
    """
    reason = why_unsupported()
    if reason is not None:
        raise UnsupportedLoop(reason)
    stay = _Stay(clock, real_io)
    with stay.between_entry_and_exit(asyncio.current_task()):
        stay.take(asyncio.get_running_loop(), asyncio.current_task())
        yield clock


@contextmanager
def enter_sync(clock: VirtualClock, *, real_io: RealIOPolicy = "hybrid") -> Iterator[VirtualClock]:
    """Puts this thread into virtual time, and each event loop that it runs meanwhile.

    Args:
        clock: The time to live in.
        real_io: Whether real connections are made, in no virtual time, or refused.

    Raises:
        UnsupportedLoop: An event loop runs here already, or virtual time was entered already, or the code ran a loop
            that cannot be taken over.
        UnsupportedThread: A thread of the scenario slept by itself.
        VirtualDeadlock: Nothing could happen any more.
        RealIO: With ``real_io="refuse"``, something real was begun.
    """
    if in_event_loop():
        raise UnsupportedLoop("an event loop runs in this thread: enter its virtual time with `enter_loop`")
    stay = _Stay(clock, real_io)
    with stay.between_entry_and_exit():
        stay.take_whatever_runs()
        yield clock


class _Stay:
    """One stay in virtual time, from entry to exit."""

    def __init__(self, clock: VirtualClock, real_io: RealIOPolicy) -> None:
        self.clock = clock
        self.failure: ClockError | None = None
        self._refuses_io = real_io == "refuse"
        self._offsets_ns = time_module.Frame.offsets_from(clock.now_ns())
        self._last_ns = clock.now_ns() + round(clock.horizon_seconds * 1e9)
        self._members: dict[int, Job | None] = {threading.get_ident(): None}
        self._bystanders = frozenset(thread.ident for thread in threading.enumerate())
        self._taken: dict[Any, TakenLoop] = {}
        self._said: dict[str, None] = {}
        self._swaps = Swaps()

    @contextmanager
    def between_entry_and_exit(self, task: asyncio.Task[Any] | None = None) -> Iterator[None]:
        cancels_before = task.cancelling() if task is not None else 0
        self._enter()
        try:
            yield
        except BaseException as error:
            self._leave()
            with suppress(ClockWarning):
                self._warn()
            failure = self._failure_behind(error, task, cancels_before)
            if failure is not None and failure is not error:
                raise failure from error
            raise
        self._leave()
        if self.failure is not None:
            raise self.failure
        self._warn()

    def take(self, loop: Any, task: asyncio.Task[Any] | None = None) -> None:
        taken = TakenLoop(loop, self.clock, self._offsets_ns["monotonic"], self._members, self._say, task)
        taken.take()
        self._taken[loop] = taken

    def take_whatever_runs(self) -> None:
        original, owner = asyncio.BaseEventLoop.run_forever, threading.get_ident()

        def run_forever(loop: asyncio.BaseEventLoop) -> None:
            if threading.get_ident() == owner and loop not in self._taken:
                reason = why_unsupported(loop)
                if reason is not None:
                    raise UnsupportedLoop(reason)
                self._forget_closed_loops()
                self.take(loop)
            original(loop)

        self._swaps.put(asyncio.BaseEventLoop, "run_forever", run_forever)

    def _enter(self) -> None:
        global _present  # noqa: PLW0603 - there is one module `time` in a process
        with _entering:
            if _present is not None:
                raise UnsupportedLoop("virtual time was entered already, and there is one for the whole process")
            _present = self
        try:
            hook_anyio(self._swaps, self._work_of)
            self._hook_writes()
            if self._refuses_io:
                self._hook_connects()
            self.clock.on_release = self._wake_loops
            frame = time_module.Frame(self.clock.now_ns, self._members, self._offsets_ns, self._sleep)
            time_module.enter(frame, self._swaps)
        except BaseException:
            self._leave()
            raise

    def _leave(self) -> None:
        global _present  # noqa: PLW0603
        foreign = [name for taken in self._taken.values() for name in taken.give_back()]
        time_module.leave()
        foreign += self._swaps.undo()
        self.clock.on_release = None
        self.failure = self.failure or next(filter(None, (taken.deadlock for taken in self._taken.values())), None)
        self._taken.clear()
        _present = None
        if foreign:
            self._say(f"left as they are, since something else replaced them meanwhile: {', '.join(foreign)}")

    def _failure_behind(
        self, error: BaseException, task: asyncio.Task[Any] | None, cancels_before: int
    ) -> ClockError | None:
        """The failure of this stay that the block's exception follows from."""
        if self.failure is None or isinstance(error, GeneratorExit | KeyboardInterrupt | SystemExit):
            return None
        if isinstance(error, asyncio.CancelledError):
            ours = task is not None and isinstance(self.failure, VirtualDeadlock)
            if not ours or task is None or task.uncancel() > cancels_before:
                return None  # somebody else cancels, too
        return self.failure

    def _sleep(self, seconds: float) -> None:
        """`time.sleep`, in any thread."""
        ident = threading.get_ident()
        if ident not in self._members:
            self._check_stranger(ident)
            time_module.real.sleep(seconds)
        elif seconds < 0:
            raise ValueError("sleep length must be non-negative")
        elif (job := self._members[ident]) is not None:
            job.sleep(seconds)
        else:
            self._jump(self.clock.now_ns() + round(seconds * 1e9))

    def _jump(self, now_ns: int) -> None:
        if now_ns > self._last_ns:
            days = self.clock.horizon_seconds / 86_400
            raise VirtualDeadlock(
                f"virtual time has passed {days:g} days in `time.sleep`: a loop seems to wait for something that only "
                "real time brings. Run this with the realtime clock, or give this clock a farther `horizon_seconds`"
            )
        self.clock.jump_to(now_ns)

    def _check_stranger(self, ident: int) -> None:
        thread = threading.current_thread()
        if thread.daemon or ident in self._bystanders:
            return
        self.failure = self.failure or UnsupportedThread(
            f"thread {thread.name!r} was started in virtual time and called `time.sleep`: what it waits cannot be "
            "added to virtual time. Call it through `asyncio.to_thread` or `loop.run_in_executor` from a coroutine, or "
            "run this with the realtime clock"
        )
        raise self.failure

    def _work_of(self, loop: Any) -> Work | None:
        taken = self._taken.get(loop)
        return taken.work if taken is not None else None

    def _wake_loops(self) -> None:
        for taken in list(self._taken.values()):
            taken.wake()

    def _forget_closed_loops(self) -> None:
        for loop in [loop for loop in self._taken if loop.is_closed()]:
            taken = self._taken.pop(loop)
            self.failure = self.failure or taken.deadlock

    def _hook_writes(self) -> None:
        """Tells the loops what their socket transports were given to send."""
        transport_class: Any = getattr(selector_events, "_SelectorSocketTransport", None)
        for name in ("write", "writelines"):
            if name in vars(transport_class or object):
                self._swaps.put(transport_class, name, self._noted(vars(transport_class)[name]))

    def _noted(self, original: Callable[[Any, Any], None]) -> Callable[[Any, Any], None]:
        def write(transport: Any, data: Any) -> None:
            taken = self._taken.get(transport._loop)
            if taken is not None and data:
                self._refuse(lambda: f"writing to {transport.get_extra_info('peername')}")
                taken.wires.wrote(transport)
            original(transport, data)

        return write

    def _hook_connects(self) -> None:
        self._hook_refused(socket, "getaddrinfo", lambda host=None, *_: f"looking up {host!r}")
        for name in ("connect", "connect_ex"):
            self._hook_refused(socket.socket, name, lambda _, address: f"connecting to {address!r}")
        for name in ("subprocess_exec", "subprocess_shell"):
            self._hook_refused(asyncio.BaseEventLoop, name, lambda *_: "starting a process")

    def _hook_refused(self, owner: Any, name: str, what: Callable[..., str]) -> None:
        original = getattr(owner, name)

        def call(*args: Any, **kwargs: Any) -> Any:
            if threading.get_ident() in self._members:
                self._refuse(lambda: what(*args))
            return original(*args, **kwargs)

        self._swaps.put(owner, name, call)

    def _refuse(self, what: Callable[[], str]) -> None:
        if not self._refuses_io:
            return
        error = RealIO(
            f"{what()} is real, and this runs in virtual time with real_io='refuse': let the answers come from a "
            "simulation or a cassette, or allow real connections with real_io='hybrid'"
        )
        self.failure = self.failure or error
        raise error

    def _say(self, text: str) -> None:
        self._said.setdefault(text)

    def _warn(self) -> None:
        for text in self._said:
            warnings.warn(text, ClockWarning, stacklevel=6)


def _why_no_loop() -> str:
    if in_trio():
        return "trio keeps its own time: its MockClock is for tests, or use asyncio or the realtime clock"
    return "no event loop runs here: use `enter_sync` for synchronous code"
