"""What time does when the loop has nothing to run."""

import asyncio
import random
import threading
import time

import anyio
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_llmperf.clock.errors import ClockWarning, VirtualDeadlock
from pytest_llmperf.clock.time_module import real
from pytest_llmperf.clock.virtual import VirtualClock, enter_loop

SECOND = 1_000_000_000


@given(st.lists(st.integers(0, 10**13), max_size=20))
@settings(max_examples=50, deadline=None)
def test_each_sleeper_wakes_at_its_very_nanosecond(delays_ns):
    """Sleeps side by side end in order, each exactly when it should."""
    clock = VirtualClock()
    woken = []

    async def sleep(delay_ns):
        await asyncio.sleep(delay_ns / 1e9)
        woken.append((clock.now_ns(), delay_ns))

    async def main():
        with enter_loop(clock):
            await asyncio.gather(*map(sleep, delays_ns))

    asyncio.run(main())
    assert all(abs(now - due) <= 2 for now, due in woken)  # sleeps two nanoseconds apart may end together
    assert [due for _, due in woken] == pytest.approx(sorted(delays_ns), abs=2)


def test_ten_thousand_sleeps_add_up(clock, in_loop):
    """Errors of rounding do not pile up over many jumps."""

    async def main():
        for _ in range(10_000):
            await asyncio.sleep(0.1)

    in_loop(main)
    assert clock.now_ns() == 1000 * SECOND
    assert clock.jumps == 10_000


def scenario_of(seed):
    """The log of a random scenario of tasks, locks, time-outs and queues: who did what at which nanosecond."""
    clock = VirtualClock(grace_seconds=0.3)
    log = []
    chance = random.Random(seed)

    async def worker(name, queue, limit):
        while True:
            item = await queue.get()
            async with limit:
                try:
                    async with asyncio.timeout(round(chance.expovariate(1), 3)):
                        await asyncio.sleep(chance.expovariate(1))
                    log.append((clock.now_ns(), name, item, "done"))
                except TimeoutError:
                    log.append((clock.now_ns(), name, item, "late"))
            queue.task_done()

    async def main():
        with enter_loop(clock):
            queue, limit = asyncio.Queue(), asyncio.Semaphore(3)
            workers = [asyncio.create_task(worker(name, queue, limit)) for name in range(5)]
            for item in range(200):
                queue.put_nowait(item)
                await asyncio.sleep(chance.uniform(0, 0.1))
            await queue.join()
            for task in workers:
                task.cancel()

    asyncio.run(main())
    return log


def test_a_scenario_repeats_itself_to_the_nanosecond():
    """Two runs of one seed have identical logs, though they were entered at different moments."""
    first = scenario_of(seed=7)
    real.sleep(0.0123)
    assert first == scenario_of(seed=7) != scenario_of(seed=8)
    assert len(first) == 200


def test_sleeps_do_not_depend_on_the_moment_of_entry(monkeypatch):
    """Sleeps of any fraction of a nanosecond end alike, wherever the clock of the machine stands."""
    monotonic_ns, totals = real.monotonic_ns, set()
    for shift_ns in (0, 100_003_007, 86_400 * SECOND, 96 * 86_400 * SECOND):
        monkeypatch.setattr(real, "monotonic_ns", lambda shift_ns=shift_ns: monotonic_ns() + shift_ns)
        clock, chance = VirtualClock(), random.Random(1)

        async def main(clock=clock, chance=chance):
            with enter_loop(clock):
                for _ in range(1000):
                    await asyncio.sleep(chance.expovariate(10))

        asyncio.run(main())
        totals.add(clock.now_ns())
    assert len(totals) == 1


@pytest.mark.parametrize(("uptime_days", "error_ns"), [(0, 0), (50, 0), (96, 0), (365, 2), (36_500, 240)])
def test_the_uptime_of_the_machine_does_not_matter(monkeypatch, uptime_days, error_ns):
    """Timers fire, and sleeps add up, also where floats of the loop's size cannot tell nanoseconds apart."""
    shift_ns = uptime_days * 86_400 * SECOND
    monotonic_ns = real.monotonic_ns
    monkeypatch.setattr(real, "monotonic_ns", lambda: monotonic_ns() + shift_ns)
    clock = VirtualClock()

    async def main():
        with enter_loop(clock):
            for _ in range(1000):
                await asyncio.sleep(0.0137)

    asyncio.run(main())
    assert clock.now_ns() == pytest.approx(13_700_000_000, abs=1000 * error_ns)


