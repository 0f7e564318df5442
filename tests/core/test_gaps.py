"""Gaps between content deltas: judged over calls, because the gaps of one call are alike."""

import math

import numpy as np
import pytest

from factories import calls, failed_measurement, measurement, series
from pytest_llmperf.core.gaps import judged_gaps
from pytest_llmperf.core.judge import judge
from pytest_llmperf.core.objective import Objective
from pytest_llmperf.core.observations import CallGaps
from pytest_llmperf.core.verdict import Outcome

INF = math.inf
PASSED, FAILED, INCONCLUSIVE = Outcome.PASSED, Outcome.FAILED, Outcome.INCONCLUSIVE


def claim(statistic="p95", bound=0.2, direction="<="):
    return Objective("event_gap", statistic, direction, bound)


def with_gaps(*gaps):
    return series([measurement(number, gaps=of_call) for number, of_call in enumerate(gaps)])


EVEN = (0.1,) * 97 + (0.3,) * 3
"""A call of which 3 % of gaps are long."""


class TestQuantiles:
    def test_long_gaps_spread_evenly_are_shown_to_be_few(self):
        """3 % in every call, against the 5 % a p95 tolerates."""
        verdict = judge(with_gaps(*[EVEN] * 59), claim())
        assert verdict.outcome is PASSED
        assert verdict.reason == "177 of 5900 gaps in 59 calls above 200 ms; 5 % are tolerated"
        assert (verdict.n, verdict.method) == (59, "Hall's t over calls, on the share of gaps beyond the limit")

    def test_they_are_shown_to_be_many(self):
        """7 % in every call."""
        assert judge(with_gaps(*[(0.1,) * 93 + (0.3,) * 7] * 30), claim()).outcome is FAILED

    def test_the_same_share_in_few_calls_shows_little(self):
        """3 % of all gaps, but all of them in three calls of a hundred: three calls are no 300 observations."""
        clustered = [(0.1,) * 100] * 97 + [(0.3,) * 100] * 3
        verdict = judge(with_gaps(*clustered), claim())
        assert verdict.reason.startswith("300 of 10000 gaps in 100 calls")
        assert verdict.outcome is INCONCLUSIVE

    def test_few_calls_without_a_long_gap_do_not_pass(self):
        """One call in twenty could be all long gaps, and 58 calls hold none of those once in twenty times."""
        verdict = judge(with_gaps(*[(0.1,) * 100] * 58), claim())
        assert verdict.outcome is INCONCLUSIVE
        assert verdict.reason.endswith("a pass needs at least 59 calls")
        assert judge(with_gaps(*[(0.1,) * 100] * 59), claim()).outcome is PASSED

    def test_the_limit_itself_is_within(self):
        """As everywhere."""
        assert judge(with_gaps(*[(0.2,) * 9] * 59), claim()).outcome is PASSED

    def test_slack_widens_the_limit_of_a_pass(self):
        """Every gap is 5 % above the limit."""
        found = with_gaps(*[(0.21,) * 9] * 59)
        assert judge(found, claim()).outcome is FAILED
        assert judge(found, Objective("event_gap", "p95", "<=", 0.2, slack=0.1)).outcome is PASSED

    def test_a_lower_limit_counts_the_short_ones(self):
        """A p5 of at least 50 ms."""
        assert judge(with_gaps(*[EVEN] * 59), claim("p5", 0.05, ">=")).outcome is PASSED
        assert judge(with_gaps(*[EVEN] * 59), claim("p5", 0.15, ">=")).outcome is FAILED

    def test_thirty_calls_are_the_fewest(self):
        """However many gaps they have."""
        assert judge(with_gaps(*[(0.3,) * 100] * 29), claim()).remedy == "raise rounds to 30"
        assert judge(with_gaps((0.1, 0.1)), claim()).reason == "1 judged call has gaps between events; 2 are the fewest"

    def test_failed_calls_are_all_long_gaps(self):
        """Eight failed calls of a hundred are 8 % of gaps, not eight gaps of thousands."""
        found = [
            *(measurement(n, gaps=(0.1,) * 100) for n in range(92)),
            *(failed_measurement(n) for n in range(92, 100)),
        ]
        verdict = judge(series(found), claim())
        assert verdict.outcome is not PASSED
        assert verdict.reason == (
            "800 of 10000 gaps in 100 calls above 200 ms; 5 % are tolerated; 8 calls failed and count as slow"
        )

    def test_calls_whose_gaps_are_unknown_leave_it_open(self):
        """They could be anything."""
        verdict = judge(series([*calls(99), measurement(99, streamed=False)]), claim())
        assert (verdict.outcome, verdict.missing) == (INCONCLUSIVE, 1)
        assert verdict.reason.endswith("1 without an event_gap: the call did not stream")

    def test_the_interval_is_wider_than_that_of_independent_gaps(self):
        """Calls differ from each other more than gaps within a call do (Woodruff 1952)."""
        random = np.random.default_rng(5)
        levels = random.lognormal(-2.3, 0.5, 60)
        alike = [tuple(level * random.uniform(0.95, 1.05, 50)) for level in levels]
        mixed = [tuple(of_call) for of_call in random.permutation(np.concatenate(alike)).reshape(60, 50)]
        clustered, independent = (judge(with_gaps(*found), claim("p50", 0.1)) for found in (alike, mixed))
        assert clustered.estimate == independent.estimate
        assert clustered.low < independent.low < clustered.estimate < independent.high < clustered.high
        assert clustered.high - clustered.low > 3 * (independent.high - independent.low)


