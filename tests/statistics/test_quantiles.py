"""Quantiles and rates at a fixed n: exact tails, the integers read off them, order-statistic and binomial intervals."""

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from scipy import stats

from pytest_llmperf.statistics import quantiles
from pytest_llmperf.statistics.estimate import Estimate

INF = math.inf

sizes = st.integers(1, 300)
shares = st.floats(0.001, 0.999)
levels = st.sampled_from([0.5, 0.9, 0.95, 0.99])
latencies = st.lists(st.one_of(st.floats(0.001, 1e4), st.just(INF)), min_size=1, max_size=120)


def exact_tails(bad, n, theta):
    """The two tails in rational arithmetic, of the binary number ``theta`` is."""
    p = Fraction(theta)
    mass = [math.comb(n, k) * p**k * (1 - p) ** (n - k) for k in range(n + 1)]
    return float(sum(mass[: bad + 1])), float(sum(mass[bad:]))


class TestBadShare:
    def test_is_the_decimal_complement(self):
        """A p95 tolerates 0.05, not the 0.050000000000000044 of binary subtraction."""
        assert quantiles.bad_share(0.95) == 0.05
        assert quantiles.bad_share(0.999) == 0.001

    @pytest.mark.parametrize("level", [0.0, 1.0, 95, math.nan])
    def test_refuses_what_is_no_level(self, level):
        """A level outside (0, 1), a percentage or NaN is refused."""
        with pytest.raises(ValueError, match="strictly between 0 and 1"):
            quantiles.bad_share(level)


class TestBinomialPValues:
    @pytest.mark.parametrize(
        ("bad", "n", "theta"),
        [(0, 59, 0.05), (1, 100, 0.05), (7, 20, 0.3), (20, 20, 0.5), (0, 1, 0.5), (3, 40, 1e-6), (38, 40, 0.999)],
    )
    def test_equals_rational_arithmetic(self, bad, n, theta):
        """Both tails agree with exact fractions to twelve digits."""
        assert quantiles.binomial_p_values(bad, n, theta) == pytest.approx(exact_tails(bad, n, theta), rel=1e-12)

    def test_no_data_shows_nothing(self):
        """With n = 0 neither side has evidence."""
        assert quantiles.binomial_p_values(0, 0, 0.05) == (1.0, 1.0)

    def test_a_tolerance_of_zero_fails_on_the_first_bad_and_never_passes(self):
        """One bad value refutes "never"; no number of good ones proves it."""
        assert quantiles.binomial_p_values(0, 10**5, 0.0) == (1.0, 1.0)
        assert quantiles.binomial_p_values(1, 10**5, 0.0) == (1.0, 0.0)

    def test_all_bad_and_all_good(self):
        """The extreme counts have the closed forms θⁿ and (1-θ)ⁿ."""
        assert quantiles.binomial_p_values(30, 30, 0.05) == pytest.approx((1.0, 0.05**30), rel=1e-12)
        assert quantiles.binomial_p_values(0, 30, 0.05) == pytest.approx((0.95**30, 1.0), rel=1e-12)

    @pytest.mark.parametrize("theta", [1e-4, 0.05, 0.5, 0.9999])
    def test_large_samples_keep_their_precision(self, theta):
        """At n = 100 000 both tails agree with scipy's binomial distribution."""
        n = 10**5
        for bad in {0, 1, int(n * theta * 0.98), int(n * theta), min(n, int(n * theta * 1.02) + 3), n}:
            expected = stats.binom.cdf(bad, n, theta), stats.binom.sf(bad - 1, n, theta)
            assert quantiles.binomial_p_values(bad, n, theta) == pytest.approx(expected, rel=1e-7, abs=1e-300)

    @given(sizes, shares, st.data())
    def test_the_tails_overlap_in_one_outcome(self, n, theta, data):
        """p_pass + p_fail = 1 + P(exactly this outcome)."""
        bad = data.draw(st.integers(0, n))
        p_pass, p_fail = quantiles.binomial_p_values(bad, n, theta)
        assert p_pass + p_fail == pytest.approx(1 + stats.binom.pmf(bad, n, theta), abs=1e-9)

    @given(sizes, shares, st.data())
    def test_one_more_bad_value_never_helps(self, n, theta, data):
        """p_pass grows and p_fail shrinks with the number of bad values."""
        bad = data.draw(st.integers(1, n))
        better, worse = quantiles.binomial_p_values(bad - 1, n, theta), quantiles.binomial_p_values(bad, n, theta)
        assert worse.p_pass >= better.p_pass
        assert worse.p_fail <= better.p_fail

    def test_effective_counts_lie_between_the_whole_ones(self):
        """A fractional effective sample size interpolates the binomial tails."""
        whole = quantiles.binomial_p_values(4, 100, 0.05).p_pass, quantiles.binomial_p_values(5, 100, 0.05).p_pass
        assert whole[0] < quantiles.binomial_p_values(4.5, 100, 0.05).p_pass < whole[1]

    @pytest.mark.parametrize(("bad", "n"), [(-1, 5), (6, 5), (math.nan, 5), (1, INF)])
    def test_refuses_impossible_counts(self, bad, n):
        """Counts that cannot occur are an error, not a probability."""
        with pytest.raises(ValueError, match="bad"):
            quantiles.binomial_p_values(bad, n, 0.05)


