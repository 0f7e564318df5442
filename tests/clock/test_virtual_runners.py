"""Virtual time within tests that other plugins run: the loop, its task and its fixtures are theirs."""

import asyncio
import time
from itertools import pairwise

import anyio
import pytest
import pytest_asyncio

from pytest_llmperf.clock.time_module import in_virtual_time
from pytest_llmperf.clock.virtual import VirtualClock, enter_loop

SECOND = 1_000_000_000


@pytest_asyncio.fixture
async def beating():
    """A fixture with a background task and a timer of its own."""
    beats = []

    async def beat():
        while True:
            beats.append(time.monotonic())
            await asyncio.sleep(10)

    task = asyncio.create_task(beat())
    yield beats
    task.cancel()


@pytest.mark.asyncio
async def test_pytest_asyncio(clock, beating):
    """The task of a fixture beats on in virtual time, evenly but for the moment of the entry."""
    with enter_loop(clock):
        await asyncio.sleep(95)
    assert len(beating) == 10
    assert [later - earlier for earlier, later in pairwise(beating[1:])] == pytest.approx([10] * 8)
    assert asyncio.get_running_loop().time() == pytest.approx(time.monotonic(), abs=1)


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("attempt", [1, 2])
async def test_pytest_asyncio_with_a_loop_for_the_module(attempt):
    """A loop that several tests share can be entered by each of them."""
    clock = VirtualClock()
    assert not in_virtual_time()
    with enter_loop(clock):
        await asyncio.gather(asyncio.sleep(60), asyncio.to_thread(time.sleep, 90))
    assert clock.now_ns() == 90 * SECOND


@pytest.fixture
def anyio_backend():
    return "asyncio"


@pytest.fixture
async def warmed(anyio_backend):
    await anyio.sleep(0.001)
    return "warm"


@pytest.mark.anyio
async def test_anyio(clock, warmed):
    """Scopes, groups and threads of anyio live in virtual time."""
    with enter_loop(clock):
        async with anyio.create_task_group() as group:
            group.start_soon(anyio.sleep, 60)
            group.start_soon(anyio.to_thread.run_sync, time.sleep, 90)
            with anyio.move_on_after(30) as scope:
                await anyio.sleep_forever()
            assert scope.cancelled_caught
            assert clock.now_ns() == 30 * SECOND
    assert clock.now_ns() == 90 * SECOND
