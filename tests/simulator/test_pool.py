"""Places in a client's connection pool."""

from __future__ import annotations

import asyncio

import httpx
import httpx2
import pytest

from pytest_llmperf.clock.manual import ManualClock
from pytest_llmperf.simulator.pool import Place, Pools, limit_of


@pytest.mark.parametrize("package", [httpx, httpx2])
@pytest.mark.parametrize(("most", "limit"), [(2, 2), (None, None)])
def test_the_limit_is_the_clients(package, most, limit):
    """As its transport was made; none is no limit."""
    transport = package.AsyncHTTPTransport(limits=package.Limits(max_connections=most))
    assert limit_of(transport) == limit


def test_streams_of_http2_share_a_connection():
    """They wait for no other connection, however few may be open."""
    limits = httpx2.Limits(max_connections=2)
    assert limit_of(httpx2.AsyncHTTPTransport(http2=True, limits=limits)) is None


@pytest.mark.parametrize("transport", [None, httpx2.MockTransport(lambda _: None)])
def test_what_has_no_pool_limits_nothing(transport):
    """A mock, or a transport of another kind."""
    assert limit_of(transport) is None


@pytest.fixture
def transport():
    return httpx2.AsyncHTTPTransport(limits=httpx2.Limits(max_connections=1))


def test_who_comes_second_waits_until_the_first_has_left(transport):
    """And knows for how long; to leave twice frees no second place."""
    clock, pools = ManualClock(0), Pools()

    async def main():
        first, second = (Place(pools.of(transport)) for _ in range(2))
        assert await first.take(clock.now_ns, None)
        waiting = asyncio.create_task(second.take(clock.now_ns, None))
        await asyncio.sleep(0)
        clock.advance(3)
        first.leave()
        first.leave()
        assert await waiting
        assert not await Place(pools.of(transport)).take(clock.now_ns, 0)
        return first.waited_ns, second.waited_ns

    assert asyncio.run(main()) == (0, 3_000_000_000)


def test_what_a_loop_left_taken_is_free_in_the_next(transport):
    """Its calls ended with it, whether or not anybody said so."""
    pools = Pools()

    async def main():
        return await Place(pools.of(transport)).take(lambda: 0, 0)

    assert [asyncio.run(main()) for _ in range(2)] == [True, True]
