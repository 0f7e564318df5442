"""E-processes: martingales at the limit, their inversion to limits, and betting on a bounded mean."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import integrate, stats

from pytest_llmperf.statistics import evidence

sides = st.sampled_from(["pass", "fail"])
thetas = st.sampled_from([0.01, 0.05, 0.11, 0.5, 0.9])


def growth(bad, n, theta, theta0, side):
    """The mean factor by which one more value, bad with probability ``theta``, multiplies E."""
    now = evidence.log_e(bad, n, theta0, side)
    worse, better = (math.exp(evidence.log_e(b, n + 1, theta0, side) - now) for b in (bad + 1, bad))
    return theta * worse + (1 - theta) * better


class TestLogE:
    def test_starts_at_nothing(self):
        """Without data the evidence is E = 1 on either side."""
        assert evidence.log_e(0, 0, 0.05, "pass") == pytest.approx(0.0, abs=1e-12)
        assert evidence.log_e(0, 0, 0.05, "fail") == pytest.approx(0.0, abs=1e-12)

    @given(st.integers(0, 300), st.data(), thetas, sides)
    def test_is_a_martingale_at_the_limit(self, n, data, theta0, side):
        """One more value at rate θ₀ leaves E unchanged on average."""
        bad = data.draw(st.integers(0, n))
        assert growth(bad, n, theta0, theta0, side) == pytest.approx(1.0, rel=1e-6)

    @given(st.integers(0, 300), st.data(), thetas, sides, st.floats(0.0, 1.0))
    def test_does_not_grow_on_the_wrong_side(self, n, data, theta0, side, beyond):
        """At a truth on the wrong side of θ₀, one more value lowers E on average."""
        bad = data.draw(st.integers(0, n))
        theta = theta0 + beyond * (1 - theta0) if side == "pass" else theta0 * (1 - beyond)
        assert growth(bad, n, theta, theta0, side) <= 1 + 1e-6

    @pytest.mark.parametrize(("bad", "n", "side"), [(0, 59, "pass"), (4, 200, "pass"), (9, 80, "fail")])
    def test_equals_the_mixture_integral(self, bad, n, side):
        """The likelihood ratio averaged over the cut-off prior, by quadrature."""
        theta0, prior = 0.05, stats.beta(0.5, 9.5)
        low, high = (0.0, theta0) if side == "pass" else (theta0, 1.0)

        def weighted(theta):
            return prior.pdf(theta) * (theta / theta0) ** bad * ((1 - theta) / (1 - theta0)) ** (n - bad)

        mass = prior.cdf(high) - prior.cdf(low)
        expected = integrate.quad(weighted, low, high, limit=200)[0] / mass
        assert evidence.log_e(bad, n, theta0, side) == pytest.approx(math.log(expected), abs=1e-6)

    def test_first_verdicts_of_a_p95(self):
        """72 clean values pass at 1/α = 20 and 71 do not; three bad of three fail and two of two do not."""
        needed = math.log(20)
        assert evidence.log_e(0, 71, 0.05, "pass") < needed <= evidence.log_e(0, 72, 0.05, "pass")
        assert evidence.log_e(2, 2, 0.05, "fail") < needed <= evidence.log_e(3, 3, 0.05, "fail")

    @pytest.mark.parametrize("side", ["pass", "fail"])
    def test_the_chance_of_ever_rejecting_at_the_limit(self, side):
        """Looked at after each of 1000 values, a true p95 at its limit is rejected in less than 5 % of series."""
        alive, rejected = np.array([1.0]), 0.0
        for n in range(1, 1001):
            moved = np.zeros(n + 1)
            moved[:-1] = alive * 0.95
            moved[1:] += alive * 0.05
            reachable = np.flatnonzero(moved > 1e-12)
            crossing = [bad for bad in reachable if evidence.log_e(int(bad), n, 0.05, side) >= math.log(20)]
            rejected += moved[crossing].sum()
            moved[crossing] = 0.0
            alive = moved
        assert 0.01 < rejected <= 0.05

    def test_far_out(self):
        """A hundred thousand values overflow nothing, and hopeless evidence keeps its small finite value."""
        divergence = 0.04 * math.log(0.04 / 0.05) + 0.96 * math.log(0.96 / 0.95)
        assert evidence.log_e(4000, 10**5, 0.05, "pass") == pytest.approx(10**5 * divergence, abs=math.log(10**5))
        for bad, theta0, side in ((50_000, 0.05, "pass"), (10**5, 0.05, "pass"), (0, 0.5, "fail")):
            assert -30 < evidence.log_e(bad, 10**5, theta0, side) < -3

    @pytest.mark.parametrize(("bad", "n"), [(160, 200), (400, 400)])
    def test_hopeless_evidence_equals_the_mixture_integral(self, bad, n):
        """Where the prior's tail is smaller than any float, the average likelihood ratio is still right."""
        prior = stats.beta(0.5, 9.5)
        expected = integrate.quad(
            lambda u: prior.pdf(u * 0.05) * 0.05 * u**bad * ((1 - u * 0.05) / 0.95) ** (n - bad), 0, 1, limit=500
        )[0]
        log_e = evidence.log_e(bad, n, 0.05, "pass")
        assert log_e == pytest.approx(math.log(expected / prior.cdf(0.05)), abs=1e-6)


