"""A metric over a factor: drops, rises, shapes and knees, each with a verdict of its own."""

import math
from dataclasses import replace

import numpy as np
import pytest

from factories import failed_measurement, measurement, series
from pytest_llmperf.core.claims import Scaling
from pytest_llmperf.core.environment import Source
from pytest_llmperf.core.errors import UsageError
from pytest_llmperf.core.scaling import judge_scaling
from pytest_llmperf.core.verdict import Outcome

PASSED, FAILED, INCONCLUSIVE = Outcome.PASSED, Outcome.FAILED, Outcome.INCONCLUSIVE
LEVELS = (1000, 2000, 4000, 8000, 16_000, 32_000, 64_000, 128_000)


def level(at, values, metric="ttft", over="context_tokens", factors=None, **fields):
    made = [
        failed_measurement(n)
        if value == math.inf
        else measurement(n, **({metric: value} if value is not None else {"absent": {metric: "it was not seen"}}))
        for n, value in enumerate(values)
    ]
    return series(made, arm=f"{over}={at}", factors={over: at} | (factors or {}), **fields)


def curve(f, levels=LEVELS, n=20, noise=0.05, metric="ttft", seed=1, **fields):
    """Arms whose values follow f of the level, with noise in proportion."""
    random = np.random.default_rng(seed)
    return [level(at, (f(at) * (1 + noise * random.standard_normal(n))).tolist(), metric, **fields) for at in levels]


def one(arms, **claims):
    claims = {"over": "context_tokens", "metric": "ttft"} | claims
    (verdict,) = judge_scaling(arms, Scaling(**claims))
    return verdict


class TestDropAndRise:
    def test_a_drop_within_what_is_allowed_passes(self):
        """The ratio of the medians at the last and the first level, whatever the order of the arms."""
        arms = curve(lambda x: 40 - x / 10_000, metric="output_tps")[::-1]
        verdict = one(arms, metric="output_tps", max_drop=0.5)
        assert verdict.outcome is PASSED
        assert verdict.claim == "p50 output_tps over context_tokens falls by at most 50 %"
        assert (verdict.direction, verdict.bound, verdict.statistic) == (">=", 0.5, "p50")
        assert verdict.low < verdict.estimate < verdict.high
        assert verdict.reason.startswith("context_tokens=128000 is 3")
        assert " % lower, 95 % CI " in verdict.reason
        assert "fitted shape linear; no knee shown" in verdict.reason

    def test_a_drop_beyond_it_fails(self):
        """A third is more than 20 %."""
        assert one(
            curve(lambda x: 40 - x / 10_000, metric="output_tps"), metric="output_tps", max_drop=0.2
        ).outcome is (FAILED)

    def test_a_rise(self):
        """Twice the time is a rise of 100 %."""
        arms = curve(lambda x: 1 + x / 128_000)
        assert one(arms, max_rise=1.5).outcome is PASSED
        verdict = one(arms, max_rise=0.5)
        assert verdict.outcome is FAILED
        assert verdict.claim == "p50 ttft over context_tokens rises by at most 50 %"

    def test_failed_calls_count_as_slow(self):
        """A level whose calls fail is infinitely slower; no shape is fitted to it."""
        arms = [*curve(lambda _: 1.0)[:-1], level(128_000, [math.inf] * 20)]
        verdict = one(arms, max_rise=0.5)
        assert verdict.estimate == math.inf
        assert verdict.outcome is FAILED
        assert "fitted" not in verdict.reason

    def test_one_level_shows_nothing(self):
        """Nothing can fall or rise."""
        assert one(curve(lambda _: 1.0, (1000,)), max_rise=0.5).outcome is INCONCLUSIVE

    def test_each_limit_has_a_verdict_of_its_own(self):
        """In the order of the mark's arguments."""
        claim = Scaling("context_tokens", "ttft", max_drop=0.1, max_rise=5.0, shape="linear", no_knee_before=5000)
        verdicts = judge_scaling(curve(lambda x: 1 + x / 50_000), claim)
        assert [verdict.statistic for verdict in verdicts] == ["p50", "p50", "shape", "knee"]
        assert [verdict.outcome for verdict in verdicts] == [PASSED, PASSED, PASSED, INCONCLUSIVE]

    def test_arms_that_differ_in_another_factor_are_judged_apart(self):
        """One verdict for each, named by the other factor."""
        fast = curve(lambda _: 1.0, factors={"model": "a"})
        slow = curve(lambda x: 1 + x / 50_000, factors={"model": "b"})
        verdicts = judge_scaling([*fast, *slow], Scaling("context_tokens", "ttft", max_rise=0.5))
        assert [(verdict.arm, verdict.outcome) for verdict in verdicts] == [("model=a", PASSED), ("model=b", FAILED)]


