"""Two samples: ratio and distance of their quantiles, in both directions."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_llmperf.statistics import comparison
from pytest_llmperf.statistics.comparison import (
    quantile_ratio_estimate,
    quantile_ratio_p_values,
    quantile_shift_estimate,
    quantile_shift_p_values,
)

INF = math.inf

samples = st.lists(st.floats(0.01, 1e3), min_size=1, max_size=40)
with_failures = st.lists(st.one_of(st.floats(0.01, 1e3), st.just(INF), st.just(1.0)), min_size=1, max_size=40)
levels = st.sampled_from([0.5, 0.9, 0.95])
ratios = st.floats(0.2, 5.0)


def drawn(values, level, rng, size):
    """Draws from a confidence distribution: a binomial rank, then evenly in the logarithm up to the next value."""
    padded = np.concatenate(([-INF], np.log(np.sort(values)), [INF]))
    rank = rng.binomial(len(values), level, size)
    low, high = padded[rank], padded[rank + 1]
    inner = np.isfinite(low) & np.isfinite(high)
    share = rng.random(size)
    between = np.where(inner, np.where(inner, low, 0) * (1 - share) + np.where(inner, high, 0) * share, low)
    return np.where(np.isposinf(high), INF, between)


class TestRatioPValues:
    @pytest.mark.parametrize("level", [0.5, 0.9])
    @pytest.mark.parametrize("failed", [0, 3])
    def test_agrees_with_drawing_from_both_distributions(self, level, failed):
        """200 000 draws from the two confidence distributions give the same shares, ties and failures included."""
        rng = np.random.default_rng(5)
        base = rng.lognormal(0.0, 0.5, 23).round(1) + 0.1
        candidate = np.append(rng.lognormal(0.2, 0.4, 31).round(1) + 0.1, [INF] * failed)
        one, other = drawn(base, level, rng, 200_000), drawn(candidate, level, rng, 200_000)
        for ratio in (0.9, 1.0, 1.3):
            p = quantile_ratio_p_values(base, candidate, level, ratio)
            moved = one + math.log(ratio)
            assert p.p_fail == pytest.approx((other <= moved).mean(), abs=0.004)
            assert p.p_pass == pytest.approx((other >= moved).mean(), abs=0.004)

    @given(with_failures, with_failures, levels, ratios)
    def test_the_two_sides_cover_everything(self, base, candidate, level, ratio):
        """p_pass + p_fail is 1 or more: what counts for neither side counts against both."""
        p = quantile_ratio_p_values(base, candidate, level, ratio)
        assert sum(p) >= 1 - 1e-9
        assert max(p) <= 1

    @given(with_failures, with_failures, levels, ratios)
    def test_swapping_the_samples_swaps_the_sides(self, base, candidate, level, ratio):
        """A candidate fails at most r times its baseline where the baseline passes at most 1/r times the candidate."""
        here = quantile_ratio_p_values(base, candidate, level, ratio)
        there = quantile_ratio_p_values(candidate, base, level, 1 / ratio)
        assert (here.p_pass, here.p_fail) == pytest.approx((there.p_fail, there.p_pass), abs=1e-9)

    @given(with_failures, with_failures, levels, ratios, st.floats(1.0, 3.0))
    def test_a_more_generous_ratio_is_easier_to_pass(self, base, candidate, level, ratio, more):
        """p_pass falls and p_fail grows with the ratio allowed."""
        strict = quantile_ratio_p_values(base, candidate, level, ratio)
        generous = quantile_ratio_p_values(base, candidate, level, ratio * more)
        assert generous.p_pass <= strict.p_pass + 1e-9
        assert generous.p_fail >= strict.p_fail - 1e-9

    @given(with_failures, with_failures, levels, ratios, st.randoms())
    def test_order_and_unit_do_not_matter(self, base, candidate, level, ratio, random):
        """Shuffled, and in milliseconds, the same p-values."""
        plain = quantile_ratio_p_values(base, candidate, level, ratio)
        other = quantile_ratio_p_values(
            [1000 * v for v in random.sample(base, len(base))], [1000 * v for v in candidate], level, ratio
        )
        assert other == pytest.approx(plain, abs=1e-6)

    def test_ties_count_against_both_verdicts(self):
        """Constant samples exactly at the ratio decide nothing, though 100 · 1.15 is not 115 in binary."""
        for hundreds in range(1, 60):
            base, candidate = [100.0 * hundreds] * 20, [115.0 * hundreds] * 20
            assert min(quantile_ratio_p_values(base, candidate, 0.5, 1.15)) > 0.99
            assert min(quantile_ratio_p_values(candidate, base, 0.5, 1 / 1.15)) > 0.99

    def test_constant_samples_off_the_ratio_decide(self):
        """The same samples fail 1.1 and pass 1.2."""
        assert quantile_ratio_p_values([100.0] * 60, [115.0] * 60, 0.5, 1.1).p_fail < 1e-9
        assert quantile_ratio_p_values([100.0] * 60, [115.0] * 60, 0.5, 1.2).p_pass < 1e-9

    def test_failures_of_the_candidate_never_help_it(self):
        """Turning the slowest calls into failures raises p_pass and leaves the fail side alone."""
        base, candidate = [1.0 + 0.01 * i for i in range(60)], [1.0 + 0.01 * i for i in range(60)]
        failed = candidate[:-6] + [INF] * 6
        clean, broken = (quantile_ratio_p_values(base, c, 0.95, 1.5) for c in (candidate, failed))
        assert broken.p_pass > clean.p_pass
        assert broken.p_fail <= clean.p_fail

    def test_all_failed_on_both_sides_decides_nothing(self):
        """Infinite against infinite is no comparison."""
        assert min(quantile_ratio_p_values([INF] * 80, [INF] * 80, 0.95, 1.15)) > 0.95

    @pytest.mark.parametrize(("base", "candidate"), [([], [1.0]), ([1.0], []), ([], [])])
    def test_an_empty_sample_decides_nothing(self, base, candidate):
        """(1, 1) without data on either side."""
        assert quantile_ratio_p_values(base, candidate, 0.5, 1.15) == (1.0, 1.0)

    def test_no_sample_beats_what_its_size_allows(self):
        """Perfectly separated samples reach the attainable p-values and no less."""
        slow, fast = [10.0 + i for i in range(40)], [0.001 * (1 + i) for i in range(70)]
        least = comparison.attainable_p_values(70, 40, 0.95)
        assert quantile_ratio_p_values(fast, slow, 0.95, 1.15).p_fail == pytest.approx(least.p_fail, rel=1e-6)
        assert quantile_ratio_p_values(slow, fast, 0.95, 1.15).p_pass == pytest.approx(
            comparison.attainable_p_values(40, 70, 0.95).p_pass, rel=1e-6
        )

    def test_one_value_against_one(self):
        """A single pair at the median leaves p at ½ + ¼ on the side it speaks for."""
        p = quantile_ratio_p_values([1.0], [1e9], 0.5, 1.0)
        assert p.p_fail == pytest.approx(0.75)
        assert comparison.attainable_p_values(1, 1, 0.5) == pytest.approx((0.75, 0.75))

    def test_59_baseline_values_can_fail_a_p95_and_58_cannot(self):
        """The baseline's size decides whether a candidate can fail."""
        assert comparison.attainable_p_values(59, 200, 0.95).p_fail < 0.05
        assert comparison.attainable_p_values(58, 200, 0.95).p_fail >= 0.05

    @pytest.mark.parametrize("ratio", [0.0, -1.0, INF, math.nan])
    def test_refuses_an_impossible_ratio(self, ratio):
        """A ratio is positive and finite."""
        with pytest.raises(ValueError, match="ratio"):
            quantile_ratio_p_values([1.0], [1.0], 0.5, ratio)

    def test_refuses_negative_values(self):
        """Ratios of negative numbers mean nothing; zeros are allowed."""
        with pytest.raises(ValueError, match="not negative"):
            quantile_ratio_p_values([-1.0], [1.0], 0.5, 1.0)
        assert quantile_ratio_p_values([0.0] * 9, [1.0] * 9, 0.5, 2.0).p_fail < 0.01


