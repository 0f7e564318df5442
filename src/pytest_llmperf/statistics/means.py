"""Means and ratios of totals: the skewness-corrected t of Hall (1992), both directions, and its interval by inversion.

An unbounded mean has no distribution-free test. With t = (x̄ - μ) / (s / √n) and the skewness g, Hall's

    T = t + g·t²/(3√n) + g²·t³/(27n) + g/(6√n),    compared with Student's t on n-1 degrees of freedom,

takes most of the skewness out of t. It is monotone in t, so it inverts to an interval in closed form, without
resampling. (Hall, "On the removal of skewness by transformation", JRSS B 54, 1992.)

Values without any spread make no t. They are judged by what they say: a mean off the limit is on that side for certain,
a mean exactly at the limit is within it. That rests on seeing no spread at all, so ask for `least_n_for_mean` first.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from scipy.special import stdtr, stdtrit

from pytest_llmperf.statistics.arrays import Floats, as_floats, complement, require_open_unit
from pytest_llmperf.statistics.estimate import Estimate, PValues

LEAST_N = 30
LEAST_N_SKEWED = 50
STRONG_SKEWNESS = 2.0
ROUNDING = 1e-12
"""A spread or a distance below this share of the values is floating-point rounding, not variation."""

HALL = "Hall's t for skewed means"
WELCH = "Welch's and Hall's t, the wider"
NO_SPREAD = "all values equal"
INFINITE = "an infinite value makes the mean infinite"


class Moments(NamedTuple):
    """What Hall's t needs to know of a sample: mean, standard error, skewness and size."""

    mean: float
    standard_error: float
    skewness: float
    n: float

    def worth(self, share: float) -> Moments:
        """Return the same for values that are worth only this ``share`` of as many independent ones."""
        return self._replace(standard_error=self.standard_error / math.sqrt(share), n=max(2.0, self.n * share))

    def corrected(self, mu: float) -> float:
        """Return T at a supposed mean ``mu``; ±inf, or 0 at the mean itself, when there is no spread."""
        if self.standard_error == 0.0:
            return math.copysign(math.inf, self.mean - mu) if self.mean != mu else 0.0
        return halls_t((self.mean - mu) / self.standard_error, self.skewness / math.sqrt(self.n))

    def mean_at(self, corrected: float) -> float:
        """Return the supposed mean at which T takes the value ``corrected``: the inverse of `corrected`.

        T - b/6 = ((1 + b·t/3)³ - 1) / b with b = g/√n, solved for t without the cancellation of a cube root near 1.
        """
        b = self.skewness / math.sqrt(self.n)
        shifted = corrected - b / 6.0
        root = float(np.cbrt(1.0 + b * shifted))
        return self.mean - self.standard_error * 3.0 * shifted / (root * root + root + 1.0)


def halls_t(t: float, b: float) -> float:
    """Return T for a plain ``t`` and the skewness ``b`` of the mean it tests (g/√n for one sample)."""
    return t + b * t * t / 3.0 + b * b * t**3 / 27.0 + b / 6.0


def moments(values: Floats, size: float | None = None) -> Moments:
    """Return mean, standard error and skewness (m₃ over the cube of the standard deviation) of finite values.

    Args:
        values: At least one finite number.
        size: The magnitude rounding is measured against; the largest absolute value unless given.
    """
    n = values.size
    # Lists, since math.fsum takes several times as long over the numbers of an array.
    mean = min(max(math.fsum(values.tolist()) / n, float(values.min())), float(values.max()))
    size = float(np.abs(values).max()) if size is None else size
    deviations = values - mean
    spread = math.sqrt(math.fsum((deviations**2).tolist()) / (n - 1)) if n > 1 else 0.0
    if spread <= ROUNDING * size:
        return Moments(mean, 0.0, 0.0, n)
    third = math.fsum(((deviations / spread) ** 3).tolist()) / n
    return Moments(mean, spread / math.sqrt(n), third, n)


def skewness(values: Sequence[float]) -> float:
    """Return the skewness g = m₃ / s³ (0 for values without spread), to be shown beside every mean verdict.

    Raises:
        ValueError: If there are no values or one is not finite.
    """
    return moments(as_floats(values, least=1, finite=True)).skewness


def least_n_for_mean(skewness: float) -> int:
    """Return how many values a mean verdict needs: 30, or 50 when |skewness| > 2 (found by simulation)."""
    return LEAST_N_SKEWED if abs(skewness) > STRONG_SKEWNESS else LEAST_N


