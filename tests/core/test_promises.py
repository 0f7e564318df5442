"""What a verdict promises, simulated through the path that users take: whole series, judged by `judge`.

Every simulation is seeded. A frequency that is promised to be at most a bound may exceed it by chance: it is held
against the count that a true frequency of exactly that bound stays within 99.9 times in 100. Where a run costs too much
to be repeated often enough, the rule is restated here in a few lines of numpy, shown to agree with `judge` verdict by
verdict on some hundred runs, and repeated by itself.

Together these take a minute or so. The tests of the formulas alone are in `tests/statistics/test_error_rates.py`.
"""

import heapq
import math
from collections import Counter
from dataclasses import replace
from functools import lru_cache

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import ndtr
from scipy.stats import binom

from factories import series
from pytest_llmperf.core.judge import judge
from pytest_llmperf.core.objective import Objective
from pytest_llmperf.core.series import Measurement, Round
from pytest_llmperf.core.verdict import Outcome
from pytest_llmperf.core.watch import FAIL_FLOOR
from pytest_llmperf.runner.stopping import EarlyStop
from pytest_llmperf.statistics.dependence import dependence
from pytest_llmperf.statistics.quantiles import binomial_p_values
from pytest_llmperf.statistics.sequential import FUTILITY, spending_plan

pytestmark = pytest.mark.slow

ALPHA = 0.05
PASSED, FAILED, INCONCLUSIVE = Outcome.PASSED, Outcome.FAILED, Outcome.INCONCLUSIVE
SIGMA_QA = math.log(2340 / 1120) / 1.6448536269514722


def lognormal(random, size):
    """An ordinary TTFT: p50 1.12 s, p95 2.34 s."""
    return 1.12 * np.exp(SIGMA_QA * random.standard_normal(size))


def slow_mode(random, size):
    """8 % of the calls three times as slow."""
    return lognormal(random, size) * np.where(random.random(size) < 0.08, 3.0, 1.0)


def heavy_tail(random, size):
    """10 % with a Pareto tail."""
    return lognormal(random, size) * np.where(random.random(size) < 0.1, (1 - random.random(size)) ** -0.5, 1.0)


SHAPES = [lognormal, slow_mode, heavy_tail]


@lru_cache
def true_quantile(shape, level):
    """From four million draws."""
    return float(np.quantile(shape(np.random.default_rng(99), 4_000_000), level))


def at_most(bound, seen, runs):
    """Whether a true frequency of at most *bound* is compatible with *seen* in *runs* (99.9 %, one-sided)."""
    return seen <= binom.ppf(0.999, runs, bound)


def at_least(bound, seen, runs):
    """The same from the other side."""
    return seen >= binom.ppf(0.001, runs, bound)


# --- series ----------------------------------------------------------------------------------------------------------


@lru_cache
def round_(number):
    return Round(number, warmup=False, started=12.0 * number, ended=12.0 * number + 11.5)


def one_call(number, failure="", **values):
    """A call of which only a few metrics are known."""
    at = 12.0 * number
    return Measurement(number, at, at + 11.0, True, {"attempts": 1.0} | values, {}, failure=failure)


def one_round(call):
    """A round of one call, as the runner hands it over."""
    return series((call,), rounds_=(round_(call.round),), stop="early")


def of(calls, stop, budget=None):
    """A series of one call in each round, of the *budget* it was run for."""
    calls = tuple(calls)
    made = tuple(round_(call.round) for call in calls)
    return series(calls, rounds_=made, stop=stop, budget=len(calls) if budget is None else budget)


def timed(ttfts):
    return [one_call(number, ttft=ttft) for number, ttft in enumerate(ttfts)]


def sampled(calls, objective):
    """What a run leaves that ends as soon as the claim needs no more rounds."""
    stop, ran = EarlyStop([objective], len(calls), first=0), []
    for call in calls:
        ran.append(call)
        stop.round_ended(call.round, one_round(call))
        if stop.settled:
            break
    return of(ran, "early", len(calls))


def outcomes(judged):
    """How often each outcome came."""
    return Counter(verdict.outcome for verdict in judged)


def quantile_claim(level, bound, metric="ttft"):
    return Objective(metric, f"p{100 * level:g}", "<=", bound)


