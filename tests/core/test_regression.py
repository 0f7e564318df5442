"""A run held against a baseline: one session of it or several, and how often the answer is wrong."""

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from factories import failed_measurement, measurement, series
from pytest_llmperf.core.claims import Regression
from pytest_llmperf.core.environment import Source
from pytest_llmperf.core.errors import UsageError
from pytest_llmperf.core.regression import RegressionWatch, judge_regression
from pytest_llmperf.core.verdict import Outcome
from pytest_llmperf.core.watch import by_round

PASSED, FAILED, INCONCLUSIVE = Outcome.PASSED, Outcome.FAILED, Outcome.INCONCLUSIVE
P50 = Regression("ttft", "p50", baseline="main")
UNKNOWN = "between-session variation unknown"


def run(values, metric="ttft", **fields):
    """One call for each value; None where it is absent, infinite where the call failed."""
    return series([_call(number, metric, value) for number, value in enumerate(values)], **fields)


def _call(number, metric, value):
    if value is None:
        return measurement(number, absent={metric: "it was not seen"})
    if value == math.inf:
        return failed_measurement(number)
    return measurement(number, **{metric: value})


def even(n, centre=1.0, seed=5):
    """Values from 0.9 to 1.1 times the centre, in an order without likeness of neighbours."""
    order = np.random.default_rng(seed).permutation(n)
    return (centre * (0.9 + 0.2 * order / (n - 1))).tolist()


def noisy(n, scale=1.0, seed=1):
    return (scale * np.exp(0.448 * np.random.default_rng(seed).standard_normal(n))).tolist()


def sessions(*centres, n=60, metric="ttft"):
    return [run(even(n, centre), metric) for centre in centres]


class TestFewSessions:
    def test_the_latest_session_is_compared_with_and_the_verdict_says_so(self):
        """The same system passes; that the day may differ is told all the same."""
        verdict = judge_regression(run(even(100)), sessions(3.0, 1.0), P50)
        assert verdict.outcome is PASSED
        assert verdict.claim == "p50 ttft at most 15 % worse than baseline main"
        assert verdict.reason.startswith("this run is 0.1 % slower, 95 % CI 3.2 % faster to 3.3 % slower: 999 ms")
        assert verdict.reason.endswith(
            f"; {UNKNOWN} (2 sessions; five are needed): compared with the latest session alone"
        )
        assert (verdict.bound, verdict.direction, verdict.n) == (1.15, "<=", 160)

    def test_a_gain_is_told_as_one(self):
        """`23 % faster`, with its interval."""
        verdict = judge_regression(run(even(100, 0.77)), sessions(1.0), P50)
        assert verdict.outcome is PASSED
        assert verdict.reason.startswith("this run is 23 % faster, 95 % CI 2")

    def test_one_session_fails_a_run_only_beyond_what_sessions_may_differ_by(self):
        """8 % is beyond 5 %, but two sessions of one system may differ by 10 %; 20 % fails."""
        claim = replace(P50, allowed=0.05)
        near = judge_regression(run(even(300, 1.08)), sessions(1.0, n=300), claim)
        assert near.outcome is INCONCLUSIVE
        assert "shown beyond 5 %, but not beyond the 10 % by which two sessions of one system may differ" in near.reason
        assert near.remedy.startswith("accept sessions until 5 are known")
        far = judge_regression(run(even(300, 1.20)), sessions(1.0, n=300), claim)
        assert far.outcome is FAILED
        assert "shown beyond" not in far.reason

    def test_one_session_fails_a_run_beyond_a_wider_limit(self):
        """Where 15 % are allowed, 22 % fail; nothing is added to what is allowed."""
        assert judge_regression(run(even(300, 1.22)), sessions(1.0, n=300), P50).outcome is FAILED

    def test_fewer_tokens_a_second_are_a_regression(self):
        """What is better high may fall by so much that it takes 15 % more time."""
        claim = replace(P50, metric="output_tps")
        slow = judge_regression(run(even(100, 25.0), "output_tps"), sessions(40.0, metric="output_tps"), claim)
        assert slow.outcome is FAILED
        assert (slow.direction, slow.bound) == (">=", 1 / 1.15)
        fast = judge_regression(run(even(100, 60.0), "output_tps"), sessions(40.0, metric="output_tps"), claim)
        assert fast.outcome is PASSED

    def test_a_mean_is_compared_too(self):
        """The cost of a round."""
        claim = Regression("cost", "mean", baseline="main")
        base = sessions(0.05, metric="cost")
        assert judge_regression(run(even(60, 0.05), "cost"), base, claim).outcome is PASSED
        assert judge_regression(run(even(60, 0.07), "cost"), base, claim).outcome is FAILED

    def test_without_a_session_nothing_is_shown(self):
        """A new test has no baseline yet."""
        verdict = judge_regression(run(even(60)), [], P50)
        assert (verdict.outcome, verdict.estimate) == (INCONCLUSIVE, None)
        assert verdict.reason == "baseline main has no session of this test"

    def test_runs_of_different_sources_are_not_compared(self):
        """Simulated against recorded is refused."""
        with pytest.raises(UsageError, match="source of this run is simulated, of baseline main recorded"):
            judge_regression(run(even(60)), [run(even(60), source=Source.RECORDED)], P50)