def mean_p_values(values: Sequence[float], limit: float, *, at_least: bool = False, worth: float = 1.0) -> PValues:
    """Test "the mean is at most ``limit``" in both directions with Hall's t.

    An infinite value makes the mean infinite for certain. A single value, or none, shows nothing: (1, 1).

    Args:
        values: One number per call, in any unit.
        limit: The claimed bound on the mean, in the same unit.
        at_least: Test "the mean is at least ``limit``" instead.
        worth: How many independent values one of them is worth, in (0, 1].

    Raises:
        ValueError: If a value or the limit is NaN, or both infinities occur.
    """
    array = as_floats(values)
    if math.isnan(limit):
        raise ValueError("the limit is NaN")
    if np.isinf(array).any():
        above = _infinite_mean(array) > limit
        return _oriented(PValues(float(above), float(not above)), at_least=at_least)
    if array.size < 2:
        return PValues(1.0, 1.0)
    return _p_values(_at_limit(moments(array).worth(worth), limit), limit, at_least=at_least)


def mean_estimate(values: Sequence[float], confidence: float, *, worth: float = 1.0) -> Estimate:
    """Estimate a mean with the two-sided interval of Hall's t.

    The interval is (-inf, inf) for a single value, a point for values without spread, and infinite on both ends when
    the mean is. ``worth`` is as of `mean_p_values`.

    Raises:
        ValueError: If there are no values, one is NaN, both infinities occur, or ``confidence`` is out of range.
    """
    require_open_unit("confidence", confidence)
    array = as_floats(values, least=1)
    if np.isinf(array).any():
        mean = _infinite_mean(array)
        return Estimate(mean, mean, mean, confidence, INFINITE, array.size)
    seen = moments(array)
    if seen.n == 1:
        return Estimate(seen.mean, -math.inf, math.inf, confidence, "a single value", 1)
    if seen.standard_error == 0.0:
        return Estimate(seen.mean, seen.mean, seen.mean, confidence, NO_SPREAD, array.size)
    fewer = seen.worth(worth)
    reach = critical_t(fewer.n - 1, confidence)
    return Estimate(seen.mean, fewer.mean_at(reach), fewer.mean_at(-reach), confidence, HALL, array.size)


def total_ratio_p_values(
    numerators: Sequence[float], denominators: Sequence[float], limit: float, *, at_least: bool = False
) -> PValues:
    """Test "the ratio of totals Σaᵢ / Σbᵢ is at most ``limit``" in both directions.

    Tokens per second over a whole series is such a ratio. With bᵢ >= 0 it is at most r exactly when the mean of
    dᵢ = aᵢ - r·bᵢ is at most 0: a one-sample mean, tested with Hall's t.

    Args:
        numerators: aᵢ, one finite number per call.
        denominators: bᵢ, one finite non-negative number per call, not all zero.
        limit: The claimed bound r on the ratio.
        at_least: Test "the ratio is at least ``limit``" instead.

    Raises:
        ValueError: If the two lists differ in length, hold a non-finite value, or the denominators do not qualify.
    """
    a, b = _paired(numerators, denominators)
    return PValues(1.0, 1.0) if a.size < 2 else _p_values(_differences(a, b, limit), 0.0, at_least=at_least)


def total_ratio_estimate(numerators: Sequence[float], denominators: Sequence[float], confidence: float) -> Estimate:
    """Estimate the ratio of totals Σaᵢ / Σbᵢ; its interval holds the ratios the two-sided test does not reject.

    Raises:
        ValueError: As `total_ratio_p_values`, or if there are no values.
    """
    require_open_unit("confidence", confidence)
    a, b = _paired(numerators, denominators)
    if a.size == 0:
        raise ValueError("a ratio of no totals has no estimate")
    ratio = math.fsum(a) / math.fsum(b)
    if a.size == 1:
        return Estimate(ratio, -math.inf, math.inf, confidence, "a single value", 1)
    reach = critical_t(a.size - 1, confidence)
    # Exactly proportional totals have no spread at the ratio itself: look around it well outside of rounding.
    step = _differences(a, b, ratio).standard_error * a.size / math.fsum(b) or 1e-6 * abs(ratio) or 1.0
    low = farthest(lambda r: _differences(a, b, r).corrected(0.0) < reach, ratio, -step)
    high = farthest(lambda r: _differences(a, b, r).corrected(0.0) > -reach, ratio, step)
    return Estimate(ratio, low, high, confidence, f"{HALL}, on the ratio of totals", a.size)