class TestRatioEstimate:
    @given(with_failures, samples, levels, st.sampled_from([0.8, 0.95]))
    def test_the_interval_is_the_inverted_test(self, candidate, base, level, confidence):
        """Just inside either bound the test keeps the ratio, just outside it rejects; the estimate lies within."""
        estimate = quantile_ratio_estimate(base, candidate, level, confidence)
        tail = (1 - confidence) / 2
        assert estimate.low <= estimate.value * (1 + 1e-9)
        assert estimate.value <= estimate.high * (1 + 1e-9)
        if 1e-9 < estimate.low < INF:
            assert quantile_ratio_p_values(base, candidate, level, estimate.low * (1 - 1e-9)).p_fail <= tail + 1e-6
            assert quantile_ratio_p_values(base, candidate, level, estimate.low * (1 + 1e-9)).p_fail >= tail - 1e-6
        if 1e-9 < estimate.high < INF:
            assert quantile_ratio_p_values(base, candidate, level, estimate.high * (1 + 1e-9)).p_pass <= tail + 1e-6
            assert quantile_ratio_p_values(base, candidate, level, estimate.high * (1 - 1e-9)).p_pass >= tail - 1e-6

    def test_a_short_sample_has_no_bounds(self):
        """Five values against five bound the ratio of p95s on neither side."""
        estimate = quantile_ratio_estimate([1.0, 2.0, 3.0, 4.0, 5.0], [2.0, 3.0, 4.0, 5.0, 6.0], 0.95, 0.95)
        assert (estimate.value, estimate.low, estimate.high, estimate.n) == (1.2, 0.0, INF, 10)

    def test_all_failed_candidate(self):
        """A candidate that only fails is infinitely slower, shown from below."""
        estimate = quantile_ratio_estimate([1.0 + i for i in range(60)], [INF] * 60, 0.5, 0.95)
        assert (estimate.value, estimate.low, estimate.high) == (INF, INF, INF)

    def test_mostly_failed_candidate(self):
        """With nine calls in ten failed, no finite ratio is left, although some calls are finite."""
        estimate = quantile_ratio_estimate([1.0 + i for i in range(60)], [1.0] * 6 + [INF] * 54, 0.5, 0.95)
        assert (estimate.value, estimate.low, estimate.high) == (INF, INF, INF)

    def test_refuses_a_baseline_without_a_quantile(self):
        """There is no ratio to an infinite or a zero quantile, nor to an empty sample."""
        with pytest.raises(ValueError, match="inf"):
            quantile_ratio_estimate([INF] * 9, [1.0] * 9, 0.5, 0.95)
        with pytest.raises(ValueError, match="quantile is 0"):
            quantile_ratio_estimate([0.0] * 9, [1.0] * 9, 0.5, 0.95)
        with pytest.raises(ValueError, match="empty"):
            quantile_ratio_estimate([], [1.0], 0.5, 0.95)