class TestFiveSessions:
    STEADY = (1.0, 1.02, 0.98, 1.01, 0.99)

    def test_a_run_within_what_sessions_differ_by_passes(self):
        """One number per session, and a t prediction test for one more."""
        verdict = judge_regression(run(even(60)), sessions(*self.STEADY), P50)
        assert verdict.outcome is PASSED
        assert UNKNOWN not in verdict.reason
        assert "over 5 sessions of baseline main" in verdict.reason
        assert verdict.method == "t prediction over 5 earlier sessions"

    def test_a_run_beyond_it_fails_without_a_margin(self):
        """9 % is shown to be beyond 5 % when sessions are as steady as this."""
        claim = replace(P50, allowed=0.05)
        assert judge_regression(run(even(60, 1.09)), sessions(*self.STEADY), claim).outcome is FAILED
        assert judge_regression(run(even(60, 1.09)), sessions(*self.STEADY[:4]), claim).outcome is INCONCLUSIVE

    def test_sessions_that_differ_much_make_no_regression_of_a_bad_day(self):
        """The same 22 % among sessions that differ by 20 %."""
        verdict = judge_regression(run(even(60, 1.22)), sessions(1.0, 1.3, 0.8, 1.15, 0.85), P50)
        assert verdict.outcome is INCONCLUSIVE
        assert verdict.remedy

    def test_slack_widens_the_limit_of_a_pass_only(self):
        """16 % worse passes a limit of 15 % with slack, of times as of tokens a second."""
        slow = run(even(60, 1.16))
        assert judge_regression(slow, sessions(*self.STEADY), P50).outcome is INCONCLUSIVE
        verdict = judge_regression(slow, sessions(*self.STEADY), replace(P50, slack=0.2))
        assert verdict.outcome is PASSED
        assert verdict.claim == "p50 ttft at most 15 % + 20 % worse than baseline main"
        claim = replace(P50, metric="output_tps")
        base = sessions(*(40 * one for one in self.STEADY), metric="output_tps")
        few = run(even(60, 40 / 1.16), "output_tps")
        assert judge_regression(few, base, claim).outcome is INCONCLUSIVE
        assert judge_regression(few, base, replace(claim, slack=0.2)).outcome is PASSED

    def test_a_run_whose_calls_fail_is_infinitely_worse(self):
        """The median of a run of which most calls failed is infinite."""
        verdict = judge_regression(run([1.0] * 20 + [math.inf] * 40), sessions(*self.STEADY), P50)
        assert (verdict.outcome, verdict.estimate) == (FAILED, math.inf)
        claim = replace(P50, metric="output_tps")
        base = sessions(*(40 * one for one in self.STEADY), metric="output_tps")
        verdict = judge_regression(run([40.0] * 20 + [math.inf] * 40, "output_tps"), base, claim)
        assert (verdict.outcome, verdict.estimate) == (FAILED, 0.0)

    def test_absent_values_help_neither_verdict(self):
        """With most of them absent neither a pass nor a fail is shown."""
        for scale in (0.7, 1.5):
            verdict = judge_regression(run([*even(29, scale), *[None] * 31]), sessions(*self.STEADY), P50)
            assert verdict.outcome is INCONCLUSIVE
            assert "31 calls without a ttft: it was not seen" in verdict.reason

    def test_a_session_whose_median_is_infinite_is_none(self):
        """Four usable sessions are too few."""
        broken = run([math.inf] * 60)
        assert UNKNOWN in judge_regression(run(even(60)), [broken, *sessions(*self.STEADY[:4])], P50).reason

    def test_longer_sessions_count_with_as_many_calls_as_the_run(self):
        """The spread between sessions must hold the noise of as few calls as the new run has."""
        long = [run([*even(30, one), *[0.2] * 300]) for one in self.STEADY]
        assert judge_regression(run(even(30)), long, P50).outcome is PASSED


