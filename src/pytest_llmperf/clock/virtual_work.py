"""What runs outside the event loop on its behalf; while any of it runs, time stands still.

Rule: all counting happens in the loop's thread. A worker thread reports through `call_soon_threadsafe`, whose order is
kept, so the loop never sees "nothing runs" before it has what that thread brought.

A job counts from its submission until its thread has ended *and* its future is settled: a cancelled future leaves a
thread behind that still works. While it sleeps (`time.sleep` in the thread) it is a timer of the loop and not counted.
"""

import asyncio
import functools
import importlib
import sys
import threading
import weakref
from collections import deque
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from pytest_llmperf.clock.swaps import Swaps

__all__ = ["Job", "Work", "hook_anyio"]

_LOOK_FOR_A_DEAD_LOOP_SECONDS = 0.25


class GivenUp(BaseException):
    """Ends a thread that nobody waits for any more and that slept when virtual time ended."""


class Job:
    """One call in a worker thread.

    Args:
        work: The loop's outside work that it is part of.
        function: What is called.
        pool: Where it queues for a thread; without one it has a thread at once.
    """

    def __init__(self, work: "Work", function: Callable[..., Any], pool: "_Pool | None" = None) -> None:
        self.pool = pool
        self._work = work
        self._function = function
        self._started = self._ended = self._settled = False
        self._nap: tuple[threading.Event, asyncio.TimerHandle] | None = None

    def __repr__(self) -> str:
        return _name_of(self._function)

    def run(self, *args: Any, **kwargs: Any) -> Any:
        """Calls the function; this is what the worker thread is given."""
        self._started = True
        ident = threading.get_ident()
        self._work.members[ident] = self
        self._work.known_threads.add(ident)
        try:
            return self._function(*args, **kwargs)
        finally:
            self._work.members.pop(ident, None)
            self._work.post(self._end)

    def sleep(self, seconds: float) -> None:
        """Sleeps in virtual time; called in the worker thread."""
        wake = threading.Event()
        self._work.post(self._fall_asleep, seconds, wake)
        while not wake.wait(_LOOK_FOR_A_DEAD_LOOP_SECONDS):
            if self._work.loop.is_closed():
                raise GivenUp
        if self._settled and self._work.is_over:
            raise GivenUp

    def settle(self) -> None:
        """Nobody waits for it any more: it was answered, or given up."""
        self._settled = True
        if not self._started:
            self._work.free_place(self)
        if self._ended or not self._started:
            self._work.remove(self)

    def dismiss(self) -> None:
        """Virtual time is over: wakes the thread if nobody waits for it."""
        if self._nap is not None and self._settled:
            wake, timer = self._nap
            timer.cancel()
            wake.set()

    def _end(self) -> None:
        self._ended = True
        self._work.free_place(self)
        if self._settled:
            self._work.remove(self)

    def _fall_asleep(self, seconds: float, wake: threading.Event) -> None:
        self._work.take_place(self)
        self._work.finish(self)
        self._nap = wake, self._work.loop.call_later(seconds, self._wake_up)

    def _wake_up(self) -> None:
        if self._nap is not None:
            self._work.begin(self)
            self._nap[0].set()
            self._nap = None


class _Pool:
    """The threads of one executor, as far as jobs of this loop occupy them.

    A job that queues behind sleeping ones is not work: it will not start before one of them has ended.
    """

    def __init__(self, places: int) -> None:
        self.free = places
        self.holders: set[Job] = set()
        self.queue: deque[Job] = deque()


