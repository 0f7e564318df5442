"""Tails of the binomial distribution and the integers read off them.

Counts may be fractions where an effective sample size makes them so: the tails are then those of the incomplete beta
function, which passes through the binomial ones at the integers (Korn & Graubard 1998).
"""

from __future__ import annotations

from collections.abc import Callable

from scipy.special import betainc, betaincc, betainccinv, betaincinv

LARGEST_COUNT = 2**53
"""The largest n that is still exact as a float; a search that passes it has no practical answer."""


def at_most(k: float, n: float, theta: float) -> float:
    """Return P(Bin(n, θ) <= k) = 1 - I_θ(k+1, n-k)."""
    return 1.0 if k >= n else float(betaincc(k + 1, n - k, theta))


def at_least(k: float, n: float, theta: float) -> float:
    """Return P(Bin(n, θ) >= k) = I_θ(k, n-k+1)."""
    if k <= 0:
        return 1.0
    return 0.0 if k > n else float(betainc(k, n - k + 1, theta))


def lower_limit(k: float, n: float, tail: float) -> float:
    """Return the θ at which k or more of n has probability ``tail`` (Clopper & Pearson 1934)."""
    return 0.0 if k <= 0 else float(betaincinv(k, n - k + 1, tail))


def upper_limit(k: float, n: float, tail: float) -> float:
    """Return the θ at which k or fewer of n has probability ``tail`` (Clopper & Pearson 1934)."""
    return 1.0 if k >= n else float(betainccinv(k + 1, n - k, tail))


def first_true(holds: Callable[[int], bool], low: int, high: int) -> int | None:
    """Return the least integer in [low, high] for which the monotone ``holds`` is true, or None."""
    if low > high or not holds(high):
        return None
    while low < high:
        middle = (low + high) // 2
        if holds(middle):
            high = middle
        else:
            low = middle + 1
    return low
