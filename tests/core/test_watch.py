"""Claims that are watched while their rounds come in."""

import random
from dataclasses import replace

import pytest

from factories import calls, failed_measurement, measurement, series
from pytest_llmperf.core.judge import judge
from pytest_llmperf.core.objective import Objective
from pytest_llmperf.core.series import Round
from pytest_llmperf.core.verdict import Outcome
from pytest_llmperf.core.watch import watched
from pytest_llmperf.runner.stopping import EarlyStop

P95 = Objective("ttft", "p95", "<=", 2.34)
ERRORS = Objective("error_rate", "rate", "<=", 0.02)


def early(measurements, budget=200):
    """A series that was sampled for at most *budget* rounds, with early stopping."""
    return series(measurements, stop="early", budget=budget)


def shuffled(n, slow, seed=7):
    """*n* calls in a random order, so that neighbours are not alike; *slow* of them above the limit."""
    ttfts = [0.8 + number / 1000 for number in range(n - slow)] + [3.0 + number / 1000 for number in range(slow)]
    random.Random(seed).shuffle(ttfts)
    return [measurement(number, ttft=ttft) for number, ttft in enumerate(ttfts)]


def one_round(one):
    """A round as the runner hands it over: a series of its own."""
    return series([one], rounds_=[Round(one.round, warmup=False, started=one.dispatched, ended=one.dispatched + 11.5)])


def test_a_clean_p95_passes_at_the_90th_call_of_a_budget_of_200():
    """The published table of stops: 0 bad of 90, 1 of 123, 2 of 150."""
    assert watched(early(shuffled(89, 0)), P95).settled == ""
    watch = watched(early(shuffled(90, 0)), P95)
    assert (watch.settled, watch.at) == ("passed", 90)


def test_a_slow_p95_fails_as_soon_as_20_calls_are_seen():
    """One hiccup must not decide a run, but twenty slow calls do."""
    slow = [measurement(number, ttft=3.0 + random.Random(number).random()) for number in range(30)]
    watch = watched(early(slow), P95)
    assert (watch.settled, watch.at) == ("failed", 20)


def test_calls_after_the_stop_change_nothing():
    """Rounds that were in flight when the claim was settled are kept and not judged."""
    found = shuffled(90, 0)
    later = [measurement(90 + number, ttft=9.0) for number in range(30)]
    with_later = judge(early([*found, *later]), P95)
    assert with_later.outcome is Outcome.PASSED
    assert (with_later.n, with_later.estimate) == (90, judge(early(found), P95).estimate)


def test_the_reason_says_what_the_plan_asks_by_now():
    """Not what a test of fixed size would ask."""
    verdict = judge(early(shuffled(90, 0)), P95)
    assert verdict.reason == "0 of 90 calls above 2340 ms; a pass needs at most 0 by now, a fail at least 11"
    assert verdict.method == "exact α-spending plan, early stopping, budget 200"


def test_sampling_ends_undecided_when_a_verdict_has_become_improbable():
    """At a share of 5 % of slow calls neither verdict is in sight, and the rest of the budget would be wasted."""
    found = [
        measurement(number, ttft=3.0 if number % 20 == 10 else 0.8 + (number * 7919 % 101) / 1000)
        for number in range(200)
    ]
    stop = EarlyStop([P95], 200, first=0)
    ran = next(n for n, one in enumerate(found, 1) if stop.round_ended(one.round, one_round(one)) or stop.settled)
    assert ran < 200
    verdict = judge(early(found[:ran]), P95)
    assert verdict.outcome is Outcome.INCONCLUSIVE
    assert "has become improbable, so sampling was ended" in verdict.reason


def test_a_claim_given_up_goes_on_when_sampling_does():
    """Another claim needed more rounds, and then the calls became slow: all of them count."""
    hopeless = [measurement(n, ttft=3.0 if n % 20 == 10 else 0.8 + (n * 7919 % 101) / 1000) for n in range(150)]
    slow = [measurement(150 + n, ttft=3.0 + (n * 7919 % 101) / 1000) for n in range(50)]
    assert watched(early(hopeless), P95).futile
    verdict = judge(early([*hopeless, *slow]), replace(P95, confidence=0.9))
    assert verdict.n > 150
    assert "so sampling was ended" not in verdict.reason


@pytest.mark.parametrize("objective", [replace(ERRORS, bound=0.0), replace(P95, confidence=0.5)])
def test_a_claim_without_a_plan_is_judged_at_the_end(objective):
    """That errors never happen, or at even odds, has no stop table: nothing breaks, and all rounds are run."""
    watch = watched(early(shuffled(30, 0)), objective)
    assert not watch.watchable
    assert not watch.done
    assert judge(early(shuffled(30, 0)), objective).n == 30


def test_a_budget_too_large_for_a_plan_is_judged_at_the_end():
    """The table grows with the square of the budget."""
    assert not watched(early(shuffled(30, 0), 10_001), P95).watchable


def test_a_small_budget_can_fail():
    """Ten calls, all slow: the floor of twenty is not above the budget."""
    found = [measurement(number, ttft=3.0 + (number * 7919 % 101) / 1000) for number in range(10)]
    assert judge(early(found, 10), P95).outcome is Outcome.FAILED