def assert_wrong_at_most(found, runs, passes=ALPHA, fails=ALPHA):
    """Of a system at its limit both verdicts are wrong; and a judge that never decides is useless, not careful."""
    assert at_most(passes, found[PASSED], runs), f"{found[PASSED]} of {runs} passed"
    assert at_most(fails, found[FAILED], runs), f"{found[FAILED]} of {runs} failed"
    assert found[PASSED] + found[FAILED] > 0.01 * runs


# --- at the limit ----------------------------------------------------------------------------------------------------


class TestAtTheLimit:
    """A system exactly at its limit passes in at most 5 % of runs, and fails in at most 5 %."""

    @pytest.mark.parametrize("stop", ["fixed", "early"])
    @pytest.mark.parametrize(("level", "n", "runs"), [(0.5, 30, 800), (0.9, 60, 600), (0.95, 100, 500)])
    @pytest.mark.parametrize("shape", SHAPES)
    def test_quantiles(self, shape, level, n, runs, stop):
        """Whatever the shape of its latencies, judged once or after each round."""
        objective = quantile_claim(level, true_quantile(shape, level))
        rows = shape(np.random.default_rng(1), (runs, n)).tolist()
        assert_wrong_at_most(outcomes(judge(of(timed(row), stop), objective) for row in rows), runs)

    @pytest.mark.parametrize("shape", SHAPES)
    def test_a_p99(self, shape):
        """The same of a quantile that needs 299 calls."""
        objective, runs = quantile_claim(0.99, true_quantile(shape, 0.99)), 500
        rows = shape(np.random.default_rng(2), (runs, 400)).tolist()
        assert_wrong_at_most(outcomes(judge(of(timed(row), "fixed"), objective) for row in rows), runs)

    @pytest.mark.parametrize(
        ("level", "budget", "public", "runs"), [(0.95, 200, 200, 10_000), (0.95, 1000, 40, 3000), (0.99, 400, 60, 5000)]
    )
    def test_large_budgets(self, level, budget, public, runs):
        """By the rule restated, which gives the verdict of `judge` and after as many calls, run by run."""
        objective, rows = quantile_claim(level, level), np.random.default_rng(3).random((runs, budget))
        judged = [judge(of(timed(row), "early"), objective) for row in rows[:public].tolist()]
        restated = [by_plan(row, level, level) for row in rows]
        assert [(verdict.outcome, verdict.n) for verdict in judged] == restated[:public]
        assert_wrong_at_most(Counter(outcome for outcome, _ in restated), runs)

    def test_a_lower_limit(self):
        """The median rate of tokens is at least what it is, judged after each round."""
        objective, runs = Objective("output_tps", "p50", ">=", 40.0), 900
        rows = np.random.default_rng(4).normal(40.0, 4.0, (runs, 40)).tolist()
        series_of = (of([one_call(n, output_tps=rate) for n, rate in enumerate(row)], "early") for row in rows)
        assert_wrong_at_most(outcomes(judge(one, objective) for one in series_of), runs)

    @pytest.mark.parametrize("stop", ["fixed", "early"])
    def test_a_share_of_failures(self, stop):
        """Of 200 calls 5 % fail, and 5 % is the limit."""
        objective, runs = Objective("error_rate", "rate", "<=", 0.05), 400
        rows = (np.random.default_rng(5).random((runs, 200)) < 0.05).tolist()
        series_of = (of([one_call(n, "overloaded" * bad) for n, bad in enumerate(row)], stop) for row in rows)
        assert_wrong_at_most(outcomes(judge(one, objective) for one in series_of), runs)

    @pytest.mark.parametrize("stop", ["fixed", "early"])
    def test_absent_values_never_help(self, stop):
        """One value in twenty was not seen: wrong verdicts become rarer, on either side."""
        objective, runs, random = quantile_claim(0.9, 0.9), 500, np.random.default_rng(6)
        rows = np.where(random.random((runs, 100)) < 0.05, np.nan, random.random((runs, 100))).tolist()
        calls = (
            [one_call(n, **({} if math.isnan(ttft) else {"ttft": ttft})) for n, ttft in enumerate(row)] for row in rows
        )
        found = outcomes(judge(of(one, stop), objective) for one in calls)
        assert at_most(ALPHA, found[PASSED], runs)
        assert at_most(ALPHA, found[FAILED], runs)


