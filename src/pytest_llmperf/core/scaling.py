"""Claims on how a metric goes with a factor: `p50 output_tps over context_tokens falls by at most 35 %`.

Each limit has a verdict of its own. A drop or rise is the ratio of two medians, at the last level and at the first, and
is compared as two arms are. A shape is shown when no other fits nearly as well, and refuted when another is shown. A
knee is found, or none was shown: that there is none is never shown, so that a claim of no knee passes only where one
lies beyond.

Shapes are fitted to single values, with noise in proportion: they can hold neither a failed call nor an absent value,
and a claim on them is then inconclusive.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from pytest_llmperf.core import wording
from pytest_llmperf.core.claims import Question, Scaling, levels_told
from pytest_llmperf.core.difference import Sides, told
from pytest_llmperf.core.doubt import doubted_all, doubted_pair, lateness
from pytest_llmperf.core.errors import UsageError
from pytest_llmperf.core.finding import MEND, Finding, nothing
from pytest_llmperf.core.observations import Observations, observe, recorded_unit, shifted
from pytest_llmperf.core.pair import paired, require_alike, shared_metric
from pytest_llmperf.core.series import Factor, Series
from pytest_llmperf.core.verdict import Outcome, Verdict
from pytest_llmperf.core.walk import Look, Walk
from pytest_llmperf.statistics.estimate import Estimate
from pytest_llmperf.statistics.trends import BIC_GAP, LEAST_LEVELS_FOR_KNEE, Trend, find_trend

LEAST_PER_LEVEL = 5
"""Values at each level from which a shape is fitted; false knees and wrong shapes were simulated from there on."""
_UNITS = {"shape": "BIC", "p50": "change"}
"""How far one shape is ahead, and the ratio of the last level to the first."""
METHOD = "least squares with proportional noise, compared by BIC"


def judge_scaling(arms: Sequence[Series], scaling: Scaling) -> tuple[Verdict, ...]:
    """Decide each limit of a claim on how a metric goes with a factor.

    Arms that differ in other factors too are judged apart, one group for each combination of those.

    Args:
        arms: one series for each level, in any order, of the same source and clock.
        scaling: the claim.

    Raises:
        UsageError: an arm has no such number, two arms have the same one, the series cannot be compared, or the claim
            does not say which metric it means.
    """
    groups = grouped(arms, scaling.over)
    return tuple(
        verdict
        for name, levels in groups.items()
        for verdict in _judged(levels, scaling, name if len(groups) > 1 else "")
    )


@dataclass(frozen=True, slots=True)
class Level:
    """What was measured at one level of the factor."""

    at: float
    series: Series


def grouped(arms: Sequence[Series], over: str) -> dict[str, list[Level]]:
    """The levels, lowest first, for each combination of the other factors."""
    groups: dict[str, list[Level]] = {}
    for one in arms:
        others = ", ".join(f"{name}={value}" for name, value in one.factors.items() if name != over)
        groups.setdefault(others, []).append(Level(_number(one.factors.get(over), over), one))
    for levels in groups.values():
        levels.sort(key=lambda level: level.at)
        if len({level.at for level in levels}) < len(levels):
            raise UsageError(f"two arms have the same {over}; give each level once")
    return groups


def _number(value: Factor, over: str) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
        raise UsageError(f"scaling is over a factor with numbers, and {over} has {value!r}; name one in arms(...)")
    return float(value)


def _judged(levels: list[Level], scaling: Scaling, arm: str) -> Iterator[Verdict]:
    first, last = levels[0].series, levels[-1].series
    claim = of_these(levels, scaling)
    sides = Sides(_name(levels[-1], scaling), _name(levels[0], scaling), claim.unit)
    for limit, question in (("max_drop", claim.drop(claim.metric)), ("max_rise", claim.rise(claim.metric))):
        if question is not None:
            finding = _change(last, first, levels, question, sides, claim)
            yield _verdict(claim, limit, "p50", question.direction, question.bound, finding, arm)
    every = [level.series for level in levels]
    if claim.shape is not None:
        finding = doubted_all(every, lambda late: _shape(levels, claim, late))
        yield _verdict(claim, "shape", "shape", ">=", BIC_GAP, finding, arm)
    if claim.no_knee_before is not None:
        finding = doubted_all(every, lambda late: _knee(levels, claim, late))
        yield _verdict(claim, "no_knee_before", "knee", ">=", claim.no_knee_before, finding, arm)


def of_these(levels: list[Level], scaling: Scaling) -> Scaling:
    """The claim with the metric that is meant, and its unit.

    Raises:
        UsageError: the series cannot be compared, or the claim does not say which metric it means.
    """
    first, metric = levels[0], scaling.metric
    for level in levels:
        names = _name(level, scaling), _name(first, scaling)
        require_alike(level.series, first.series, names)
        metric = shared_metric(scaling.metric, level.series, first.series, names)
    return replace(scaling, metric=metric, unit=scaling.base_unit(metric) or recorded_unit(first.series, metric))


def _name(level: Level, scaling: Scaling) -> str:
    return f"{scaling.over}={wording.quantity(level.at, '', digits=6)}"


def _verdict(
    claim: Scaling, limit: str, statistic: str, direction: str, bound: float, finding: Finding, arm: str
) -> Verdict:
    estimate = finding.estimate
    return Verdict(
        claim=claim.described(limit),
        metric=claim.metric,
        statistic=statistic,
        direction=direction,
        bound=bound,
        unit=_UNITS.get(statistic, ""),
        outcome=finding.outcome,
        reason=finding.reason,
        confidence=claim.confidence,
        method=finding.method + levels_told(claim),
        n=finding.n,
        estimate=estimate.value if estimate else None,
        low=estimate.low if estimate else None,
        high=estimate.high if estimate else None,
        missing=finding.missing,
        remedy=finding.remedy,
        slack=claim.slack if limit.startswith("max_") else 0.0,
        mark=claim.mark,
        arm=arm,
    )


# --- from the first level to the last --------------------------------------------------------------------------------


def _change(
    last: Series, first: Series, levels: list[Level], question: Question, sides: Sides, claim: Scaling
) -> Finding:
    """The ratio of the medians at both ends, and what is known of the way between them."""
    if len(levels) < 2:
        return nothing(f"{claim.over} has one level: nothing can fall or rise", remedy="give it more levels")

    def decide(errors: tuple[float, float]) -> Finding:
        walk = Walk(question)
        rounds = min(len(last.judged_rounds), len(first.judged_rounds))
        walk.take(Look(1, rounds, question.levels, last=True), paired(last, first, question, errors))
        return told(walk, sides, claim.confidence, last.ended_by or first.ended_by)

    finding = doubted_pair(last, first, claim.metric, question.direction, decide)
    curve = fitted(levels, claim, 0.0)
    return finding if isinstance(curve, Finding) else replace(finding, reason=f"{finding.reason}; {_told(curve.trend)}")


# --- shape and knee --------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Fits:
    """The shapes fitted to so many values."""

    trend: Trend
    n: int


def fitted(levels: list[Level], claim: Scaling, late: float) -> Fits | Finding:
    """The shapes fitted to the levels, or why none can be; *late* times the client's lateness is added to times."""
    samples = [_values(level.series, claim.metric, late) for level in levels]
    missing = sum(sample.missing for sample in samples)
    n = sum(len(sample.values) for sample in samples)
    why = next((sample.why_missing for sample in samples if sample.why_missing), "it was not seen")
    if missing:
        return nothing(f"{missing} without {wording.a(claim.metric)}: {why}", n=n, missing=missing, remedy=MEND)
    unfit = [value for sample in samples for value in sample.present if not 0 < value < math.inf]
    if unfit:
        reason = f"{len(unfit)} of {n} values are 0 or infinite, to which no shape can be fitted"
        return nothing(reason, n=n, remedy="mend what makes calls fail")
    if len(levels) < 2 or levels[0].at <= 0:
        return nothing(f"a shape needs two levels of {claim.over} at least, all above 0", n=n)
    fewest = min(len(sample.values) for sample in samples)
    if fewest < LEAST_PER_LEVEL:
        reason = f"{fewest} at one level, and {LEAST_PER_LEVEL} at each are the fewest that a shape is fitted to"
        return nothing(reason, n=n, remedy=f"raise rounds to {LEAST_PER_LEVEL}")
    x = [level.at for level, sample in zip(levels, samples, strict=True) for _ in sample.values]
    return Fits(find_trend(x, [value for sample in samples for value in sample.present]), n)


