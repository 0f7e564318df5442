"""The error rates that are promised, simulated: seeded, vectorised, slow.

A bound that holds exactly is asserted with three standard errors of the simulation on top; one that holds approximately
(means, two samples) with the margin its docstring states.
"""

import math

import numpy as np
import pytest
from scipy.special import ndtr

from pytest_llmperf.statistics import (
    comparison,
    dependence,
    evidence,
    history,
    looks,
    means,
    multiplicity,
    quantiles,
    sequential,
    sessions,
    trends,
)

pytestmark = pytest.mark.slow

ALPHA = 0.05


def lognormal(rng, size, scale=1.0):
    """p50/p95 of 1120/2340 ms."""
    return scale * 1.12 * np.exp(0.448 * rng.standard_normal(size))


def slow_mode(rng, size, scale=1.0):
    """8 % of the calls three times as slow."""
    return lognormal(rng, size, scale) * np.where(rng.random(size) < 0.08, 3.0, 1.0)


def heavy_tail(rng, size, scale=1.0):
    """10 % Pareto tail."""
    return lognormal(rng, size, scale) * np.where(rng.random(size) < 0.1, (1 - rng.random(size)) ** -0.5, 1.0)


SHAPES = [lognormal, slow_mode, heavy_tail]


def true_quantile(shape, level):
    return float(np.quantile(shape(np.random.default_rng(99), 4_000_000), level))


def within(share, bound, runs):
    """Whether an observed share of errors is compatible with a true one of at most ``bound``."""
    return share <= bound + 3 * math.sqrt(bound * (1 - bound) / runs)


def verdicts(bad, n, theta0):
    """Shares of pass and fail of the exact test over many counts."""
    most, least = quantiles.most_bad_to_pass(n, theta0, ALPHA), quantiles.least_bad_to_fail(n, theta0, ALPHA)
    return float((bad <= (-1 if most is None else most)).mean()), float(
        (bad >= (n + 1 if least is None else least)).mean()
    )


def played(plan, is_bad):
    """Share of pass and fail, and mean number of values, of a plan over rows of 0/1 flags."""
    n = np.arange(1, plan.budget + 1)
    bad = np.cumsum(is_bad, axis=1)
    passing = bad <= np.array(plan.pass_at)
    failing = (bad >= np.array(plan.fail_at)) & (n >= plan.fail_floor)
    futile = (bad >= np.array(plan.futile_from)) & (bad <= np.array(plan.futile_to))
    stop = passing | failing | futile | (n == plan.budget)
    first = stop.argmax(axis=1)
    rows = np.arange(len(is_bad))
    return float(passing[rows, first].mean()), float(failing[rows, first].mean()), float((first + 1).mean())


class TestAbsoluteLimits:
    @pytest.mark.parametrize("shape", SHAPES)
    @pytest.mark.parametrize(("level", "n"), [(0.5, 30), (0.9, 60), (0.95, 100), (0.99, 400)])
    def test_fixed_n_at_the_limit(self, shape, level, n):
        """A system exactly at its limit passes and fails in at most 5 % of series each, whatever its shape."""
        limit, runs = true_quantile(shape, level), 10_000
        bad = (shape(np.random.default_rng(1), (runs, n)) > limit).sum(axis=1)
        p_pass, p_fail = verdicts(bad, n, quantiles.bad_share(level))
        assert within(p_pass, ALPHA, runs)
        assert within(p_fail, ALPHA, runs)

    @pytest.mark.parametrize(("budget", "runs"), [(200, 20_000), (1000, 4000)])
    def test_sequential_at_the_limit(self, budget, runs):
        """Looked at after every value, with floor and futility, still at most 5 % each; and as computed."""
        plan = sequential.spending_plan(0.05, ALPHA, budget, fail_floor=20, futility=0.02)
        p_pass, p_fail, mean_n = played(plan, np.random.default_rng(2).random((runs, budget)) < 0.05)
        exact = sequential.operating(plan, 0.05)
        assert within(p_pass, ALPHA, runs)
        assert within(p_fail, ALPHA, runs)
        assert (p_pass, p_fail) == pytest.approx((exact.p_pass, exact.p_fail), abs=3 * math.sqrt(0.05 / runs))
        assert mean_n == pytest.approx(exact.mean_n, rel=0.03)

    def test_sequential_power(self):
        """At 0.7 of the limit 85 % pass or more within 150 of 200 values; at 1.5 times, 98 % fail within 70."""
        plan = sequential.spending_plan(0.05, ALPHA, 200, fail_floor=20, futility=0.02)
        limit, rng = true_quantile(lognormal, 0.95), np.random.default_rng(3)
        p_pass, p_fail, mean_n = played(plan, lognormal(rng, (5000, 200), 0.7) > limit)
        assert (p_pass >= 0.85, p_fail < 0.001, mean_n <= 150) == (True, True, True)
        p_pass, p_fail, mean_n = played(plan, lognormal(rng, (5000, 200), 1.5) > limit)
        assert (p_fail >= 0.98, p_pass < 0.001, mean_n <= 70) == (True, True, True)

    def test_eight_per_cent_errors_do_not_pass_a_p95(self):
        """Fast calls with 8 % failures pass in at most 0.5 % of series."""
        failed = np.random.default_rng(4).random((20_000, 200)) < 0.08
        assert verdicts(failed[:, :100].sum(axis=1), 100, 0.05)[0] <= 0.005
        assert played(sequential.spending_plan(0.05, ALPHA, 200), failed)[0] <= 0.005

    @pytest.mark.parametrize("level", [0.5, 0.9, 0.95])
    def test_interval_coverage(self, level):
        """The two-sided 95 % interval of a quantile holds the truth in 95 % of series or more."""
        truth, runs = true_quantile(heavy_tail, level), 4000
        series = heavy_tail(np.random.default_rng(5), (runs, 80))
        estimates = [quantiles.quantile_estimate(row, level, 0.95) for row in series]
        missed = sum(not e.low <= truth <= e.high for e in estimates) / runs
        assert within(missed, 0.05, runs)


