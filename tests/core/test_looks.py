"""Claims on means and totals under early stopping."""

import math
from dataclasses import replace

import numpy as np
import pytest

from factories import measurement, scattered, series
from pytest_llmperf.core import averages
from pytest_llmperf.core.judge import judge, watching
from pytest_llmperf.core.looks import looked, planned_looks
from pytest_llmperf.core.objective import Levels, Objective
from pytest_llmperf.core.series import Round
from pytest_llmperf.core.verdict import Outcome

COST = Objective("cost", "mean", "<=", 0.05)


def costing(*costs, budget=100, **fields):
    found = scattered([measurement(number, cost=cost) for number, cost in enumerate(costs)])
    return series(found, stop="early", budget=budget, **fields)


@pytest.mark.parametrize(
    ("rounds", "looks"), [(40, (40,)), (60, (60,)), (80, (60, 80)), (100, (50, 75, 100)), (400, (200, 300, 400))]
)
def test_no_look_comes_before_the_fiftieth_round(rounds, looks):
    """At half, three quarters and all of the budget, as far as that leaves fifty for the first."""
    assert planned_looks(rounds) == looks


def test_a_clear_mean_is_decided_at_the_first_look():
    """What came after it was in flight, and changes nothing."""
    costs = [0.02 + number / 10_000 for number in range(50)]
    verdict = judge(costing(*costs), COST)
    with_later = judge(
        series([*costing(*costs).measurements, measurement(50, cost=9.0)], stop="early", budget=100), COST
    )
    assert verdict.outcome is with_later.outcome is Outcome.PASSED
    assert verdict.n == with_later.n == 50
    assert verdict.method == "Hall's t for skewed means, look 1 of 3"
    assert verdict.stops == "looked at after 50, 75 and 100 rounds"


def test_an_early_look_asks_for_more_than_the_last():
    """Of 5 % a half of the rounds may use a quarter (power spending): 1.25 %."""
    seen = []

    def decide(one, objective):
        seen.append((len(one.judged_rounds), objective.levels))
        return averages.decide(one, objective)

    costs = [0.05 + (0.01 if number % 2 else -0.01) for number in range(100)]
    assert looked(costing(*costs), COST, decide).outcome is Outcome.INCONCLUSIVE
    assert [rounds for rounds, _ in seen] == [50, 75, 100]
    assert seen[0][1] == pytest.approx(Levels(0.0125, 0.0125))
    assert 0.0125 < seen[1][1].to_pass < seen[2][1].to_pass < 0.05


def test_a_cap_that_ends_sampling_between_two_looks_makes_one_more():
    """With what the spending function leaves for it."""
    costs = [0.02 + number / 10_000 for number in range(60)]
    near = [0.05 + (0.01 if number % 2 else -0.01) for number in range(60)]
    assert judge(costing(*costs, budget=200, ended_by="a cap"), COST).n == 60
    verdict = judge(costing(*near, ended_by="a cap"), COST)
    assert (verdict.outcome, verdict.n) == (Outcome.INCONCLUSIVE, 60)


@pytest.mark.parametrize(("budget", "rounds"), [(600, 1), (600, 2), (1000, 501), (1000, 751), (1000, 999), (100, 99)])
def test_sampling_may_be_ended_anywhere(budget, rounds):
    """Two looks too near each other are one; nothing is lost by where a cap falls."""
    costs = [0.05 + (0.01 if number % 2 else -0.01) for number in range(rounds)]
    assert judge(costing(*costs, budget=budget, ended_by="a cap"), COST).outcome is Outcome.INCONCLUSIVE


@pytest.mark.parametrize("overrun", [0, 1, 3, 20])
def test_rounds_in_flight_when_a_mean_was_settled_change_nothing(overrun):
    """Whatever they are, the look before them has decided."""
    costs = [0.02 + number / 10_000 for number in range(50)]
    settled = list(costing(*costs).measurements)
    later = [measurement(50 + number, cost=9.0) for number in range(overrun)]
    assert judge(series([*settled, *later], stop="early", budget=100), COST).n == 50


def test_the_runner_goes_on_while_neighbours_are_alike():
    """As the judge does: a drift is settled at the end of the budget only."""
    watch, drifting = watching(replace(COST, bound=0.04), 100), []
    for number in range(100):
        drifting.append(measurement(number, cost=0.02 + number / 5000))
        watch.add_round(series(drifting[-1:], rounds_=[Round(number, warmup=False, started=0.0, ended=1.0)]))
        assert watch.done == (number == 99)


def test_no_early_look_decides_while_neighbours_are_alike():
    """A drift makes the half that was seen no sign of the whole."""
    drifting = [measurement(number, cost=0.02 + number / 5000) for number in range(100)]
    verdict = judge(series(drifting, stop="early", budget=100), replace(COST, bound=0.04))
    assert verdict.method.endswith("look 3 of 3")
    assert "neighbours are alike" in verdict.reason


def test_the_runner_and_the_judge_agree_when_a_mean_is_settled():
    """Watched round by round it ends where the judge sees it end."""
    random = np.random.default_rng(3)
    for mean in (0.035, 0.045, 0.05, 0.055, 0.07):
        costs = random.gamma(4, mean / 4, 100)
        watch = watching(COST, 100)
        found = [measurement(number, cost=float(cost)) for number, cost in enumerate(costs)]
        at = 100
        for number, one in enumerate(found):
            watch.add_round(series([one], rounds_=[Round(number, warmup=False, started=0.0, ended=1.0)]))
            if watch.done:
                at = number + 1
                break
        assert judge(series(found, stop="early", budget=100), COST).n == at


@pytest.mark.slow
def test_the_looks_keep_the_error_probability():
    """At the limit, watched at three looks: wrong passes at most 8 % (Hall's t on skewed costs), wrong fails 5 %."""
    random, runs = np.random.default_rng(11), 800
    found = []
    for _ in range(runs):
        costs = random.lognormal(-0.18, 0.6, 100)  # its mean is 1
        found.append(
            judge(
                series([measurement(n, cost=float(c)) for n, c in enumerate(costs)], stop="early", budget=100),
                Objective("cost", "mean", "<=", 1.0),
            ).outcome
        )
    margin = 3 * math.sqrt(0.08 * 0.92 / runs)
    assert found.count(Outcome.PASSED) / runs <= 0.08 + margin
    assert found.count(Outcome.FAILED) / runs <= 0.05 + margin
    assert found.count(Outcome.PASSED) > 0