@lru_cache
def tables(level, budget):
    """The stop table for a budget: the most bad values that pass and the fewest that fail, after each value."""
    floor = min(FAIL_FLOOR, budget)
    plan = spending_plan(round(1 - level, 12), ALPHA, budget, fail_floor=floor, futility=FUTILITY)
    fails = np.array(plan.fail_at)
    fails[: floor - 1] = budget + 1
    return np.array(plan.pass_at), fails


def by_plan(values, limit, level):
    """The rule restated: outcome and number of values judged, where all of the budget was sampled."""
    passes, fails = tables(level, values.size)
    tolerated, bad = round(1 - level, 12), np.cumsum(values > limit)
    stops = np.flatnonzero((bad <= passes) | (bad >= fails))
    if not stops.size:
        return INCONCLUSIVE, values.size
    n = int(stops[0]) + 1
    if not dependence(values[:n], tolerated).flagged:
        return (PASSED if bad[n - 1] <= passes[n - 1] else FAILED), n
    p_pass, p_fail = binomial_p_values(*dependence(values, tolerated).effective(int(bad[-1])), tolerated)
    return (PASSED if p_pass < ALPHA else FAILED if p_fail < ALPHA else INCONCLUSIVE), values.size


# --- what is known for certain ---------------------------------------------------------------------------------------


class TestForCertain:
    @given(
        ttfts=st.lists(st.floats(0.1, 2.34), min_size=58, max_size=58),
        budget=st.one_of(st.just(58), st.integers(58, 400)),
        stop=st.sampled_from(["fixed", "early"]),
    )
    def test_58_clean_calls_never_pass_a_p95(self, ttfts, budget, stop):
        """However fast they were, and whatever the budget: 0.95 to the power of 58 is more than 5 %."""
        assert judge(of(timed(ttfts), stop, budget), quantile_claim(0.95, 2.34)).outcome is INCONCLUSIVE

    @given(slow=st.integers(1, 19), random=st.randoms(use_true_random=False))
    def test_fewer_than_20_calls_never_fail(self, slow, random):
        """However slow they were: one hiccup does not decide a run that could have 200."""
        ttfts = [9.0 + random.random() for _ in range(slow)]
        assert judge(of(timed(ttfts), "early", 200), quantile_claim(0.95, 2.34)).outcome is INCONCLUSIVE

    @pytest.mark.parametrize("stop", ["fixed", "early"])
    def test_59_clean_calls_pass_a_p95(self, stop):
        """The fewest there are; in random order, since calls that resemble their neighbours are worth less."""
        ttfts = np.random.default_rng(7).permutation(np.linspace(0.5, 2.34, 59)).tolist()
        assert judge(of(timed(ttfts), stop), quantile_claim(0.95, 2.34)).outcome is PASSED

    @pytest.mark.parametrize("stop", ["fixed", "early"])
    @pytest.mark.parametrize("n", [100, 200])
    def test_a_share_of_8_percent_errors_does_not_pass_a_p95(self, n, stop):
        """Fast calls of which 8 % fail have an endless p95: by luck alone one run in 200 passes, or fewer."""
        failed, runs = np.random.default_rng(8).random((200, n)) < 0.08, 200
        calls = (
            [failure(i) if bad else one_call(i, ttft=i * 7919 % 101 / 100) for i, bad in enumerate(row)]
            for row in failed
        )
        found = outcomes(judge(of(one, stop), quantile_claim(0.95, 2.34)) for one in calls)
        assert at_most(0.005, found[PASSED], runs)

    @given(order=st.permutations(range(100)), failing=st.integers(8, 100))
    def test_8_failures_of_100_never_pass_a_p95(self, order, failing):
        """In whatever order they came, at a fixed size."""
        calls = [failure(n) if place < failing else one_call(n, ttft=place / 100) for n, place in enumerate(order)]
        assert judge(of(calls, "fixed"), quantile_claim(0.95, 2.34)).outcome is not PASSED


def failure(number):
    return one_call(number, "overloaded", ttft=math.inf)


# --- what it can tell, and what it costs -----------------------------------------------------------------------------

