"""How late the event loop comes to what happens: the error bar of everything measured on it.

Rule: it measures real time only, keeps no loop alive and no more than a fixed number of stalls. In virtual time, and on
loops that are not asyncio's, it measures nothing.

While the loop runs callbacks it takes in nothing new, so it is watched where it asks what is new: at its selector.
A stall is a turn that took long, from the selector's return to the next question. Should the selector itself return
late, because the thread had to wait for a processor, the turn begins when it should have; for that to show there is
always a timer, but a rare one: to wake an idle loop each 5 ms took 4 % of a processor where this takes 0.4. Loops
without a selector of Python's (uvloop's) are watched by their timers alone.
"""

import asyncio
import itertools
import sys
from bisect import bisect_right
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from time import perf_counter_ns
from types import TracebackType
from typing import Any, Self

from pytest_llmperf.clock.time_module import in_virtual_time

__all__ = ["LoopLag"]

_LONG_NS = 500_000
"""From here on a turn is a stall: what is shorter never adds up to much, but there are thousands a second."""
_LATE_NS = 2_000_000
"""From here on a timer is late; epoll rounds up to a millisecond."""
_TIMER_SECONDS = 0.05
_TIMER_SECONDS_ALONE = 0.01
_TURNS = 4
"""How many turns of the loop can lie between some bytes and their reader.

One during which they come, one in which the loop sees them, one in which the reader's task runs; and one more where
the reader had not asked for them yet.
"""
_UNSEEN_NS = 1_000_000
"""How late a reader can be for all that: an idle loop's wake-up, and turns that are no stalls."""
_PAUSE_NS = 3_000_000
"""A longer pause between two stalls shows that the loop had nothing left to do."""


def longest_wait(stalls: Iterable[float], watched: float, level: float) -> float:
    """How long at most something waits for a stall to end that comes at a random moment, at that share of the moments.

    At a moment x before its end the wait is x. So longer waits than x have Σ max(stall − x, 0) of the time for
    themselves; made equal to (1 − level) · watched, that gives x.

    Args:
        stalls: Their lengths.
        watched: The whole time, in the same unit.
        level: In (0, 1].
    """
    left = (1 - level) * watched
    longest = total = 0.0
    for count, length in enumerate(sorted(stalls, reverse=True), 1):
        total += length
        longest = max(longest, (total - left) / count)
    return longest


def earliest(stalls: Iterable[tuple[int, int]], at_ns: int) -> int:
    """Since when something may have been there that was noticed at *at_ns*: four turns that followed one another.

    Args:
        stalls: When each began and ended, the latest first, none of them begun after *at_ns*.
        at_ns: In nanoseconds, as all.
    """
    earliest_ns = at_ns
    for begin_ns, end_ns in itertools.islice(stalls, _TURNS):
        if earliest_ns - end_ns > _PAUSE_NS:
            break
        earliest_ns = begin_ns
    return earliest_ns