class TestMeansAndExtremes:
    def test_the_mean_is_over_all_gaps(self):
        """Calls with many gaps weigh more: 90 of 0.1 s and 10 of 0.3 s."""
        found = with_gaps(*[(0.1,) * 9, (0.3,)] * 20)
        verdict = judge(found, claim("mean", 0.15))
        assert (verdict.outcome, verdict.estimate, verdict.n) == (PASSED, pytest.approx(0.12), 40)
        assert judge(found, claim("mean", 0.10)).outcome is FAILED

    def test_calls_that_differ_make_a_mean_uncertain(self):
        """A thousand gaps, but only forty calls."""
        found = with_gaps(*[(0.1,) * 25, (0.3,) * 25] * 20)
        assert judge(found, claim("mean", 0.22)).outcome is INCONCLUSIVE
        assert judge(found, claim("mean", 0.25)).outcome is PASSED

    def test_a_failed_call_makes_it_infinite(self):
        """As with every latency."""
        verdict = judge(series([*calls(30), failed_measurement(30)]), claim("mean", 10.0))
        assert (verdict.outcome, verdict.reason) == (FAILED, "the mean is infinite: 1 of 31 calls failed")

    def test_the_longest_of_all_settles_a_maximum(self):
        """One stall in one call."""
        verdict = judge(with_gaps((0.1, 0.1), (0.1, 2.5)), claim("max", 2.0))
        assert (verdict.outcome, verdict.reason) == (FAILED, "the largest of 4 gaps is 2500 ms")


@pytest.mark.slow
@pytest.mark.parametrize("likeness", [0.3, 1.0])
@pytest.mark.parametrize("level", [0.5, 0.95])
def test_wrong_verdicts_at_the_limit_are_rare(level, likeness):
    """With 100 calls, the true share of long gaps being the tolerated one, however alike the gaps of a call are.

    Hall's t is approximate: it is known for 5 to 8 % on skewed data.
    """
    random = np.random.default_rng(3)
    share, runs = 1 - level, 300
    outcomes = []
    for _ in range(runs):
        if likeness < 1:
            of_calls = random.beta(share * (1 / likeness - 1), (1 - share) * (1 / likeness - 1), 100)
        else:
            of_calls = (random.random(100) < share).astype(float)
        long = random.binomial(10, of_calls).tolist()
        gaps = CallGaps(tuple((0.3,) * bad + (0.1,) * (10 - bad) for bad in long))
        outcomes.append(judged_gaps(gaps, level, claim(f"p{level * 100:g}")).outcome)
    assert outcomes.count(PASSED) / runs <= 0.08 + 2 * math.sqrt(0.08 * 0.92 / runs)
    assert outcomes.count(FAILED) / runs <= 0.08 + 2 * math.sqrt(0.08 * 0.92 / runs)
    assert outcomes.count(INCONCLUSIVE) < runs
