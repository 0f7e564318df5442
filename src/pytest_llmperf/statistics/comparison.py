"""Two samples: the ratio of, or the distance between, their quantiles, without assuming a distribution.

One sample puts a confidence distribution on its q-quantile ξ: P(ξ < x₍ₖ₎) = P(Bin(n, q) <= k-1), spread evenly between
order statistics, with mass (1-q)ⁿ below the smallest value and qⁿ above the largest. Two of them, taken independent
(Xie & Singh 2013), answer whether the candidate's quantile exceeds r times the baseline's:

    p_fail = P(ξ_candidate <= r·ξ_baseline)        p_pass = P(ξ_candidate >= r·ξ_baseline)

Both distributions are piecewise linear, so the integral over the merged grid is exact, and so is its inversion to an
interval. Ties count in full against either verdict, and so does the mass that both samples put at the same infinity:
what was not seen is never evidence. Values are spread on the logarithmic scale for a ratio, on their own for a
distance.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np
from scipy.special import betaincc, ndtri

from pytest_llmperf.statistics.arrays import Floats, as_floats, complement, require_open_unit
from pytest_llmperf.statistics.estimate import Estimate, PValues
from pytest_llmperf.statistics.quantiles import quantile

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

SNAP = 1e-12
"""Two values nearer than this on the scale of comparison are a tie that rounding has split."""
METHOD = "confidence distributions of both quantiles"


@dataclass(frozen=True, slots=True)
class ConfidenceDistribution:
    """What one sample says of its quantile: a cumulative distribution, linear between knots, with jumps at ties.

    Attributes:
        knots: The distinct finite values, increasing.
        below: P(ξ < knot), one per knot.
        up_to: P(ξ <= knot), one per knot; larger than ``below`` where values tie.
        at_bottom: P(ξ = -∞), below all that was seen.
        at_top: P(ξ = +∞), above all finite values that were seen.
    """

    knots: Floats
    below: Floats
    up_to: Floats
    at_bottom: float
    at_top: float

    def moved(self, distance: float) -> ConfidenceDistribution:
        """Return the distribution of ξ + distance."""
        return ConfidenceDistribution(self.knots + distance, self.below, self.up_to, self.at_bottom, self.at_top)

    def at(self, points: Floats) -> tuple[Floats, Floats]:
        """Return P(ξ < point) and P(ξ <= point) at finite points."""
        if not self.knots.size:
            level = np.full(points.size, self.at_bottom)
            return level, level
        next_knot = np.searchsorted(self.knots, points - SNAP, "left")
        on_knot = np.searchsorted(self.knots, points + SNAP, "right") > next_knot
        left, right = np.maximum(next_knot - 1, 0), np.minimum(next_knot, self.knots.size - 1)
        gap = self.knots[right] - self.knots[left]
        share = np.divide(points - self.knots[left], gap, out=np.zeros(points.size), where=gap > 0)
        between = self.up_to[left] + share * (self.below[right] - self.up_to[left])
        between[next_knot == 0] = self.at_bottom
        return np.where(on_knot, self.below[right], between), np.where(on_knot, self.up_to[right], between)


def confidence_distribution(values: Floats, level: float) -> ConfidenceDistribution:
    """Return the confidence distribution of a quantile.

    Args:
        values: At least one number on the scale on which they are to be spread; ±inf allowed, NaN not.
        level: The quantile, in (0, 1).
    """
    ordered, n = np.sort(values), values.size
    before = _before_rank(n, level)
    bottom, finite = int(np.isneginf(ordered).sum()), int(np.isfinite(ordered).sum())
    if not finite:
        at_bottom = float(before[max(0, bottom - 1)])
        return ConfidenceDistribution(ordered[:0], before[:0], before[:0], at_bottom, 1.0 - at_bottom)
    seen = ordered[bottom : bottom + finite]
    first = bottom + np.flatnonzero(np.diff(seen, prepend=-np.inf) > 4 * SNAP)
    last = np.append(first[1:], bottom + finite) - 1
    return ConfidenceDistribution(
        ordered[first], before[first], before[last], float(before[first[0]]), 1.0 - float(before[last[-1]])
    )


@lru_cache(maxsize=64)
def _before_rank(n: int, level: float) -> Floats:
    """Return P(Bin(n, level) <= rank - 1) for the ranks 1 … n."""
    ranks = np.arange(1, n + 1)
    masses: Floats = betaincc(ranks, n - ranks + 1, level)
    masses.setflags(write=False)  # it is shared
    return masses


def p_at_most(one: ConfidenceDistribution, other: ConfidenceDistribution) -> float:
    """Return P(one <= other) for independent confidence distributions; equal infinities count as <=."""
    merged = np.sort(np.concatenate((one.knots, other.knots)))
    grid = merged[np.diff(merged, prepend=-np.inf) > SNAP]
    one_below, one_up_to = one.at(grid)
    other_below, other_up_to = other.at(grid)
    jumps = float((other_up_to - other_below) @ one_up_to)
    slopes = float((other_below[1:] - other_up_to[:-1]) @ (one_up_to[:-1] + one_below[1:])) / 2.0
    return min(1.0, other.at_bottom * one.at_bottom + jumps + slopes + other.at_top)


def quantile_ratio_p_values(
    baseline: Sequence[float], candidate: Sequence[float], level: float, ratio: float
) -> PValues:
    """Test "the candidate's quantile is at most ``ratio`` times the baseline's" in both directions.

    Args:
        baseline: Non-negative numbers, +inf for failures. Can only ever fail a candidate when levelⁿ of it is below α.
        candidate: The same of the candidate, which can only ever pass under the same condition.
        level: The quantile, in (0, 1).
        ratio: The claimed bound, positive; 1.15 tolerates 15 % more.

    Returns:
        (1, 1) when either sample is empty.

    Raises:
        ValueError: If a value is negative or NaN, or a parameter out of range.
    """
    base, other = _logarithms(baseline), _logarithms(candidate)
    if not 0.0 < ratio < math.inf:
        raise ValueError(f"the ratio must be positive and finite, got {ratio!r}")
    return _p_values(base, other, level, math.log(ratio))


def quantile_ratio_estimate(
    baseline: Sequence[float], candidate: Sequence[float], level: float, confidence: float
) -> Estimate:
    """Estimate candidate quantile / baseline quantile; the interval holds the ratios neither one-sided test rejects.

    An upper bound that does not exist is +inf, a lower one 0, below which no ratio lies.

    Raises:
        ValueError: If a sample is empty, negative or NaN, or the baseline's quantile is 0 or infinite.
    """
    base, other = _logarithms(baseline), _logarithms(candidate)
    low, high = _interval(base, other, level, confidence)
    reference = quantile(baseline, level)
    if not 0.0 < reference < math.inf:
        raise ValueError(f"the baseline's quantile is {reference}: there is no ratio to it")
    n = base.size + other.size
    return Estimate(quantile(candidate, level) / reference, math.exp(low), math.exp(high), confidence, METHOD, n)


def quantile_shift_p_values(
    baseline: Sequence[float], candidate: Sequence[float], level: float, added: float
) -> PValues:
    """Test "the candidate's quantile is at most the baseline's plus ``added``" in both directions.

    Args:
        baseline: Numbers in any unit, +inf for failures.
        candidate: The same of the candidate.
        level: The quantile, in (0, 1).
        added: The claimed bound on the distance, finite, in the unit of the values; may be negative.

    Returns:
        (1, 1) when either sample is empty.

    Raises:
        ValueError: If a value is NaN, or a parameter out of range.
    """
    base, other, unit = _common_unit(baseline, candidate)
    if not math.isfinite(added):
        raise ValueError(f"the distance must be finite, got {added!r}")
    return _p_values(base, other, level, added / unit)


def quantile_shift_estimate(
    baseline: Sequence[float], candidate: Sequence[float], level: float, confidence: float
) -> Estimate:
    """Estimate candidate quantile - baseline quantile, in the unit of the values (±inf where there is no bound).

    Raises:
        ValueError: If a sample is empty or holds NaN, or the baseline's quantile is infinite.
    """
    base, other, unit = _common_unit(baseline, candidate)
    low, high = _interval(base, other, level, confidence)
    reference = quantile(baseline, level)
    if math.isinf(reference):
        raise ValueError(f"the baseline's quantile is {reference}: there is no distance to it")
    value = quantile(candidate, level) - reference
    return Estimate(value, low * unit, high * unit, confidence, METHOD, base.size + other.size)


def attainable_p_values(baseline_n: int, candidate_n: int, level: float) -> PValues:
    """Return the smallest p-values that samples of these sizes can give: below α or the verdict cannot be reached.

    The baseline's qᵐ decides whether a candidate can fail, the candidate's qⁿ whether it can pass.
    """
    require_open_unit("level", level)
    base_top, base_bottom = level**baseline_n, complement(level) ** baseline_n
    top, bottom = level**candidate_n, complement(level) ** candidate_n
    p_pass, p_fail = top + (1.0 - top) * base_bottom, base_top + (1.0 - base_top) * bottom
    return PValues(min(1.0, p_pass), min(1.0, p_fail))


def _logarithms(values: Sequence[float]) -> Floats:
    array = as_floats(values)
    if array.size and array.min() < 0.0:
        raise ValueError(f"a ratio needs values that are not negative, got {array.min()}")
    with np.errstate(divide="ignore"):  # the logarithm of 0 is -inf, which is meant
        return np.log(array)


def _common_unit(baseline: Sequence[float], candidate: Sequence[float]) -> tuple[Floats, Floats, float]:
    """Return both samples in units of their largest value, so that the tolerance for ties fits any unit."""
    base, other = as_floats(baseline), as_floats(candidate)
    both = np.concatenate((base, other))
    unit = float(np.abs(both[np.isfinite(both)]).max(initial=0.0)) or 1.0
    return base / unit, other / unit, unit


def _p_values(base: Floats, candidate: Floats, level: float, distance: float) -> PValues:
    require_open_unit("level", level)
    if not (base.size and candidate.size):
        return PValues(1.0, 1.0)
    moved = confidence_distribution(base, level).moved(distance)
    other = confidence_distribution(candidate, level)
    return PValues(p_at_most(moved, other), p_at_most(other, moved))


def _interval(base: Floats, candidate: Floats, level: float, confidence: float) -> tuple[float, float]:
    """Return the least and the greatest distance at which neither one-sided test rejects; ±inf where there is none."""
    require_open_unit("level", level)
    require_open_unit("confidence", confidence)
    if not (base.size and candidate.size):
        raise ValueError("an empty sample has no quantile to compare")
    tail = complement(confidence) / 2
    one, other = confidence_distribution(base, level), confidence_distribution(candidate, level)
    if not (one.knots.size and other.knots.size):
        keeps_low, keeps_high = p_at_most(other, one) >= tail, p_at_most(one, other) >= tail
        return (-math.inf if keeps_low else math.inf), (math.inf if keeps_high else -math.inf)
    nearest = float(other.knots[0] - one.knots[-1]) - 1.0
    widest = float(other.knots[-1] - one.knots[0]) + 1.0
    least = _probit(tail)
    low = _turn(lambda distance: _probit(p_at_most(other, one.moved(distance))) - least, widest, nearest)
    high = _turn(lambda distance: _probit(p_at_most(one.moved(distance), other)) - least, nearest, widest)
    return low, high


def _probit(p: float) -> float:
    """Return p on the scale on which it is nearly linear in the distance."""
    return float(ndtri(min(max(p, 1e-15), 1.0 - 1e-15)))


def _turn(excess: Callable[[float], float], near: float, far: float) -> float:
    """Return how far towards ``far`` the monotone ``excess`` stays at 0 or above: ±inf if always, or if never.

    Regula falsi with the Illinois halving of an end that stays, and with bisection wherever three steps have not
    halved the bracket: the excess may jump at ties.
    """
    direction = math.copysign(math.inf, far - near)
    below, above = excess(far), excess(near)
    if below >= 0.0:
        return direction
    if above < 0.0:
        return -direction
    width, steps, moved = abs(far - near), 0, 0.0
    while abs(far - near) > SNAP:
        share = above / (above - below) if steps < 3 else 0.5
        least = min(0.5, 0.5 * SNAP / abs(far - near))
        point = near + min(max(share, least), 1.0 - least) * (far - near)
        steps += 1
        if (found := excess(point)) >= 0.0:
            near, above, below, moved = point, found, below / (2.0 if moved > 0.0 else 1.0), 1.0
        else:
            far, below, above, moved = point, found, above / (2.0 if moved < 0.0 else 1.0), -1.0
        if steps > 3 or abs(far - near) <= width / 2.0:
            width, steps = abs(far - near), 0
    return near