WORKLOADS = {"qa": (1.12, 2.34), "code": (0.892, 1.54), "creative": (1.04, 2.89)}
"""p50 and p95 of a TTFT in seconds."""


class TestPower:
    """A p95 with a budget of 200 calls, sampled as the runner samples: until the claim is settled or hopeless."""

    @staticmethod
    def judged(workload, factor, runs=250):
        """Verdicts on a system whose p95 is *factor* of the limit, and how many calls each took."""
        p50, p95 = WORKLOADS[workload]
        deviates = np.random.default_rng(9).standard_normal((runs, 200))
        rows = (p50 * np.exp(math.log(p95 / p50) / 1.6448536269514722 * deviates)).tolist()
        objective = quantile_claim(0.95, p95 / factor)
        found = [sampled(timed(row), objective) for row in rows]
        return outcomes(judge(one, objective) for one in found), np.mean([len(one.rounds) for one in found])

    @pytest.mark.parametrize("workload", WORKLOADS)
    def test_a_p95_well_below_its_limit_passes(self, workload):
        """At 0.7 of the limit 85 % pass or more, after 150 calls on average or fewer, and none fails."""
        found, spent = self.judged(workload, 0.7)
        assert at_least(0.85, found[PASSED], 250)
        assert found[FAILED] <= 1
        assert spent <= 150

    @pytest.mark.parametrize("workload", WORKLOADS)
    def test_a_p95_well_above_its_limit_fails(self, workload):
        """At 1.5 times the limit 98 % fail or more, after 70 calls on average or fewer, and none passes."""
        found, spent = self.judged(workload, 1.5)
        assert at_least(0.98, found[FAILED], 250)
        assert found[PASSED] == 0
        assert spent <= 70

    def test_sampling_ends_where_no_verdict_is_in_sight(self):
        """At the limit most runs are given up: 150 of 200 calls on average or fewer, with no more wrong verdicts."""
        found, spent = self.judged("qa", 1.0, 400)
        assert_wrong_at_most(found, 400)
        assert spent <= 150


# --- neighbours that are alike ---------------------------------------------------------------------------------------


class TestDependentCalls:
    """The latent normal values are an AR(1) process: each resembles the one before it by φ."""

    @staticmethod
    def rows(phi, runs, n, seed=10):
        random = np.random.default_rng(seed)
        steps = random.standard_normal((runs, n))
        steps[:, 1:] *= math.sqrt(1 - phi**2)
        for i in range(1, n):
            steps[:, i] += phi * steps[:, i - 1]
        return ndtr(steps)

    @pytest.mark.parametrize("stop", ["fixed", "early"])
    @pytest.mark.parametrize("phi", [0.3, 0.6, 0.9])
    def test_wrong_verdicts_stay_rare(self, phi, stop):
        """They cost decisions, not errors; only at φ = 0.9 and with early stopping do wrong fails reach 8.3 %."""
        fails = 0.085 if (phi, stop) == (0.9, "early") else ALPHA
        objective, runs = quantile_claim(0.95, 0.95), 400
        found = outcomes(judge(of(timed(row), stop), objective) for row in self.rows(phi, runs, 200).tolist())
        assert_wrong_at_most(found, runs, fails=fails)


# --- many calls in flight --------------------------------------------------------------------------------------------


def lasting(ttft, number):
    """A call that failed where it hung."""
    return failure(number) if math.isinf(ttft) else one_call(number, ttft=ttft)


def closed_loop(durations, in_flight, objective, *, by_completion=False):
    """What a run leaves whose workers each send their next call when their last one was answered.

    Calls that hang are given up after ten minutes. *by_completion* counts the calls as they are answered, and leaves
    out those that are under way when the claim is settled: what a naive early stop does.
    """
    stop, answered = EarlyStop([objective], len(durations), first=0), []
    free, under_way, sent = [1.5 * worker / in_flight for worker in range(in_flight)], [], 0
    while True:
        while free and sent < len(durations) and not stop.settled:
            heapq.heappush(under_way, (heapq.heappop(free) + min(durations[sent], 600.0), sent))
            sent += 1
        if not under_way or (by_completion and stop.settled):
            break
        now, number = heapq.heappop(under_way)
        heapq.heappush(free, now)
        answered.append(lasting(durations[number], len(answered) if by_completion else number))
        stop.round_ended(answered[-1].round, one_round(answered[-1]))
    return of(sorted(answered, key=lambda call: call.round), "early", len(durations))


