"""Planned looks at growing data: one-sided p thresholds that together spend α, for tests without a stop table.

The statistic is taken to be a standard Brownian motion observed at given fractions of its final information (Lan &
DeMets 1983). Look k gets the threshold at which the chance of a first crossing there equals what the spending function
releases between two looks; found by the recursive integration of Armitage, McPherson & Rowe (1969).
"""

from __future__ import annotations

import math
from functools import lru_cache
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
from scipy.special import ndtr

from pytest_llmperf.statistics.arrays import Floats, require_open_unit

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

LOOKS = 4
LEAST_GAP = 0.002
"""Looks closer than this share of the information are one look, and would need an ever finer grid to tell apart."""
FAR = 9.0
"""Standard deviations beyond which a normal density is nothing in double precision."""
PANEL = 4.0
"""Width of an integration panel in standard deviations of the narrowest kernel; 16 Gauss points integrate it well."""


def power_spending(alpha: float, fraction: float, rho: float = 2.0) -> float:
    """Return α·fractionᵖ, the error that may be used up to this fraction of the information (Kim & DeMets 1987)."""
    return float(alpha * fraction**rho)


def look_levels(
    fractions: Sequence[float], alpha: float, spending: Callable[[float, float], float] = power_spending
) -> tuple[float, ...]:
    """Return the one-sided p threshold of each look: a verdict is given at the first look whose p is below its own.

    0.003125, 0.010671, 0.022206, 0.038431 for four equal looks at α = 0.05.

    Args:
        fractions: Increasing fractions of the final information, in (0, 1], at least 0.002 apart.
        alpha: One-sided error probability of all looks together, in (0, 1).
        spending: From (alpha, fraction) to the cumulated error that may be used; increasing in the fraction.

    Raises:
        ValueError: If the fractions do not increase within (0, 1] by at least 0.002.
    """
    require_open_unit("alpha", alpha)
    gaps = [late - early for early, late in pairwise((0.0, *fractions))]
    if not gaps or min(gaps) < LEAST_GAP * (1 - 1e-9) or fractions[-1] > 1.0:
        raise ValueError(f"fractions must increase by {LEAST_GAP} or more within (0, 1], got {list(fractions)}")
    steps = [math.sqrt(gap) for gap in gaps]
    levels, used = [], 0.0
    nodes: Floats = np.zeros(1)  # the motion starts at 0 for certain
    density: Floats = np.ones(1)
    for fraction, step, next_step in zip(fractions, steps, [*steps[1:], steps[-1]], strict=True):
        allowed, reach = spending(alpha, fraction), math.sqrt(fraction)
        bound = _bound(nodes, density, step, allowed - used, reach)
        levels.append(float(ndtr(-bound / reach)))
        later, weights = _grid(-FAR * reach, bound, PANEL * min(step, next_step))
        kernel = np.exp(-0.5 * ((later[:, None] - nodes[None, :]) / step) ** 2) / (step * math.sqrt(2.0 * math.pi))
        nodes, density, used = later, weights * (kernel @ density), allowed
    return tuple(levels)


def equal_looks(looks: int) -> tuple[float, ...]:
    """Return the fractions of ``looks`` equally spaced looks: 1/looks … 1."""
    return tuple(k / looks for k in range(1, looks + 1))


def information_fractions(base_sizes: Sequence[int], candidate_sizes: Sequence[int]) -> tuple[float, ...]:
    """Return the information at each look of a two-sample comparison, as a share of that at the last.

    Information is 1 / (1/m + 1/n) for sizes m and n: with a stored baseline of fixed size it does not grow in step with
    the candidate's.

    Raises:
        ValueError: If the two lists differ in length, are empty or hold a size below 1.
    """
    sizes = list(zip(base_sizes, candidate_sizes, strict=True))
    if not sizes or min(map(min, sizes)) < 1:
        raise ValueError(f"expected sizes of at least 1 at one look or more, got {sizes}")
    information = [1.0 / (1.0 / base + 1.0 / candidate) for base, candidate in sizes]
    return tuple(share / information[-1] for share in information)


def _bound(nodes: Floats, density: Floats, step: float, release: float, reach: float) -> float:
    """Return the value whose first crossing at this look has probability ``release``."""
    low, high = -FAR * reach, 4.0 * FAR * reach
    while low < (middle := (low + high) / 2.0) < high:
        crossing = float(density @ ndtr((nodes - middle) / step))
        low, high = (middle, high) if crossing > release else (low, middle)
    return high


def _grid(low: float, high: float, panel: float) -> tuple[Floats, Floats]:
    """Return nodes and weights of a composite Gauss-Legendre rule on [low, high]."""
    unit, weights = _gauss()
    edges = np.linspace(low, high, max(1, math.ceil((high - low) / panel)) + 1)
    half = (edges[1:] - edges[:-1])[:, None] / 2.0
    return (edges[:-1, None] + half * (unit + 1.0)).ravel(), (half * weights).ravel()


@lru_cache(maxsize=1)
def _gauss() -> tuple[Floats, Floats]:
    nodes, weights = np.polynomial.legendre.leggauss(16)
    return nodes, weights
