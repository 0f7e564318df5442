"""The closed loop, and what it keeps."""

from __future__ import annotations

import asyncio
import gc
import itertools
import json
import os
import signal
import threading
import time
from contextlib import suppress

import anyio
import httpx2
import pytest

from pytest_llmperf.capture import Recorder
from pytest_llmperf.clock.wall import WallClock
from pytest_llmperf.core.environment import Source
from pytest_llmperf.core.errors import UsageError
from pytest_llmperf.core.judge import judge
from pytest_llmperf.core.objective import Objective
from pytest_llmperf.core.pricing import PriceBook
from pytest_llmperf.core.verdict import Outcome
from pytest_llmperf.runner.arms import product
from pytest_llmperf.runner.budget import Budget
from pytest_llmperf.runner.loop import Sampling
from pytest_llmperf.runner.plan import Plan
from pytest_llmperf.runner.stopping import EarlyStop
from runner.conftest import ASKED, SAID, URL


@pytest.fixture(params=["asyncio", "trio"])
def run_on(request):
    """A function that runs a coroutine function on an event loop of each kind."""

    def run(main):
        return anyio.run(main, backend=request.param)

    return run


def finished(sampling):
    """What was gathered."""
    return sampling.series("scenario", Source.SIMULATED)


def test_rounds_are_run_one_after_the_other(sampling, wire):
    """Warm-ups first, each round with the times of the scenario's clock and its own calls."""
    one = sampling(rounds=3, warmup=1)
    one.run(wire.ask)
    series = finished(one)
    assert [(each.number, each.warmup, each.started, each.ended) for each in series.rounds] == [
        (0, True, 0.0, 1.0),
        (1, False, 1.0, 2.0),
        (2, False, 2.0, 3.0),
        (3, False, 3.0, 4.0),
    ]
    assert [(each.round, each.dispatched, each.values["e2e"]) for each in series.judged] == [
        (1, 1.0, 1.0),
        (2, 2.0, 1.0),
        (3, 3.0, 1.0),
    ]
    assert (series.clock, series.unattributed, series.ended_by, one.over) == ("manual", 0, "", True)


def test_each_call_says_how_late_the_client_may_have_been(sampling, wire):
    """By the moments of its own answer; it is asked while the garbage collector is kept away."""
    one = sampling(rounds=2, warmup=0)
    asked = []

    def lateness(at_ns):
        asked.append((at_ns, gc.isenabled()))
        return len(asked) / 1000

    one.lateness = lateness
    one.run(wire.ask)
    assert [each.late["e2e"] for each in finished(one).judged] == [0.001, 0.002]
    assert asked == [(6_000_000_000, False), (7_000_000_000, False)]
    assert gc.isenabled()


def test_coroutines_are_run_in_the_loop_that_is_there(sampling, wire, run_on):
    """The same for a coroutine function, on asyncio and on trio."""
    one = sampling(rounds=3, warmup=1)
    run_on(lambda: one.run_async(wire.ask_async))
    assert [(each.round, each.dispatched) for each in finished(one).judged] == [(1, 1.0), (2, 2.0), (3, 3.0)]


def test_rounds_can_be_run_from_outside(sampling, wire, run_on):
    """One at a time, they are the same rounds."""
    one = sampling(rounds=2, warmup=1)
    one.run_one(wire.ask)
    run_on(lambda: one.run_one_async(wire.ask_async))
    assert not one.over
    one.run_one(wire.ask)
    one.run_one(wire.ask)
    assert [(each.number, each.warmup) for each in finished(one).rounds] == [(0, True), (1, False), (2, False)]
    assert wire.sent == 3


def test_threads_share_the_rounds(sampling, wire):
    """As many bodies run at once as asked and no more, and each round is run once; warm-ups are run alone."""
    one = sampling(rounds=9, warmup=2, concurrency=3)
    running, most, lock, barrier = [0], [0], threading.Lock(), threading.Barrier(3, timeout=20)

    def body():
        with lock:
            running[0] += 1
            most[0] = max(most[0], running[0])
        if not one.current.warmup:
            barrier.wait()
        with lock:
            wire.ask()
            running[0] -= 1

    one.run(body)
    assert (most[0], wire.sent) == (3, 11)
    assert sorted(each.round for each in finished(one).judged) == list(range(2, 11))


def test_tasks_share_the_rounds(sampling, wire, run_on):
    """The same in one event loop."""
    one = sampling(rounds=9, warmup=1, concurrency=3)
    running, most = [0], [0]

    async def body():
        running[0] += 1
        most[0] = max(most[0], running[0])
        await anyio.sleep(0)
        await wire.ask_async()
        running[0] -= 1

    run_on(lambda: one.run_async(body))
    assert (most[0], wire.sent, len(finished(one).judged)) == (3, 10, 9)