class TestDependentValues:
    @staticmethod
    def latent(phi, runs, n, rng):
        noise = rng.standard_normal((runs, n)) * math.sqrt(1 - phi**2)
        out = np.empty((runs, n))
        out[:, 0] = rng.standard_normal(runs)
        for i in range(1, n):
            out[:, i] = phi * out[:, i - 1] + noise[:, i]
        return out

    @pytest.mark.parametrize("phi", [0.3, 0.6])
    def test_fixed_n_by_effective_size(self, phi):
        """Neighbours that resemble each other cost effective values, not errors: at most 5 % each at the limit."""
        runs, wrong = 3000, np.zeros(2)
        for row in self.latent(phi, runs, 200, np.random.default_rng(6)):
            seen = dependence.dependence(row, 0.05)
            bad, n = (
                seen.effective(float((ndtr(row) > 0.95).sum())) if seen.flagged else ((ndtr(row) > 0.95).sum(), 200)
            )
            wrong += np.array(quantiles.binomial_p_values(bad, n, 0.05)) < ALPHA
        assert within(wrong.max() / runs, ALPHA, runs)

    @pytest.mark.parametrize("phi", [0.0, 0.3, 0.6])
    def test_sequential_stops_early_only_while_unflagged(self, phi):
        """A stop under the flag uses the whole budget and is decided by the effective size: at most 5 % each."""
        plan = sequential.spending_plan(0.05, ALPHA, 200, fail_floor=20)
        runs, wrong = 3000, np.zeros(2)
        for row in self.latent(phi, runs, 200, np.random.default_rng(7)):
            bad = np.cumsum(ndtr(row) > 0.95)
            steps = (plan.step(int(b), n) for n, b in enumerate(bad, 1))
            stop, step = next((n, step) for n, step in enumerate(steps, 1) if step != "continue")
            if dependence.dependence(row[:stop], 0.05).flagged:
                seen = dependence.dependence(row, 0.05)
                p = quantiles.binomial_p_values(*seen.effective(float(bad[-1])), 0.05)
                wrong += np.array(p) < ALPHA
            else:
                wrong += (step == "pass", step == "fail")
        assert within(wrong.max() / runs, ALPHA, runs)


