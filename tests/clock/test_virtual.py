"""Entering and leaving, on a loop."""

import asyncio
import gc
import socket
import sys
import time
import warnings
from asyncio import selector_events
from types import ModuleType

import anyio
import anyio._backends._asyncio
import pytest
import trio

from pytest_llmperf.clock.errors import UnsupportedLoop, VirtualDeadlock
from pytest_llmperf.clock.time_module import in_virtual_time, real
from pytest_llmperf.clock.virtual import VirtualClock, enter_loop, enter_sync, why_unsupported

SECOND = 1_000_000_000


def test_waiting_is_jumped_over(clock, in_loop):
    """An hour of sleep is an hour for the code and for every clock, and next to nothing for the wall."""
    began = real.perf_counter()

    async def main():
        loop = asyncio.get_running_loop()
        readings = loop.time(), time.monotonic(), time.time()
        await asyncio.sleep(3600)
        return [now - then for then, now in zip(readings, (loop.time(), time.monotonic(), time.time()), strict=True)]

    assert in_loop(main) == [pytest.approx(3600, abs=1e-6)] * 3
    assert clock.now_ns() == 3600 * SECOND
    assert clock.jumps == 1
    assert 3600 / (real.perf_counter() - began) > 10


def test_loop_time_is_monotonic_time(in_loop):
    """`loop.time` and `time.monotonic` stay the same number, as without virtual time."""

    async def main():
        await asyncio.sleep(1.23)
        return asyncio.get_running_loop().time() == time.monotonic()

    assert in_loop(main)


def state(loop):
    classes = (
        asyncio.BaseEventLoop,
        selector_events._SelectorSocketTransport,
        anyio._backends._asyncio.AsyncIOBackend,
        socket.socket,
    )
    return vars(loop).copy(), [dict(vars(owner)) for owner in (*classes, time, socket)], in_virtual_time()


@pytest.mark.parametrize("real_io", ["hybrid", "refuse"])
@pytest.mark.parametrize("error", [None, ValueError("body"), KeyboardInterrupt(), asyncio.CancelledError()])
def test_everything_is_put_back(clock, real_io, error):
    """Loop, classes and modules are what they were, whatever ended the block, and its exception is passed on."""

    async def main():
        loop = asyncio.get_running_loop()
        before = state(loop)
        caught = None
        try:
            with enter_loop(clock, real_io=real_io):
                assert state(loop) != before
                await asyncio.sleep(1)
                if error is not None:
                    raise error
        except BaseException as passed_on:  # noqa: BLE001 - whatever the block raised
            caught = passed_on
        after = state(loop)
        changed = {name for name in before[0] | after[0] if before[0].get(name) != after[0].get(name)}
        return caught, changed, before[1:] == after[1:]

    assert asyncio.run(main()) == (error, set(), True)


def test_a_cancelled_block_is_left_at_once(clock):
    """Cancelling the task from outside the block goes through as a cancellation."""

    async def main():
        async def body():
            with enter_loop(clock):
                await asyncio.Event().wait()

        task = asyncio.create_task(body())
        await asyncio.sleep(0)
        task.cancel("from outside")
        with pytest.raises(asyncio.CancelledError, match="from outside"):
            await task
        return in_virtual_time()

    assert not asyncio.run(main())


def test_an_abandoned_block_is_left_when_collected(clock):
    """A coroutine that is dropped within the block restores everything on its way out."""

    async def body():
        with enter_loop(clock):
            await asyncio.get_running_loop().create_future()

    async def main():
        coroutine = body()
        coroutine.send(None)
        assert in_virtual_time()
        del coroutine
        gc.collect()
        await asyncio.sleep(0.001)
        return in_virtual_time()

    assert not asyncio.run(main())


def test_timers_armed_before_keep_the_time_they_have_left(clock):
    """A timer of a fixture fires in virtual time when its turn comes, and one that is left over in real time later."""

    async def main():
        loop = asyncio.get_running_loop()
        fired = []
        loop.call_later(100, lambda: fired.append(clock.now_ns()))
        leftover = loop.call_later(1000.5, lambda: fired.append("leftover"))
        with enter_loop(clock):
            await asyncio.sleep(1000)
        left = leftover.when() - loop.time()
        assert 0 < left <= 0.5 + 1e-6  # less by the real time between the arming and the entry
        assert len(fired) == 1
        await asyncio.sleep(left + 0.005)
        return fired

    first, second = asyncio.run(main())
    assert 99 * SECOND < first <= 100 * SECOND
    assert second == "leftover"


def test_timers_armed_inside_keep_the_time_they_have_left_outside(clock):
    """What a background task still has to wait at the exit, it waits in real time."""

    async def main():
        loop = asyncio.get_running_loop()
        with enter_loop(clock):
            task = asyncio.create_task(asyncio.sleep(10.02, "background"))
            await asyncio.sleep(10)
        began = real.perf_counter()
        answer = await task
        return loop.time() - time.monotonic(), real.perf_counter() - began, answer

    difference, waited, answer = asyncio.run(main())
    assert abs(difference) < 1
    assert 0.01 < waited < 10
    assert answer == "background"


