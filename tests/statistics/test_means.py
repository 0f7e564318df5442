"""Means and ratios of totals: Hall's t in both directions, its inversion, and samples without spread."""

import math

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from scipy import stats

from pytest_llmperf.statistics import means
from pytest_llmperf.statistics.estimate import Estimate

INF = math.inf
SKEWED = [0.8, 0.9, 1.0, 1.1, 1.2, 1.3, 1.5, 1.9, 2.6, 4.2]

costs = st.lists(st.floats(0.01, 100.0), min_size=2, max_size=60)


def spread_out(values):
    return max(values) - min(values) > 1e-3


class TestMeanPValues:
    @pytest.mark.parametrize("limit", [3.0, 4.0, 5.0, 6.5])
    def test_a_symmetric_sample_gives_the_plain_t(self, limit):
        """Without skewness the test is Student's."""
        values = list(range(1, 10))
        expected = stats.ttest_1samp(values, limit, alternative="less").pvalue
        assert means.mean_p_values(values, limit).p_pass == pytest.approx(expected, rel=1e-12)

    def test_skewness_moves_the_test(self):
        """Right-skewed values count as stronger evidence of a high mean than plain t sees (0.103)."""
        assert means.mean_p_values(SKEWED, 1.2) == pytest.approx((0.94067064, 0.05932936), abs=1e-8)

    @given(costs, st.floats(0.01, 100.0))
    def test_the_two_sides_are_complementary(self, values, limit):
        """p_pass + p_fail = 1 where there is spread."""
        assume(spread_out(values))
        assert sum(means.mean_p_values(values, limit)) == pytest.approx(1.0)

    @given(costs, st.floats(0.01, 100.0), st.floats(0.0, 10.0))
    def test_a_more_generous_limit_is_easier_to_pass(self, values, limit, more):
        """p_pass falls as the limit rises."""
        assume(spread_out(values))
        assert means.mean_p_values(values, limit + more).p_pass <= means.mean_p_values(values, limit).p_pass + 1e-12

    @given(costs, st.floats(0.01, 100.0), st.randoms())
    def test_order_does_not_matter(self, values, limit, random):
        """Any order of the calls gives the same p-values, to the last bit."""
        shuffled = random.sample(values, len(values))
        assert means.mean_p_values(shuffled, limit) == means.mean_p_values(values, limit)

    @given(costs, st.floats(0.01, 100.0), st.sampled_from([2.0**-20, 1024.0]))
    def test_the_unit_does_not_matter(self, values, limit, factor):
        """Dollars or micro-dollars, the same p-values."""
        scaled = [v * factor for v in values]
        assert means.mean_p_values(scaled, limit * factor) == means.mean_p_values(values, limit)

    @given(costs, st.floats(0.01, 100.0))
    def test_a_minimum_is_the_mirror_image_of_a_maximum(self, values, limit):
        """Saying "at least L" of x is saying "at most -L" of -x."""
        mirrored = means.mean_p_values([-v for v in values], -limit)
        assert means.mean_p_values(values, limit, at_least=True) == pytest.approx(mirrored, abs=1e-12)

    @pytest.mark.parametrize("values", [[], [1.0]])
    def test_fewer_than_two_values_show_nothing(self, values):
        """No spread can be known from one value."""
        assert means.mean_p_values(values, 5.0) == (1.0, 1.0)

    def test_equal_values_are_on_one_side_for_certain(self):
        """Thirty identical costs below the limit pass, above it fail."""
        assert means.mean_p_values([0.1] * 30, 0.2) == (0.0, 1.0)
        assert means.mean_p_values([0.3] * 30, 0.2) == (1.0, 0.0)

    def test_equal_values_at_the_limit_are_within_it(self):
        """The limit itself satisfies "at most" and "at least", even when it was summed up in binary."""
        exact = 0.1 + 0.2
        assert means.mean_p_values([exact] * 30, 0.3) == (0.0, 1.0)
        assert means.mean_p_values([exact] * 30, 0.3, at_least=True) == (0.0, 1.0)

    def test_rounding_noise_is_not_spread(self):
        """Values that differ in the last bit count as equal."""
        assert means.mean_p_values([0.3, 0.1 + 0.2] * 15, 0.3) == (0.0, 1.0)

    def test_an_infinite_value_makes_the_mean_infinite(self):
        """One failed call among a hundred puts the mean above every limit."""
        assert means.mean_p_values([1.0] * 99 + [INF], 1e9) == (1.0, 0.0)
        assert means.mean_p_values([1.0] * 99 + [INF], 1.0, at_least=True) == (0.0, 1.0)

    def test_refuses_what_has_no_mean(self):
        """Both infinities, or NaN, are an error."""
        with pytest.raises(ValueError, match="both infinities"):
            means.mean_p_values([INF, -INF], 0.0)
        with pytest.raises(ValueError, match="NaN"):
            means.mean_p_values([1.0, math.nan], 0.0)
        with pytest.raises(ValueError, match="NaN"):
            means.mean_p_values([1.0, 2.0], math.nan)


