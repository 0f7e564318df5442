"""Whether the answers were right, and good enough: accuracy and goodput through the public path."""

from __future__ import annotations

import re

import pytest

SOURCE = """
import pytest
from talk import *
pytestmark = pytest.mark.llmperf(rounds=100)

@pytest.mark.accuracy(min=0.9)
@pytest.mark.latency(p50_ms=60_000)
def test_assertions(llmperf):
    ask()
    assert llmperf.round % 50 != 7, "wrong"

@pytest.mark.accuracy(min=0.9)
async def test_often_wrong(llmperf):
    await ask_async()
    assert llmperf.round % 2, "wrong"

@pytest.mark.accuracy(min=0.9)
def test_scores(llmperf):
    ask()
    llmperf.score(llmperf.round % 50 != 7)

@pytest.mark.accuracy(min=0.6)
@pytest.mark.llmperf(rounds=60)
def test_scores_between(llmperf):
    ask()
    llmperf.score(0.7 + llmperf.round % 3 / 10)

@pytest.mark.accuracy(min=0.9)
def test_scored_now_and_then(llmperf):
    ask()
    if llmperf.round % 2:
        llmperf.score(1)

@pytest.mark.accuracy(min=0.5)
@pytest.mark.llmperf(stop="fixed", rounds=40)
def test_a_failed_call_is_no_right_answer(llmperf):
    ask("fault=503" if llmperf.round % 10 == 3 else "", by=client().with_options(max_retries=0))

@pytest.mark.accuracy(min=0.5)
def test_that_is_wrong_itself():
    ask()
    raise KeyError("a bug")

@pytest.mark.arms(tone=["dull", "witty"])
@pytest.mark.accuracy(min=0.6)
@pytest.mark.contrast(arm="dull", to="witty", metric="accuracy", max_added=0.3)
@pytest.mark.llmperf(stop="fixed")
def test_arms(arm, llmperf):
    ask()
    assert llmperf.round % (20 if arm.tone == "dull" else 10), arm.tone

@pytest.mark.goodput(min=0.5, e2e_ms=20_000)
def test_good():
    ask("output_tokens=40")

@pytest.mark.goodput(min=0.9, e2e_ms=20_000, tpot_ms=10)
@pytest.mark.llmperf(warmup=0)
def test_too_slow():
    ask_streamed("output_tokens=40")
"""


@pytest.fixture
def ran(suite_once):
    """The suite, run once."""
    return suite_once("answers", SOURCE, "--llmperf-seed=2")


def test_a_failing_assertion_is_a_wrong_answer(ran):
    """It ends no test; the share of right rounds is judged, beside any other claim."""
    test = ran.test("test_assertions")
    assert (test["outcome"], test["error"]) == ("passed", "")
    right = next(one for one in test["verdicts"] if one["metric"] == "accuracy")
    assert (right["claim"], right["statistic"], right["unit"]) == ("accuracy >= 90 %", "rate", "share")
    assert "rounds answered wrong" in right["reason"]
    (arm,) = test["arms"]
    assert arm["rounds"]["failed"] == arm["series"]["accuracy"].count(0.0) >= 1


def test_too_many_wrong_answers_fail(ran):
    """With the share that was right, as soon as that is plain."""
    assert ran.test("test_often_wrong")["outcome"] == "failed"
    assert ran.verdict("test_often_wrong")["n"] < 100
    assert "accuracy >= 90 % does not hold: measured" in ran.out
    assert re.search(r"\d+ of \d+ rounds answered wrong: AssertionError: wrong \(\d+\)", ran.out)


def test_scores_count_like_assertions(ran):
    """A score of 1 or 0 is a right or wrong answer."""
    scores = ran.arm("test_scores")["series"]["accuracy"]
    assert scores == [float(number % 50 != 7) for number in range(len(scores))]
    assert ran.verdict("test_scores")["outcome"] == "passed"


def test_scores_between_are_judged_by_their_mean(ran):
    """And the claim says so."""
    verdict = ran.verdict("test_scores_between")
    assert (verdict["claim"], verdict["outcome"], verdict["n"]) == ("mean accuracy >= 60 %", "passed", 60)


def test_rounds_are_scored_all_or_none(ran):
    """A round without a score is neither right nor wrong where others have one: that is refused at once."""
    assert ran.test("test_scored_now_and_then")["outcome"] == "error"
    assert "call llmperf.score(…) in every round, or leave it to the assertions" in ran.out


def test_a_failed_call_is_no_right_answer(ran):
    """Nobody got an answer."""
    assert ran.arm("test_a_failed_call_is_no_right_answer")["series"]["accuracy"].count(0.0) == 4


def test_other_errors_end_the_test(ran):
    """Only assertions are answers; a bug of the test's is none."""
    assert "KeyError" in ran.test("test_that_is_wrong_itself")["error"]


def test_arms_are_compared_by_their_answers(ran):
    """The difference of two shares, beside the share of each."""
    verdicts = ran.test("test_arms")["verdicts"]
    assert [(one["claim"], one["arm"], one["outcome"]) for one in verdicts] == [
        ("accuracy >= 60 %", "dull", "passed"),
        ("accuracy >= 60 %", "witty", "passed"),
        ("accuracy: dull - witty <= 30 %", "dull", "passed"),
    ]


def test_goodput(ran):
    """The share of calls that meet every limit."""
    assert ran.verdict("test_good")["claim"] == "goodput (e2e 20 s) >= 50 %"
    assert ran.test("test_good")["outcome"] == "passed"
    slow = ran.verdict("test_too_slow")
    assert (slow["outcome"], slow["estimate"]) == ("failed", 0.0)
    assert "calls missed a limit" in slow["reason"]
    assert "in tpot)" in slow["reason"]


@pytest.mark.parametrize(
    ("mark", "said"),
    [
        ("accuracy()", "claims nothing; give min"),
        ("accuracy(min=0)", "min must be a share above 0 and at most 1"),
        ("accuracy(min=89)", "min must be a share above 0 and at most 1"),
        ("goodput(min=0.9)", "claims nothing; give min, and at least one of ttft_ms, tpot_ms, e2e_ms"),
        ("goodput(ttft_ms=100)", "claims nothing; give min, and at least one of"),
        ("goodput(min=0.9, ttft=1)", "there is no 'ttft'; did you mean ttft_ms?"),
        ("claim(metric='goodput', min=0.9)", "what a good call is, the goodput mark says"),
        ("claim(metric='accuracy', statistic='p50', min=0.9)", "accuracy belongs to the whole series"),
        ("accuracy(min=0.5), llmperf(rounds=2)", "2 rounds can neither pass nor fail accuracy >= 50 %"),
    ],
)
def test_marks_that_mean_nothing_are_usage_errors(suite, mark, said):
    """Before any call, with what is wrong and what there is."""
    listed = "".join(f"@pytest.mark.{one}\n" for one in mark.replace("), ", ")\n").split("\n"))
    ran = suite(f"import pytest\n{listed}def test_a():\n    raise AssertionError('never run')\n")
    assert ran.code == pytest.ExitCode.USAGE_ERROR
    assert said in ran.text