class TestPlanningIntegers:
    @given(st.sampled_from([0.5, 0.11, 0.1, 0.05, 0.02, 0.01]), st.integers(0, 8), st.sampled_from([0.01, 0.05, 0.1]))
    def test_least_n_to_pass_is_the_first_that_does(self, theta, bad, alpha):
        """It passes there and not one value earlier."""
        n = quantiles.least_n_to_pass(theta, alpha, bad)
        assert quantiles.binomial_p_values(bad, n, theta).p_pass < alpha
        assert n == bad + 1 or quantiles.binomial_p_values(bad, n - 1, theta).p_pass >= alpha

    def test_nothing_proves_that_errors_cannot_happen(self):
        """A tolerance of zero has no least n."""
        assert quantiles.least_n_to_pass(0.0, 0.05) is None
        assert quantiles.least_n_to_pass(1e-9, 0.05) == 2995732273

    @given(sizes, shares)
    def test_least_bad_to_fail_is_the_first_that_does(self, n, theta):
        """It fails there and not one bad value earlier; None only when all bad would not do."""
        bad = quantiles.least_bad_to_fail(n, theta, 0.05)
        if bad is None:
            assert theta**n >= 0.05 * (1 - 1e-9)
        else:
            assert quantiles.binomial_p_values(bad, n, theta).p_fail < 0.05
            assert quantiles.binomial_p_values(bad - 1, n, theta).p_fail >= 0.05

    def test_a_p_value_equal_to_alpha_is_not_below_it(self):
        """One bad value of one has p = 0.05 under a p95, and that does not fail at α = 0.05."""
        assert quantiles.least_bad_to_fail(1, 0.05, 0.05) is None
        assert quantiles.least_bad_to_fail(2, 0.05, 0.05) == 2

    @given(sizes, shares)
    def test_most_bad_to_pass_is_the_last_that_does(self, n, theta):
        """It passes there and not with one more; None when not even a clean series passes."""
        bad = quantiles.most_bad_to_pass(n, theta, 0.05)
        if bad is not None:
            assert quantiles.binomial_p_values(bad, n, theta).p_pass < 0.05
        assert quantiles.binomial_p_values((-1 if bad is None else bad) + 1, n, theta).p_pass >= 0.05

    def test_pass_counts_of_a_p95(self):
        """A p95 over 58 values cannot pass; over 59, 93 and 200 it can with 0, 1 and 4 bad ones."""
        counts = [quantiles.most_bad_to_pass(n, 0.05, 0.05) for n in (0, 58, 59, 92, 93, 200)]
        assert counts == [None, None, 0, 0, 1, 4]

    @pytest.mark.parametrize(("n", "level"), [(20, 0.861), (30, 0.905), (50, 0.942), (100, 0.970), (0, 0.0)])
    def test_highest_passable_level(self, n, level):
        """α^(1/n), to three decimals."""
        assert quantiles.highest_passable_level(n, 0.05) == pytest.approx(level, abs=5e-4)

    @given(st.integers(1, 2000), levels)
    def test_highest_level_and_least_n_agree(self, n, level):
        """A level below the highest passable one is a level whose least n is reached, and conversely."""
        reached = quantiles.least_n_to_pass(quantiles.bad_share(level), 0.05) <= n
        assert reached == (level < quantiles.highest_passable_level(n, 0.05))