class TestShapes:
    @pytest.mark.parametrize(
        ("shape", "f"), [("linear", lambda x: 1 + x / 20_000), ("log", lambda x: 0.5 + 0.3 * math.log2(x / 1000))]
    )
    def test_the_true_shape_passes_and_the_other_fails(self, shape, f):
        """Ahead of all others by more than 6 BIC, or behind by more."""
        arms = curve(f, n=30)
        verdict = one(arms, shape=shape)
        assert verdict.outcome is PASSED
        assert verdict.claim == f"ttft over context_tokens is {shape}"
        assert verdict.estimate > 6
        other = one(arms, shape={"linear": "log", "log": "linear"}[shape])
        assert other.outcome is FAILED
        said = f"{shape} fits these values better than {other.claim.split()[-1]}: over 1000 times as likely"
        assert other.reason.startswith(f"{said} (20 times as likely would show it)")

    def test_the_best_of_shapes_that_do_not_fit_is_not_shown(self):
        """A curve between two shapes, with little noise: the replicates tell that neither is right."""
        verdict = one(curve(lambda x: x**1.3, (10, 20, 30, 40), noise=0.02), shape="linear")
        assert verdict.estimate > 6
        assert verdict.outcome is INCONCLUSIVE
        assert verdict.reason.endswith("no shape fits these levels")

    def test_two_levels_tell_no_shape(self):
        """Every shape with a slope goes through two points."""
        verdict = one(curve(lambda x: x / 1000, (1000, 2000)), shape="linear")
        assert verdict.outcome is INCONCLUSIVE
        assert verdict.remedy == "give it more levels"

    def test_a_flat_shape_is_hardly_ever_shown(self):
        """A bound on the change is what to claim instead, and the verdict says so."""
        verdict = one(curve(lambda _: 1.0, n=8), shape="flat")
        assert verdict.outcome is INCONCLUSIVE
        assert verdict.remedy == "a flat shape is hardly ever shown: claim max_drop or max_rise"

    @pytest.mark.parametrize(
        ("values", "reason"),
        [
            ([1.0] * 19 + [math.inf], "1 of 160 values are 0 or infinite, to which no shape can be fitted"),
            ([1.0] * 19 + [None], "1 without a ttft: it was not seen"),
            ([1.0] * 4, "4 at one level, and 5 at each are the fewest that a shape is fitted to"),
        ],
    )
    @pytest.mark.parametrize("claim", [{"shape": "linear"}, {"no_knee_before": 9000}])
    def test_what_the_data_cannot_carry_is_inconclusive(self, values, reason, claim):
        """Failed calls, absent values, and too few of them."""
        verdict = one([*curve(lambda _: 1.0)[:-1], level(128_000, values)], **claim)
        assert (verdict.outcome, verdict.reason) == (INCONCLUSIVE, reason)

    def test_a_level_of_zero_has_no_shape(self):
        """Shapes in the logarithm begin above 0."""
        assert one(curve(lambda _: 1.0, (0, 10, 20)), shape="linear").outcome is INCONCLUSIVE


def bent(x):
    return 1 + 0.05 * math.log2(x / 1000) + 0.5 * max(0.0, math.log2(x / 12_000))


