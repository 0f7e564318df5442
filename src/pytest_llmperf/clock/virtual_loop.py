"""An asyncio loop whose waiting is jumped over.

Rule: this is the one place that decides what time does when the loop has nothing to run. In this order:

1. *outside work* runs (a job in a worker thread, bytes between two ends of this loop, a `hold`): time stands still and
   the loop waits in real time. After the clock's patience it follows real time instead, with a warning, since that work
   may itself be waiting for a timer of this loop.
2. *something real is pending* (a socket, a child process): time follows real time.
3. a *timer* is armed: time jumps exactly to it.
4. nothing of these: wait the clock's grace for a thread nobody told us of, then `VirtualDeadlock`.

The loop is taken over in place. It rests on private names, checked by `missing_names`: `_selector`, `_ssock`,
`_scheduled` (a heap of handles with `_when`) and `_clock_resolution`.
"""

import asyncio
import contextlib
import math
import selectors
import threading
from collections.abc import Callable, Mapping
from contextvars import Context
from typing import TYPE_CHECKING, Any

from pytest_llmperf.clock.errors import VirtualDeadlock
from pytest_llmperf.clock.swaps import Swaps
from pytest_llmperf.clock.time_module import real
from pytest_llmperf.clock.virtual_clock import VirtualClock
from pytest_llmperf.clock.virtual_wires import Wires
from pytest_llmperf.clock.virtual_work import Job, Work
from pytest_llmperf.clock.waiting import waiting_tasks

if TYPE_CHECKING:
    from _typeshed import FileDescriptorLike

__all__ = ["TakenLoop", "missing_names"]

_NEEDED = ("_selector", "_ssock", "_scheduled", "_clock_resolution")
_NOT_STILL = (-1, 0)  # how often the work had changed, and the real time, when time came to stand still
_SLICE_SECONDS = 0.05  # how long to follow real time before asking again what is pending


def missing_names(loop: object) -> list[str]:
    """The private attributes virtual time needs and this loop lacks."""
    return [name for name in _NEEDED if not hasattr(loop, name)]


