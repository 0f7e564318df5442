"""Virtual time for code without a loop, and for the loops it runs."""

import asyncio
import contextvars
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from pytest_llmperf.clock.errors import RealIO, UnsupportedLoop, UnsupportedThread, VirtualDeadlock
from pytest_llmperf.clock.time_module import in_virtual_time, real
from pytest_llmperf.clock.virtual import VirtualClock, enter_sync

SECOND = 1_000_000_000


def test_sleeping_is_exact(clock):
    """Sleeps add up to the nanosecond."""
    with enter_sync(clock):
        for _ in range(10_000):
            time.sleep(0.1)
    assert clock.now_ns() == 1000 * SECOND


def test_runs_of_asyncio_and_sleeps_add_up(clock):
    """Loops that the code runs one after the other live in the same time as its own sleeps."""
    began = real.perf_counter()
    with enter_sync(clock):
        asyncio.run(asyncio.sleep(60))
        time.sleep(5)
        asyncio.run(asyncio.sleep(40))
    assert clock.now_ns() == 105 * SECOND
    assert 105 / (real.perf_counter() - began) > 10


def test_a_loop_goes_on_between_its_runs(clock):
    """A timer of a loop that is not running comes nearer while the code sleeps."""
    with enter_sync(clock), asyncio.Runner() as runner:
        fired = []

        async def arm():
            asyncio.get_running_loop().call_later(10, lambda: fired.append(clock.now_ns()))

        runner.run(arm())
        time.sleep(5)
        runner.run(asyncio.sleep(6))
        assert fired == [10 * SECOND]
        assert runner.get_loop().time() == time.monotonic()


def test_a_loop_returns_to_real_time(clock):
    """A loop that outlives the block runs in real time afterwards."""
    with asyncio.Runner() as runner:
        before = vars(runner.get_loop()).copy()
        with enter_sync(clock):
            runner.run(asyncio.sleep(100))
        runner.run(asyncio.sleep(0.001))
        after = vars(runner.get_loop())
        names = ("_selector", "_clock_resolution", "time", "call_later", "call_soon_threadsafe", "run_in_executor")
        assert [before.get(name) for name in names] == [after.get(name) for name in names]
        assert abs(runner.get_loop().time() - time.monotonic()) < 1


def test_worker_threads_of_a_loop_sleep_virtually(clock):
    """`asyncio.to_thread` within `asyncio.run` works as on a loop entered directly, and so does its shutdown."""

    async def main():
        await asyncio.gather(*(asyncio.to_thread(time.sleep, seconds) for seconds in (10, 20, 30)))

    with enter_sync(clock):
        asyncio.run(main())
    assert clock.now_ns() == 30 * SECOND


def test_the_end_of_a_run_waits_for_its_threads_virtually(clock):
    """A thread that was given up and sleeps on delays the end of `asyncio.run`, in virtual time only."""

    async def main():
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(asyncio.to_thread(time.sleep, 100), 5)

    with enter_sync(clock):
        asyncio.run(main())
    assert clock.now_ns() == 100 * SECOND


def test_a_deadlock_ends_the_run(clock):
    """`asyncio.run` raises, its tasks are cancelled, and the block ends with the same error."""
    cancelled = []

    async def main():
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            cancelled.append(True)
            raise

    with pytest.raises(VirtualDeadlock, match="test_a_deadlock_ends_the_run"), enter_sync(clock):
        asyncio.run(main())
    assert cancelled == [True]
    assert not in_virtual_time()


def test_a_deadlock_that_the_code_swallows_comes_out_at_the_end(clock):
    """Catching the error does not make the result valid."""

    def swallow():
        with pytest.raises(VirtualDeadlock):
            asyncio.run(asyncio.Event().wait())
        asyncio.run(asyncio.sleep(1))

    with pytest.raises(VirtualDeadlock), enter_sync(clock):
        swallow()


def test_polling_for_ever_is_given_up():
    """A loop around `time.sleep` ends at the clock's horizon."""
    clock = VirtualClock(horizon_seconds=3600)

    def poll():
        while True:
            time.sleep(60)

    with pytest.raises(VirtualDeadlock, match="horizon_seconds"), enter_sync(clock):
        poll()
    assert clock.now_ns() == 3600 * SECOND


def test_a_thread_of_the_scenario_is_refused(clock):
    """A thread that was started inside cannot sleep: the error names it, in the thread and at the exit."""
    inner = []

    def call():
        with ThreadPoolExecutor(1, thread_name_prefix="pool") as pool:
            inner.append(pool.submit(time.sleep, 10).exception())

    with pytest.raises(UnsupportedThread, match=r"thread 'pool_0' .* realtime clock") as outer, enter_sync(clock):
        call()
    assert inner == [outer.value]
    assert clock.now_ns() == 0


@pytest.mark.parametrize("daemon", [False, True])
def test_bystanders_sleep_in_real_time(clock, daemon):
    """Threads that are older, or daemons, are no part of the scenario."""
    go, slept = threading.Event(), threading.Event()

    def nap():
        go.wait()
        time.sleep(0.01)
        slept.set()

    thread = threading.Thread(target=nap, daemon=daemon)
    if not daemon:
        thread.start()
    with enter_sync(clock):
        if daemon:
            thread.start()
        go.set()
        assert slept.wait(10)
    thread.join()
    assert clock.now_ns() == 0


def test_a_loop_in_another_thread_stays_real(clock):
    """A loop that another thread runs meanwhile is not taken over."""
    with enter_sync(clock):
        times = []
        thread = threading.Thread(target=lambda: times.append(asyncio.run(asyncio.sleep(0.01, in_virtual_time()))))
        thread.start()
        thread.join()
    assert times == [False]
    assert clock.now_ns() == 0


def test_a_foreign_loop_is_refused_when_it_runs(clock):
    """A loop that cannot be taken over is an error, not a stretch of real time."""

    class Bare(asyncio.BaseEventLoop):
        _selector = None

    loop = Bare()
    with pytest.raises(UnsupportedLoop, match=r"Bare is none \(it lacks _ssock\)"), enter_sync(clock):
        loop.run_forever()
    assert not in_virtual_time()
    loop.close()


def test_context_variables_reach_the_loop(clock):
    """Taking a loop over changes nothing in what its tasks inherit."""
    name = contextvars.ContextVar("name", default="unset")

    async def main():
        await asyncio.sleep(1)
        return name.get(), await asyncio.to_thread(name.get)

    with enter_sync(clock):
        name.set("round 3")
        assert asyncio.run(main()) == ("round 3", "round 3")


def test_connecting_is_refused_when_asked(clock):
    """With `refuse`, a blocking connection is an error that names the address, also when the code swallows it."""

    def swallow():
        with socket.socket() as sock, pytest.raises(RealIO):
            sock.connect(("127.0.0.1", 9))

    with pytest.raises(RealIO, match=r"connecting to \('127\.0\.0\.1', 9\)"), enter_sync(clock, real_io="refuse"):
        swallow()
    with pytest.raises(RealIO, match=r"looking up 'api\.example'"), enter_sync(clock, real_io="refuse"):
        socket.create_connection(("api.example", 443))