class TestTwoSamples:
    @pytest.mark.parametrize("shape", SHAPES)
    @pytest.mark.parametrize(("level", "n"), [(0.5, 60), (0.95, 100)])
    def test_a_ratio_exactly_at_the_bound(self, shape, level, n):
        """A candidate exactly 15 % slower passes and fails in about 5 % each (at most 5.2 % in large simulations)."""
        rng, runs = np.random.default_rng(8), 1500
        wrong = np.zeros(2)
        for base, other in zip(shape(rng, (runs, n)), shape(rng, (runs, n), 1.15), strict=True):
            wrong += np.array(comparison.quantile_ratio_p_values(base, other, level, 1.15)) < ALPHA
        assert within(wrong.max() / runs, 0.052, runs)

    @pytest.mark.parametrize(("level", "n"), [(0.5, 50), (0.95, 100)])
    def test_equal_arms_are_not_red(self, level, n):
        """The same system twice is called 15 % slower in at most 1 % of comparisons."""
        rng, runs = np.random.default_rng(9), 1500
        pairs = zip(lognormal(rng, (runs, n)), lognormal(rng, (runs, n)), strict=True)
        red = sum(comparison.quantile_ratio_p_values(a, b, level, 1.15).p_fail < ALPHA for a, b in pairs)
        assert red / runs <= 0.01

    @pytest.mark.parametrize(("level", "n"), [(0.5, 40), (0.95, 120)])
    def test_interval_coverage(self, level, n):
        """The two-sided 95 % interval of the ratio holds the truth in 95 % of comparisons or more."""
        rng, runs = np.random.default_rng(10), 2000
        pairs = zip(heavy_tail(rng, (runs, n)), heavy_tail(rng, (runs, n), 1.3), strict=True)
        # The interval is the set of ratios that neither one-sided test rejects at 2.5 %.
        missed = sum(min(comparison.quantile_ratio_p_values(a, b, level, 1.3)) < 0.025 for a, b in pairs)
        assert within(missed / runs, 0.05, runs)

    def test_four_looks(self):
        """Judged at four planned looks, a candidate exactly at the bound errs in at most 5 % each."""
        rng, runs = np.random.default_rng(11), 1200
        levels = looks.look_levels(looks.equal_looks(4), ALPHA)
        wrong = np.zeros(2)
        for base, other in zip(lognormal(rng, (runs, 120)), lognormal(rng, (runs, 120), 1.15), strict=True):
            for level, n in zip(levels, (30, 60, 90, 120), strict=True):
                p = comparison.quantile_ratio_p_values(base[:n], other[:n], 0.5, 1.15)
                if min(p) < level:
                    wrong += (p.p_pass < level, p.p_fail < level)
                    break
        assert within(wrong.max() / runs, ALPHA, runs)

    @pytest.mark.parametrize("between", [0.02, 0.1, 0.2])
    def test_sessions(self, between):
        """With any variation between sessions, the session test errs in at most 5 % each at the bound."""
        rng, runs = np.random.default_rng(12), 5000
        calls = lognormal(rng, (runs, 6, 60)) * np.exp(between * rng.standard_normal((runs, 6, 1)))
        quantile = np.quantile(calls, 0.5, axis=2, method="inverted_cdf")
        quantile[:, 5] *= 1.15
        wrong = np.mean(
            [np.array(sessions.session_p_values(row[:5], row[5], 1.15)) < ALPHA for row in quantile], axis=0
        )
        assert within(wrong.max(), ALPHA, runs)


class TestMeans:
    @pytest.mark.parametrize(("sigma", "n", "bound"), [(0.45, 30, 0.065), (0.62, 50, 0.07), (1.0, 100, 0.075)])
    def test_skewed_values_at_the_limit(self, sigma, n, bound):
        """Hall's t holds 5 % on the fail side and about 6 to 7 % on the pass side, where plain t has 8 to 11 %."""
        rng, runs = np.random.default_rng(13), 6000
        rows = np.exp(sigma * rng.standard_normal((runs, n)))
        limit = math.exp(sigma**2 / 2)
        wrong = np.mean([np.array(means.mean_p_values(row, limit)) < ALPHA for row in rows], axis=0)
        assert within(wrong[1], 0.05, runs)
        assert within(wrong[0], bound, runs)

    def test_ratio_of_totals_at_the_limit(self):
        """Tokens per second over a series, at its limit: about 5 % each."""
        rng, runs, n = np.random.default_rng(14), 4000, 60
        seconds = np.exp(0.5 * rng.standard_normal((runs, n)))
        tokens = 30 * seconds * rng.gamma(20, 1 / 20, (runs, n))
        pairs = zip(tokens, seconds, strict=True)
        wrong = np.mean([np.array(means.total_ratio_p_values(a, b, 30.0)) < ALPHA for a, b in pairs], axis=0)
        assert within(wrong.max(), 0.06, runs)

    def test_betting_watched_all_along(self):
        """With a known cap, evidence looked at after each of 400 values errs in at most 5 %, on both sides."""
        rng, runs = np.random.default_rng(15), 1500
        rows = rng.beta(2, 6, (runs, 400))
        for side in ("pass", "fail"):
            reached = [evidence.bounded_mean_log_e(row, 0.25, 1.0, side).max() >= math.log(20) for row in rows]
            assert within(np.mean(reached), ALPHA, runs)


