"""Open-ended evidence: e-values that may be looked at after every value, for ever, and carried on tomorrow.

An e-process starts at 1 and is not expected to grow while the opposite of its verdict is true; by Ville's inequality it
ever reaches 1/α with probability at most α. So a verdict at E >= 1/α holds whenever one chooses to look, the E of
independent runs may be multiplied, and 1 / max E is a p-value valid at any time. Use it when no budget is fixed; with
one, the spending plan in `sequential` decides more often. All E are given as natural logarithms.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Literal, TypeAlias

import numpy as np
from scipy.special import betainc, betaincc, betaln

from pytest_llmperf.statistics.arrays import as_floats, complement, require_count, require_open_unit
from pytest_llmperf.statistics.binomial import first_true

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from pytest_llmperf.statistics.arrays import Floats

Side: TypeAlias = Literal["pass", "fail"]

SMALLEST_MASS = 1e-250
BETS = np.linspace(0.05, 0.95, 20)
"""Shares of the largest safe stake that are bet in parallel; none reaches 1, where one value could lose it all."""


def log_e(bad: float, n: float, theta0: float, side: Side) -> float:
    """Return ln E for "the share of bad values is below θ₀" (pass) or "above θ₀" (fail).

    The one-sided beta-binomial mixture (Robbins 1970; Howard, Ramdas, McAuliffe & Sekhon 2021): a Beta(½, (1-θ₀)/(2θ₀))
    prior cut off at θ₀, against θ₀ itself. A martingale at θ₀ and a supermartingale beyond it.

    Args:
        bad: How many values are bad so far.
        n: How many values there are so far; ln E is 0 at n = 0.
        theta0: The share of bad values the claim tolerates, in (0, 1).
        side: Which verdict the evidence is for.

    Raises:
        ValueError: If the counts are impossible or ``theta0`` is out of range.
    """
    require_count(bad, n)
    require_open_unit("theta0", theta0)
    a, b = 0.5, (1.0 - theta0) / (2.0 * theta0)
    after = float(betaln(a + bad, b + n - bad)) + _log_mass(a + bad, b + n - bad, theta0, side)
    before = float(betaln(a, b)) + _log_mass(a, b, theta0, side)
    return after - before - bad * math.log(theta0) - (n - bad) * math.log1p(-theta0)


def rate_confidence_sequence(bad: int, n: int, confidence: float) -> tuple[float, float]:
    """Return limits of the share of bad values, each one-sided at ``confidence`` and valid at every n at once.

    The θ₀ that `log_e` does not reject on either side. (0, 1) at n = 0.
    """
    require_count(bad, n)
    require_open_unit("confidence", confidence)
    needed = -math.log(complement(confidence))
    seen = bad / n if n else 0.5
    low = 0.0 if bad == 0 else _turn(lambda theta: log_e(bad, n, theta, "fail") < needed, seen, 0.0)
    high = 1.0 if bad == n else _turn(lambda theta: log_e(bad, n, theta, "pass") < needed, seen, 1.0)
    return low, high


def quantile_confidence_sequence(values: Sequence[float], level: float, confidence: float) -> tuple[float, float]:
    """Return limits of a quantile, each one-sided at ``confidence`` and valid at every n at once.

    The order statistics at which `log_e` on the share of larger values turns; ±inf where none does.
    """
    require_open_unit("level", level)
    require_open_unit("confidence", confidence)
    ordered, theta, needed = np.sort(as_floats(values)), complement(level), -math.log(complement(confidence))
    n = ordered.size
    upper = first_true(lambda k: log_e(n - k, n, theta, "pass") >= needed, 1, n)
    past_lower = first_true(lambda k: log_e(n - k + 1, n, theta, "fail") < needed, 1, n)
    lower = n if past_lower is None else past_lower - 1
    low = float(ordered[lower - 1]) if lower else -math.inf
    return low, math.inf if upper is None else float(ordered[upper - 1])


def bounded_mean_log_e(values: Sequence[float], limit: float, cap: float, side: Side, *, floor: float = 0.0) -> Floats:
    """Return ln E after each value for "the mean is below ``limit``" (pass) or "above ``limit``" (fail).

    Betting against the limit with a fixed share of the capital, averaged over 20 shares (Waudby-Smith & Ramdas 2024):
    mean over λ of Π(1 + λ(limit - xᵢ)), λ up to 0.95 / (cap - limit), and its mirror image for "fail". No distribution
    is assumed beyond the bounds; a cost has one in the most tokens allowed times their price.

    Args:
        values: One number per call within [floor, cap], in the order of the calls.
        limit: The claimed bound on the mean, strictly between ``floor`` and ``cap``.
        cap: The largest value that can occur.
        side: Which verdict the evidence is for.
        floor: The smallest value that can occur.

    Raises:
        ValueError: If a value lies outside the bounds (the evidence would be void), or the limit does.
    """
    array = as_floats(values, finite=True)
    if not floor < limit < cap:
        raise ValueError(f"the limit must lie between floor and cap, got {floor} < {limit} < {cap}")
    if array.size and (array.min() < floor or array.max() > cap):
        raise ValueError(f"values lie outside [{floor}, {cap}]: from {array.min()} to {array.max()}")
    gains, stake = (limit - array, cap - limit) if side == "pass" else (array - limit, limit - floor)
    wealth = np.cumsum(np.log1p(np.outer(BETS / stake, gains)), axis=1)
    return np.asarray(np.logaddexp.reduce(wealth, axis=0) - math.log(BETS.size), dtype=np.float64)


def anytime_p_value(log_es: Sequence[float] | Floats) -> float:
    """Return 1 / max E, at most 1: a p-value valid however often and however long one looked (Ville's inequality)."""
    return math.exp(-max(0.0, *map(float, log_es))) if len(log_es) else 1.0


def _log_mass(a: float, b: float, theta: float, side: Side) -> float:
    """Return the logarithm of what a Beta(a, b) distribution has below θ (pass) or above it (fail).

    Where that is too small for a float, though the evidence it belongs to need not be, by the series
    I_x(a, b) = xᵃ·(1-x)ᵇ / (a·B(a, b)) · Σ Π (a+b+j)·x / (a+1+j), whose terms then fall from the first on.
    """
    mass = float(betainc(a, b, theta) if side == "pass" else betaincc(a, b, theta))
    if mass > SMALLEST_MASS:
        return math.log(mass)
    x = theta
    if side == "fail":
        a, b, x = b, a, 1.0 - theta
    j, term, total = 0, 1.0, 1.0
    while term > 1e-17 * total:
        term *= (a + b + j) * x / (a + 1.0 + j)
        total += term
        j += 1
    return a * math.log(x) + b * math.log1p(-x) - math.log(a) - float(betaln(a, b)) + math.log(total)


def _turn(kept: Callable[[float], bool], inside: float, outside: float) -> float:
    """Return where, between a θ that is kept and an end that is not, the evidence turns."""
    for _ in range(200):
        middle = (inside + outside) / 2.0
        if middle in (inside, outside):
            break
        inside, outside = (middle, outside) if kept(middle) else (inside, middle)
    return inside
