"""Worker threads, processes and everything else that works outside the loop on its behalf."""

import asyncio
import sys
import threading
import time
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor

import anyio
import anyio.from_thread
import anyio.to_thread
import pytest

from pytest_llmperf.clock.errors import ClockWarning, UnsupportedThread
from pytest_llmperf.clock.time_module import in_virtual_time, real
from pytest_llmperf.clock.virtual import VirtualClock, enter_loop

SECOND = 1_000_000_000


async def through_asyncio(function, *args):
    return await asyncio.to_thread(function, *args)


async def through_executor(function, *args):
    with ThreadPoolExecutor(1) as pool:
        return await asyncio.get_running_loop().run_in_executor(pool, function, *args)


async def through_anyio(function, *args):
    return await anyio.to_thread.run_sync(function, *args)


each_way = pytest.mark.parametrize("in_thread", [through_asyncio, through_executor, through_anyio])


@each_way
def test_time_stands_still_while_a_thread_works(clock, in_loop, in_thread):
    """Real work in a worker thread takes no virtual time, and no timer is jumped to meanwhile."""

    async def main():
        ticks = []
        asyncio.get_running_loop().call_later(0.001, lambda: ticks.append("early"))
        await in_thread(real.sleep, 0.05)
        seen = ticks.copy(), clock.now_ns()
        await asyncio.sleep(60)
        return seen

    assert in_loop(main) == ([], 0)
    assert clock.now_ns() == 60 * SECOND


@each_way
def test_sleeps_in_worker_threads_are_timers(clock, in_loop, in_thread):
    """Three threads that sleep 10, 20 and 30 s at once take 30 s, each exactly its own."""

    async def sleep(seconds):
        await in_thread(time.sleep, seconds)
        return clock.now_ns()

    async def main():
        return await asyncio.gather(sleep(10), sleep(20), sleep(30))

    if in_thread is through_executor:  # a pool of one: its `with` would wait for the thread in the loop's own
        assert in_loop(lambda: sleep(10)) == 10 * SECOND
    else:
        assert in_loop(main) == [10 * SECOND, 20 * SECOND, 30 * SECOND]


@each_way
def test_worker_threads_live_in_virtual_time_while_they_work(clock, in_loop, in_thread):
    """A job reads the scenario's clocks, sleep by sleep; the thread is a stranger again afterwards."""

    def job():
        began = time.monotonic()
        for _ in range(5):
            time.sleep(2)
        return in_virtual_time(), time.monotonic() - began

    async def main():
        await asyncio.sleep(100)
        return await in_thread(job)

    assert in_loop(main) == (True, pytest.approx(10))
    assert clock.now_ns() == 110 * SECOND


@each_way
def test_an_error_in_a_thread_comes_out(clock, in_loop, in_thread):
    """The exception is passed on and the thread no longer counted."""

    def fail():
        time.sleep(1)
        raise LookupError("in the thread")

    async def main():
        with pytest.raises(LookupError, match="in the thread"):
            await in_thread(fail)
        await asyncio.sleep(1)

    in_loop(main)
    assert clock.now_ns() == 2 * SECOND


def test_a_thread_that_was_given_up_goes_on_sleeping(clock, in_loop):
    """A time-out on a sleeping thread fires at its time; the thread ends at its own."""
    ended = []

    def job():
        time.sleep(100)
        ended.append(clock.now_ns())

    async def main():
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(asyncio.to_thread(job), 5)
        late = clock.now_ns()
        with pytest.raises(TimeoutError):
            with anyio.fail_after(5):
                await anyio.to_thread.run_sync(job, abandon_on_cancel=True)
        later = clock.now_ns()
        await asyncio.sleep(200)
        return late, later

    assert in_loop(main) == (5 * SECOND, 10 * SECOND)
    assert ended == [100 * SECOND, 105 * SECOND]