class TestSuites:
    def test_false_reds_of_a_suite(self):
        """Forty requirements, each exactly at its limit: with Holm any is red in at most 5 % of runs."""
        bad = np.random.default_rng(16).binomial(100, 0.05, (2000, 40))
        p_fail = [quantiles.binomial_p_values(k, 100, 0.05).p_fail for k in range(101)]
        red = [min(multiplicity.holm([p_fail[k] for k in row])) < ALPHA for row in bad]
        assert within(np.mean(red), ALPHA, 2000)

    def test_four_attempts(self):
        """Four tries at α/2, α/4, α/8, α/16 err in at most 5 % together, on either side."""
        rng, runs = np.random.default_rng(17), 20_000
        wrong = np.zeros((runs, 2), dtype=bool)
        for attempt in range(1, 5):
            p = np.array([quantiles.binomial_p_values(k, 200, 0.05) for k in range(201)])
            wrong |= p[rng.binomial(200, 0.05, runs)] < multiplicity.attempt_alpha(ALPHA, attempt)
        assert within(wrong.mean(axis=0).max(), ALPHA, runs)

    def test_pooled_evidence_of_several_runs(self):
        """Multiplying the E of three independent runs keeps 5 %."""
        rng, runs = np.random.default_rng(18), 20_000
        table = np.array([evidence.log_e(k, 60, 0.05, "pass") for k in range(61)])
        pooled = table[rng.binomial(60, 0.05, (runs, 3))].sum(axis=1)
        assert within((pooled >= math.log(20)).mean(), ALPHA, runs)


class TestHistoriesAndTrends:
    @pytest.mark.parametrize("length", [20, 60])
    def test_flat_histories(self, length):
        """A flat history with outliers shows a change in at most 2 % of cases."""
        rng, runs = np.random.default_rng(19), 600
        rows = np.exp(0.1 * rng.standard_normal((runs, length))) * np.where(rng.random((runs, length)) < 0.05, 1.5, 1.0)
        assert sum(bool(history.find_changes(row)) for row in rows) / runs <= 0.02

    def test_a_lasting_change_is_found(self):
        """+30 % in mid-history of 40 runs at 10 % noise is found within two runs in 95 % of cases."""
        rng, runs = np.random.default_rng(20), 200
        rows = np.exp(0.1 * rng.standard_normal((runs, 40)))
        rows[:, 20:] *= 1.3
        hits = [any(abs(c.index - 20) <= 2 for c in history.find_changes(row)) for row in rows]
        assert np.mean(hits) >= 0.95

    @pytest.mark.parametrize("growth", ["flat", "linear", "log"])
    def test_false_knees(self, growth):
        """A straight curve shows a knee in at most 2 % of cases."""
        rng, runs = np.random.default_rng(21), 500
        x = np.repeat(1000.0 * 2.0 ** np.arange(8), 10)
        f = {"flat": 0 * x + 2, "linear": 1 + x / 50_000, "log": 0.5 + 0.3 * np.log2(x / 1000)}[growth]
        rows = f * np.maximum(0.05, 1 + 0.1 * rng.standard_normal((runs, x.size)))
        assert sum(trends.find_trend(x, row).knee is not None for row in rows) / runs <= 0.02

    def test_knee_coverage(self):
        """The range of a knee that is shown holds the true one in 85 % of cases or more."""
        rng, runs = np.random.default_rng(22), 200
        x = np.repeat(1000.0 * 2.0 ** np.arange(8), 20)
        f = 1 + 0.05 * np.log2(x / 1000) + 0.4 * np.maximum(0, np.log2(x / 12_000))
        found = [trends.find_trend(x, f * (1 + 0.1 * rng.standard_normal(x.size))) for _ in range(runs)]
        ranges = [trend.knee_range for trend in found if trend.knee is not None]
        assert len(ranges) > 0.9 * runs
        assert np.mean([low <= 12_000 <= high for low, high in ranges]) >= 0.85