class TestQuantile:
    @pytest.mark.parametrize(
        ("values", "level", "expected"),
        [
            (range(1, 21), 0.95, 19),
            (range(1, 101), 0.07, 7),
            (range(1, 1001), 0.999, 999),
            ([5.0], 0.99, 5.0),
            ([1.0, INF], 0.5, 1.0),
            ([1.0, INF], 0.51, INF),
            ([3.0, 1.0, 2.0], 0.01, 1.0),
        ],
    )
    def test_is_the_order_statistic_at_the_ceiling(self, values, level, expected):
        """x₍⌈nq⌉₎, with n·q meant in decimals and infinities allowed."""
        assert quantiles.quantile(values, level) == expected

    @given(latencies, levels)
    def test_agrees_with_numpy_inverted_cdf(self, values, level):
        """The same definition as numpy's method of that name."""
        assert quantiles.quantile(values, level) == np.quantile(values, level, method="inverted_cdf")

    @given(latencies, levels)
    def test_agrees_with_the_share_of_bad_values(self, values, level):
        """The sample quantile is within a limit exactly when at most n·θ₀ values lie above it."""
        limit = 1.0
        tolerated = math.floor(Fraction(str(quantiles.bad_share(level))) * len(values))
        assert (quantiles.quantile(values, level) <= limit) == (sum(v > limit for v in values) <= tolerated)

    def test_refuses_absent_values(self):
        """NaN and an empty series have no quantile."""
        with pytest.raises(ValueError, match="NaN"):
            quantiles.quantile([1.0, math.nan], 0.5)
        with pytest.raises(ValueError, match="at least 1 value"):
            quantiles.quantile([], 0.5)


class TestOrderStatistics:
    def test_several_quantiles_come_of_one_sorting(self):
        """Between the smallest and the largest value, the same that `quantile` gives."""
        values = [5.0, INF, 1.0, 4.0, 2.0, 3.0, 6.0, 7.0, 8.0, 9.0]
        assert quantiles.order_statistics(values, [0.5, 0.9]) == [1.0, 5.0, 9.0, INF]

    def test_no_values_have_none(self):
        """There is no smallest of nothing."""
        with pytest.raises(ValueError, match="at least 1 value"):
            quantiles.order_statistics([], [0.5])


class TestQuantileEstimate:
    def test_p50_of_a_hundred(self):
        """The textbook interval of the median at n = 100 runs from the 40th to the 61st value."""
        assert quantiles.quantile_estimate(range(1, 101), 0.5, 0.95) == Estimate(
            value=50.0, low=40.0, high=61.0, confidence=0.95, method="order statistics 40 to 61 of 100", n=100
        )

    def test_a_short_series_has_no_upper_bound(self):
        """Twenty values bound a p95 from below only, and say so."""
        estimate = quantiles.quantile_estimate(range(1, 21), 0.95, 0.95)
        assert (estimate.low, estimate.high) == (17.0, INF)
        assert estimate.method == "order statistics 17 to none of 20"

    def test_a_single_value_bounds_nothing(self):
        """One value gives itself and an infinite interval."""
        estimate = quantiles.quantile_estimate([2.0], 0.5, 0.95)
        assert (estimate.value, estimate.low, estimate.high) == (2.0, -INF, INF)

    def test_failures_make_the_upper_bound_infinite(self):
        """With four failures in a hundred the p95 is finite and its upper bound is a failed call."""
        estimate = quantiles.quantile_estimate([1.0] * 96 + [INF] * 4, 0.95, 0.95)
        assert (estimate.value, estimate.low, estimate.high) == (1.0, 1.0, INF)

    def test_all_failed(self):
        """A series of failures has an infinite median, bounded below by infinity."""
        estimate = quantiles.quantile_estimate([INF] * 30, 0.5, 0.95)
        assert (estimate.value, estimate.low, estimate.high) == (INF, INF, INF)

    @given(latencies, levels, st.sampled_from([0.8, 0.95, 0.99]))
    def test_interval_contains_the_value_and_ignores_order(self, values, level, confidence):
        """The value lies between low and high, whatever the order of the series."""
        estimate = quantiles.quantile_estimate(values, level, confidence)
        assert estimate.low <= estimate.value <= estimate.high
        assert estimate == quantiles.quantile_estimate(values[::-1], level, confidence)

    @given(latencies, levels, st.sampled_from([0.25, 8.0]))
    def test_scales_with_the_unit(self, values, level, factor):
        """Seconds or milliseconds, the same order statistics."""
        one = quantiles.quantile_estimate(values, level, 0.95)
        other = quantiles.quantile_estimate([v * factor for v in values], level, 0.95)
        assert (other.value, other.low, other.high) == (one.value * factor, one.low * factor, one.high * factor)

    @given(st.integers(1, 400), levels, st.sampled_from([0.9, 0.95, 0.99]))
    def test_ranks_are_the_tightest_that_hold(self, n, level, confidence):
        """Each rank keeps its one-sided error within the tail and the next one inward does not."""
        tail = 1 - confidence
        lower, upper = quantiles.quantile_ranks(n, level, tail)
        below = stats.binom(n, level)
        if lower is not None:
            assert below.cdf(lower - 1) <= tail + 1e-9
        assert below.cdf(lower or 0) > tail - 1e-9
        if upper is not None:
            assert below.sf(upper - 1) <= tail + 1e-9
        assert below.sf((upper or n + 1) - 2) > tail - 1e-9

    @given(st.lists(st.floats(0.1, 10.0), min_size=1, max_size=150), levels)
    def test_one_sided_limits_agree_with_the_verdict(self, values, level):
        """The upper limit is within a bound exactly if the claim passes; the lower is beyond it exactly if it fails."""
        limit = 5.0
        bad = sum(v > limit for v in values)
        p_pass, p_fail = quantiles.binomial_p_values(bad, len(values), quantiles.bad_share(level))
        assume(not math.isclose(p_fail, 0.05))  # a lone bad value at p95: the limit is valid, the verdict wants more
        low, high = quantiles.quantile_limits(values, level, 0.95)
        assert (high <= limit) == (p_pass < 0.05)
        assert (low > limit) == (p_fail < 0.05)


