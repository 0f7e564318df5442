import asyncio
import time

import pytest
import trio

from pytest_llmperf.clock.lag import LoopLagSampler
from pytest_llmperf.clock.virtual import enter_loop


def test_a_stall_is_seen_by_all_ticks_it_delayed():
    """While the loop is blocked, each tick that was due counts with the time it had to wait."""

    async def main():
        with LoopLagSampler(interval_seconds=0.001) as lags:
            await asyncio.sleep(0.003)
            time.sleep(0.05)
            await asyncio.sleep(0.003)
        return lags

    lags = asyncio.run(main())
    assert 0.03 < lags.quantile(1.0) < 10
    assert sum(lag > 10_000_000 for _, lag in lags.lags) >= 30
    dues = [due for due, _ in lags.lags]
    assert dues == sorted(dues)


def test_quantiles_are_readings_by_nearest_rank():
    """The quantile is the smallest reading that the given share does not exceed."""
    lags = LoopLagSampler()
    lags.lags.extend((0, milliseconds * 1_000_000) for milliseconds in (5, 1, 4, 2, 3))
    assert [lags.quantile(level) for level in (0.01, 0.2, 0.21, 0.5, 1.0)] == [0.001, 0.001, 0.002, 0.003, 0.005]


@pytest.mark.parametrize("level", [0, -0.5, 1.5, float("nan")])
def test_a_level_outside_is_refused(level):
    """A level that is no share is an error, with or without readings."""
    with pytest.raises(ValueError, match="level lies in"):
        LoopLagSampler().quantile(level)


def test_no_reading_is_not_zero():
    """Without readings there is no quantile."""
    assert LoopLagSampler().quantile(0.99) is None


def test_memory_is_bounded():
    """The oldest readings go when there are too many, also after a stall of many ticks."""

    async def main():
        with LoopLagSampler(interval_seconds=0.0001, capacity=16) as lags:
            await asyncio.sleep(0.001)
            time.sleep(0.02)
            await asyncio.sleep(0.001)
        return lags

    assert len(asyncio.run(main()).lags) == 16


def test_it_stops_at_the_exit():
    """No reading is added, and no timer is left, after the block."""

    async def main():
        with LoopLagSampler(interval_seconds=0.001) as lags:
            await asyncio.sleep(0.005)
        count = len(lags.lags)
        await asyncio.sleep(0.01)
        alive = [handle for handle in asyncio.get_running_loop()._scheduled if not handle.cancelled()]
        return count, len(lags.lags), alive

    count, later, alive = asyncio.run(main())
    assert 0 < count == later
    assert alive == []


def test_it_measures_nothing_in_virtual_time(clock):
    """Begun before or after the entry, it adds no reading in virtual time and does not keep time moving."""

    async def main():
        with LoopLagSampler() as before, enter_loop(clock), LoopLagSampler() as during:
            await asyncio.sleep(60)
        return len(before.lags), len(during.lags)

    assert asyncio.run(main()) == (0, 0)
    assert clock.jumps <= 3
    assert clock.now_ns() == 60_000_000_000


def test_it_measures_nothing_outside_asyncio():
    """On trio, and without any loop, it is silent."""

    async def main():
        with LoopLagSampler() as lags:
            await trio.sleep(0)
        return lags.quantile(0.5)

    assert trio.run(main) is None
    with LoopLagSampler() as lags:
        pass
    assert lags.quantile(0.5) is None
