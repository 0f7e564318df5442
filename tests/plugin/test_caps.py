"""Caps on calls, dollars and seconds: sampling ends cleanly, with what was gathered, and no cap is exceeded."""

from __future__ import annotations

import pytest

from pytest_llmperf.plugin.session import Run
from pytest_llmperf.plugin.stash import SETTINGS
from pytest_llmperf.plugin.workers import Places

BODIES = """
import asyncio, pytest
from talk import *
pytestmark = pytest.mark.llmperf(rounds=20, stop="fixed")

@pytest.mark.latency(p50_ms=60_000)
def test_plain():
    ran("plain"); ask()

@pytest.mark.latency(p50_ms=60_000)
def test_pairs():
    ask(); ask()

@pytest.mark.latency(p50_ms=60_000)
async def test_gathered():
    await asyncio.gather(*(ask_async() for _ in range(3)))

@pytest.mark.latency(p50_ms=60_000)
async def test_task_group():
    async with asyncio.TaskGroup() as group:
        for _ in range(3):
            group.create_task(ask_async())

@pytest.mark.latency(p50_ms=60_000)
def test_swallowed():
    try:
        ask()
    except Exception:
        ran("swallowed")

@pytest.mark.latency(p50_ms=60_000)
def test_swallowed_by_all_means():
    try:
        ask()
    except:
        pass

@pytest.mark.latency(p50_ms=60_000)
def test_stumbles():
    try:
        answer = ask()
    except BaseException:
        answer = None
    assert answer is not None

@pytest.mark.latency(p50_ms=60_000)
@pytest.mark.llmperf(concurrency=4)
async def test_together():
    await ask_async()

@pytest.mark.latency(p50_ms=60_000)
@pytest.mark.llmperf(concurrency=4)
def test_threads():
    ask()

@pytest.mark.latency(p50_ms=60_000)
@pytest.mark.llmperf(rate_per_minute=600)
async def test_paced():
    await ask_async()

@pytest.mark.latency(p50_ms=60_000)
@pytest.mark.llmperf(rate_per_minute=600)
def test_begun_in_threads():
    ask()

def test_retried():
    ask("fault=status_529:9", by=client().with_options(max_retries=4))
"""

JUDGED = {
    "test_plain": 7,
    "test_pairs": 6,
    "test_gathered": 5,
    "test_task_group": 5,
    "test_swallowed": 7,
    "test_swallowed_by_all_means": 7,
    "test_stumbles": 7,
    "test_together": 7,
    "test_threads": 7,
    "test_paced": 7,
    "test_begun_in_threads": 7,
}
"""Attempts left after the warm-up; of a pair whose second call was refused the first is not judged, and calls that a
refusal cut in their flight count as absent."""


@pytest.mark.parametrize("kind", JUDGED)
def test_no_attempt_leaves_beyond_the_cap(suite, kind):
    """The attempt that would exceed the cap is not sent, however the body treats what stops it; the rest is judged."""
    ran = suite(BODIES, "--llmperf-max-calls=8", "-k", f"{kind} and not {kind}_", "--llmperf-inconclusive=pass")
    assert ran.outcomes == {"passed": 1}, ran.text
    test, arm = ran.test(), ran.arm()
    assert (arm["attempts"], arm["calls"], test["verdicts"][0]["n"]) == (JUDGED[kind],) * 3
    assert (arm["ended_by"], test["error"]) == ("--llmperf: max_calls of 8 reached", "")
    assert ran.out.count("sampling ended early: --llmperf: max_calls of 8 reached") == 1


def test_the_sdk_does_not_retry_what_a_cap_stopped(suite):
    """A retry is an attempt like any other: the one beyond the cap is not sent, and the SDK does not go on trying."""
    ran = suite(BODIES, "--llmperf-max-calls=8", "-k", "test_retried")
    assert ran.outcomes == {"passed": 1}
    assert (ran.arm()["attempts"], ran.arm()["ended_by"]) == (3, "--llmperf: max_calls of 8 reached")


def test_a_cap_that_is_just_enough_is_no_cap(suite):
    """When the rounds need exactly what is allowed, nothing ended early."""
    ran = suite(BODIES, "--llmperf-max-calls=21", "-k", "test_plain")
    assert (ran.arm()["ended_by"], ran.arm()["rounds"]["judged"]) == ("", 20)