class TestRateEstimate:
    def test_reference_value(self):
        """682 of 925 gives the interval R's binom.test documents."""
        estimate = quantiles.rate_estimate(682, 925, 0.95)
        assert (estimate.low, estimate.high) == pytest.approx((0.7076683, 0.7654066), abs=1e-7)
        assert (estimate.value, estimate.n) == (682 / 925, 925)

    def test_clean_and_all_bad_series_keep_the_natural_end(self):
        """No bad value bounds the rate at 0 below; nothing but bad values bounds it at 1 above."""
        assert quantiles.rate_estimate(0, 100, 0.95).low == 0.0
        assert quantiles.rate_estimate(0, 100, 0.95).high == pytest.approx(1 - 0.025 ** (1 / 100), rel=1e-12)
        assert quantiles.rate_estimate(100, 100, 0.95).high == 1.0

    @pytest.mark.parametrize(("bad", "n"), [(0, 1), (1, 1), (3, 50), (5, 10**5), (10**5 - 5, 10**5)])
    def test_equals_scipy(self, bad, n):
        """The same interval as scipy's binomtest, also far out."""
        expected = stats.binomtest(bad, n).proportion_ci(0.95, method="exact")
        estimate = quantiles.rate_estimate(bad, n, 0.95)
        assert (estimate.low, estimate.high) == pytest.approx((expected.low, expected.high), rel=1e-9)

    def test_a_rate_of_nothing_is_refused(self):
        """There is no share of no values, but limits of a share exist: 0 and 1."""
        with pytest.raises(ValueError, match="no values"):
            quantiles.rate_estimate(0, 0, 0.95)
        assert quantiles.rate_limits(0, 0, 0.95) == (0.0, 1.0)

    @given(sizes, st.data(), st.sampled_from([0.8, 0.95, 0.99]))
    def test_limits_contain_the_rate_and_agree_with_the_test(self, n, data, confidence):
        """The one-sided limits are the θ₀ at which the one-sided tests turn."""
        bad = data.draw(st.integers(0, n))
        low, high = quantiles.rate_limits(bad, n, confidence)
        assert low <= bad / n <= high
        if bad > 0:
            assert quantiles.binomial_p_values(bad, n, low).p_fail == pytest.approx(1 - confidence, rel=1e-6)
        if bad < n:
            assert quantiles.binomial_p_values(bad, n, high).p_pass == pytest.approx(1 - confidence, rel=1e-6)
