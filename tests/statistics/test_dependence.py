"""Neighbouring calls that resemble each other."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from pytest_llmperf.statistics import dependence

series = st.lists(st.one_of(st.floats(0.01, 100.0), st.just(math.inf)), min_size=2, max_size=80)


def autoregressive(phi, n, rng):
    noise = rng.standard_normal(n) * math.sqrt(1 - phi**2)
    out = np.empty(n)
    out[0] = rng.standard_normal()
    for i in range(1, n):
        out[i] = phi * out[i - 1] + noise[i]
    return out


class TestLag1:
    def test_finds_the_correlation_of_a_latent_normal_series(self):
        """A monotone transform of an AR(1) series shows its coefficient."""
        x = np.exp(autoregressive(0.6, 20_000, np.random.default_rng(1)))
        assert dependence.lag1(x) == pytest.approx(0.6, abs=0.02)

    @given(series)
    def test_only_the_ranks_matter(self, values):
        """Any increasing transform leaves it unchanged, and failures are the slowest calls."""
        assert dependence.lag1([8 * v for v in values]) == dependence.lag1(values)
        assert -1 <= dependence.lag1(values) <= 1

    @pytest.mark.parametrize("values", [[], [1.0], [1.0, 1.0, 1.0], [math.inf] * 5])
    def test_no_spread_is_no_correlation(self, values):
        """Too short or all alike gives 0, and no flag."""
        assert dependence.lag1(values) == 0.0
        assert not dependence.dependence(values, 0.05).flagged

    @given(series)
    def test_midranks_agree_with_scipy(self, values):
        """Ties share the mean of their ranks."""
        assert dependence.midranks(np.array(values)).tolist() == stats.rankdata(values).tolist()

    def test_flags_a_twentieth_of_independent_series(self):
        """Of 2000 independent series of 100 values, 5 % are flagged."""
        rng = np.random.default_rng(2)
        flags = [dependence.dependence(rng.random(100), 0.05).flagged for _ in range(2000)]
        assert np.mean(flags) == pytest.approx(0.05, abs=0.015)


class TestIndicatorCorrelation:
    @given(st.floats(0.0, 1.0))
    def test_closed_form_at_the_median(self, r):
        """(2/π)·asin r for θ₀ = ½."""
        assert dependence.indicator_correlation(r, 0.5) == pytest.approx(2 / math.pi * math.asin(r), abs=1e-9)

    @given(st.floats(0.0, 0.99), st.floats(0.0, 0.99), st.sampled_from([0.01, 0.05, 0.3]))
    def test_weaker_in_the_tail_and_growing(self, one, other, theta0):
        """It grows with r and stays below it."""
        low, high = sorted((one, other))
        assert dependence.indicator_correlation(low, theta0) <= dependence.indicator_correlation(high, theta0) + 1e-12
        assert dependence.indicator_correlation(high, theta0) <= high + 1e-9

    @pytest.mark.parametrize("theta0", [1e-4, 0.05, 0.5, 0.95])
    def test_ends(self, theta0):
        """No latent correlation gives none, a perfect one gives one, and good flags correlate as bad ones do."""
        assert dependence.indicator_correlation(0.0, theta0) == 0.0
        assert dependence.indicator_correlation(1.0, theta0) == pytest.approx(1.0, abs=1e-6)
        mirrored = dependence.indicator_correlation(0.7, 1 - theta0)
        assert dependence.indicator_correlation(0.7, theta0) == pytest.approx(mirrored, rel=1e-9)

    def test_refuses_a_negative_correlation(self):
        """The integral is for positive dependence."""
        with pytest.raises(ValueError, match="between 0 and 1"):
            dependence.indicator_correlation(-0.1, 0.05)


class TestDesignEffect:
    def test_is_one_without_positive_dependence(self):
        """Independent or alternating values are worth what they are."""
        assert dependence.design_effect(0.0, 0.05) == 1.0
        assert dependence.design_effect(-0.5, 0.05) == 1.0

    def test_much_weaker_in_the_tail_than_in_the_middle(self):
        """At φ = 0.6 a p95 loses a factor of about 2, a median 3."""
        assert dependence.design_effect(0.6, 0.05) == pytest.approx(1.95, abs=0.15)
        assert dependence.design_effect(0.6, 0.5) == pytest.approx(2.9, abs=0.3)

    def test_sums_the_lags(self):
        """1 + 2·Σ of the indicator correlations of rᵏ."""
        expected = 1 + 2 * sum(dependence.indicator_correlation(0.8**k, 0.1) for k in range(1, 150))
        assert dependence.design_effect(0.8, 0.1) == pytest.approx(expected, rel=1e-8)

    def test_a_drifting_series_is_worth_next_to_nothing(self):
        """A steady climb over 500 calls is flagged and has a handful of independent values."""
        seen = dependence.dependence(range(1, 501), 0.05)
        assert seen.flagged
        assert seen.n_eff < 10
        assert seen.effective(25) == (25 / seen.design_effect, 500 / seen.design_effect)