def test_a_time_out_fires_exactly(clock, in_loop):
    """`asyncio.timeout` and anyio's scopes end a wait at their very time."""

    async def main():
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(60):
                await asyncio.Event().wait()
        first = clock.now_ns()
        with pytest.raises(TimeoutError):
            with anyio.fail_after(60):
                await anyio.sleep_forever()
        with anyio.move_on_after(30) as scope:
            await anyio.sleep(31)
        return first, scope.cancelled_caught

    assert in_loop(main) == (60 * SECOND, True)
    assert clock.now_ns() == 150 * SECOND


def test_tasks_overlap(clock, in_loop):
    """Nested groups take as long as their longest chain."""

    async def chain(*delays):
        for delay in delays:
            await asyncio.sleep(delay)
        return clock.now_ns()

    async def main():
        async with asyncio.TaskGroup() as group:
            outer = group.create_task(chain(1, 2, 3))
            inner = group.create_task(asyncio.wait_for(chain(10), 11))
        return outer.result(), inner.result(), await asyncio.gather(chain(1), chain(2, 3))

    assert in_loop(main) == (6 * SECOND, 10 * SECOND, [11 * SECOND, 15 * SECOND])


def test_sleeping_in_the_loops_thread_delays_the_others(clock, in_loop):
    """`time.sleep` in a coroutine takes virtual time, and timers that came due meanwhile fire late, as in life."""

    async def main():
        timer = asyncio.get_running_loop().create_future()
        asyncio.get_running_loop().call_later(1, lambda: timer.set_result(clock.now_ns()))
        time.sleep(5)
        return await timer

    assert in_loop(main) == 5 * SECOND


def test_ready_callbacks_run_before_time_moves(clock, in_loop):
    """Time stands still while anything is left to run."""

    async def main():
        asyncio.get_running_loop().call_later(1e-6, int)
        for _ in range(1000):
            await asyncio.sleep(0)
        return clock.now_ns()

    assert in_loop(main) == 0


def test_a_deadlock_names_who_waits_where(clock):
    """When nothing can happen any more, the block ends with an error that lists the tasks, and these are unwound."""
    cleaned = []

    async def consumer(queue):
        try:
            await queue.get()
        finally:
            cleaned.append("consumer")

    async def main():
        with enter_loop(clock):
            await asyncio.sleep(5)
            async with asyncio.TaskGroup() as group:
                group.create_task(consumer(asyncio.Queue()), name="the consumer")

    with pytest.raises(VirtualDeadlock) as caught:
        asyncio.run(main())
    text = str(caught.value)
    assert "no timer is armed" in text
    assert "the consumer: test_a_deadlock_names_who_waits_where.<locals>.consumer, in Queue.get" in text
    assert "clock.hold()" in text
    assert cleaned == ["consumer"]
    assert clock.now_ns() == 5 * SECOND


def test_a_deadlock_leaves_the_task_usable(clock):
    """The cancellation that broke the wait off is taken back: the task goes on."""

    async def main():
        with pytest.raises(VirtualDeadlock), enter_loop(clock):
            await asyncio.Event().wait()
        await asyncio.sleep(0)
        return asyncio.current_task().cancelling()

    assert asyncio.run(main()) == 0


def test_a_deadlock_is_reported_though_the_code_swallows_it(clock):
    """A block that catches the cancellation and ends well still gets the error."""

    async def main():
        with enter_loop(clock):
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                asyncio.current_task().uncancel()

    with pytest.raises(VirtualDeadlock):
        asyncio.run(main())


def test_a_deadlock_breaks_the_loop_off_when_the_task_goes_on(clock):
    """A block that waits again after the cancellation is not cancelled for ever."""

    async def main():
        with enter_loop(clock):
            while True:
                try:
                    await asyncio.Event().wait()
                except asyncio.CancelledError:
                    continue

    loop = asyncio.new_event_loop()
    task = loop.create_task(main())
    with pytest.raises(VirtualDeadlock):
        loop.run_until_complete(task)
    task.get_coro().close()
    task._log_destroy_pending = False
    loop.close()