def test_the_cap_is_for_all_tests_together(suite):
    """What one test spent the next one cannot: a test without any call left is undecided, not passed."""
    ran = suite(BODIES, "--llmperf-max-calls=12", "-k", "test_plain or test_together", "-v")
    judged = {test["nodeid"].rpartition("::")[2]: test["arms"][0]["calls"] for test in ran.report["tests"]}
    assert judged == {"test_plain": 11, "test_together": 0}
    assert ran.test("test_together")["outcome"] == "inconclusive"
    assert "no call was judged" in ran.verdict("test_together")["reason"]


@pytest.fixture
def budget_of(pytester):
    """The budget of a worker that was started, when the run may make so many calls and spend three dollars."""
    pytester.makeini("[pytest]\nasyncio_default_fixture_loop_scope = function")

    def budget(node, calls):
        config = pytester.parseconfigure(f"--llmperf-max-calls={calls}", "--llmperf-max-usd=3")
        config.workerinput = node.workerinput
        return Run(config, config.stash[SETTINGS]).budget

    return budget


class Worker:
    """What the controller has of a worker; xdist names it as the user says."""

    def __init__(self, name):
        self.workerinput = {"workerid": name, "workercount": 3}


def started(places, name):
    """A worker that was told its place."""
    places.give(worker := Worker(name))
    return worker


@pytest.mark.parametrize(("calls", "shares"), [(7, [3, 2, 2]), (6, [2, 2, 2]), (1, [1, 0, 0])])
@pytest.mark.parametrize("each", [True, False])
def test_workers_share_the_cap(budget_of, calls, shares, each):
    """Under xdist each process has its share, and the calls of all together stay within the cap."""
    places = Places(each=each)
    budgets = [budget_of(started(places, name), calls) for name in ("gw0", "here", "there")]
    assert [budget.max_calls for budget in budgets] == shares
    assert [budget.max_usd for budget in budgets] == [1.0, 1.0, 1.0]


def test_who_replaces_a_crashed_worker_spends_nothing(budget_of):
    """Nobody knows how much of its share is left; one that replaces a worker that ended well has the whole of it."""
    places = Places(each=False)
    first, second, _ = [started(places, f"gw{number}") for number in range(3)]
    places.free(first, crashed=False)
    assert budget_of(started(places, "gw3"), 7).max_calls == 3
    places.free(second, crashed=True)
    heir = budget_of(started(places, "gw4"), 7)
    assert (heir.max_calls, heir.max_usd) == (0, 0)
    assert heir.reached.endswith("for a worker that replaces a crashed one: its share may be spent")


DOLLARS = """
import pytest
from talk import *

@pytest.mark.llmperf(rounds=50, warmup=0, stop="fixed", max_usd=0.0012)
def test_mark():
    ask()

@pytest.mark.llmperf(rounds=50, warmup=0, stop="fixed", max_usd=0.0012)
def test_many_calls_in_one_round():
    for _ in range(50):
        ask()

@pytest.mark.llmperf(rounds=50, warmup=0, stop="fixed", max_seconds=12)
def test_seconds():
    ask()
"""


def test_dollars_of_a_mark(suite):
    """Sampling ends with the call that reaches the sum, also within a round; each costs about a hundredth of a cent."""
    ran = suite(DOLLARS, "-k", "mark or many")
    assert ran.outcomes == {"passed": 2}
    for name in ("test_mark", "test_many_calls_in_one_round"):
        assert ran.arm(name)["ended_by"].startswith("llmperf mark: max_usd of $0.0012 reached ($0.001")
    assert 5 < ran.arm("test_mark")["attempts"] < 20
    assert ran.arm("test_many_calls_in_one_round")["rounds"]["judged"] == 0


def test_dollars_of_the_run(suite):
    """The option caps all tests together."""
    ran = suite(DOLLARS, "-k", "mark or seconds", "--llmperf-max-usd=0.0005")
    assert all("--llmperf: max_usd of $0.0005 reached" in test["arms"][0]["ended_by"] for test in ran.report["tests"])


def test_seconds_of_a_mark(suite):
    """They are seconds of the scenario's own time, virtual ones where time is virtual."""
    arm = suite(DOLLARS, "-k", "seconds").arm()
    assert arm["ended_by"] == "llmperf mark: max_seconds of 12 reached"
    assert 2 < arm["rounds"]["judged"] < 30
    assert sum(arm["series"]["scenario"]) >= 12


def test_seconds_of_the_run(suite):
    """They are real ones: a run that may sample for no time at all does not begin a second round."""
    arm = suite(DOLLARS, "-k", "mark", "--llmperf-max-seconds=0.000001").arm()
    assert arm["ended_by"] == "--llmperf: max_seconds of 1e-06 reached"
    assert arm["rounds"]["judged"] <= 1
