"""Calls that resemble their neighbours: how to notice, and how many independent calls they are worth.

All values inform the dependence, through the normal scores of their ranks; a Gaussian copula then carries it into the
tail, where it is much weaker. The design effect of the ranks themselves would be about twice too large, that of the
0/1 flags too small.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np
from scipy.special import ndtri

from pytest_llmperf.statistics.arrays import Floats, as_floats, require_open_unit

if TYPE_CHECKING:
    from collections.abc import Sequence

FLAG = 1.645
"""One-sided 5 % point of the normal distribution, against which r·√n is held."""
STRONGEST = 0.999
"""A correlation above this is treated as this: the series is one slow drift, and the lags never end."""


@dataclass(frozen=True, slots=True)
class Dependence:
    """How much the values of a series resemble their neighbours, and what that costs a tail claim.

    Attributes:
        n: Number of values.
        lag1: Correlation between neighbours, on normal scores of ranks, corrected for bias.
        flagged: Whether that is more than independent values show in 95 % of series.
        design_effect: How many of these values are worth one independent value; at least 1.
    """

    n: int
    lag1: float
    flagged: bool
    design_effect: float

    @property
    def n_eff(self) -> float:
        """The number of independent values the series is worth."""
        return self.n / self.design_effect

    def effective(self, bad: float) -> tuple[float, float]:
        """Return (bad, n) divided by the design effect, for the exact binomial test (Korn & Graubard 1998)."""
        return bad / self.design_effect, self.n_eff


def dependence(values: Sequence[float], theta0: float) -> Dependence:
    """Measure the dependence of a series, in the order its calls were dispatched, for a claim with bad share θ₀.

    Args:
        values: One number per call; +inf for failures.
        theta0: The share of bad values the claim tolerates, in (0, 1).

    Raises:
        ValueError: If a value is NaN or ``theta0`` is out of range.
    """
    n = len(values)
    r = unbiased(lag1(values), n)
    return Dependence(n, r, is_flagged(r, n), design_effect(r, theta0))


def lag1(values: Sequence[float]) -> float:
    """Return the correlation of neighbours on normal scores of ranks, Φ⁻¹((rank - ½) / n); 0 without spread.

    Ties share the mean of their ranks, so failures (+inf) are all equally slow.
    """
    array = as_floats(values)
    if array.size < 2:
        return 0.0
    scores = ndtri((midranks(array) - 0.5) / array.size)
    scores = scores - scores.mean()
    total = float(scores @ scores)
    return float(scores[1:] @ scores[:-1]) / total if total > 1e-12 else 0.0


def unbiased(lag1: float, n: int) -> float:
    """Return a lag-1 correlation plus 1/n, which is what independent values fall short of 0 on average."""
    return lag1 + 1.0 / n if n > 1 and lag1 else 0.0


def is_flagged(r: float, n: int) -> bool:
    """Return whether an unbiased lag-1 correlation is larger than chance allows: r·√n > 1.645."""
    return r * math.sqrt(n) > FLAG


def design_effect(r: float, theta0: float) -> float:
    """Return D = 1 + 2·Σ ρ(rᵏ) over the lags k >= 1, with ρ the `indicator_correlation` of "bad" at θ₀.

    1 for r <= 0: neighbours that differ more than by chance are not taken as worth more than independent ones.
    """
    require_open_unit("theta0", theta0)
    r = min(r, STRONGEST)
    if r <= 0.0:
        return 1.0
    lags = np.arange(1.0, 2 + math.ceil(math.log(1e-10) / math.log(r)))
    return 1.0 + 2.0 * float(_indicator_correlations(np.power(r, lags), theta0).sum())


def mean_design_effect(r: float) -> float:
    """Return D = (1 + r) / (1 - r), how many values of a first-order autoregression are worth one for their mean.

    1 for r <= 0. (Bartlett 1946, "On the theoretical specification and sampling properties of autocorrelated
    time-series".)
    """
    r = min(max(r, 0.0), STRONGEST)
    return (1.0 + r) / (1.0 - r)


def indicator_correlation(r: float, theta0: float) -> float:
    """Return the correlation of two "bad" flags whose latent normal values correlate by ``r``, in [0, 1].

    (P(both above z) - θ₀²) / (θ₀(1-θ₀)) with z = Φ⁻¹(1-θ₀), by the integral ∫₀ʳ exp(-z²/(1+s)) / (2π√(1-s²)) ds of the
    bivariate normal density over its correlation (Plackett 1954).
    """
    require_open_unit("theta0", theta0)
    if not 0.0 <= r <= 1.0:
        raise ValueError(f"the correlation must lie between 0 and 1, got {r!r}")
    return float(_indicator_correlations(np.array([r]), theta0)[0])


def midranks(values: Floats) -> Floats:
    """Return 1-based ranks; ties share the mean of theirs."""
    _, group, count = np.unique(values, return_inverse=True, return_counts=True)
    last = np.cumsum(count)
    return np.asarray((last - (count - 1) / 2.0)[group], dtype=np.float64)


def _indicator_correlations(r: Floats, theta0: float) -> Floats:
    # With s = sin(φ) the integrand loses its pole at s = 1.
    unit, weights = _gauss()
    half = np.arcsin(r)[:, None] / 2.0
    z = float(ndtri(theta0))
    density = np.exp(-(z**2) / (1.0 + np.sin(half * (unit + 1.0)))) / (2.0 * math.pi)
    return np.asarray((half * weights * density).sum(axis=1) / (theta0 * (1.0 - theta0)), dtype=np.float64)


@lru_cache(maxsize=1)
def _gauss() -> tuple[Floats, Floats]:
    nodes, weights = np.polynomial.legendre.leggauss(48)
    return nodes, weights