class TestMeanEstimate:
    def test_a_symmetric_sample_gives_the_t_interval(self):
        """Without skewness the interval is Student's."""
        estimate = means.mean_estimate(range(1, 10), 0.95)
        expected = stats.ttest_1samp(range(1, 10), 0).confidence_interval(0.95)
        assert (estimate.value, estimate.n) == (5.0, 9)
        assert (estimate.low, estimate.high) == pytest.approx((expected.low, expected.high), rel=1e-12)

    @given(costs, st.sampled_from([0.8, 0.95, 0.99]))
    def test_the_interval_is_the_inverted_test(self, values, confidence):
        """At each bound the one-sided p-value is half of what the confidence leaves, and the mean lies between."""
        assume(spread_out(values))
        estimate = means.mean_estimate(values, confidence)
        assert estimate.low <= estimate.value <= estimate.high
        tail = (1 - confidence) / 2
        assert means.mean_p_values(values, estimate.low).p_fail == pytest.approx(tail, rel=1e-6)
        assert means.mean_p_values(values, estimate.high).p_pass == pytest.approx(tail, rel=1e-6)

    def test_special_series(self):
        """No spread is a point, one value has no bounds, one infinity takes everything with it."""
        assert means.mean_estimate([0.1] * 7, 0.95) == Estimate(0.1, 0.1, 0.1, 0.95, "all values equal", 7)
        assert means.mean_estimate([0.1], 0.95) == Estimate(0.1, -INF, INF, 0.95, "a single value", 1)
        assert means.mean_estimate([0.1, INF], 0.95).low == INF
        with pytest.raises(ValueError, match="at least 1 value"):
            means.mean_estimate([], 0.95)


class TestSkewness:
    def test_equals_the_moment_ratio(self):
        """m₃ / s³ with the sample standard deviation."""
        values = np.array(SKEWED)
        expected = np.mean((values - values.mean()) ** 3) / values.std(ddof=1) ** 3
        assert means.skewness(SKEWED) == pytest.approx(expected, rel=1e-12)
        assert means.skewness([2.0] * 5) == 0.0

    @pytest.mark.parametrize(("g", "n"), [(0.0, 30), (2.0, 30), (2.1, 50), (-2.1, 50)])
    def test_sets_how_many_values_are_needed(self, g, n):
        """Thirty values do, fifty when strongly skewed."""
        assert means.least_n_for_mean(g) == n