def hanging(random, size):
    """One call in twenty hangs."""
    return np.where(random.random(size) < 0.05, math.inf, lognormal(random, size))


class TestConcurrency:
    """At the limit, with early stopping and many calls in flight, whose answers come in another order."""

    @pytest.mark.parametrize(("shape", "limit"), [(hanging, 500.0), (lognormal, 2.34)])
    @pytest.mark.parametrize("in_flight", [10, 50])
    def test_verdicts_use_the_order_of_dispatch(self, in_flight, shape, limit):
        """Wrong passes and wrong fails stay within 5 % each, hanging calls or none."""
        runs, objective = 300, quantile_claim(0.95, limit)
        rows = shape(np.random.default_rng(11), (runs, 200)).tolist()
        assert_wrong_at_most(outcomes(judge(closed_loop(row, in_flight, objective), objective) for row in rows), runs)

    @pytest.mark.parametrize(("shape", "limit", "passes"), [(hanging, 500.0, 0.6), (lognormal, 2.34, 0.15)])
    def test_the_order_of_completion_would_favour_the_fast(self, shape, limit, passes):
        """The simulation can show the bias: by completion, most systems with hanging calls pass wrongly."""
        runs, objective = 100, quantile_claim(0.95, limit)
        rows = shape(np.random.default_rng(12), (runs, 200)).tolist()
        naive = (closed_loop(row, 50, objective, by_completion=True) for row in rows)
        assert outcomes(judge(one, objective) for one in naive)[PASSED] >= passes * runs


# --- means -----------------------------------------------------------------------------------------------------------


class TestMeans:
    """Approximate where the others are exact: wrong passes of skewed costs reach 5 to 8 %, wrong fails 5 %."""

    @pytest.mark.parametrize("stop", ["fixed", "early"])
    @pytest.mark.parametrize(("sigma", "n"), [(0.45, 30), (0.62, 50), (1.0, 100)])
    def test_a_mean_cost_at_its_limit(self, sigma, n, stop):
        """Log-normal costs, their true mean the limit."""
        objective, runs = Objective("cost", "mean", "<=", 0.05), 1000
        deviates = np.random.default_rng(13).standard_normal((runs, n))
        rows = (0.05 * np.exp(sigma * deviates - sigma**2 / 2)).tolist()
        series_of = (of([one_call(i, cost=cost) for i, cost in enumerate(row)], stop) for row in rows)
        assert_wrong_at_most(outcomes(judge(one, objective) for one in series_of), runs, passes=0.08)


class TestManyClaims:
    """A run of forty claims, each of a system exactly at its limit, is red in at most 5 % of runs."""

    @pytest.mark.parametrize("stop", ["fixed", "early"])
    def test_a_suite_of_forty(self, stop):
        """With the share of the probability that each claim has; alone they would be red in four runs of five."""
        runs, n = 60, 100
        objective = quantile_claim(0.95, true_quantile(lognormal, 0.95))
        rows = lognormal(np.random.default_rng(41), (runs, 40, n))
        found = [[of(timed(row), stop) for row in suite] for suite in rows.tolist()]
        shared = [any(judge(one, replace(objective, family=40)).outcome is FAILED for one in suite) for suite in found]
        assert at_most(ALPHA, sum(shared), runs)
        alone = [any(judge(one, objective).outcome is FAILED for one in suite) for suite in found[:15]]
        assert sum(alone) > 7

    def test_four_tries(self):
        """A test that is run again up to three times when it fails, at its limit: wrongly passed in at most 5 %."""
        runs, objective = 400, quantile_claim(0.95, true_quantile(lognormal, 0.95))
        random, passed = np.random.default_rng(43), 0
        for _ in range(runs):
            for attempt in range(1, 5):
                row = lognormal(random, 100).tolist()
                outcome = judge(of(timed(row), "fixed"), replace(objective, attempt=attempt)).outcome
                if outcome is not FAILED:
                    passed += outcome is PASSED
                    break
        assert at_most(ALPHA, passed, runs)