def _values(series: Series, metric: str, late: float) -> Observations:
    return shifted(series, observe(series, metric), late * lateness(series))


def _told(trend: Trend) -> str:
    """What is shown of the curve: `fitted shape log; no knee shown`."""
    shape = f"fitted shape {trend.shape}" if trend.shape else "no shape is shown to fit better than others"
    return f"{shape}; {_knee_told(trend)}"


def _knee_told(trend: Trend) -> str:
    if trend.knee is None or trend.knee.knee is None or trend.knee_range is None:
        return "no knee shown"
    low, high = (wording.quantity(end, "") for end in trend.knee_range)
    return f"a knee at {wording.quantity(trend.knee.knee, '')} ({low} to {high})"


def _shape(levels: list[Level], claim: Scaling, late: float) -> Finding:
    """By how much the claimed shape is ahead of all others, or behind the best."""
    curve = fitted(levels, claim, late)
    if isinstance(curve, Finding):
        return curve
    trend, n = curve.trend, curve.n
    claimed = next(fit for fit in trend.fits if fit.shape == claim.shape)
    best = next(fit for fit in trend.fits if fit.shape != claim.shape)
    lead = best.bic - claimed.bic
    better, worse = (claim.shape, best.shape) if lead > 0 else (best.shape, claim.shape)
    reason = f"{better} fits these values better than {worse}: {wording.quantity(abs(lead), 'BIC')}"
    reason += f" ({wording.quantity(BIC_GAP, 'BIC')} would show it); {_knee_told(trend)}"
    outcome, remedy = Outcome.INCONCLUSIVE, _more_of(levels, claim)
    if not trend.fits_at_all:
        reason += "; no shape fits these levels"
    if lead < -BIC_GAP:
        outcome, remedy = Outcome.FAILED, ""
    elif lead > BIC_GAP and trend.fits_at_all:
        outcome, remedy = Outcome.PASSED, ""
    return Finding(outcome, Estimate(lead, lead, lead, claim.confidence, METHOD, n), reason, METHOD, n, 0, remedy)