def mean_ratio_p_values(baseline: Sequence[float], candidate: Sequence[float], ratio: float) -> PValues:
    """Test "the candidate's mean is at most ``ratio`` times the baseline's" in both directions.

    D = ȳ - r·x̄ against 0, by Welch's t and by Hall's correction of it; the larger p counts. Keep the sizes within 2:1.

    Args:
        baseline: x, non-negative numbers; an infinite one makes the mean infinite for certain.
        candidate: y, the same.
        ratio: The claimed bound r, positive; 1.15 tolerates 15 % more.

    Returns:
        (1, 1) when either sample has fewer than two values, or both means are infinite.

    Raises:
        ValueError: If a value is negative or NaN, or ``ratio`` is not positive and finite.
    """
    x, y = _positive(baseline), _positive(candidate)
    if not 0.0 < ratio < math.inf:
        raise ValueError(f"the ratio must be positive and finite, got {ratio!r}")
    endless_x, endless_y = bool(np.isinf(x).any()), bool(np.isinf(y).any())
    if min(x.size, y.size) < 2 or (endless_x and endless_y):
        return PValues(1.0, 1.0)
    if endless_x or endless_y:
        return PValues(float(endless_y), float(endless_x))
    return _mean_distance(moments(x), moments(y), ratio)


def mean_ratio_estimate(baseline: Sequence[float], candidate: Sequence[float], confidence: float) -> Estimate:
    """Estimate candidate mean / baseline mean; the interval holds the ratios neither one-sided test rejects.

    An upper bound that does not exist is +inf, a lower one 0, below which no ratio of such means lies.

    Raises:
        ValueError: As `mean_ratio_p_values`, or if a sample has fewer than two values, or the baseline's mean is 0 or
            infinite.
    """
    require_open_unit("confidence", confidence)
    x, y = _positive(baseline), _positive(candidate)
    if min(x.size, y.size) < 2:
        raise ValueError("a ratio of means needs two values on either side")
    if not 0.0 < x.max() < math.inf:
        raise ValueError("the baseline's mean is 0 or infinite: there is no ratio to it")
    n = x.size + y.size
    if np.isinf(y).any():
        return Estimate(math.inf, math.inf, math.inf, confidence, INFINITE, n)
    one, other, tail = moments(x), moments(y), complement(confidence) / 2
    value = other.mean / one.mean
    step = value / 8.0 or 1.0
    low = max(0.0, farthest(lambda ratio: _mean_distance(one, other, ratio).p_fail >= tail, value, -step))
    high = farthest(lambda ratio: _mean_distance(one, other, ratio).p_pass >= tail, value, step)
    return Estimate(value, low, high, confidence, WELCH, n)


def mean_shift_p_values(baseline: Sequence[float], candidate: Sequence[float], added: float) -> PValues:
    """Test "the candidate's mean is at most the baseline's plus ``added``" in both directions.

    D = ȳ - x̄ - added against 0, as in `mean_ratio_p_values`.

    Args:
        baseline: x, numbers in any unit; an infinite one makes the mean infinite for certain.
        candidate: y, the same.
        added: The claimed bound on the distance, finite, in the unit of the values.

    Returns:
        (1, 1) when either sample has fewer than two values, or both means are infinite.

    Raises:
        ValueError: If a value is NaN, a sample holds both infinities, or ``added`` is not finite.
    """
    x, y = as_floats(baseline), as_floats(candidate)
    if not math.isfinite(added):
        raise ValueError(f"the distance must be finite, got {added!r}")
    endless_x, endless_y = (_infinite_mean(array) if np.isinf(array).any() else 0.0 for array in (x, y))
    if min(x.size, y.size) < 2 or (endless_x and endless_y):
        return PValues(1.0, 1.0)
    if endless_x or endless_y:
        above = endless_y > endless_x
        return PValues(float(above), float(not above))
    return _mean_distance(moments(x), moments(y), 1.0, added)


def mean_shift_estimate(baseline: Sequence[float], candidate: Sequence[float], confidence: float) -> Estimate:
    """Estimate candidate mean - baseline mean; the interval holds the distances neither one-sided test rejects.

    Raises:
        ValueError: If a sample has fewer than two values, one is not finite in the baseline or NaN, or ``confidence``
            is out of range.
    """
    require_open_unit("confidence", confidence)
    x, y = as_floats(baseline, least=2, finite=True), as_floats(candidate, least=2)
    n = x.size + y.size
    if np.isinf(y).any():
        mean = _infinite_mean(y)
        return Estimate(mean, mean, mean, confidence, INFINITE, n)
    one, other, tail = moments(x), moments(y), complement(confidence) / 2
    value = other.mean - one.mean
    step = math.hypot(one.standard_error, other.standard_error)
    if step == 0.0:
        return Estimate(value, value, value, confidence, NO_SPREAD, n)
    low = farthest(lambda added: _mean_distance(one, other, 1.0, added).p_fail >= tail, value, -step)
    high = farthest(lambda added: _mean_distance(one, other, 1.0, added).p_pass >= tail, value, step)
    return Estimate(value, low, high, confidence, WELCH, n)


