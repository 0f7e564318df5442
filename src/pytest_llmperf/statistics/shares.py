"""Two shares, such as the error rates of two arms: how far they are apart.

Each share has the confidence distribution of its exact test (Clopper & Pearson 1934): Beta(x, n-x+1) where it is to be
low, Beta(x+1, n-x) where it is to be high. Taken independent, as the quantiles of two samples are, they answer whether
one share exceeds the other by more than a distance; whichever of the two distributions speaks against the verdict
counts, so that few observations show nothing.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np
from scipy.special import betainc, betaincc, betaincinv, betaln, xlog1py, xlogy

from pytest_llmperf.statistics.arrays import Floats, complement, require_count, require_open_unit
from pytest_llmperf.statistics.estimate import Estimate, PValues

if TYPE_CHECKING:
    from collections.abc import Callable

METHOD = "confidence distributions of both shares"
QUANTILES = (0.0, 1e-12, 1e-6, 1e-3, 0.05, 0.3, 0.7, 0.95, 1 - 1e-3, 1 - 1e-6, 1.0)
"""Of the one share, between which the integral is split."""
HALVINGS = 32
"""Of an interval from -1 to 1: a billionth."""


def share_shift_p_values(base_bad: int, base_n: int, bad: int, n: int, added: float) -> PValues:
    """Test "the candidate's share is at most the baseline's plus ``added``" in both directions.

    Args:
        base_bad: Hits of the baseline.
        base_n: Out of how many.
        bad: Hits of the candidate.
        n: Out of how many.
        added: The claimed bound on the distance, in [-1, 1]; 0.02 tolerates two points in a hundred more.

    Returns:
        (1, 1) when either sample is empty.

    Raises:
        ValueError: If a count is impossible or ``added`` out of range.
    """
    require_count(base_bad, base_n)
    require_count(bad, n)
    if not -1.0 <= added <= 1.0:
        raise ValueError(f"a distance of two shares lies between -1 and 1, got {added!r}")
    if not (base_n and n):
        return PValues(1.0, 1.0)
    # The shares of what did not hit turn the question round: there the candidate is the one to be high.
    p_fail = _p_exceeds(n - bad, n, base_n - base_bad, base_n, -added)
    return PValues(_p_exceeds(bad, n, base_bad, base_n, added), p_fail)


def share_shift_estimate(base_bad: int, base_n: int, bad: int, n: int, confidence: float) -> Estimate:
    """Estimate candidate share - baseline share; the interval holds the distances neither one-sided test rejects.

    Raises:
        ValueError: If a count is impossible or a sample empty.
    """
    require_open_unit("confidence", confidence)
    if not (base_n and n):
        raise ValueError("a share of no values has no estimate")
    tail = complement(confidence) / 2
    low = _turn(lambda added: _p_exceeds(n - bad, n, base_n - base_bad, base_n, -added) >= tail, 1.0, -1.0)
    high = _turn(lambda added: _p_exceeds(bad, n, base_bad, base_n, added) >= tail, -1.0, 1.0)
    return Estimate(bad / n - base_bad / base_n, low, high, confidence, METHOD, base_n + n)


def _p_exceeds(high_x: int, high_n: int, low_x: int, low_n: int, added: float) -> float:
    """Return P(H >= L + added) of H from Beta(x+1, n-x) and L from Beta(x, n-x+1); both may be certain, 1 and 0."""
    if high_x == high_n:
        return 1.0 if low_x == 0 else float(betainc(low_x, low_n - low_x + 1, min(1.0, 1.0 - added)))

    def exceeds(shares: Floats) -> Floats:
        moved = np.clip(shares + added, 0.0, 1.0)
        return np.asarray(betaincc(high_x + 1, high_n - high_x, moved), dtype=np.float64)

    if low_x == 0:
        return float(exceeds(np.zeros(1))[0])
    a, b = float(low_x), float(low_n - low_x + 1)
    # Panels in which its density and the other's distribution are smooth: between quantiles of L, and where L + added
    # comes to an end of the unit interval.
    ends = np.clip([-added, 1.0 - added], 0.0, 1.0)
    edges = np.sort(np.concatenate((_panels(a, b), ends)))
    unit, weights = _gauss()
    half = (edges[1:] - edges[:-1])[:, None] / 2.0
    shares = (edges[:-1, None] + half * (unit + 1.0)).ravel()
    density = np.exp(xlogy(a - 1.0, shares) + xlog1py(b - 1.0, -shares) - betaln(a, b))
    mass = (half * weights).ravel() * density
    return min(1.0, float(mass @ exceeds(shares)))


@lru_cache(maxsize=64)
def _panels(a: float, b: float) -> Floats:
    edges: Floats = betaincinv(a, b, np.array(QUANTILES))
    edges.setflags(write=False)  # it is shared
    return edges


def _turn(kept: Callable[[float], bool], near: float, far: float) -> float:
    """Return how far towards ``far`` a distance is kept."""
    if kept(far):
        return far
    for _ in range(HALVINGS):
        middle = (near + far) / 2.0
        near, far = (middle, far) if kept(middle) else (near, middle)
    return near


@lru_cache(maxsize=1)
def _gauss() -> tuple[Floats, Floats]:
    nodes, weights = np.polynomial.legendre.leggauss(24)
    return nodes, weights
