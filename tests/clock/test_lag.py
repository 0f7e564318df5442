import asyncio
import selectors
import time
from time import perf_counter_ns

import pytest
import trio

from pytest_llmperf.clock.lag import LoopLag, earliest, longest_wait
from pytest_llmperf.clock.virtual import enter_loop

MS = 1_000_000


class Sleepy(selectors.DefaultSelector):
    """A selector that returns 30 ms late from every wait, as where the thread has to wait for a processor."""

    def select(self, timeout=None):
        events = super().select(timeout)
        if timeout:
            time.sleep(0.03)
        return events


class Sealed(selectors.DefaultSelector):
    """A selector that cannot be watched."""

    def __setattr__(self, name, value):
        if name == "select":
            raise AttributeError(name)
        super().__setattr__(name, value)


def lengths_ms(lag: LoopLag) -> list[float]:
    return sorted((end - begin) / MS for begin, end in lag.stalls)


async def blocked(lag: LoopLag, seconds: float = 0.05) -> tuple[int, int]:
    """Watch the loop while it is blocked once; when that was."""
    with lag:
        await asyncio.sleep(0.003)
        begin = perf_counter_ns()
        time.sleep(seconds)
        end = perf_counter_ns()
        await asyncio.sleep(0.003)
    return begin, end


def test_a_blocked_loop_is_a_stall():
    """It begins no later, and ends no sooner, than what blocked the loop."""
    lag = LoopLag()
    begin, end = asyncio.run(blocked(lag))
    stall = max(lag.stalls, key=lambda stall: stall[1] - stall[0])
    assert stall[0] <= begin < end <= stall[1]
    assert list(lag.stalls) == sorted(lag.stalls)


def test_an_idle_loop_has_no_stall_of_its_waits():
    """To wait for something is no lateness."""
    lag = LoopLag()

    async def main():
        with lag:
            begin = perf_counter_ns()
            await asyncio.sleep(0.2)
            return (perf_counter_ns() - begin) / MS

    whole = asyncio.run(main())
    assert whole - sum(lengths_ms(lag)) > 100


def test_a_selector_that_returns_late_begins_its_turn_when_it_was_due():
    """Then the lateness is part of the stall."""
    lag = LoopLag()

    async def main():
        with lag:
            await asyncio.sleep(0.005)

    with asyncio.Runner(loop_factory=lambda: asyncio.SelectorEventLoop(Sleepy())) as runner:
        runner.run(main())
    assert lengths_ms(lag)[-1] >= 28


def test_a_loop_that_cannot_be_watched_is_watched_by_its_timers():
    """They come late by the stall, but for the time to the first of them."""
    lag = LoopLag()
    with asyncio.Runner(loop_factory=lambda: asyncio.SelectorEventLoop(Sealed())) as runner:
        begin, end = runner.run(blocked(lag))
    assert lengths_ms(lag)[-1] >= 35
    assert lag.around(end) >= 0.035
    assert begin < max(lag.stalls)[1]


@pytest.mark.parametrize(
    ("level", "expected"),
    [
        (1.0, 50.0),  # nothing waits longer than the longest stall
        (0.99, 40.0),  # the first 10 ms of the longest
        (0.95, 10.0),  # of both, the first 40 and the first 10
        (0.9, 0.0),  # a tenth of all moments do not wait at all
        (0.5, 0.0),
    ],
)
def test_the_wait_of_a_random_moment(level, expected):
    """Stalls of 50 and 20 ms in a second: whoever comes x before the end of one waits x."""
    assert longest_wait([20.0, 50.0], 1000.0, level) == pytest.approx(expected)


def test_without_stalls_nothing_waits():
    """No stall is no lag, and so is no time."""
    assert longest_wait([], 1000.0, 0.99) == 0
    assert longest_wait([], 0.0, 1.0) == 0