def test_another_cancellation_goes_before_a_deadlock(clock):
    """A task that someone else cancels at the same time stays cancelled."""

    async def main():
        async def body():
            with enter_loop(clock):
                try:
                    await asyncio.Event().wait()
                finally:
                    asyncio.current_task().cancel()

        task = asyncio.create_task(body())
        await asyncio.wait([task])
        return task.cancelled()

    assert asyncio.run(main())


def answer_later(loop, future, seconds):
    """Sets a future from a thread that nobody told the clock of."""

    def answer():
        real.sleep(seconds)
        loop.call_soon_threadsafe(future.set_result, "answer")

    thread = threading.Thread(target=answer, name="stranger", daemon=True)
    thread.start()
    return thread


def test_a_stranger_may_answer_within_the_grace(clock, in_loop):
    """With no timer armed, the loop waits a while for a thread; nothing was jumped over, so nothing is said."""

    async def main():
        future = asyncio.get_running_loop().create_future()
        answer_later(asyncio.get_running_loop(), future, 0.05)
        return await future

    assert in_loop(main) == "answer"
    assert clock.now_ns() == 0


def test_a_stranger_after_a_jump_is_reported(clock):
    """A thread that wakes the loop after time has jumped is named in a warning."""

    async def main():
        with enter_loop(clock):
            future = asyncio.get_running_loop().create_future()
            answer_later(asyncio.get_running_loop(), future, 0.05)
            await asyncio.sleep(1)
            await future

    with pytest.warns(ClockWarning, match=r"thread 'stranger' woke the event loop .* clock\.hold\(\)"):
        asyncio.run(main())


def test_hold_keeps_time_from_jumping(clock, in_loop):
    """Under `hold` a time-out does not fire while a thread works, however long the jump would be."""

    async def main():
        await asyncio.sleep(7)
        future = asyncio.get_running_loop().create_future()
        with clock.hold():
            answer_later(asyncio.get_running_loop(), future, 0.05)
            async with asyncio.timeout(1000):
                await future
        await asyncio.sleep(3)

    in_loop(main)
    assert clock.now_ns() == 10 * SECOND


def test_letting_go_in_another_thread_wakes_the_loop(clock, in_loop):
    """A hold that ends elsewhere lets time go on at once."""

    async def main():
        held = threading.Event()

        def hold():
            with clock.hold():
                held.set()
                real.sleep(0.05)

        threading.Thread(target=hold, daemon=True).start()
        held.wait()
        began = real.perf_counter()
        await asyncio.sleep(100)
        return real.perf_counter() - began

    assert in_loop(main) < clock.patience_seconds / 2
    assert clock.now_ns() == 100 * SECOND


def test_a_hold_for_too_long_follows_real_time():
    """After the clock's patience timers fire in real time, with a warning, instead of a hang."""
    clock = VirtualClock(patience_seconds=0.05)

    async def main():
        with enter_loop(clock), clock.hold():
            await asyncio.sleep(0.1)

    with pytest.warns(ClockWarning, match="stood still for 0.05 s .* follows real time"):
        asyncio.run(main())
    assert clock.now_ns() == SECOND // 10
    assert clock.jumps == 0


def test_patience_is_for_each_hold_anew():
    """Two holds, each shorter than the patience, are not taken for one long one."""
    clock = VirtualClock(patience_seconds=0.5)

    async def main():
        with enter_loop(clock):
            for _ in range(2):
                future = asyncio.get_running_loop().create_future()
                with clock.hold():
                    answer_later(asyncio.get_running_loop(), future, 0.3)
                    await future
                await asyncio.sleep(60)

    asyncio.run(main())
    assert clock.now_ns() == 120 * SECOND


def test_sleeping_for_ever_is_waiting_for_ever(clock):
    """A timer that never comes is no timer."""

    async def main():
        with enter_loop(clock):
            await asyncio.sleep(float("inf"))

    with pytest.raises(VirtualDeadlock):
        asyncio.run(main())


def test_a_debugging_loop_works_too(clock):
    """The debug mode of asyncio measures its callbacks in virtual time and does not mind."""

    async def main():
        with enter_loop(clock):
            await asyncio.gather(asyncio.sleep(60), asyncio.to_thread(time.sleep, 30))

    asyncio.run(main(), debug=True)
    assert clock.now_ns() == 60 * SECOND