def test_a_worker_thread_is_no_stranger_after_its_job(clock, in_loop):
    """What the pool still tells the loop about a job that was given up is no reason for a warning."""

    class SlowToTell(ThreadPoolExecutor):
        def submit(self, *args):
            future = super().submit(*args)
            future.add_done_callback(lambda _: real.sleep(0.05))
            return future

    async def main():
        loop = asyncio.get_running_loop()
        loop.set_default_executor(SlowToTell(1))
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(asyncio.to_thread(time.sleep, 100), 5)
        await asyncio.sleep(200)
        real.sleep(0.2)
        await asyncio.sleep(100)

    in_loop(main)
    assert clock.now_ns() == 305 * SECOND


def test_a_job_that_never_started_is_not_waited_for(clock, in_loop):
    """A job that is cancelled in the queue of its pool holds nothing up."""

    async def main():
        loop = asyncio.get_running_loop()
        with ThreadPoolExecutor(1) as pool:
            first = loop.run_in_executor(pool, time.sleep, 10)
            second = loop.run_in_executor(pool, time.sleep, 10)
            await asyncio.sleep(1)
            second.cancel()
            await first
            await asyncio.sleep(1)

    in_loop(main)
    assert clock.now_ns() == 11 * SECOND


def test_more_jobs_than_threads_take_turns(clock, in_loop):
    """Jobs that queue behind sleeping ones do not keep time from moving; each pair of threads takes its 10 s."""
    ends = []

    def job():
        time.sleep(10)
        ends.append(clock.now_ns() // SECOND)

    async def main():
        loop = asyncio.get_running_loop()
        loop.set_default_executor(ThreadPoolExecutor(2))
        await asyncio.gather(*(asyncio.to_thread(job) for _ in range(7)))

    in_loop(main)
    assert ends == [10, 10, 20, 20, 30, 30, 40]


def test_waiting_for_a_free_place_is_not_work(clock, in_loop):
    """A limiter of anyio is respected, and time goes on while its holder sleeps, in a thread or in a task."""

    async def main():
        limiter = anyio.CapacityLimiter(1)
        async with anyio.create_task_group() as group:
            for _ in range(3):
                group.start_soon(lambda: anyio.to_thread.run_sync(time.sleep, 10, limiter=limiter))
        first = clock.now_ns()
        async with anyio.create_task_group() as group:
            await limiter.acquire()
            group.start_soon(lambda: anyio.to_thread.run_sync(time.sleep, 1, limiter=limiter))
            await anyio.sleep(30)
            limiter.release()
        return first

    assert in_loop(main) == 30 * SECOND
    assert clock.now_ns() == 61 * SECOND


def test_a_process_pool_is_waited_for(clock, in_loop):
    """Jobs of another process stand time still too, and are not touched on their way there."""

    async def main():
        with ProcessPoolExecutor(1) as pool:
            return await asyncio.get_running_loop().run_in_executor(pool, abs, -7)

    assert in_loop(main) == 7
    assert clock.now_ns() == 0


def test_a_refused_job_is_not_counted(clock, in_loop):
    """A job that its executor does not take holds nothing up."""

    async def main():
        pool = ThreadPoolExecutor(1)
        pool.shutdown()
        with pytest.raises(RuntimeError, match="after shutdown"):
            asyncio.get_running_loop().run_in_executor(pool, int)
        await asyncio.sleep(10)

    in_loop(main)
    assert clock.now_ns() == 10 * SECOND


def test_a_thread_that_waits_for_the_loop_gets_through():
    """A job that itself needs a timer of the loop is no hang: time follows real time, and a warning names the job."""
    clock = VirtualClock(patience_seconds=0.05)

    def ask_the_loop(loop):
        return asyncio.run_coroutine_threadsafe(asyncio.sleep(0.1, "slept"), loop).result()

    async def main():
        with enter_loop(clock):
            return await asyncio.to_thread(ask_the_loop, asyncio.get_running_loop())

    with pytest.warns(ClockWarning, match="waiting for .*ask_the_loop, and follows real time"):
        assert asyncio.run(main()) == "slept"
    assert SECOND // 10 <= clock.now_ns() < 60 * SECOND


def test_patience_is_for_each_job_anew():
    """Many short jobs in a row are not taken for a long one."""
    clock = VirtualClock(patience_seconds=0.25)

    async def main():
        with enter_loop(clock):
            for _ in range(10):
                await asyncio.to_thread(real.sleep, 0.04)

    asyncio.run(main())
    assert clock.now_ns() == 0


def test_a_loop_within_a_job_is_real(clock, in_loop):
    """`asyncio.run` in a worker thread does not hang on a clock that stands still."""

    async def main():
        return await asyncio.to_thread(asyncio.run, asyncio.sleep(0.01, "slept"))

    assert in_loop(main) == "slept"
    assert clock.now_ns() == 0


def test_a_thread_of_ones_own_is_refused(clock):
    """A thread past the loop cannot sleep in virtual time: the error names it, and comes out of the block."""
    errors = []

    def nap():
        try:
            time.sleep(10)
        except UnsupportedThread as error:
            errors.append(error)

    async def main():
        with enter_loop(clock):
            thread = threading.Thread(target=nap, name="my own")
            thread.start()
            thread.join()

    with pytest.raises(UnsupportedThread, match=r"thread 'my own' .*asyncio\.to_thread"):
        asyncio.run(main())
    assert len(errors) == 1


def test_a_job_may_outlive_the_stay(clock):
    """A thread that still sleeps at the exit sleeps the rest in real time and ends."""

    async def main():
        with enter_loop(clock):
            job = asyncio.create_task(asyncio.to_thread(time.sleep, 10.02))
            await asyncio.sleep(10)
        began = real.perf_counter()
        await job
        return real.perf_counter() - began

    assert 0.01 < asyncio.run(main()) < 10


def test_a_thread_that_was_given_up_ends_with_the_stay(clock):
    """Nobody waits in real time for a thread that sleeps on after its time-out, whatever its code catches."""
    reached = []

    def job():
        try:
            time.sleep(10**5)
        except Exception:  # noqa: BLE001 - as broad as code that retries
            reached.append("caught")
        reached.append("went on")

    async def main():
        with enter_loop(clock):
            for run in (asyncio.to_thread(job), anyio.to_thread.run_sync(job, abandon_on_cancel=True)):
                with pytest.raises(TimeoutError):
                    await asyncio.wait_for(run, 5)

    asyncio.run(main())
    assert clock.now_ns() == 10 * SECOND
    assert reached == []


def test_a_sleeping_job_ends_with_its_loop(clock):
    """A loop that is closed over a sleeping thread does not leave it asleep for ever."""
    pool = ThreadPoolExecutor(1)

    async def main():
        with enter_loop(clock):
            loop = asyncio.get_running_loop()
            loop.run_in_executor(pool, time.sleep, 10**6)
            await asyncio.sleep(1)

    asyncio.run(main())
    pool.shutdown(wait=True)
    assert clock.now_ns() == SECOND


def test_a_child_process_runs_in_real_time(clock, in_loop):
    """While a process lives that the loop started, time follows real time; afterwards it jumps again."""

    async def main():
        child = [sys.executable, "-c", "import time; time.sleep(0.1); print('done')"]
        process = await asyncio.create_subprocess_exec(*child, stdout=asyncio.subprocess.PIPE)
        async with asyncio.timeout(60):
            output, _ = await process.communicate()
        lived = clock.now_ns()
        silent = await asyncio.create_subprocess_exec(sys.executable, "-c", "import time; time.sleep(0.1)")
        async with asyncio.timeout(60):
            await silent.wait()
        lived_silently = clock.now_ns() - lived
        await asyncio.sleep(3600)
        return output.strip(), lived, lived_silently

    output, lived, lived_silently = in_loop(main)
    assert output == b"done"
    assert 0.05 * SECOND < lived < 60 * SECOND
    assert 0.05 * SECOND < lived_silently < 60 * SECOND
    assert clock.now_ns() == lived + lived_silently + 3600 * SECOND