class TestKnees:
    def test_a_knee_before_the_level_fails(self):
        """The whole interval lies before it."""
        verdict = one(curve(bent), no_knee_before=40_000)
        assert verdict.outcome is FAILED
        assert verdict.claim == "ttft over context_tokens has no knee before 40000"
        assert verdict.low < 12_000 < verdict.high < 40_000
        assert verdict.reason.startswith("a knee at 1")

    def test_a_knee_beyond_the_level_passes(self):
        """The whole interval lies beyond it."""
        assert one(curve(bent), no_knee_before=3000).outcome is PASSED

    def test_a_knee_about_the_level_is_inconclusive(self):
        """The interval holds the level."""
        assert one(curve(bent), no_knee_before=12_000).outcome is INCONCLUSIVE

    def test_no_knee_is_never_shown(self):
        """A straight curve leaves the claim open."""
        verdict = one(curve(lambda x: 1 + x / 50_000), no_knee_before=40_000)
        assert (verdict.outcome, verdict.estimate) == (INCONCLUSIVE, None)
        assert verdict.reason == "no knee shown, which never means that there is none"

    def test_four_levels_are_too_few(self):
        """A knee is looked for on five levels or more."""
        verdict = one(curve(bent, LEVELS[:4]), no_knee_before=40_000)
        assert verdict.reason == "a knee is looked for on 5 levels or more, and there are 4"


class TestDoubtAndRefusals:
    def test_a_shape_that_the_clients_lateness_could_explain_is_none(self):
        """A loop that is late in proportion to the load bends every curve over concurrency."""
        late = {"clock": "realtime"}
        arms = curve(lambda x: 0.5 + x / 100, (1, 2, 5, 10, 25, 50), n=60, **late)
        lags = [0.0001, 0.02, 0.05, 0.1, 0.25, 0.5]
        slow = [
            series(a.measurements, factors=a.factors, loop_lag=lag, **late) for a, lag in zip(arms, lags, strict=True)
        ]
        assert one(arms, shape="linear").outcome is PASSED
        verdict = one(slow, shape="linear")
        assert verdict.outcome is INCONCLUSIVE
        assert verdict.reason.startswith("client-bound: ")

    def test_it_is_doubted_by_the_calls_own_lateness_too(self):
        """The loops hardly ever stalled, but they did when these calls' tokens came."""
        arms = curve(lambda x: 0.5 + x / 100, (1, 2, 5, 10, 25, 50), n=60, clock="realtime", loop_lag=0.0)
        metrics = ("ttft", "attempt_ttft", "e2e")
        late = [
            replace(a, measurements=tuple(replace(m, late=dict.fromkeys(metrics, lag)) for m in a.measurements))
            for a, lag in zip(arms, [0.0001, 0.02, 0.05, 0.1, 0.25, 0.5], strict=True)
        ]
        assert one(arms, shape="linear").outcome is PASSED
        assert one(late, shape="linear").outcome is INCONCLUSIVE

    @pytest.mark.parametrize("value", ["many", None, True, math.inf])
    def test_a_factor_without_numbers_is_refused(self, value):
        """There is no first level and no last."""
        with pytest.raises(UsageError, match="scaling is over a factor with numbers"):
            one([level(value, [1.0] * 9)], max_rise=0.5)

    def test_the_same_level_twice_is_refused(self):
        """Which of them would be meant is not known."""
        with pytest.raises(UsageError, match="two arms have the same context_tokens"):
            one([level(10, [1.0] * 9), level(10, [1.0] * 9)], max_rise=0.5)

    def test_a_drop_of_everything_claims_nothing(self):
        """Nothing falls by more than 100 %."""
        with pytest.raises(UsageError, match="claims nothing"):
            one(curve(lambda _: 1.0), max_drop=1.0)

    def test_levels_of_different_sources_are_refused(self):
        """Numbers of different sources never mix."""
        with pytest.raises(UsageError, match="different sources"):
            one([level(10, [1.0] * 9), level(20, [1.0] * 9, source=Source.RECORDED)], max_rise=0.5)


@pytest.mark.slow
@pytest.mark.parametrize("f", [lambda _: 2.0, lambda x: 1 + x / 50_000, lambda x: 0.5 + 0.3 * math.log2(x / 1000)])
def test_false_knees(f):
    """A straight curve is said to bend in at most 2 % of cases."""
    found = [one(curve(f, n=10, noise=0.1, seed=seed), no_knee_before=64_000).estimate for seed in range(150)]
    assert sum(knee is not None for knee in found) <= 0.02 * 150
