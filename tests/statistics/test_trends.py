"""Shapes and knees."""

import math

import numpy as np
import pytest
from scipy import stats

from pytest_llmperf.statistics.trends import find_trend

LEVELS = [1000 * 2**k for k in range(8)]

STRAIGHT = {
    "linear": lambda x: 1 + x / 50_000,
    "log": lambda x: 0.2 + 0.3 * np.log2(x / 1000),
    "flat": lambda x: np.full_like(x, 3.0),
}
BENT = {
    "bent log": lambda x: 1 + 0.05 * np.log2(x / 1000) + 0.5 * np.maximum(0, np.log2(x / 12_000)),
    "bent linear": lambda x: 1 + x / 1e6 + np.maximum(0, x - 20_000) / 40_000,
}


def measured(shape, noise, repeats, seed=1):
    x = np.repeat(np.array(LEVELS, dtype=float), repeats)
    rng = np.random.default_rng(seed)
    return x, shape(x) * np.exp(noise * rng.standard_normal(x.size))


class TestShape:
    @pytest.mark.parametrize("name", ["linear", "log"])
    def test_a_straight_shape_is_told(self, name):
        """Thirty values per level at 10 % noise tell linear from logarithmic growth, and show no knee."""
        trend = find_trend(*measured(STRAIGHT[name], 0.1, 30))
        assert (trend.shape, trend.knee) == (name, None)

    @pytest.mark.parametrize("name", list(BENT))
    def test_a_bent_shape_is_told_with_its_knee(self, name):
        """A clear bend is shown, and its range holds the true knee."""
        trend = find_trend(*measured(BENT[name], 0.05, 20))
        low, high = trend.knee_range
        assert trend.shape == name
        assert low <= (12_000 if name == "bent log" else 20_000) <= high
        assert low <= trend.knee.knee <= high

    def test_flat_is_never_claimed_from_few_values(self):
        """Flat is a special case of the others: it leads, but not by enough."""
        trend = find_trend(*measured(STRAIGHT["flat"], 0.1, 10))
        assert (trend.best.shape, trend.shape) == ("flat", None)

    @pytest.mark.parametrize("name", ["linear", "log", "flat"])
    def test_values_on_the_curve_are_fitted_exactly(self, name):
        """Without noise the coefficients come back, through any units."""
        x, y = measured(STRAIGHT[name], 0.0, 2)
        fit = next(fit for fit in find_trend(x, y + (name == "log") * 0.8).fits if fit.shape == name)
        at = np.array([1500.0, 90_000.0])
        expected = STRAIGHT[name](at) + (name == "log") * 0.8
        assert [fit.at(v) for v in at] == pytest.approx(expected, rel=1e-9)

    def test_a_curve_that_fits_nothing_is_not_named(self):
        """A hump far above its replicates' noise fits no candidate."""
        x = np.repeat(np.array(LEVELS, dtype=float), 20)
        rng = np.random.default_rng(4)
        y = (2 + np.sin(np.log2(x / 1000) * 2.0)) * np.exp(0.02 * rng.standard_normal(x.size))
        trend = find_trend(x, y)
        assert not trend.fits_at_all
        assert trend.shape is None

    def test_units_do_not_matter(self):
        """Seconds or milliseconds, tokens or thousands of tokens: the same shapes in the same order."""
        x, y = measured(BENT["bent linear"], 0.1, 10)
        plain, other = find_trend(x, y), find_trend(x / 1000, y * 1000)
        assert [fit.shape for fit in plain.fits] == [fit.shape for fit in other.fits]
        gaps = [[late.bic - trend.best.bic for late in trend.fits] for trend in (plain, other)]
        assert gaps[0] == pytest.approx(gaps[1], abs=1e-6)


class TestFit:
    def test_is_weighted_by_its_own_result(self):
        """The weighted residuals of every column vanish: Σ (y - f) / f² and Σ (y - f)·x / f² are 0."""
        x, y = measured(STRAIGHT["linear"], 0.25, 3)
        fit = next(fit for fit in find_trend(x, y).fits if fit.shape == "linear")
        f = np.array([fit.at(v) for v in x])
        assert float(((y - f) / f**2).sum()) == pytest.approx(0.0, abs=1e-4)
        assert float(((y - f) / f**2 * x / x.max()).sum()) == pytest.approx(0.0, abs=1e-4)
        assert fit.relative_noise == pytest.approx(math.sqrt(np.mean((y / f - 1) ** 2)))

    def test_likelihood_and_bic(self):
        """The normal likelihood with standard deviation s·f; ln n per parameter, the knee and s included."""
        x, y = measured(BENT["bent linear"], 0.1, 4)
        for fit in find_trend(x, y).fits:
            f = np.array([fit.at(v) for v in x])
            expected = stats.norm.logpdf(y, f, fit.relative_noise * f).sum()
            parameters = {"flat": 2, "linear": 3, "log": 3}.get(fit.shape, 5)
            assert fit.log_likelihood == pytest.approx(expected)
            assert fit.bic == pytest.approx(parameters * math.log(x.size) - 2 * expected)

    @pytest.mark.parametrize("name", ["linear", "bent linear"])
    def test_misfit_is_a_pure_error_f_test(self, name):
        """Level means around the fit against replicates, with one degree of freedom per parameter of the curve."""
        x, y = measured((STRAIGHT | BENT)[name], 0.05, 10)
        trend = find_trend(x, y)
        f = np.array([trend.best.at(v) for v in x])
        means = np.array([y[x == v].mean() for v in x])
        curve = 4 if trend.best.is_bent else 2
        free = len(LEVELS) - curve, x.size - len(LEVELS)
        ratio = (((means - f) / f) ** 2).sum() / free[0] / ((((y - means) / f) ** 2).sum() / free[1])
        assert trend.misfit_p == pytest.approx(stats.f.sf(ratio, *free))


class TestRefusals:
    def test_four_levels_show_no_knee(self):
        """With fewer than five levels bent shapes are not even tried."""
        x, y = measured(BENT["bent log"], 0.02, 10)
        few = x <= 8000
        trend = find_trend(x[few], y[few])
        assert (trend.knee, trend.knee_range, len(trend.fits)) == (None, None, 3)

    def test_single_values_per_level_have_no_replicates(self):
        """Without replicates there is no pure error to hold the fit against."""
        assert find_trend(*measured(STRAIGHT["linear"], 0.1, 1)).misfit_p == 1.0

    @pytest.mark.parametrize(
        ("x", "y", "message"),
        [
            ([1, 2], [1.0], "one value per level"),
            ([1, 1], [1.0, 2.0], "two levels"),
            ([], [], "two levels"),
            ([1, 2], [1.0, 0.0], "positive"),
            ([0, 2], [1.0, 1.0], "positive"),
            ([1, 2], [1.0, math.inf], "infinity"),
        ],
    )
    def test_refuses_what_has_no_trend(self, x, y, message):
        """Unlike lengths, a single level, and values without a proportional noise are errors."""
        with pytest.raises(ValueError, match=message):
            find_trend(x, y)
