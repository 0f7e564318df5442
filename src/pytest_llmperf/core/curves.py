"""What a claim on scaling saw, for those who draw it: the levels with their medians, the fitted shapes, the limits.

Decides nothing: `scaling` decides, on the same levels and by the same fits. It is imported where there is a curve to
work out, so that a report can hold one at no cost.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from pytest_llmperf.core.claims import Scaling
from pytest_llmperf.core.observations import observe
from pytest_llmperf.core.series import Series

if TYPE_CHECKING:
    from pytest_llmperf.core.scaling import Level
    from pytest_llmperf.statistics.trends import Trend


@dataclass(frozen=True, slots=True)
class LevelSeen:
    """One level: where it is, and its median with an interval, in the metric's unit; None without values."""

    at: float
    arm: str
    n: int
    median: float | None
    low: float | None
    high: float | None


@dataclass(frozen=True, slots=True)
class FittedShape:
    """One fitted shape."""

    shape: str
    """`flat`, `linear`, `log`, `bent linear` or `bent log`."""
    coefficients: tuple[float, ...]
    """Intercept, slope per unit of the factor (per doubling for the log shapes), change of the slope at the knee."""
    knee: float | None
    behind: float
    """How far its Schwarz criterion (BIC) is behind the best shape's; above 6 the other is shown to fit better."""

    def at(self, x: float) -> float:
        """The fitted value at a level above 0."""
        scaled = (math.log2(x), math.log2(self.knee or x)) if self.shape.endswith("log") else (x, self.knee or x)
        terms = (1.0, scaled[0], max(0.0, scaled[0] - scaled[1]))
        return math.fsum(c * term for c, term in zip(self.coefficients, terms, strict=False))


@dataclass(frozen=True, slots=True)
class Curve:
    """How a metric went with a factor, and what was claimed of it."""

    over: str
    metric: str
    unit: str
    arm: str
    """The other factors of these arms, as in the verdicts; empty where there are none."""
    confidence: float
    """Of the levels' intervals."""
    levels: tuple[LevelSeen, ...]
    fits: tuple[FittedShape, ...]
    """The best first; empty where none could be fitted."""
    unfitted: str
    """Why none could be fitted."""
    shape: str
    """The shape that is shown; empty where none is."""
    knee: float | None
    """Where the curve bends, if that is shown."""
    knee_range: tuple[float, float] | None
    least: float | None
    """What the last level's median is claimed to be at least, in the metric's unit."""
    most: float | None
    claimed_shape: str
    no_knee_before: float | None


def curves(arms: Sequence[Series], scalings: Sequence[Scaling]) -> tuple[Curve, ...]:
    """The curves that claims are about: one for each factor and metric, and each combination of the other factors.

    Args:
        arms: as for `judge_scaling`, which raises what is wrong with them.
        scalings: the claims.
    """
    found: dict[tuple[str, str, str], Curve] = {}
    for curve in (one for scaling in scalings for one in _curves(arms, scaling)):
        key = (curve.over, curve.metric, curve.arm)
        found[key] = _claimed_by_both(found[key], curve) if key in found else curve
    return tuple(found.values())


def _claimed_by_both(one: Curve, other: Curve) -> Curve:
    """The same curve with the limits of two claims; of two on the same side the first."""
    return replace(
        one,
        least=other.least if one.least is None else one.least,
        most=other.most if one.most is None else one.most,
        claimed_shape=one.claimed_shape or other.claimed_shape,
        no_knee_before=other.no_knee_before if one.no_knee_before is None else one.no_knee_before,
    )


def _curves(arms: Sequence[Series], scaling: Scaling) -> Iterator[Curve]:
    from pytest_llmperf.core.scaling import grouped, of_these

    groups = grouped(arms, scaling.over)
    for name, levels in groups.items():
        yield _curve(levels, of_these(levels, scaling), name if len(groups) > 1 else "")


def _curve(levels: list[Level], claim: Scaling, arm: str) -> Curve:
    from pytest_llmperf.core.scaling import Fits, fitted

    seen = tuple(_seen(level, claim) for level in levels)
    first = seen[0].median
    fits = fitted(levels, claim, 0.0)
    shown = fits.trend if isinstance(fits, Fits) else None
    knee = shown.knee if shown else None
    return Curve(
        over=claim.over,
        metric=claim.metric,
        unit=claim.unit,
        arm=arm,
        confidence=claim.confidence,
        levels=seen,
        fits=_shapes(shown) if shown else (),
        unfitted="" if isinstance(fits, Fits) else fits.reason,
        shape=(shown.shape or "") if shown else "",
        knee=knee.knee if knee else None,
        knee_range=shown.knee_range if shown and knee else None,
        least=None if first is None or claim.max_drop is None else first * (1 - claim.max_drop),
        most=None if first is None or claim.max_rise is None else first * (1 + claim.max_rise),
        claimed_shape=claim.shape or "",
        no_knee_before=claim.no_knee_before,
    )


def _shapes(trend: Trend) -> tuple[FittedShape, ...]:
    best = trend.best.bic
    return tuple(FittedShape(fit.shape, fit.coefficients, fit.knee, fit.bic - best) for fit in trend.fits)


def _seen(level: Level, claim: Scaling) -> LevelSeen:
    from pytest_llmperf.statistics.quantiles import quantile_estimate

    values = observe(level.series, claim.metric).present
    if not values:
        return LevelSeen(level.at, level.series.arm, 0, None, None, None)
    found = quantile_estimate(values, 0.5, claim.confidence)
    return LevelSeen(level.at, level.series.arm, len(values), found.value, found.low, found.high)
