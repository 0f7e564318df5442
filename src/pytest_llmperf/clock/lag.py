"""How late the event loop runs its timers: the error bar of everything measured on it.

Rule: it measures real time only, keeps no loop alive and no more than a fixed number of readings. In virtual time, and
on loops that are not asyncio's, it measures nothing.

After a stall the ticks that were due meanwhile count as well, each with the time it would have waited: that is how an
event meets the loop that comes in at a random moment. Up to a millisecond of a reading can be epoll, which rounds up.
"""

import asyncio
import math
import sys
from bisect import bisect_right
from collections import deque
from collections.abc import Iterator
from time import perf_counter_ns
from types import TracebackType
from typing import Self

from pytest_llmperf.clock.time_module import in_virtual_time

__all__ = ["LoopLagSampler"]

_AFTERMATH_NS = 20_000_000
"""How long at least a stall is felt after its end, while the loop works off what has piled up."""


class LoopLagSampler:
    """Readings of the lag of the running asyncio loop; use it as a context manager within a coroutine.

    Args:
        interval_seconds: Time between two readings.
        capacity: Readings kept; the oldest go first.

    Attributes:
        lags: Pairs of when a tick was due (as `WallClock` tells it) and how late it came, both in nanoseconds.
    """

    def __init__(self, interval_seconds: float = 0.005, capacity: int = 65_536) -> None:
        self.lags: deque[tuple[int, int]] = deque(maxlen=capacity)
        self._interval_ns = round(interval_seconds * 1e9)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._due_ns = 0
        self._longest_ns = 0

    def start(self) -> None:
        """Begins on the running loop; does nothing where there is none of asyncio's, or in virtual time."""
        self.stop()
        self._loop = asyncio._get_running_loop()
        if self._loop is not None:
            self._arm(perf_counter_ns())

    def stop(self) -> None:
        """Ends; the readings stay."""
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._loop = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def quantile(self, level: float) -> float | None:
        """The lag in seconds that this share of the readings does not exceed (nearest rank); None without readings.

        Args:
            level: In (0, 1].

        Raises:
            ValueError: The level is outside.
        """
        if not 0 < level <= 1:
            raise ValueError(f"a quantile's level lies in (0, 1], not {level}")
        ordered = sorted(lag for _, lag in self.lags)
        return ordered[math.ceil(level * len(ordered)) - 1] / 1e9 if ordered else None

    def around(self, at_ns: int) -> float | None:
        """By how many seconds something that was noticed on the loop at *at_ns* may have come too late.

        Twice the longest stall that was not over and done with by then. Twice, because a timer waits for one turn of
        the loop and a reader for two: one in which the loop sees the bytes, one in which the reader's task runs. A
        stall is over and done with as long after its end as it lasted, or once a later tick came in time; but no
        sooner than 20 ms after its end. Against a server that knew when it sent, this was at least the delay of 98 to
        100 % of the reads (to 1 ms), with 1 to 100 streams and with loops that were blocked on purpose. The 99 %
        quantile of all readings was so for 73 to 100 %, and is seconds where the loop was blocked between the reads.

        Args:
            at_ns: A moment that has passed, as `WallClock` tells it.

        Returns:
            None without a reading that is as old.
        """
        if not self.lags or self.lags[0][0] > at_ns:
            return None
        overdue_ns = 0 if self._timer is None else perf_counter_ns() - self._due_ns
        oldest_ns = at_ns - 2 * max(_AFTERMATH_NS, self._longest_ns, overdue_ns)
        longest = in_time_ns = 0
        for due_ns, lag in self._backwards(at_ns, overdue_ns):
            end_ns = due_ns + lag
            if end_ns < in_time_ns or due_ns < oldest_ns:
                break
            if at_ns <= end_ns + max(lag, _AFTERMATH_NS):
                longest = max(longest, lag)
            elif lag < self._interval_ns:
                in_time_ns = in_time_ns or end_ns
        return 2 * longest / 1e9

    def _backwards(self, at_ns: int, overdue_ns: int) -> Iterator[tuple[int, int]]:
        """The ticks that were due by a moment, latest first, with the one that has not come yet."""
        if overdue_ns > 0 and self._due_ns <= at_ns:
            yield self._due_ns, overdue_ns
        for index in reversed(range(bisect_right(self.lags, (at_ns, sys.maxsize)))):
            yield self.lags[index]

    def _arm(self, now_ns: int) -> None:
        if self._loop is not None and not in_virtual_time():
            self._due_ns = now_ns + self._interval_ns
            self._timer = self._loop.call_later(self._interval_ns / 1e9, self._tick)

    def _tick(self) -> None:
        now_ns = perf_counter_ns()
        if not in_virtual_time():
            oldest_kept = now_ns - self._interval_ns * (self.lags.maxlen or 1)
            due_ns = max(self._due_ns, oldest_kept)
            self._longest_ns = max(self._longest_ns, now_ns - due_ns)
            self.lags.append((due_ns, max(0, now_ns - due_ns)))
            self.lags.extend(
                (late, now_ns - late) for late in range(due_ns + self._interval_ns, now_ns, self._interval_ns)
            )
        self._arm(now_ns)