class TestTotalRatio:
    TOKENS = (300.0, 410.0, 280.0, 520.0, 330.0, 0.0, 450.0, 390.0)
    SECONDS = (9.0, 13.0, 10.0, 14.0, 11.0, 2.0, 16.0, 12.0)

    def test_p_values_are_those_of_the_differences(self):
        """Tokens against 30 per second is a mean of tokens - 30·seconds against 0."""
        differences = [t - 30.0 * s for t, s in zip(self.TOKENS, self.SECONDS, strict=True)]
        expected = means.mean_p_values(differences, 0.0, at_least=True)
        observed = means.total_ratio_p_values(self.TOKENS, self.SECONDS, 30.0, at_least=True)
        assert observed == pytest.approx(expected, rel=1e-12)

    def test_the_interval_is_the_inverted_test(self):
        """At each bound one side of the test has half of what the confidence leaves."""
        estimate = means.total_ratio_estimate(self.TOKENS, self.SECONDS, 0.9)
        assert estimate.value == pytest.approx(sum(self.TOKENS) / sum(self.SECONDS))
        assert estimate.low < estimate.value < estimate.high
        low = means.total_ratio_p_values(self.TOKENS, self.SECONDS, estimate.low)
        high = means.total_ratio_p_values(self.TOKENS, self.SECONDS, estimate.high)
        assert (low.p_fail, high.p_pass) == pytest.approx((0.05, 0.05), rel=1e-6)

    def test_a_constant_denominator_gives_the_mean(self):
        """With every denominator one, the ratio is the mean and so is its interval."""
        ratio = means.total_ratio_estimate(SKEWED, [1.0] * len(SKEWED), 0.95)
        mean = means.mean_estimate(SKEWED, 0.95)
        assert (ratio.value, ratio.low, ratio.high) == pytest.approx((mean.value, mean.low, mean.high), rel=1e-9)

    def test_exactly_proportional_totals(self):
        """Every call at exactly 10 per second: the ratio is known once the denominators are not mostly noise."""
        seconds = [1.0, 2.0, 3.0] * 10
        steady = means.total_ratio_estimate([10.0 * s for s in seconds], seconds, 0.95)
        assert (steady.low, steady.high) == pytest.approx((10.0, 10.0), rel=1e-9)
        assert means.total_ratio_p_values([10.0 * s for s in seconds], seconds, 10.0) == (0.0, 1.0)
        for few in ([1.0, 0.0, 0.0], [1.0, 2.0, 3.0]):
            wild = means.total_ratio_estimate([10.0 * s for s in few], few, 0.95)
            assert (wild.value, wild.low, wild.high) == (10.0, -INF, INF)

    def test_no_output_at_all(self):
        """Zero tokens over every second is a rate of zero, below any positive minimum for certain."""
        estimate = means.total_ratio_estimate([0.0] * 20, [2.0] * 20, 0.95)
        assert (estimate.value, estimate.low, estimate.high) == pytest.approx((0.0, 0.0, 0.0), abs=1e-9)
        assert means.total_ratio_p_values([0.0] * 20, [2.0] * 20, 30.0, at_least=True) == (1.0, 0.0)

    @pytest.mark.parametrize(
        ("a", "b", "message"),
        [
            ([1.0], [1.0, 2.0], "as many"),
            ([1.0, 1.0], [0.0, 0.0], "all zero"),
            ([1.0, 1.0], [1.0, -1.0], "negative"),
            ([1.0, INF], [1.0, 1.0], "infinity"),
        ],
    )
    def test_refuses_totals_without_a_ratio(self, a, b, message):
        """Lists of unlike length, denominators without a total, and infinities are errors."""
        with pytest.raises(ValueError, match=message):
            means.total_ratio_p_values(a, b, 1.0)

    def test_too_few_values(self):
        """One call has a ratio without bounds and shows nothing; none has no ratio."""
        assert means.total_ratio_p_values([3.0], [2.0], 1.0) == (1.0, 1.0)
        assert means.total_ratio_estimate([3.0], [2.0], 0.95) == Estimate(1.5, -INF, INF, 0.95, "a single value", 1)
        with pytest.raises(ValueError, match="no totals"):
            means.total_ratio_estimate([], [], 0.95)


class TestMeanRatio:
    BASE = (1.0, 1.2, 0.9, 1.1, 1.5, 0.8, 1.3, 1.0)
    OTHER = (1.4, 1.6, 1.1, 1.9, 1.5, 1.2)

    def test_symmetric_samples_give_welch(self):
        """Without skewness the test is Welch's."""
        base, other = [1.0, 2.0, 3.0, 4.0, 5.0], [2.0, 4.0, 6.0]
        expected = stats.ttest_ind(other, base, equal_var=False, alternative="greater").pvalue
        assert means.mean_ratio_p_values(base, other, 1.0).p_fail == pytest.approx(expected, rel=1e-12)

    @given(costs, costs, st.floats(0.2, 5.0), st.floats(1.0, 3.0))
    def test_a_more_generous_ratio_is_easier_to_pass(self, base, other, ratio, more):
        """Where there is spread, what passes a ratio passes a larger one."""
        assume(spread_out(base) and spread_out(other))
        strict = means.mean_ratio_p_values(base, other, ratio)
        assert sum(strict) >= 1 - 1e-9
        if strict.p_pass < 0.05:
            assert means.mean_ratio_p_values(base, other, ratio * more).p_pass < 0.06

    def test_the_interval_is_the_inverted_test(self):
        """At each bound one side of the test has half of what the confidence leaves."""
        estimate = means.mean_ratio_estimate(self.BASE, self.OTHER, 0.9)
        assert estimate.low < estimate.value < estimate.high
        assert means.mean_ratio_p_values(self.BASE, self.OTHER, estimate.low).p_fail == pytest.approx(0.05, rel=1e-6)
        assert means.mean_ratio_p_values(self.BASE, self.OTHER, estimate.high).p_pass == pytest.approx(0.05, rel=1e-6)

    def test_samples_without_spread(self):
        """Constant samples are within the ratio or beyond it; exactly at it is within."""
        assert means.mean_ratio_p_values([2.0] * 5, [2.3] * 5, 1.15) == (0.0, 1.0)
        assert means.mean_ratio_p_values([2.0] * 5, [2.2] * 5, 1.15) == (0.0, 1.0)
        assert means.mean_ratio_p_values([2.0] * 5, [2.4] * 5, 1.15) == (1.0, 0.0)
        estimate = means.mean_ratio_estimate([2.0] * 5, [2.4] * 5, 0.95)
        assert (estimate.low, estimate.high) == pytest.approx((1.2, 1.2))

    def test_two_wild_values_bound_nothing(self):
        """The interval of a ratio that so little data cannot bound runs from 0 to infinity."""
        estimate = means.mean_ratio_estimate([1.0, 2.0], [0.0, 5.0], 0.95)
        assert (estimate.value, estimate.low, estimate.high) == (pytest.approx(5 / 3), 0.0, INF)

    def test_infinite_means(self):
        """A failed candidate call fails the ratio, a failed baseline call passes it, both decide nothing."""
        assert means.mean_ratio_p_values([1.0, 2.0], [1.0, INF], 1.15) == (1.0, 0.0)
        assert means.mean_ratio_p_values([1.0, INF], [1.0, 2.0], 1.15) == (0.0, 1.0)
        assert means.mean_ratio_p_values([1.0, INF], [1.0, INF], 1.15) == (1.0, 1.0)
        assert means.mean_ratio_estimate([1.0, 2.0], [1.0, INF], 0.95).low == INF

    def test_refusals(self):
        """Negative values, an impossible ratio, single values and a zero baseline have no ratio."""
        with pytest.raises(ValueError, match="not negative"):
            means.mean_ratio_p_values([-1.0, 1.0], [1.0, 1.0], 1.0)
        with pytest.raises(ValueError, match="positive and finite"):
            means.mean_ratio_p_values([1.0, 1.0], [1.0, 1.0], 0.0)
        with pytest.raises(ValueError, match="two values"):
            means.mean_ratio_estimate([1.0], [1.0, 2.0], 0.95)
        with pytest.raises(ValueError, match="0 or infinite"):
            means.mean_ratio_estimate([0.0, 0.0], [1.0, 2.0], 0.95)
        assert means.mean_ratio_p_values([1.0], [1.0, 2.0], 1.0) == (1.0, 1.0)