class TakenLoop:
    """One event loop in virtual time, from `take` to `give_back`.

    Args:
        loop: A selector event loop of asyncio.
        clock: The time it shall live in.
        offset_ns: What to add to the clock's time to get the loop's.
        members: The threads that live in virtual time.
        say: Where to put what the user should be warned of; the same text twice is said once.
        task: The task to interrupt on a deadlock; without one the loop's run is broken off.
    """

    def __init__(
        self,
        loop: Any,
        clock: VirtualClock,
        offset_ns: int,
        members: dict[int, Job | None],
        say: Callable[[str], None],
        task: asyncio.Task[Any] | None = None,
    ) -> None:
        self.loop = loop
        self.clock = clock
        self.work = Work(loop, members)
        self.wires = Wires(loop._ssock.fileno(), loop._selector.get_map().values())
        self.deadlock: VirtualDeadlock | None = None
        self.say = say
        self._offset_ns = offset_ns
        self._task = task
        self._swaps = Swaps()
        self._owner = threading.get_ident()
        self._jumps_before = clock.jumps
        self._resolution_before: float = loop._clock_resolution
        self._real_time: Callable[[], float] = loop.time
        self._real_call_later: Callable[..., asyncio.TimerHandle] = loop.call_later
        self.last_timer = self.time() + clock.horizon_seconds

    def take(self) -> None:
        """Puts the loop into virtual time; its timers keep the time they have left."""
        loop, put = self.loop, self._swaps.put
        self._shift_timers(self.time() - self._real_time())
        loop._clock_resolution = _resolution_at(self.time())
        put(loop, "_selector", JumpingSelector(loop._selector, self))
        put(loop, "call_soon_threadsafe", self._call_soon_threadsafe(loop.call_soon_threadsafe))
        put(loop, "run_in_executor", self.work.run_in_executor)
        put(loop, "shutdown_default_executor", self.work.shutdown_default_executor)
        put(loop, "subprocess_exec", self.work.with_child(loop.subprocess_exec))
        put(loop, "subprocess_shell", self.work.with_child(loop.subprocess_shell))
        put(loop, "call_later", self.call_later)
        put(loop, "time", self.time)

    def give_back(self) -> list[str]:
        """Returns the loop to real time; its timers keep the time they have left.

        Returns:
            What could not be put back, since someone else had replaced it.
        """
        self.work.end()
        if self.loop.is_closed():
            return []
        self._shift_timers(self._real_time() - self.time())
        self.loop._clock_resolution = self._resolution_before
        return self._swaps.undo()

    def time(self) -> float:
        """The loop's time in seconds."""
        return (self.clock.now_ns() + self._offset_ns) / 1_000_000_000

    def call_later(
        self, delay: float, callback: Callable[..., object], *args: Any, context: Context | None = None
    ) -> asyncio.TimerHandle:
        """`loop.call_later` in whole nanoseconds, so that a scenario does not depend on when it was entered.

        Deadlines that the caller has added up in floats come through `call_at` and are exact if they mean whole ones.
        """
        try:
            now_ns = self.clock.now_ns() + self._offset_ns + round(delay * 1e9)
        except (OverflowError, TypeError, ValueError):
            return self._real_call_later(delay, callback, *args, context=context)
        handle: asyncio.TimerHandle = self.loop.call_at(now_ns / 1_000_000_000, callback, *args, context=context)
        return handle

    def jump(self, when: float) -> None:
        """Moves time to a timer, so exactly that the loop takes it for due."""
        self.loop._clock_resolution = _resolution_at(when)
        self.clock.jump_to(_nanoseconds(when) - self._offset_ns)

    def next_timer(self) -> float:
        """When the next timer is due in the loop's time; infinity if there is none."""
        scheduled = self.loop._scheduled
        return scheduled[0]._when if scheduled else math.inf

    def break_off(self, next_timer: float) -> None:
        """Ends a stay in which nothing can happen any more.

        Raises:
            VirtualDeadlock: There is no task to interrupt, or it went on regardless.
        """
        first = self.deadlock is None
        self.deadlock = VirtualDeadlock(_why_stuck(next_timer - self.time(), self.clock, self.loop))
        if not first or self._task is None or self._task.done():
            raise self.deadlock
        self._task.cancel("virtual time cannot go on")

    def wake(self) -> None:
        """Makes the loop look again; callable from any thread."""
        self.work.post(_nothing)

    def _shift_timers(self, seconds: float) -> None:
        for handle in self.loop._scheduled:  # the same for all, so the heap stays a heap
            handle._when += seconds

    def _call_soon_threadsafe(self, original: Callable[..., asyncio.Handle]) -> Callable[..., asyncio.Handle]:
        def call_soon_threadsafe(
            callback: Callable[..., object], *args: Any, context: Context | None = None
        ) -> asyncio.Handle:
            if threading.get_ident() != self._owner:
                self._question_thread()
            return original(callback, *args, context=context)

        return call_soon_threadsafe

    def _question_thread(self) -> None:
        expected = self.clock.held or self.work.active or self.work.had_children
        if expected or threading.get_ident() in self.work.known_threads or self.clock.jumps == self._jumps_before:
            return
        self.say(
            f"thread {threading.current_thread().name!r} woke the event loop after virtual time had jumped: its answer "
            "may have come too late for time-outs it would have met. Put `with clock.hold():` around the wait for it, "
            "or run this with the realtime clock"
        )


