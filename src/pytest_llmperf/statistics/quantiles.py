"""Quantiles and rates at a fixed n, without any assumption on the distribution.

Whether a quantile lies below a limit is a question about a share: with θ the share of *bad* values (above the limit,
or failed), the q-quantile is within the limit exactly when θ <= θ₀ = 1 - q. A rate claim is the same question with θ₀
given. So one exact binomial test serves both, an infinite value is one more bad one, and errors are never dropped.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from pytest_llmperf.statistics.arrays import (
    Floats,
    as_floats,
    complement,
    require_count,
    require_open_unit,
    require_share,
)
from pytest_llmperf.statistics.binomial import (
    LARGEST_COUNT,
    at_least,
    at_most,
    first_true,
    lower_limit,
    upper_limit,
)
from pytest_llmperf.statistics.estimate import Estimate, PValues

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence


def bad_share(level: float) -> float:
    """Return θ₀ = 1 - level, the share of bad values a quantile claim tolerates (0.05 for a p95).

    Raises:
        ValueError: If ``level`` is not strictly between 0 and 1.
    """
    require_open_unit("level", level)
    return complement(level)


def binomial_p_values(bad: float, n: float, theta0: float) -> PValues:
    """Test "the share of bad values is at most θ₀" in both directions, exactly.

    p_pass = P(Bin(n, θ₀) <= bad) and p_fail = P(Bin(n, θ₀) >= bad), the one-sided tests of Clopper & Pearson (1934).
    Nothing is shown by no data: (1, 1) at n = 0.

    Args:
        bad: How many values are bad. May be a fraction when ``n`` is an effective size (Korn & Graubard 1998).
        n: How many values there are.
        theta0: The share of bad values the claim tolerates, in [0, 1].

    Raises:
        ValueError: If ``bad`` is not within [0, n] or ``theta0`` not within [0, 1].
    """
    require_count(bad, n)
    require_share("theta0", theta0)
    return PValues(at_most(bad, n, theta0), at_least(bad, n, theta0))


def least_n_to_pass(theta0: float, alpha: float, bad: int = 0) -> int | None:
    """Return the least n at which ``bad`` bad values still show θ < θ₀ (59, 93, 124, … for a p95; Wilks 1941).

    Args:
        theta0: The share of bad values the claim tolerates, in [0, 1].
        alpha: One-sided error probability, in (0, 1).
        bad: How many bad values are to be allowed.

    Returns:
        The sample size, or None when no sample can show it: nothing ever shows that errors *cannot* happen (θ₀ = 0).
    """
    require_share("theta0", theta0)
    require_open_unit("alpha", alpha)
    require_count(bad, bad)
    n = bad + 1
    while not at_most(bad, n, theta0) < alpha:
        n *= 2
        if n > LARGEST_COUNT:
            return None
    return first_true(lambda size: at_most(bad, size, theta0) < alpha, max(bad + 1, n // 2), n)


def least_bad_to_fail(n: int, theta0: float, alpha: float) -> int | None:
    """Return the fewest bad values among ``n`` that show θ > θ₀, or None when even n of n do not."""
    require_share("theta0", theta0)
    require_open_unit("alpha", alpha)
    return first_true(lambda bad: at_least(bad, n, theta0) < alpha, 1, n)


def most_bad_to_pass(n: int, theta0: float, alpha: float) -> int | None:
    """Return the most bad values among ``n`` that still show θ < θ₀, or None when even none of n does not."""
    require_share("theta0", theta0)
    require_open_unit("alpha", alpha)
    first_too_many = first_true(lambda bad: not at_most(bad, n, theta0) < alpha, 0, n)
    return first_too_many - 1 if first_too_many else None


def highest_passable_level(n: int, alpha: float) -> float:
    """Return α^(1/n): ``n`` clean values can show any quantile level below this one, and none at or above it.

    0.861 for n = 20 and 0.942 for n = 50 at α = 0.05; 0 for n = 0. Round it down when showing it.
    """
    require_open_unit("alpha", alpha)
    return alpha ** (1.0 / n) if n > 0 else 0.0


def quantile_rank(n: int, level: float) -> int:
    """Return ⌈n·level⌉, the 1-based rank of the sample quantile: the last at which n·θ₀ or fewer values lie above.

    The product is taken a hair low (one part in 10¹²), because 100 · 0.07 is 7.000000000000001 in binary.
    """
    return max(1, math.ceil(n * level * (1.0 - 1e-12)))


def quantile(values: Sequence[float], level: float) -> float:
    """Return the sample quantile x₍⌈n·level⌉₎ (inverse of the empirical distribution function; +inf allowed).

    Of all definitions the one that agrees with the verdict, and that stays finite while failures are few.

    Raises:
        ValueError: If there are no values, one is NaN, or ``level`` is not strictly between 0 and 1.
    """
    require_open_unit("level", level)
    return _ranked(np.sort(as_floats(values, least=1)), level)


def order_statistics(values: Sequence[float], levels: Iterable[float]) -> list[float]:
    """Return the smallest value, the sample quantiles at ``levels``, and the largest value, of one sorting.

    Raises:
        ValueError: If there are no values, or one is NaN.
    """
    ordered = np.sort(as_floats(values, least=1))
    return [float(ordered[0]), *(_ranked(ordered, level) for level in levels), float(ordered[-1])]


def quantile_ranks(n: int, level: float, tail: float) -> tuple[int | None, int | None]:
    """Return the 1-based ranks of the order statistics that bound a quantile, each with one-sided error ``tail``.

    Lower: the largest k with P(Bin(n, level) <= k-1) <= tail. Upper: the smallest k with P(Bin(n, level) >= k) <= tail.
    No rank (None) where n is too small for a bound on that side. Distribution-free (Wilks 1941; ties only widen it).
    """
    require_open_unit("level", level)
    require_open_unit("tail", tail)
    theta = complement(level)
    # In terms of the values above x₍k₎, so that levels near 1 keep their precision.
    upper = first_true(lambda k: at_most(n - k, n, theta) <= tail, 1, n)
    past_lower = first_true(lambda k: at_least(n - k + 1, n, theta) > tail, 1, n)
    lower = n if past_lower is None else past_lower - 1
    return lower or None, upper


def quantile_limits(values: Sequence[float], level: float, confidence: float) -> tuple[float, float]:
    """Return the lower and the upper limit of a quantile, each one-sided at ``confidence`` (±inf where absent)."""
    require_open_unit("confidence", confidence)
    ordered = np.sort(as_floats(values))
    return _limits(ordered, quantile_ranks(ordered.size, level, complement(confidence)))


def quantile_estimate(values: Sequence[float], level: float, confidence: float) -> Estimate:
    """Estimate a quantile with its two-sided order-statistic interval.

    Args:
        values: One number per call, in any unit; +inf for a call that failed.
        level: The quantile, in (0, 1): 0.95 for a p95.
        confidence: Two-sided coverage, in (0, 1); each side errs with at most (1 - confidence) / 2.

    Raises:
        ValueError: If there are no values, one is NaN, or a level is out of range.
    """
    require_open_unit("confidence", confidence)
    ordered = np.sort(as_floats(values, least=1))
    ranks = quantile_ranks(ordered.size, level, complement(confidence) / 2)
    low, high = _limits(ordered, ranks)
    method = f"order statistics {ranks[0] or 'none'} to {ranks[1] or 'none'} of {ordered.size}"
    return Estimate(_ranked(ordered, level), low, high, confidence, method, ordered.size)


def rate_limits(bad: float, n: float, confidence: float) -> tuple[float, float]:
    """Return the lower and the upper limit of a share, each one-sided at ``confidence`` (Clopper & Pearson 1934).

    (0, 1) at n = 0. Counts may be fractions when ``n`` is an effective size.
    """
    require_count(bad, n)
    require_open_unit("confidence", confidence)
    tail = complement(confidence)
    return lower_limit(bad, n, tail), upper_limit(bad, n, tail)


def rate_estimate(bad: int, n: int, confidence: float) -> Estimate:
    """Estimate the share of bad values with the two-sided exact interval of Clopper & Pearson (1934).

    Raises:
        ValueError: If n is 0: a share of nothing has no value.
    """
    require_count(bad, n)
    require_open_unit("confidence", confidence)
    if n == 0:
        raise ValueError("a share of no values has no estimate")
    tail = complement(confidence) / 2
    return Estimate(
        bad / n, lower_limit(bad, n, tail), upper_limit(bad, n, tail), confidence, "exact binomial (Clopper–Pearson)", n
    )


def _ranked(ordered: Floats, level: float) -> float:
    return float(ordered[quantile_rank(ordered.size, level) - 1])


def _limits(ordered: Floats, ranks: tuple[int | None, int | None]) -> tuple[float, float]:
    lower, upper = ranks
    low = -math.inf if lower is None else float(ordered[lower - 1])
    high = math.inf if upper is None else float(ordered[upper - 1])
    return low, high