def early(values, budget):
    return run(values, stop="early", budget=budget)


def watched(candidate, base, budget):
    watch = RegressionWatch(P50, base, budget)
    for taken, one in enumerate(by_round(candidate), 1):
        watch.add_round(one)
        if watch.done:
            return watch, taken
    return watch, len(candidate.judged_rounds)


class TestLooks:
    def test_a_clear_regression_ends_sampling_early(self):
        """Twice as slow is seen after a quarter of the budget."""
        watch, taken = watched(early(noisy(200, 2.0, seed=3), 200), [run(noisy(300))], 200)
        assert (watch.outcome, taken) == (FAILED, 50)

    def test_against_five_sessions_the_whole_budget_is_used(self):
        """A part of a run says little of its session."""
        watch, taken = watched(early(noisy(80, 2.0), 80), sessions(*TestFiveSessions.STEADY), 80)
        assert (watch.outcome, taken) == (INCONCLUSIVE, 80)

    @given(scale=st.floats(0.6, 2.0), seed=st.integers(0, 10_000), budget=st.integers(1, 130), base=st.integers(1, 200))
    @settings(max_examples=40, deadline=None)
    def test_the_judge_comes_to_the_answer_of_the_watch(self, scale, seed, budget, base):
        """Whatever the size of the baseline, on which the thresholds depend."""
        values, stored = noisy(budget, scale, seed), [run(noisy(base, 1.0, seed + 1))]
        watch, taken = watched(early(values, budget), stored, budget)
        verdict = judge_regression(early(values[: taken + 5], budget), stored, P50)
        assert verdict.outcome is watch.outcome
        if watch.outcome is not INCONCLUSIVE:
            assert verdict.n == taken + base


@pytest.mark.slow
class TestErrorRates:
    """Seeded simulations through `judge_regression` itself."""

    @pytest.mark.parametrize(("statistic", "n"), [("p50", 100), ("p95", 200)])
    def test_the_same_system_twice_is_not_red(self, statistic, n):
        """An A/A comparison at 15 % fails in at most 1 % of runs."""
        runs, random = 300, np.random.default_rng(41)
        claim = replace(P50, statistic=statistic)
        both = np.exp(0.448 * random.standard_normal((runs, 2, n))).tolist()
        red = sum(judge_regression(early(new, n), [run(old)], claim).outcome is FAILED for new, old in both)
        assert red / runs <= 0.01

    def test_sessions_at_the_limit(self):
        """A run exactly 15 % slower than sessions that differ by 10 % passes and fails in at most 5 % each."""
        runs, random = 400, np.random.default_rng(42)
        shift = np.exp(0.1 * random.standard_normal((runs, 6, 1)))
        values = shift * np.exp(0.448 * random.standard_normal((runs, 6, 60)))
        values[:, 5] *= 1.15
        outcomes = [
            judge_regression(run(row[5]), [run(one) for one in row[:5]], P50).outcome for row in values.tolist()
        ]
        most = 0.05 + 3 * math.sqrt(0.05 * 0.95 / runs)
        assert outcomes.count(PASSED) / runs <= most
        assert outcomes.count(FAILED) / runs <= most
        assert outcomes.count(PASSED) + outcomes.count(FAILED) > 0.03 * runs

    def test_a_single_baseline_does_not_mistake_the_day_for_a_regression(self):
        """The same system in sessions that differ by 5 %, with no more allowed than that, fails in at most 5 %."""
        runs, random = 300, np.random.default_rng(43)
        shift = np.exp(0.05 * random.standard_normal((runs, 2, 1)))
        values = (shift * np.exp(0.448 * random.standard_normal((runs, 2, 300)))).tolist()
        claim = replace(P50, allowed=0.05)
        red = sum(judge_regression(run(row[1]), [run(row[0])], claim).outcome is FAILED for row in values)
        assert red / runs <= 0.05