def test_the_first_error_of_its_own_ends_everything(sampling, wire):
    """It comes out as it was, with a note of its round; its calls are kept, and no further round begins."""
    one = sampling(rounds=20, warmup=2)

    def body():
        wire.ask()
        if wire.sent == 5:
            raise ValueError("wrong")

    with pytest.raises(ValueError, match="wrong") as raised:
        one.run(body)
    assert raised.value.__notes__ == ["llmperf: in round 3 of 20"]
    assert (one.raised, one.raised_in, wire.sent) == (raised.value, "round 3 of 20", 5)
    assert finished(one).rounds[-1].failure == "ValueError: wrong"
    assert one.over


@pytest.mark.parametrize("concurrency", [1, 3])
def test_an_error_in_threads_stops_them_all(sampling, wire, concurrency):
    """The first error in time comes out, and the other threads take no further round."""
    one = sampling(rounds=100, warmup=0, concurrency=concurrency)

    def body():
        if one.current.number == 4:
            raise ValueError("wrong")
        if one.current.number < 10:
            wire.ask()

    with pytest.raises(ValueError, match="wrong"):
        one.run(body)
    assert one.dispatched < 100


def test_an_error_in_a_task_cancels_the_others(sampling, wire, run_on):
    """Rounds that were cut short are kept as interrupted, and not judged."""
    one = sampling(rounds=9, warmup=0, concurrency=3)

    async def body():
        await wire.ask_async()
        if one.current.number == 1:
            raise ValueError("wrong")
        await anyio.sleep(60)

    with pytest.raises(ValueError, match="wrong"):
        run_on(lambda: one.run_async(body))
    ended = {each.number: each.ended is not None for each in finished(one).rounds}
    assert ended == {0: False, 1: True, 2: False} or ended == {0: False, 1: True}
    assert one.raised_in == "round 2 of 9"


def test_a_failed_call_is_an_observation(sampling, wire):
    """A body that a failed call brought down has been measured; the next round is run."""
    one = sampling(rounds=2, warmup=0)
    wire.status = 529
    one.run(wire.ask)
    series = finished(one)
    assert [each.failure for each in series.judged] == ["overloaded_error: Overloaded"] * 2
    assert all("HTTPStatusError" in each.failure for each in series.rounds)


def test_an_invalid_request_is_not(sampling, wire):
    """It ends the sampling, unless errors are claimed."""
    wire.status = 400
    with pytest.raises(httpx2.HTTPStatusError):
        sampling(rounds=2, warmup=0).run(wire.ask)
    sampling(rounds=2, warmup=0, errors_claimed=True).run(wire.ask)


def test_a_cap_ends_the_sampling(sampling, wire):
    """The call beyond it is not sent, its round is not judged, and nothing comes out."""
    one = sampling(rounds=9, warmup=1, budgets=(Budget(max_calls=8, label="run: "),))

    def body():
        for _ in range(3):
            wire.ask()

    one.run(body)
    series = finished(one)
    assert (wire.sent, len(series.judged), series.ended_by) == (8, 3, "run: max_calls of 8 reached")
    assert series.rounds[-1].ended is None


def test_a_cap_that_stops_the_last_round_is_told(sampling, wire):
    """Also where no further round would have asked."""
    one = sampling(rounds=1, warmup=0, budgets=(Budget(max_calls=1),))
    one.run(lambda: (wire.ask(), wire.ask()))
    assert finished(one).ended_by == "max_calls of 1 reached"


def test_dollars_count_within_a_round(sampling, wire):
    """What the calls of a round cost counts before the next one of the same round leaves."""
    budget = Budget(max_usd=0.025)
    one = sampling(rounds=1, warmup=0, budgets=(budget,))
    one.run(lambda: [wire.ask() for _ in range(9)])
    assert (wire.sent, round(budget.usd, 6)) == (3, 0.03)


def test_dollars_count_once(sampling, wire):
    """A call that was counted while its round ran is not counted again at its end."""
    budget = Budget(max_usd=9)
    one = sampling(rounds=2, warmup=1, budgets=(budget,))
    one.run(lambda: [wire.ask() for _ in range(2)])
    assert round(budget.usd, 6) == 0.06


def test_what_becomes_of_a_refused_round_is_the_caps_doing(sampling, wire):
    """A body that stumbles over the missing answer does not fail, and its round is not judged."""
    one = sampling(rounds=9, warmup=0, budgets=(Budget(max_calls=1),))

    def body():
        answer = None
        with suppress(BaseException):  # as a careless body does
            answer = wire.ask()
        assert answer is not None

    one.run(body)
    assert (one.raised, len(finished(one).judged)) == (None, 1)