class JumpingSelector(selectors.BaseSelector):
    """The loop's own selector, and what to do when it has nothing to report.

    Args:
        inner: The loop's own selector.
        taken: The loop it serves.
    """

    def __init__(self, inner: selectors.BaseSelector, taken: TakenLoop) -> None:
        self._inner = inner
        self._taken = taken
        self._still_since = _NOT_STILL

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        """Events that are there; or none, with time moved so that something else is due."""
        events = self._inner.select(0)
        if not events and timeout != 0:
            events = self._wait(timeout)
        if events:
            self._taken.wires.note(events)
        return events

    def _wait(self, timeout: float | None) -> list[tuple[selectors.SelectorKey, int]]:
        taken = self._taken
        if taken.work.active or taken.clock.held or taken.wires.in_flight:
            return self._stand_still(timeout)
        self._still_since = _NOT_STILL
        if taken.wires.pending or taken.work.has_children:
            return self._follow_real_time(timeout)
        when = taken.next_timer()
        if when > taken.last_timer:
            return self._wait_for_strangers(when)
        taken.jump(when)
        return []

    def _stand_still(self, timeout: float | None) -> list[tuple[selectors.SelectorKey, int]]:
        changes, now_ns = self._taken.work.changes, real.perf_counter_ns()
        if self._still_since[0] != changes:
            self._still_since = (changes, now_ns)
        patience = self._taken.clock.patience_seconds - (now_ns - self._still_since[1]) / 1e9
        if patience > 0:
            return self._inner.select(patience)
        self._taken.say(
            f"virtual time stood still for {self._taken.clock.patience_seconds:g} s of real time, waiting for "
            f"{self._taken.work.names or 'whoever holds the clock'}, and follows real time until it is done"
        )
        return self._follow_real_time(timeout)

    def _follow_real_time(self, timeout: float | None) -> list[tuple[selectors.SelectorKey, int]]:
        clock = self._taken.clock
        limit = _SLICE_SECONDS if timeout is None else min(timeout, _SLICE_SECONDS)
        began_ns = real.perf_counter_ns()
        events = self._inner.select(limit)
        passed_ns = min(real.perf_counter_ns() - began_ns, round(limit * 1e9))
        clock.flow_to(clock.now_ns() + passed_ns)
        return events

    def _wait_for_strangers(self, next_timer: float) -> list[tuple[selectors.SelectorKey, int]]:
        events = self._inner.select(self._taken.clock.grace_seconds)
        if not events:
            self._taken.break_off(next_timer)
        return events

    def register(self, fileobj: "FileDescriptorLike", events: int, data: Any = None) -> selectors.SelectorKey:
        """As the loop's own selector, noted."""
        return self._watch(self._inner.register(fileobj, events, data))

    def modify(self, fileobj: "FileDescriptorLike", events: int, data: Any = None) -> selectors.SelectorKey:
        """As the loop's own selector, noted."""
        return self._watch(self._inner.modify(fileobj, events, data))

    def unregister(self, fileobj: "FileDescriptorLike") -> selectors.SelectorKey:
        """As the loop's own selector, noted."""
        key = self._inner.unregister(fileobj)
        self._taken.wires.unwatch(key.fd)
        return key

    def get_key(self, fileobj: "FileDescriptorLike") -> selectors.SelectorKey:
        """As the loop's own selector."""
        return self._inner.get_key(fileobj)

    def get_map(self) -> Mapping["FileDescriptorLike", selectors.SelectorKey]:
        """As the loop's own selector."""
        return self._inner.get_map()

    def close(self) -> None:
        """As the loop's own selector."""
        self._inner.close()

    def _watch(self, key: selectors.SelectorKey) -> selectors.SelectorKey:
        with contextlib.suppress(OSError):  # a descriptor that died meanwhile is the loop's business
            self._taken.wires.watch(key)
        return key


def _nothing() -> None:
    pass


def _nanoseconds(when: float) -> int:
    """The whole nanosecond a float of seconds stands for; exact up to 97 days, where floats get coarser than that."""
    fraction, seconds = math.modf(when)
    return int(seconds) * 1_000_000_000 + round(fraction * 1e9)


def _resolution_at(when: float) -> float:
    """The loop's tolerance for a timer to be due: a nanosecond or two, or what floats of this size can tell apart."""
    return max(2e-9, 4 * math.ulp(when))


def _why_stuck(seconds_left: float, clock: VirtualClock, loop: asyncio.AbstractEventLoop) -> str:
    armed = (
        "no timer is armed" if seconds_left == math.inf else f"the next timer is {seconds_left / 86_400:,.0f} days away"
    )
    return (
        f"virtual time cannot go on: nothing is ready, {armed}, and nothing came from outside the event loop within "
        f"{clock.grace_seconds:g} s of real time.\n{waiting_tasks(loop)}\n"
        "If a thread of your own is to answer, put `with clock.hold():` around the wait for it, or run this with the "
        "realtime clock."
    )
