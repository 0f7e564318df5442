"""Claims on a mean below a known cap."""

import math

import numpy as np
import pytest

from factories import measurement, series
from pytest_llmperf.core.bets import BetWatch
from pytest_llmperf.core.judge import judge, watching
from pytest_llmperf.core.objective import Objective
from pytest_llmperf.core.series import Round
from pytest_llmperf.core.verdict import Outcome

COST = Objective("cost", "mean", "<=", 0.05, cap=0.2)


def costing(*costs):
    return series(
        [
            measurement(number, **({"cost": cost} if cost is not None else {"absent": {"cost": "no price"}}))
            for number, cost in enumerate(costs)
        ],
        stop="early",
        budget=400,
    )


def test_a_cheap_scenario_passes_after_few_rounds():
    """No fifty rounds are needed, as for a mean without a cap."""
    verdict = judge(costing(*[0.02] * 40), COST)
    assert verdict.outcome is Outcome.PASSED
    assert verdict.n < 40
    assert verdict.method == "betting e-process, cap $0.20"
    assert "for a pass" in verdict.reason
    assert "20 to 1 is asked" in verdict.reason


def test_no_fail_is_given_before_twenty_rounds():
    """Though the bet was won long before."""
    verdict = judge(costing(*[0.2] * 40), COST)
    assert (verdict.outcome, verdict.n) == (Outcome.FAILED, 20)


def test_a_value_above_the_cap_makes_the_evidence_void():
    """And the message says what to do."""
    verdict = judge(costing(0.02, 0.3), COST)
    assert verdict.outcome is Outcome.INCONCLUSIVE
    assert verdict.reason == "a round came to $0.30, outside of 0 … $0.20"
    assert "cap" in verdict.remedy


def test_an_absent_value_helps_neither_verdict():
    """It is as dear as can be for a pass, and costs nothing for a fail."""
    rounds = judge(costing(*[0.02] * 40), COST).n
    assert judge(costing(*[0.02] * (rounds - 1), None), COST).outcome is Outcome.INCONCLUSIVE
    assert judge(costing(*[0.2] * 19, None), Objective("cost", "mean", "<=", 0.19, cap=0.2)).outcome is (
        Outcome.INCONCLUSIVE
    )


def test_a_lower_limit_is_the_mirror_image():
    """A mean score of at least 0.8, of scores up to 1."""
    scored = series(
        rounds_=[Round(n, warmup=False, started=0.0, ended=1.0, scores={"quality": 1.0}) for n in range(60)],
        stop="early",
        budget=100,
    )
    verdict = judge(scored, Objective("quality", "mean", ">=", 0.8, cap=1.0))
    assert verdict.outcome is Outcome.PASSED
    worse = judge(scored, Objective("quality", "mean", "<=", 0.8, cap=1.0))
    assert worse.outcome is Outcome.FAILED


def test_sampling_ends_when_the_bet_is_won():
    """At the round at which the judge settles it."""
    watch = watching(COST, 400)
    assert isinstance(watch, BetWatch)
    for number in range(400):
        one = measurement(number, cost=0.02)
        watch.add_round(series([one], rounds_=[Round(number, warmup=False, started=0.0, ended=1.0)]))
        if watch.done:
            break
    assert number + 1 == judge(costing(*[0.02] * 40), COST).n


@pytest.mark.slow
def test_both_errors_hold_when_watched_after_every_round():
    """At the limit, 200 rounds, costs that are mostly low and sometimes the cap: neither verdict in more than 5 %."""
    random, runs = np.random.default_rng(5), 500
    found = []
    for _ in range(runs):
        costs = np.where(random.random(200) < 0.2, 0.2, 0.0125)
        found.append(judge(costing(*map(float, costs)), COST).outcome)
    margin = 3 * math.sqrt(0.05 * 0.95 / runs)
    assert found.count(Outcome.PASSED) / runs <= 0.05 + margin
    assert found.count(Outcome.FAILED) / runs <= 0.05 + margin