def wait_until(there):
    deadline = time.monotonic() + 20
    while not there() and time.monotonic() < deadline:
        time.sleep(0.01)


@pytest.mark.parametrize("rate", [None, 600_000.0], ids=["closed", "open"])
def test_ctrl_c_in_threads_lets_nobody_begin_again(sampling, rate):
    """Rounds under way come to their end, however long they take, and the interruption of the main thread comes out."""
    one = sampling(rounds=500, warmup=0, concurrency=2, rate_per_minute=rate, arrival="constant")
    if rate is not None:
        one.clock = WallClock()
    waited_for = threading.Semaphore(2)

    def body():
        if one.current.number == 50:
            os.kill(os.getpid(), signal.SIGINT)
        if one.current.number >= 50 and waited_for.acquire(blocking=False):
            wait_until(lambda: one.halted)

    with pytest.raises(KeyboardInterrupt):
        one.run(body)
    assert one.dispatched < 500
    wait_until(lambda: len(one.rounds) == one.dispatched)  # a thread that had just started is not waited for
    assert len(finished(one).rounds) == one.dispatched


def test_the_current_round_is_that_of_the_running_code(sampling):
    """In threads that a round started, and for an old worker while one round runs alone; outside there is none."""
    one = sampling(rounds=2, warmup=0)
    found, done, wanted = [], threading.Event(), threading.Event()

    def worker():
        wanted.wait(20)
        found.append(one.current.number)
        done.set()

    old = threading.Thread(target=worker)
    old.start()

    def body():
        thread = threading.Thread(target=lambda: found.append(one.current.number))
        thread.start()
        thread.join()
        if one.current.number == 1:
            wanted.set()
            done.wait(20)

    assert one.current is None
    one.run(body)
    old.join()
    assert (found, one.current) == ([0, 1, 1], None)


def test_somebody_hears_of_every_round(sampling, wire):
    """The callback comes after each round, warm-ups included, and sees what was gathered."""
    heard = []
    one = sampling(rounds=2, warmup=1, on_round=lambda it: heard.append(len(it.rounds)))
    one.run(wire.ask)
    assert heard == [1, 2, 3]


def test_calls_stand_in_the_order_they_were_sent(sampling, wire, run_on):
    """However rounds overtake each other, the series is in dispatch order."""
    one = sampling(rounds=4, warmup=0, concurrency=2)

    async def body():
        await wire.ask_async()
        await anyio.sleep(0.05 if one.current.number == 0 else 0)

    run_on(lambda: one.run_async(body))
    series = finished(one)
    assert [each.number for each in series.rounds] == [0, 1, 2, 3]
    dispatched = [each.dispatched for each in series.measurements]
    assert dispatched == sorted(dispatched)
    assert [each.number for each in one.rounds][-1] == 0


def test_settled_claims_end_the_sampling(sampling, wire):
    """When no claim needs more rounds none is begun; how the series was stopped is kept with it."""
    claim = Objective("e2e", "p50", "<=", 5.0)
    one = sampling(rounds=100, warmup=1, stopping=EarlyStop([claim], 100, first=1))
    one.run(wire.ask)
    series = finished(one)
    assert one.settled
    assert 5 <= len(series.judged) < 100
    assert (series.stop, series.budget, series.ended_by) == ("early", 100, "")


def test_cancellation_is_not_swallowed(sampling):
    """A task that is cancelled while it samples is cancelled, and the round is interrupted."""
    one = sampling(rounds=9, warmup=0)

    async def main():
        task = asyncio.ensure_future(one.run_async(lambda: asyncio.sleep(60)))
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(main())
    assert [each.ended for each in finished(one).rounds] == [None]