def test_a_claim_is_looked_at_when_a_round_ends():
    """Forty calls in a round are forty observations: none of them is left out."""
    found = [measurement(number // 40, ttft=0.8 + (number * 7919 % 101) / 1000) for number in range(200)]
    verdict = judge(early(found, 5), P95)
    assert verdict.n % 40 == 0
    assert (verdict.outcome, verdict.estimate is not None) == (Outcome.PASSED, True)
    rate = judge(early(found, 5), replace(ERRORS, bound=0.2))
    assert (rate.outcome, rate.n) == (Outcome.PASSED, 40)


def test_neighbours_that_are_alike_use_the_whole_budget():
    """A drift makes 90 calls worth fewer: the stop is not taken, and the end counts independent calls."""
    drifting = [measurement(number, ttft=0.8 + number / 200) for number in range(200)]
    assert watched(early(drifting[:199]), P95).settled == ""
    watch = watched(early(drifting), P95)
    assert watch.at == 200
    assert watch.likeness is not None
    assert watch.likeness.n_eff < 60
    assert "neighbours are alike" in judge(early(drifting), P95).reason


def test_failed_calls_count_as_slow_while_watching():
    """Twenty failures are twenty slow calls."""
    assert watched(early([failed_measurement(number) for number in range(25)]), P95).settled == "failed"


def test_absent_values_never_help_a_pass():
    """90 calls of which one has no TTFT do not pass where 90 clean ones do."""
    found = shuffled(90, 0)
    found[40] = measurement(40, absent={"ttft": "the answer has no such token"})
    assert watched(early(found), P95).settled == ""


def test_error_rates_are_watched_too():
    """0 of 193 calls failed: a rate of 2 % is shown for a budget of 300."""
    assert watched(early(shuffled(192, 0), 300), ERRORS).settled == ""
    assert watched(early(shuffled(193, 0), 300), ERRORS).settled == "passed"


def test_a_mean_is_settled_at_its_first_look():
    """At half of the budget, and not a round before."""
    stop = EarlyStop([Objective("cost", "mean", "<=", 1.0)], 200, first=0)
    settled = []
    for number, one in enumerate(calls(100)):
        stop.round_ended(number, one_round(one))
        settled.append(stop.settled)
    assert settled == [False] * 99 + [True]


def test_the_table_of_stops_is_told():
    """The published one for a p95 and 100 rounds; long sides are shortened, and no fail is told below twenty."""
    assert judge(early(shuffled(99, 1), 100), P95).stops == (
        "passes with 0 of 72, 1 of 99; fails with 6 of 31, 7 of 48, 8 of 66, 9 of 87, 10 of 100 bad"
    )


def test_a_family_of_claims_makes_a_fail_harder_and_a_pass_no_harder():
    """A run that is red when any of forty claims fails gives each a fortieth of the probability."""
    many = replace(P95, family=40)
    passing = watched(early(shuffled(90, 0)), many)
    assert (passing.settled, passing.at) == ("passed", 90)
    slow = shuffled(100, 12)
    assert judge(early(slow, 100), P95).outcome is Outcome.FAILED
    assert judge(early(slow, 100), many).outcome is Outcome.INCONCLUSIVE


def test_a_second_try_asks_for_more_of_both():
    """Half of the probability at the first of several tries, a quarter at the second."""
    assert replace(P95, attempt=1).levels == (0.025, 0.025)
    assert replace(P95, attempt=2, family=5).levels == (0.0125, 0.0025)
    assert watched(early(shuffled(90, 0)), replace(P95, attempt=2)).settled == ""


def test_rounds_that_bring_different_numbers_of_calls_are_judged_at_the_end():
    """A plan needs to know how many observations there will be."""
    found = [measurement(0), measurement(1), measurement(1)]
    assert not watched(early(found), P95).watchable
    assert judge(early(found), P95).method == "exact binomial test of the share beyond the limit"


def test_rounds_are_watched_in_the_order_they_were_sent():
    """The answers of later rounds wait until the first one is there, so that fast answers are not favoured."""
    found = shuffled(90, 0)
    stop = EarlyStop([P95], 200, first=0)
    for number in range(1, 90):
        stop.round_ended(number, one_round(found[number]))
    assert not stop.settled
    stop.round_ended(0, one_round(found[0]))
    assert stop.settled


def test_all_claims_must_be_settled():
    """A median is clear after a few calls; the p95 beside it is not."""
    stop = EarlyStop([Objective("ttft", "p50", "<=", 2.34), P95], 200, first=0)
    for number, one in enumerate(shuffled(60, 0)):
        stop.round_ended(number, one_round(one))
    assert not stop.settled


def test_a_test_that_claims_nothing_runs_all_rounds():
    """There is nothing that could be settled."""
    stop = EarlyStop([], 200, first=0)
    stop.round_ended(0, one_round(measurement(0)))
    assert not stop.settled


def test_slack_asks_the_pass_of_the_wider_limit():
    """Three calls just above the limit stand in the way of a pass, unless slack covers them."""
    found = shuffled(90, 3)
    found = [replace(one, values={**one.values, "ttft": min(one.values["ttft"], 2.4)}) for one in found]
    assert watched(early(found), replace(P95, slack=0.1)).settled == "passed"
    assert watched(early(found), P95).settled == ""


@pytest.mark.slow
def test_wrong_verdicts_at_the_limit_stay_within_5_percent():
    """1000 systems that sit exactly at their limit, each way; three Monte-Carlo errors (0.7 %) are allowed for."""
    rng = random.Random(20261122)
    objective = Objective("ttft", "p95", "<=", 1.0)
    template = measurement(0)
    outcomes = []
    for _ in range(1000):
        values = [rng.random() / 0.95 for _ in range(100)]
        found = [
            replace(template, round=i, dispatched=12.0 * i, values={**template.values, "ttft": v})
            for i, v in enumerate(values)
        ]
        outcomes.append(watched(early(found, 100), objective).outcome)
    assert outcomes.count(Outcome.PASSED) / 1000 <= 0.05 + 3 * 0.0069
    assert outcomes.count(Outcome.FAILED) / 1000 <= 0.05 + 3 * 0.0069
    assert outcomes.count(Outcome.PASSED) > 10