@pytest.mark.parametrize(
    ("stalls", "expected"),
    [
        ([], 1000),
        ([(950, 990)], 950),
        ([(950, 1030)], 950),  # noticed within a stall that had begun
        ([(970, 999), (950, 969), (900, 950)], 900),  # one after the other
        ([(970, 999), (950, 960), (900, 940)], 900),  # with short turns between them
        ([(970, 999), (900, 960)], 900),
        ([(970, 999), (900, 966)], 900),
        ([(970, 999), (900, 939)], 970),  # the loop had nothing to do meanwhile
        ([(900, 960)], 1000),
        ([(990, 999), (980, 989), (970, 979), (960, 969), (950, 959)], 960),  # four turns
    ],
)
def test_how_long_something_may_have_waited(stalls, expected):
    """Since the fourth turn before, or since the loop last had nothing to do; in units of 0.1 ms."""
    assert earliest([(begin * MS // 10, end * MS // 10) for begin, end in stalls], 1000 * MS // 10) == (
        expected * MS // 10
    )


def test_what_was_noticed_after_a_stall_may_be_as_late_as_that():
    """And what was noticed before it, or long after, is not."""
    lag = LoopLag()

    async def main():
        with lag:
            await asyncio.sleep(0.02)
            before = perf_counter_ns()
            await asyncio.sleep(0.02)
            time.sleep(0.5)
            after = perf_counter_ns()
            await asyncio.sleep(0.3)
            long_after = perf_counter_ns()
            await asyncio.sleep(0)
        return before, after, long_after

    before, after, long_after = map(lag.around, asyncio.run(main()))
    assert after >= 0.5
    assert before < 0.5
    assert long_after < 0.5


def test_the_turn_under_way_counts():
    """Asked in the same turn, the loop has been late already."""

    async def main():
        with LoopLag() as lag:
            await asyncio.sleep(0.003)
            time.sleep(0.05)
            return lag.around(perf_counter_ns())

    assert asyncio.run(main()) >= 0.05


def test_of_what_was_not_watched_nothing_is_known():
    """Neither before the start nor after the end."""
    lag = LoopLag()
    begin = perf_counter_ns()
    asyncio.run(blocked(lag))
    assert lag.around(begin) is None
    assert lag.around(perf_counter_ns()) is None
    assert LoopLag().around(begin) is None


def test_memory_is_bounded():
    """The oldest stalls go when there are too many, and what went is not known any more."""
    lag = LoopLag(capacity=2)

    async def main():
        with lag:
            moments = []
            for _ in range(4):
                await asyncio.sleep(0)
                time.sleep(0.002)
                moments.append(perf_counter_ns())
            await asyncio.sleep(0)
        return moments

    moments = asyncio.run(main())
    assert len(lag.stalls) == 2
    assert lag.around(moments[0]) is None
    assert lag.around(moments[-1]) >= 0.002


def test_several_loops_one_after_the_other():
    """The time between them was not watched, and is no part of the whole."""
    lag = LoopLag()
    asyncio.run(blocked(lag, 0.1))
    time.sleep(0.5)
    asyncio.run(blocked(lag, 0.1))
    assert sum(length >= 100 for length in lengths_ms(lag)) >= 2
    assert lag.quantile(0.5) > 0  # most of the time that was watched


def test_it_stops_at_the_exit():
    """No stall is added, no timer is left, and the selector is as it was."""
    lag = LoopLag()

    async def main():
        await blocked(lag)
        count = len(lag.stalls)
        time.sleep(0.01)
        await asyncio.sleep(0.01)
        loop = asyncio.get_running_loop()
        alive = [handle for handle in loop._scheduled if not handle.cancelled()]
        return count, alive, vars(loop._selector)

    count, alive, attributes = asyncio.run(main())
    assert 0 < count == len(lag.stalls)
    assert alive == []
    assert "select" not in attributes


@pytest.mark.parametrize("first_out", [0, 1])
def test_two_watches_do_not_disturb_each_other(first_out):
    """Whichever ends first, the other goes on and each sees what happened in its time."""
    lags = [LoopLag(), LoopLag()]

    async def main():
        for lag in lags:
            lag.start()
        await asyncio.sleep(0)
        lags[first_out].stop()
        time.sleep(0.5)
        await asyncio.sleep(0.3)
        end = perf_counter_ns()
        lags[1 - first_out].stop()
        return end, vars(asyncio.get_running_loop()._selector)

    end, attributes = asyncio.run(main())
    begun, ended = max(lags[1 - first_out].stalls, key=lambda stall: stall[1] - stall[0])
    assert ended - begun >= 500 * MS
    assert end - ended >= 100 * MS
    assert all(length < 500 for length in lengths_ms(lags[first_out]))
    assert ("select" in attributes) is (first_out == 0)  # the one below stays, and passes everything through


def test_a_turn_that_is_under_way_at_the_end_counts():
    """Whatever blocks the loop last is a stall as well."""
    lag = LoopLag()

    async def main():
        with lag:
            await asyncio.sleep(0)
            time.sleep(0.05)

    asyncio.run(main())
    assert lengths_ms(lag)[-1] >= 50


def test_no_moment_is_known_better_than_to_a_millisecond():
    """Also an idle loop has to wake up."""

    async def main():
        with LoopLag() as lag:
            await asyncio.sleep(0.02)
            return lag.around(perf_counter_ns())

    assert asyncio.run(main()) >= 0.001


@pytest.mark.parametrize("level", [0, -0.5, 1.5, float("nan")])
def test_a_level_outside_is_refused(level):
    """A level that is no share is an error, whether or not anything was watched."""
    with pytest.raises(ValueError, match="level lies in"):
        LoopLag().quantile(level)


def test_nothing_watched_is_not_zero():
    """Without a loop there is no quantile."""
    assert LoopLag().quantile(0.99) is None


def test_the_quantile_of_all_is_the_longest_stall():
    """Nothing can have waited longer."""
    lag = LoopLag()
    asyncio.run(blocked(lag))
    assert lag.quantile(1.0) == pytest.approx(lengths_ms(lag)[-1] / 1e3)


def test_it_measures_nothing_in_virtual_time(clock):
    """Begun before or after the entry, it adds no stall in virtual time and does not keep time moving."""

    async def main():
        with LoopLag() as before, enter_loop(clock), LoopLag() as during:
            count = len(before.stalls)
            await asyncio.sleep(60)
            time.sleep(0.01)
            await asyncio.sleep(60)
            return len(before.stalls) - count, during.quantile(0.99)

    assert asyncio.run(main()) == (0, None)
    assert clock.jumps <= 4
    assert clock.now_ns() == 120_010_000_000


def test_it_measures_nothing_outside_asyncio():
    """On trio, and without any loop, it is silent."""

    async def main():
        with LoopLag() as lag:
            await trio.sleep(0)
        return lag.quantile(0.5)

    assert trio.run(main) is None
    with LoopLag() as lag:
        pass
    assert lag.quantile(0.5) is None