class TestRateConfidenceSequence:
    def test_nothing_seen_bounds_nothing(self):
        """(0, 1) at n = 0, and the natural ends for clean and all-bad series."""
        assert evidence.rate_confidence_sequence(0, 0, 0.95) == (0.0, 1.0)
        assert evidence.rate_confidence_sequence(0, 50, 0.95)[0] == 0.0
        assert evidence.rate_confidence_sequence(50, 50, 0.95)[1] == 1.0

    @given(st.integers(1, 500), st.data())
    def test_limits_are_where_the_evidence_turns(self, n, data):
        """At each limit ln E is ln 20, and the observed share lies between."""
        bad = data.draw(st.integers(0, n))
        low, high = evidence.rate_confidence_sequence(bad, n, 0.95)
        assert low <= bad / n <= high
        if bad > 0 and low > 1e-6:
            assert evidence.log_e(bad, n, low, "fail") == pytest.approx(math.log(20), abs=1e-6)
        if bad < n and high < 1 - 1e-6:
            assert evidence.log_e(bad, n, high, "pass") == pytest.approx(math.log(20), abs=1e-6)


class TestQuantileConfidenceSequence:
    def test_needs_72_values_to_bound_a_p95_above(self):
        """The largest of 72 values bounds the p95, that of 71 does not."""
        assert evidence.quantile_confidence_sequence(range(1, 72), 0.95, 0.95)[1] == math.inf
        assert evidence.quantile_confidence_sequence(range(1, 73), 0.95, 0.95)[1] == 72.0

    @given(st.lists(st.floats(0.1, 10.0), max_size=120), st.sampled_from([0.5, 0.9]))
    def test_agrees_with_the_evidence_about_a_limit(self, values, level):
        """The upper limit is within a bound exactly when ln E says "pass" about it; likewise below."""
        low, high = evidence.quantile_confidence_sequence(values, level, 0.95)
        bad, theta0, needed = sum(v > 5.0 for v in values), round(1 - level, 12), math.log(20)
        assert (high <= 5.0) == (evidence.log_e(bad, len(values), theta0, "pass") >= needed)
        assert (low > 5.0) == (evidence.log_e(bad, len(values), theta0, "fail") >= needed)


class TestBoundedMean:
    def test_does_not_grow_at_the_limit(self):
        """For a fair coin between floor and cap, one value leaves E at 1 on average on both sides."""
        for side in ("pass", "fail"):
            low, high = (evidence.bounded_mean_log_e([x], 0.25, 1.0, side)[-1] for x in (0.0, 1.0))
            assert 0.75 * math.exp(low) + 0.25 * math.exp(high) == pytest.approx(1.0)

    def test_grows_when_the_mean_is_on_that_side(self):
        """Cheap calls are evidence for "pass" and against "fail", and the reverse for dear ones."""
        cheap = [0.2, 0.3, 0.25, 0.1] * 20
        assert evidence.bounded_mean_log_e(cheap, 0.5, 1.0, "pass")[-1] > 3.0
        assert evidence.bounded_mean_log_e(cheap, 0.5, 1.0, "fail")[-1] < 0.0
        dear = [1.0 - x for x in cheap]
        assert evidence.bounded_mean_log_e(dear, 0.5, 1.0, "fail")[-1] > 3.0

    def test_scales_with_the_unit_and_starts_anywhere(self):
        """Shifting and scaling values, limit, floor and cap together changes nothing."""
        values = [0.2, 0.9, 0.4, 0.1]
        plain = evidence.bounded_mean_log_e(values, 0.5, 1.0, "pass")
        moved = evidence.bounded_mean_log_e([10 + 4 * x for x in values], 12.0, 14.0, "pass", floor=10.0)
        assert moved == pytest.approx(plain)

    def test_one_number_per_value(self):
        """The evidence is given after each value, none for an empty series."""
        assert evidence.bounded_mean_log_e([], 0.5, 1.0, "pass").size == 0
        assert evidence.bounded_mean_log_e([0.1, 0.2], 0.5, 1.0, "pass").size == 2

    def test_refuses_values_beyond_the_cap(self):
        """A value outside the bounds voids the evidence; so does a limit outside them."""
        with pytest.raises(ValueError, match="outside"):
            evidence.bounded_mean_log_e([1.2], 0.5, 1.0, "pass")
        with pytest.raises(ValueError, match="between floor and cap"):
            evidence.bounded_mean_log_e([0.2], 1.0, 1.0, "pass")


class TestAnytimePValue:
    def test_is_one_over_the_largest_e(self):
        """The best moment counts, and p never exceeds 1."""
        assert evidence.anytime_p_value([-1.0, 3.0, 2.0]) == pytest.approx(math.exp(-3.0))
        assert evidence.anytime_p_value([-1.0]) == evidence.anytime_p_value([-1e6]) == 1.0
        assert evidence.anytime_p_value([]) == 1.0