def _more_of(levels: list[Level], claim: Scaling) -> str:
    if claim.shape == "flat":
        return "a flat shape is hardly ever shown: claim max_drop or max_rise"
    return "raise rounds, or give it more levels" if len(levels) > 2 else "give it more levels"


def _knee(levels: list[Level], claim: Scaling, late: float) -> Finding:
    """Where the curve bends, if that is shown."""
    curve = fitted(levels, claim, late)
    if isinstance(curve, Finding):
        return curve
    trend, n, bound = curve.trend, curve.n, claim.no_knee_before
    if len(levels) < LEAST_LEVELS_FOR_KNEE:
        few = f"a knee is looked for on {LEAST_LEVELS_FOR_KNEE} levels or more, and there are {len(levels)}"
        return nothing(few, n=n, remedy=f"give {claim.over} {LEAST_LEVELS_FOR_KNEE} levels or more")
    assert bound is not None
    if trend.knee is None or trend.knee.knee is None or trend.knee_range is None:
        reason, remedy = "no knee shown, which never means that there is none", "raise rounds, or claim a shape"
        return Finding(Outcome.INCONCLUSIVE, None, reason, METHOD, n, 0, remedy)
    low, high = trend.knee_range
    outcome = Outcome.FAILED if high < bound else Outcome.PASSED if low >= bound else Outcome.INCONCLUSIVE
    remedy = "raise rounds" if outcome is Outcome.INCONCLUSIVE else ""
    estimate = Estimate(trend.knee.knee, low, high, claim.confidence, METHOD, n)
    return Finding(outcome, estimate, _knee_told(trend), METHOD, n, 0, remedy)
