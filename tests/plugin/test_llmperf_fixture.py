"""The `llmperf` fixture: what the code inside a round may ask and say."""

from __future__ import annotations

import pytest

SOURCE = """
import asyncio, threading, pytest
from talk import *
pytestmark = pytest.mark.llmperf(rounds=6, warmup=2)

def test_rounds(llmperf):
    ran(f"round {llmperf.round} {llmperf.warmup}"); ask()

@pytest.mark.llmperf(rounds=6, concurrency=3)
async def test_together(llmperf):
    before = llmperf.round
    llmperf.record("mine", before)
    await ask_async(f"output_tokens={before + 3}")
    assert llmperf.round == before
    (call,) = llmperf.calls
    llmperf.record("tokens", call.last.generation.usage.output_tokens, "tokens")
    assert (await asyncio.to_thread(lambda: llmperf.round)) == before

@pytest.mark.llmperf(rounds=6, concurrency=3)
def test_threads(llmperf):
    llmperf.record("mine", llmperf.round)
    found = []
    ask(f"output_tokens={llmperf.round + 3}")
    thread = threading.Thread(target=lambda: found.append(llmperf.round))
    thread.start(); thread.join()
    assert found == [llmperf.round]
    llmperf.record("tokens", llmperf.calls[0].last.generation.usage.output_tokens, "tokens")

@pytest.mark.claim(metric="steps", statistic="p50", max=3)
@pytest.mark.claim(metric="steps", statistic="mean", min=1)
@pytest.mark.llmperf(rounds=40, stop="fixed")
def test_own_number(llmperf):
    ask()
    llmperf.record("steps", 2 + llmperf.round % 2, "steps")

@pytest.mark.claim(metric="steps", statistic="p50", max=3)
def test_never_recorded(llmperf):
    ask()

def test_score(llmperf):
    ask()
    llmperf.score(1)
    llmperf.score(0.25, name="tone")

def test_score_beyond(llmperf):
    llmperf.score(2)

def test_no_number(llmperf):
    llmperf.record("steps", "many")

@pytest.mark.llmperf(fresh_fixtures=True)
def test_fresh(llmperf):
    ran(f"fresh {llmperf.round}"); ask(); assert len(llmperf.calls) == 1

@pytest.fixture
def prepared(llmperf):
    assert (llmperf.calls, llmperf.warmup) == ((), False)
    llmperf.record("early", 1)

def test_in_a_fixture(prepared):
    ask()

@pytest.mark.llmperf(off=True)
def test_not_repeated(llmperf):
    assert (llmperf.round, llmperf.warmup, llmperf.calls) == (0, False, ())
    llmperf.record("any", 1); llmperf.score(1)
"""


@pytest.fixture
def ran(suite_once):
    """The suite, run once."""
    return suite_once("fixture", SOURCE, "--llmperf-inconclusive=pass")


def test_rounds_are_counted_from_the_first_judged_one(ran):
    """Warm-ups are negative; also where every round has fixtures of its own."""
    counted = [line for line in (ran.path / "bodies.log").read_text().splitlines() if line.startswith("round")]
    assert counted == ["round -2 True", "round -1 True", *(f"round {number} False" for number in range(6))]
    assert [name for name in ran.bodies if name.startswith("fresh")] == [f"fresh {number}" for number in range(-2, 6)]


@pytest.mark.parametrize("name", ["test_together", "test_threads"])
def test_each_of_several_rounds_has_its_own(ran, name):
    """Numbers and calls belong to the round that recorded them, however many run at once, in tasks and threads."""
    series = ran.arm(name)["series"]
    assert ran.test(name)["outcome"] == "passed"
    assert sorted(series["mine"]) == list(range(6))
    assert sorted(series["tokens"]) == [number + 3 for number in range(6)]
    assert [tokens - mine for tokens, mine in zip(series["tokens"], series["mine"], strict=True)] == [3] * 6


def test_a_recorded_number_can_be_claimed(ran):
    """`claim(metric=name)` judges it like any other, in its own unit."""
    verdicts = {verdict["claim"]: verdict["outcome"] for verdict in ran.test("test_own_number")["verdicts"]}
    assert verdicts == {"p50 steps <= 3 steps": "passed", "mean steps >= 1 steps": "passed"}


def test_a_number_that_nobody_recorded_is_undecided(ran):
    """Absent is never zero and never a pass."""
    verdict = ran.verdict("test_never_recorded")
    assert verdict["outcome"] == "inconclusive"
    assert "the body recorded no 'steps'" in verdict["reason"]


def test_a_score_is_kept_and_must_be_one(ran):
    """A score goes from 0 to 1; another number, and what is none, end the test in the round that said it."""
    assert ran.test("test_score")["outcome"] == "passed"
    assert ran.test("test_score_beyond")["error"].startswith("warm-up round 1 of 2: llmperf.score(2): a score is")
    assert "steps: 'many' is no finite number" in ran.test("test_no_number")["error"]
    assert ran.out.count("llmperf: in warm-up round 1 of 2") == 2


def test_outside_of_rounds_nothing_is_recorded(ran):
    """In fixtures and in tests that are not repeated it can be used all the same, to no effect."""
    assert ran.test("test_in_a_fixture")["outcome"] == "passed"
    assert "early" not in ran.arm("test_in_a_fixture")["series"]
    assert ran.outcomes == {"passed": 9, "failed": 2}, ran.text