class TestArms:
    """Several arms in one sampling."""

    ARMS = product({"length": [3, 9]})

    def sampled(self, sampling, wire, **fields):
        """What a sampling of both arms gathered, and in which order."""
        order = []

        def body():
            order.append((one.current.arm.length, one.current.ordinal))
            wire.ask()

        one = sampling(arms=self.ARMS, **fields)
        one.run(body)
        return one, order

    def test_each_arm_has_a_series(self, sampling, wire):
        """With its rounds and calls alone, in dispatch order; warm-ups are counted for each."""
        one, order = self.sampled(sampling, wire, rounds=3, warmup=1, seed=4)
        found = one.series_by_arm("scenario", Source.SIMULATED)
        assert [(each.arm, each.factors) for each in found] == [
            ("length=3", {"length": 3}),
            ("length=9", {"length": 9}),
        ]
        for arm, each in zip((3, 9), found, strict=True):
            numbers = [number for number, (length, _) in enumerate(order) if length == arm]
            assert [(r.number, r.warmup) for r in each.rounds] == [(n, i == 0) for i, n in enumerate(numbers)]
            assert [call.round for call in each.measurements] == numbers

    def test_a_round_is_named_with_its_arm(self, sampling, wire):
        """As a reader counts: among the rounds of its arm."""
        one, order = self.sampled(sampling, wire, rounds=2, warmup=1)
        last, ordinal = order[-1]
        assert ordinal == 2
        assert one.round_name(len(order) - 1) == f"round 2 of 2 [length={last}]"

    def test_arms_stop_together(self, sampling, wire):
        """Only between two blocks, once all claims of all arms are settled."""
        claim = Objective("e2e", "p50", "<=", 60.0)
        names = [arm.name for arm in self.ARMS]
        one, order = self.sampled(
            sampling, wire, rounds=100, warmup=0, stopping=EarlyStop([claim], 100, first=0, arms=names)
        )
        assert len(order) < 200
        assert [len(each.rounds) for each in one.series_by_arm("", Source.LIVE)] == [len(order) / 2] * 2

    def test_an_upcoming_round_has_an_arm(self, sampling, wire):
        """Until none is left."""
        one = sampling(arms=self.ARMS, rounds=1, warmup=0)
        first = one.next_arm
        one.run_one(wire.ask)
        assert {first.length, one.next_arm.length} == {3, 9}
        one.run_one(wire.ask)
        assert one.next_arm is None


class TestGraded:
    """Where every round gets a score for its accuracy."""

    def scores(self, one):
        """The scores of all rounds."""
        return [each.scores.get("accuracy") for each in finished(one).rounds]

    def test_a_failing_assertion_is_a_wrong_answer(self, sampling, wire):
        """Sampling goes on; so it does for a group of nothing but assertions."""
        errors = iter(
            [None, AssertionError("wrong"), ExceptionGroup("both", [AssertionError(), AssertionError()]), None]
        )

        def body():
            wire.ask()
            if (error := next(errors)) is not None:
                raise error

        one = sampling(rounds=4, warmup=0, graded=True)
        one.run(body)
        assert self.scores(one) == [1.0, 0.0, 0.0, 1.0]
        assert [bool(each.failure) for each in finished(one).rounds] == [False, True, True, False]

    def test_any_other_error_ends_it(self, sampling):
        """A bug is no answer."""

        def body():
            raise ExceptionGroup("both", [AssertionError(), KeyError("a")])

        with pytest.raises(ExceptionGroup):
            sampling(rounds=4, warmup=0, graded=True).run(body)

    def test_a_body_scores_all_rounds_or_none(self, sampling):
        """Otherwise it is not said what the others are worth."""
        one = sampling(rounds=4, warmup=0, graded=True)

        def body():
            if one.current.number == 1:
                one.current.score(1)

        with pytest.raises(UsageError, match="this round was scored, and others were not"):
            one.run(body)


def test_a_hanging_call_does_not_hold_up_a_verdict(sampling, clock, run_on):
    """Two rounds at once, one of which gets no answer until the others have shown what they show."""
    objective, sent = Objective("e2e", "p50", "<=", 3.0), itertools.count()

    async def main():
        release = anyio.Event()

        async def answer(_):
            if next(sent) == 3:
                await release.wait()
            clock.advance(1)
            await anyio.sleep(0)
            return httpx2.Response(200, json=SAID)

        one = sampling(
            rounds=200,
            warmup=0,
            concurrency=2,
            stopping=EarlyStop([objective], 200, first=0),
            on_round=lambda running: release.set() if running.settled or running.dispatched == 200 else None,
        )
        async with httpx2.AsyncClient(transport=httpx2.MockTransport(answer), trust_env=False) as client:
            await one.run_async(lambda: client.post(URL, content=json.dumps(ASKED)))
        return one

    one = run_on(main)
    assert one.dispatched < 60
    verdict = judge(finished(one), objective)
    assert verdict.outcome is Outcome.PASSED
    assert verdict.reason.startswith("1 of ")


def test_the_client_says_how_busy_it_was():
    """Its processor time over the time that sampling took, where time passes in reality."""
    one = Sampling(Plan(rounds=2, warmup=0), WallClock(), Recorder(time.perf_counter_ns), PriceBook())
    spent = []

    def compute():
        began = time.process_time()
        while time.process_time() - began < 0.02:
            pass
        spent.append(time.process_time() - began)

    one.run(compute)
    taken = one.rounds[-1].ended
    assert sum(spent) / taken <= finished(one).cpu_share <= (sum(spent) + 0.5) / taken


def test_a_clock_of_its_own_has_no_busy_client(sampling, wire):
    """What the processor took says nothing beside a time that did not pass."""
    one = sampling(rounds=2, warmup=0)
    one.run(wire.ask)
    assert finished(one).cpu_share is None