def critical_t(freedom: float, confidence: float) -> float:
    """Return the two-sided critical value of Student's t."""
    return float(-stdtrit(freedom, complement(confidence) / 2))


def farthest(holds: Callable[[float], bool], start: float, step: float) -> float:
    """Return how far from ``start`` in the direction of ``step`` the monotone ``holds`` stays true; ±inf if always."""
    near, far = start, start + step
    for _ in range(200):
        if not holds(far):
            break
        near, step = far, step * 2.0
        far = start + step
    else:
        return math.copysign(math.inf, step)
    for _ in range(200):
        middle = near + (far - near) / 2.0
        if middle in (near, far):
            break
        near, far = (middle, far) if holds(middle) else (near, middle)
    return near


def _mean_distance(x: Moments, y: Moments, ratio: float, added: float = 0.0) -> PValues:
    """Test ȳ - r·x̄ - added against 0."""
    x_error, y_error = ratio * x.standard_error, y.standard_error
    distance, error = y.mean - ratio * x.mean - added, math.hypot(x_error, y_error)
    if error == 0.0:
        within = abs(distance) <= ROUNDING * max(abs(y.mean), abs(ratio * x.mean), abs(added))
        return PValues(0.0, 1.0) if within else PValues(float(distance > 0.0), float(distance < 0.0))
    t = distance / error
    freedom = error**4 / (x_error**4 / (x.n - 1) + y_error**4 / (y.n - 1))
    # The third cumulant of D over its cubed error is what g/√n is for one mean.
    b = (y.skewness / math.sqrt(y.n) * y_error**3 - x.skewness / math.sqrt(x.n) * x_error**3) / error**3
    corrected = halls_t(t, b)
    return PValues(float(stdtr(freedom, max(t, corrected))), float(stdtr(freedom, -min(t, corrected))))


def _positive(values: Sequence[float]) -> Floats:
    array = as_floats(values)
    if array.size and array.min() < 0.0:
        raise ValueError(f"a ratio of means needs values that are not negative, got {array.min()}")
    return array


def _infinite_mean(array: Floats) -> float:
    total = float(array.sum()) if not (np.isposinf(array).any() and np.isneginf(array).any()) else math.nan
    if math.isnan(total):
        raise ValueError("values hold both infinities: their mean means nothing")
    return total


def _paired(numerators: Sequence[float], denominators: Sequence[float]) -> tuple[Floats, Floats]:
    a, b = as_floats(numerators, finite=True), as_floats(denominators, finite=True)
    if a.size != b.size:
        raise ValueError(f"expected as many numerators as denominators, got {a.size} and {b.size}")
    if a.size and (b.min() < 0.0 or b.max() == 0.0):
        raise ValueError("denominators must not be negative, nor all zero")
    return a, b


def _differences(a: Floats, b: Floats, ratio: float) -> Moments:
    size = float(np.abs(a).max() + abs(ratio) * b.max())
    return _at_limit(moments(a - ratio * b, size), 0.0, size)


def _at_limit(seen: Moments, limit: float, size: float = 0.0) -> Moments:
    """Put a spread-free mean that misses the limit by rounding alone onto the limit."""
    tolerance = ROUNDING * max(abs(seen.mean), abs(limit), size)
    on_limit = seen.standard_error == 0.0 and abs(seen.mean - limit) <= tolerance
    return seen._replace(mean=limit) if on_limit else seen


def _p_values(seen: Moments, limit: float, *, at_least: bool) -> PValues:
    if seen.standard_error == 0.0 and seen.mean == limit:
        return PValues(0.0, 1.0)
    corrected = seen.corrected(limit)
    both = PValues(float(stdtr(seen.n - 1, corrected)), float(stdtr(seen.n - 1, -corrected)))
    return _oriented(both, at_least=at_least)


def _oriented(both: PValues, *, at_least: bool) -> PValues:
    return PValues(both.p_fail, both.p_pass) if at_least else both