def test_an_entry_that_fails_leaves_nothing_behind(clock, monkeypatch):
    """When not everything can be replaced, nothing is, and the next entry is free."""

    class Closed(ModuleType):
        def __setattr__(self, name, value):
            raise LookupError(name)

    closed = Closed("a_closed_module")
    vars(closed)["nap"] = time.sleep

    async def main():
        before = state(asyncio.get_running_loop())
        with monkeypatch.context() as patch:
            patch.setitem(sys.modules, "a_closed_module", closed)
            with pytest.raises(LookupError, match="nap"), enter_loop(clock):
                pass
        unchanged = state(asyncio.get_running_loop()) == before
        with enter_loop(clock):
            await asyncio.sleep(1)
        return unchanged

    assert asyncio.run(main())


def test_it_can_be_entered_again_and_again(clock):
    """One clock goes on from stay to stay, and nothing piles up."""

    async def main():
        loop = asyncio.get_running_loop()
        before = state(loop)[1:]
        for _ in range(100):
            with enter_loop(clock):
                await asyncio.sleep(36)
        return state(loop)[1:] == before

    assert asyncio.run(main())
    assert clock.now_ns() == 3600 * SECOND


def test_there_is_one_virtual_time_in_a_process(clock):
    """A second entry within the first is refused, on the same loop and in synchronous code, and harms nothing."""

    async def main():
        with enter_loop(clock):
            with pytest.raises(UnsupportedLoop, match="entered already"), enter_loop(VirtualClock()):
                pass
            await asyncio.sleep(5)
        return in_virtual_time()

    assert not asyncio.run(main())
    with enter_sync(clock):
        with pytest.raises(UnsupportedLoop, match="entered already"), enter_sync(VirtualClock()):
            pass
        time.sleep(5)
    assert clock.now_ns() == 10 * SECOND


def test_synchronous_entry_within_a_loop_is_refused(clock):
    """In a coroutine only `enter_loop` makes sense, and the message says so."""

    async def main():
        with pytest.raises(UnsupportedLoop, match="enter_loop"), enter_sync(clock):
            pass

    asyncio.run(main())
    trio.run(main)


def test_asyncio_is_supported():
    """There is no reason against asyncio's own loop."""

    async def main():
        return why_unsupported()

    assert asyncio.run(main()) is None


def test_trio_is_refused_with_a_reason(clock):
    """Within trio both the question and the entry say that trio keeps its own time."""

    async def main():
        with pytest.raises(UnsupportedLoop, match="trio keeps its own time"), enter_loop(clock):
            pass
        return why_unsupported()

    assert "trio" in trio.run(main)


def test_no_loop_is_a_reason(clock):
    """Without a loop the way for synchronous code is named."""
    assert "enter_sync" in why_unsupported()
    with pytest.raises(UnsupportedLoop, match="enter_sync"), enter_loop(clock):
        pass


class Foreign(asyncio.AbstractEventLoop):
    """A loop whose insides are not in Python."""


@pytest.mark.parametrize(
    ("module", "expected"),
    [
        ("uvloop", "uvloop keeps its timers in C"),
        ("somewhere", r"somewhere\.Foreign is none \(it lacks _selector, _ss"),
    ],
)
def test_foreign_loops_are_refused_with_a_reason(monkeypatch, module, expected):
    """A loop that is not asyncio's is named, with what it lacks."""
    monkeypatch.setattr(Foreign, "__module__", module)
    with pytest.raises(UnsupportedLoop, match=expected):
        raise UnsupportedLoop(why_unsupported(Foreign()))


def test_somebody_elses_patch_stays_and_is_named(clock):
    """What was patched over ours meanwhile is left alone, with a warning at the line of the block."""

    async def main():
        loop = asyncio.get_running_loop()
        with pytest.warns(UserWarning, match=r"something else replaced them meanwhile: .*\.time") as caught:  # noqa: SIM117
            with enter_loop(clock):
                loop.time = lambda: 0.0
        assert caught[0].filename == __file__
        return loop.time()

    assert asyncio.run(main()) == 0.0


def test_a_warning_never_hides_the_exception_of_the_block(clock):
    """Even where warnings are errors, the block's own exception comes out."""

    async def main():
        with enter_loop(clock):
            asyncio.get_running_loop().time = time.monotonic
            raise ValueError("the block's own")

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(ValueError, match="the block's own"):
            asyncio.run(main())


def test_a_run_without_end_is_given_up():
    """Past the horizon of the clock, a loop of sleeps ends with an error instead of a hang."""
    clock = VirtualClock(grace_seconds=0.01, horizon_seconds=86_400)

    async def main():
        with enter_loop(clock):
            while True:
                await asyncio.sleep(600)

    with pytest.raises(VirtualDeadlock, match="the next timer is 0 days away"):
        asyncio.run(main())
    assert clock.now_ns() == 86_400 * SECOND