class Work:
    """All work outside one event loop that is known.

    Args:
        loop: The event loop that waits for it.
        members: The threads that live in virtual time; a worker thread is one of them while it runs a job.
    """

    def __init__(self, loop: Any, members: dict[int, Job | None]) -> None:
        self.loop = loop
        self.members = members
        self.known_threads: set[int] = set()
        self.changes = 0
        self.had_children = False
        self.is_over = False
        self._active: set[object] = set()
        self._jobs: set[Job] = set()
        self._pools: weakref.WeakKeyDictionary[Any, _Pool] = weakref.WeakKeyDictionary()
        self._children: list[Any] = []
        self._shutting_down = 0
        self._call_soon_threadsafe = loop.call_soon_threadsafe
        self._run_in_executor = loop.run_in_executor
        self._shutdown_default_executor = loop.shutdown_default_executor

    @property
    def active(self) -> bool:
        """Whether time must stand still for it."""
        return bool(self._active) or (self._shutting_down > 0 and not self._jobs)

    @property
    def names(self) -> str:
        """What it is, for a message."""
        return ", ".join(sorted(map(repr, self._active)))

    def begin(self, piece: object) -> None:
        """Counts a piece of work."""
        self.changes += 1
        self._active.add(piece)

    def finish(self, piece: object) -> None:
        """Counts it no more; harmless for one that is not counted."""
        self.changes += 1
        self._active.discard(piece)

    def post(self, callback: Callable[..., None], *args: Any) -> None:
        """Calls back in the loop's thread, unless the loop is gone."""
        try:
            self._call_soon_threadsafe(callback, *args)
        except RuntimeError:
            if not self.loop.is_closed():
                raise

    def add(self, job: Job) -> None:
        """Counts a job as soon as there is a thread for it."""
        self._jobs.add(job)
        if job.pool is None:
            self.begin(job)
        elif job.pool.free > 0:
            self.take_place(job)
        else:
            job.pool.queue.append(job)

    def remove(self, job: Job) -> None:
        """Counts a job no more, and forgets it."""
        self._jobs.discard(job)
        self.finish(job)

    def take_place(self, job: Job) -> None:
        """A job has a thread now, as far as is known; harmless for one that has it already."""
        pool = job.pool
        if pool is None or job in pool.holders:
            return
        if job in pool.queue:
            pool.queue.remove(job)
        pool.free -= 1
        pool.holders.add(job)
        self.begin(job)

    def free_place(self, job: Job) -> None:
        """A job needs no thread any more; the next in its queue takes it."""
        pool = job.pool
        if pool is None:
            return
        if job in pool.queue:
            pool.queue.remove(job)
        if job in pool.holders:
            pool.holders.remove(job)
            pool.free += 1
        if pool.free > 0 and pool.queue:
            self.take_place(pool.queue[0])

    def end(self) -> None:
        """Virtual time is over."""
        self.is_over = True
        for job in list(self._jobs):
            job.dismiss()

    def run_in_executor(self, executor: Any, function: Callable[..., Any], *args: Any) -> Any:
        """`loop.run_in_executor`, counted."""
        job = Job(self, function)
        in_thread = executor is None or isinstance(executor, ThreadPoolExecutor)
        future = self._run_in_executor(executor, job.run if in_thread else function, *args)
        if in_thread:
            job.pool = self._pool(executor or self.loop._default_executor)
        self.add(job)
        future.add_done_callback(lambda _: job.settle())
        return future

    async def shutdown_default_executor(self, *args: Any) -> None:
        """`loop.shutdown_default_executor`, counted once it waits for nothing but a thread's end."""
        self._shutting_down += 1
        try:
            await self._shutdown_default_executor(*args)
        finally:
            self._shutting_down -= 1

    def _pool(self, executor: Any) -> _Pool:
        if executor not in self._pools:
            self._pools[executor] = _Pool(getattr(executor, "_max_workers", sys.maxsize))
        return self._pools[executor]

    def counted(self, original: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
        """The same coroutine function, counted as work while it runs."""

        async def call(*args: Any, **kwargs: Any) -> Any:
            piece = _Call(original)
            self.begin(piece)
            try:
                return await original(*args, **kwargs)
            finally:
                self.finish(piece)

        return call

    def with_child(self, original: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
        """`loop.subprocess_exec` or `subprocess_shell`, remembering the process that was started."""
        starting = self.counted(original)

        async def call(*args: Any, **kwargs: Any) -> Any:
            transport, protocol = await starting(*args, **kwargs)
            self.had_children = True
            self._children.append(transport)
            return transport, protocol

        return call

    @property
    def has_children(self) -> bool:
        """Whether a process lives that was started in virtual time."""
        if self._children:
            self._children = [child for child in self._children if child.get_returncode() is None]
        return bool(self._children)


class _Call:
    __slots__ = ("_function",)

    def __init__(self, function: Any) -> None:
        self._function = function

    def __repr__(self) -> str:
        return _name_of(self._function)


def _name_of(function: Any) -> str:
    if isinstance(function, functools.partial):  # asyncio.to_thread wraps like this
        function = function.args[0] if function.args else function.func
    return str(getattr(function, "__qualname__", function))


class _Unlimited:
    """A capacity limiter that the caller has already passed."""

    async def __aenter__(self) -> None: ...

    async def __aexit__(self, *_: object) -> None: ...


def hook_anyio(swaps: Swaps, work_of: Callable[[Any], Work | None]) -> None:
    """Counts anyio's worker threads, which do not go through `run_in_executor`.

    The wait for a free place is not work: its holder may be asleep in virtual time. So the limiter is passed here.
    Does nothing while anyio is not loaded.
    """
    if "anyio" not in sys.modules:
        return
    backend = importlib.import_module("anyio._backends._asyncio").AsyncIOBackend
    original = getattr(backend, "run_sync_in_worker_thread", None)
    if original is None:
        return

    async def run_sync_in_worker_thread(
        cls: Any,
        func: Callable[..., Any],
        args: tuple[Any, ...],
        abandon_on_cancel: bool = False,  # noqa: FBT001, FBT002 - anyio's signature
        limiter: Any = None,
    ) -> Any:
        work = work_of(asyncio.get_running_loop())
        if work is None:
            return await original(func, args, abandon_on_cancel, limiter)
        async with limiter or cls.current_default_thread_limiter():
            job = Job(work, func)
            work.add(job)
            try:
                return await original(job.run, args, abandon_on_cancel, _Unlimited())
            finally:
                job.settle()

    swaps.put(backend, "run_sync_in_worker_thread", classmethod(run_sync_in_worker_thread))