class TestMeanShift:
    BASE = TestMeanRatio.BASE
    OTHER = TestMeanRatio.OTHER

    def test_without_a_distance_it_is_the_ratio_of_one(self):
        """Both ask whether the candidate's mean is at most the baseline's."""
        assert means.mean_shift_p_values(self.BASE, self.OTHER, 0.0) == pytest.approx(
            means.mean_ratio_p_values(self.BASE, self.OTHER, 1.0)
        )

    def test_moving_the_candidate_moves_the_distance(self):
        """The answer depends on what is left of the distance alone."""
        moved = [value + 3.0 for value in self.OTHER]
        assert means.mean_shift_p_values(self.BASE, moved, 3.5) == pytest.approx(
            means.mean_shift_p_values(self.BASE, self.OTHER, 0.5)
        )

    def test_the_interval_is_the_inverted_test(self):
        """At each bound one side of the test has half of what the confidence leaves."""
        estimate = means.mean_shift_estimate(self.BASE, self.OTHER, 0.9)
        assert estimate.low < estimate.value < estimate.high
        assert means.mean_shift_p_values(self.BASE, self.OTHER, estimate.low).p_fail == pytest.approx(0.05, rel=1e-6)
        assert means.mean_shift_p_values(self.BASE, self.OTHER, estimate.high).p_pass == pytest.approx(0.05, rel=1e-6)

    def test_samples_without_spread(self):
        """Constant samples are within the distance or beyond it; exactly at it is within."""
        assert means.mean_shift_p_values([2.0] * 5, [2.3] * 5, 0.3) == (0.0, 1.0)
        assert means.mean_shift_p_values([2.0] * 5, [2.4] * 5, 0.3) == (1.0, 0.0)
        estimate = means.mean_shift_estimate([2.0] * 5, [2.4] * 5, 0.95)
        assert (estimate.low, estimate.high) == pytest.approx((0.4, 0.4))

    def test_infinite_means(self):
        """A failed candidate call fails the distance, a failed baseline call passes it, both decide nothing."""
        assert means.mean_shift_p_values([1.0, 2.0], [1.0, INF], 9.0) == (1.0, 0.0)
        assert means.mean_shift_p_values([1.0, INF], [1.0, 2.0], 0.0) == (0.0, 1.0)
        assert means.mean_shift_p_values([1.0, INF], [1.0, INF], 0.0) == (1.0, 1.0)
        assert means.mean_shift_estimate([1.0, 2.0], [1.0, INF], 0.95).low == INF

    def test_refusals(self):
        """An infinite distance, single values and an infinite baseline."""
        with pytest.raises(ValueError, match="finite"):
            means.mean_shift_p_values([1.0, 1.0], [1.0, 1.0], INF)
        with pytest.raises(ValueError, match="at least 2"):
            means.mean_shift_estimate([1.0], [1.0, 2.0], 0.95)
        with pytest.raises(ValueError, match="infinity"):
            means.mean_shift_estimate([1.0, INF], [1.0, 2.0], 0.95)
        assert means.mean_shift_p_values([1.0], [1.0, 2.0], 1.0) == (1.0, 1.0)