class LoopLag:
    """The stalls of the running asyncio loop; use it as a context manager within a coroutine, as often as you like.

    Args:
        capacity: Stalls kept; the oldest go first.

    Attributes:
        stalls: When each began and ended (as `WallClock` tells it), in nanoseconds, in order.
    """

    def __init__(self, capacity: int = 65_536) -> None:
        self.stalls: deque[tuple[int, int]] = deque(maxlen=capacity)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._unhook: Callable[[], None] | None = None
        self._first_ns = self._last_ns = self._paused_ns = 0
        self._began_ns = 0
        """The turn that is under way."""
        self._due_ns = 0

    def start(self) -> None:
        """Begins on the running loop; does nothing where there is none of asyncio's, or in virtual time."""
        self.stop()
        loop = asyncio._get_running_loop()
        if loop is None or in_virtual_time():
            return
        now_ns = perf_counter_ns()
        self._paused_ns += now_ns - self._last_ns if self._last_ns else 0
        self._first_ns = self._first_ns or now_ns
        self._began_ns = now_ns
        self._loop = loop
        self._unhook = self._hooked(getattr(loop, "_selector", None))
        self._arm()

    def stop(self) -> None:
        """Ends; the stalls stay."""
        if self._loop is None:
            return
        self._last_ns = perf_counter_ns()
        if self._unhook is not None:
            self._turn_ended(self._last_ns)
            self._unhook()
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._loop = self._unhook = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def quantile(self, level: float) -> float | None:
        """How many seconds something has to wait that comes at a random moment, at that share of the moments at most.

        Args:
            level: In (0, 1].

        Returns:
            None when nothing was watched.

        Raises:
            ValueError: The level is outside.
        """
        if not 0 < level <= 1:
            raise ValueError(f"a quantile's level lies in (0, 1], not {level}")
        if not self._first_ns:
            return None
        since_ns = self.stalls[0][0] if self._forgets() else self._first_ns + self._paused_ns
        lengths = [end - begin for begin, end in self.stalls]
        return longest_wait(lengths, self._until_ns() - since_ns, level) / 1e9

    def around(self, at_ns: int) -> float | None:
        """By how many seconds something that was noticed on the loop at *at_ns* may have come too late, at the most.

        That is since the fourth turn before, as far as the turns followed one another without a pause, and a
        millisecond for what is too short to be kept. Held against a server that knows when it sent
        (`benchmarks/fidelity.py`, 1 to 100 streams, loops blocked on purpose) it covers the error of 99 to 100 % of
        the times; of 85 to 100 % where the thread had to wait for a processor for a third of the time. A quantile of
        the whole series covers 73 to 100 %, too little in a loop that is overrun, and is far too much in one that was
        blocked between two reads.

        Args:
            at_ns: A moment that has passed, as `WallClock` tells it.

        Returns:
            None when that moment was not watched, or its stalls are forgotten.
        """
        since_ns = self.stalls[0][0] if self._forgets() else self._first_ns
        if not self._first_ns or not since_ns <= at_ns <= self._until_ns():
            return None
        return (at_ns - earliest(self._backwards(at_ns), at_ns) + _UNSEEN_NS) / 1e9

    def _forgets(self) -> bool:
        return len(self.stalls) == self.stalls.maxlen

    def _until_ns(self) -> int:
        return self._last_ns if self._loop is None else perf_counter_ns()

    def _backwards(self, at_ns: int) -> Iterator[tuple[int, int]]:
        """The stalls that had begun at a moment, latest first; the turn that is under way is one by now, or not."""
        begin_ns, least_ns = (self._due_ns, _LATE_NS) if self._unhook is None else (self._began_ns, _LONG_NS)
        if self._loop is not None and at_ns - begin_ns > least_ns:
            yield begin_ns, at_ns
        for index in reversed(range(bisect_right(self.stalls, (at_ns, sys.maxsize)))):
            yield self.stalls[index]

    # --- at the selector ---

    def _hooked(self, selector: Any) -> Callable[[], None] | None:
        """Watch a selector's `select`; what takes it back, or None where there is nothing to watch."""
        try:
            ask = selector.select
            before = vars(selector).get("select")

            def select(timeout: float | None = None) -> Any:
                asked_ns = perf_counter_ns()
                self._turn_ended(asked_ns)
                events = ask(timeout)
                self._turn_began(asked_ns, timeout)
                return events

            selector.select = select
        except (AttributeError, TypeError):
            return None

        def unhook() -> None:
            if vars(selector).get("select") is not select:
                return  # another watches through it: it goes on passing everything through
            if before is None:
                del selector.select
            else:
                selector.select = before

        return unhook

    def _turn_ended(self, now_ns: int) -> None:
        if now_ns - self._began_ns > _LONG_NS and self._loop is not None and not in_virtual_time():
            self.stalls.append((self._began_ns, now_ns))

    def _turn_began(self, asked_ns: int, timeout: float | None) -> None:
        now_ns = self._began_ns = perf_counter_ns()
        if timeout and timeout > 0:
            due_ns = asked_ns + round(timeout * 1e9)
            if now_ns - due_ns > _LATE_NS:
                self._began_ns = due_ns

    # --- by a timer ---

    def _arm(self) -> None:
        if self._loop is not None and not in_virtual_time():
            seconds = _TIMER_SECONDS if self._unhook is not None else _TIMER_SECONDS_ALONE
            self._due_ns = perf_counter_ns() + round(seconds * 1e9)
            self._timer = self._loop.call_later(seconds, self._tick)

    def _tick(self) -> None:
        now_ns = perf_counter_ns()
        if self._unhook is None and now_ns - self._due_ns > _LATE_NS and not in_virtual_time():
            self.stalls.append((self._due_ns, now_ns))
        self._arm()