class TestShift:
    def test_a_pure_shift_is_found(self):
        """Two equal samples 10 apart have a distance of 10, symmetrically bounded."""
        base = [float(i) for i in range(1, 42)]
        estimate = quantile_shift_estimate(base, [v + 10 for v in base], 0.5, 0.95)
        assert estimate.value == 10.0
        assert estimate.high - 10.0 == pytest.approx(10.0 - estimate.low)
        p = quantile_shift_p_values(base, [v + 10 for v in base], 0.5, 10.0)
        assert p.p_pass == pytest.approx(p.p_fail)

    @given(samples, samples, levels, st.floats(-50, 50), st.floats(-100, 100))
    def test_origin_and_unit_do_not_matter(self, base, candidate, level, added, origin):
        """Moving both samples alike, or changing the unit of everything, changes no p-value."""
        plain = quantile_shift_p_values(base, candidate, level, added)
        moved = quantile_shift_p_values([v + origin for v in base], [v + origin for v in candidate], level, added)
        assert moved == pytest.approx(plain, abs=1e-5)
        scaled = quantile_shift_p_values([v * 8 for v in base], [v * 8 for v in candidate], level, added * 8)
        assert scaled == pytest.approx(plain, abs=1e-12)

    @given(samples, samples, levels)
    def test_the_interval_contains_the_estimate(self, base, candidate, level):
        """The observed distance lies between the bounds."""
        estimate = quantile_shift_estimate(base, candidate, level, 0.95)
        assert estimate.low <= estimate.value + 1e-9
        assert estimate.value <= estimate.high + 1e-9

    @pytest.mark.parametrize("unit", [1e-9, 1.0, 1e9])
    def test_a_tie_is_a_tie_in_any_unit(self, unit):
        """0.1 + 0.2 is 0.3 to the comparison, in seconds and in nanoseconds."""
        p = quantile_shift_p_values([unit * 0.1] * 20, [unit * (0.1 + 0.2)] * 20, 0.5, unit * 0.2)
        assert min(p) > 0.99
        assert quantile_shift_p_values([unit * 0.1] * 20, [unit * 0.3] * 20, 0.5, unit * 0.1).p_fail < 1e-4

    def test_no_bound_is_infinite(self):
        """Short samples bound nothing, failures push the bound to infinity."""
        estimate = quantile_shift_estimate([1.0, 2.0], [2.0, 4.0], 0.95, 0.95)
        assert (estimate.low, estimate.high) == (-INF, INF)
        with pytest.raises(ValueError, match="distance"):
            quantile_shift_p_values([1.0], [1.0], 0.5, INF)
        with pytest.raises(ValueError, match="no distance"):
            quantile_shift_estimate([INF], [1.0], 0.5, 0.95)
