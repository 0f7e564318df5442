"""Rate ceilings: two different numbers, and which one is meant must be said.

The highest offered rate with few refusals is a bracket of two levels. The sustained ceiling is what is accepted per
minute once more is offered than is let through; without a burst allowance and with random arrivals the first lies far
below it.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from pytest_llmperf.statistics.arrays import as_floats, require_open_unit
from pytest_llmperf.statistics.estimate import Estimate
from pytest_llmperf.statistics.means import critical_t
from pytest_llmperf.statistics.quantiles import binomial_p_values

if TYPE_CHECKING:
    from collections.abc import Sequence


def ceiling_bracket(
    rates: Sequence[float], calls: Sequence[float], refused: Sequence[float], share: float, alpha: float
) -> tuple[float | None, float | None]:
    """Return the highest rate shown to keep refusals below a share, and the lowest shown to exceed it.

    One exact binomial test per level in either direction, at α over the number of levels, so that all hold together.
    Only a good rate below every bad one counts.

    Args:
        rates: The offered rates, in any one unit and any order.
        calls: How many calls were judged at each rate; a fraction where it is an effective size (Korn & Graubard 1998).
        refused: How many of them were refused (429).
        share: The largest tolerated share of refused calls, in [0, 1].
        alpha: One-sided error probability of the whole bracket, in (0, 1).

    Returns:
        The bracket; None on a side where no level shows it.

    Raises:
        ValueError: If the lists differ in length or a count is impossible.
    """
    require_open_unit("alpha", alpha)
    levels = list(zip(rates, calls, refused, strict=True))
    tests = [(rate, binomial_p_values(bad, n, share)) for rate, n, bad in levels]
    too_high = min((rate for rate, p in tests if p.p_fail < alpha / len(levels)), default=None)
    roof = math.inf if too_high is None else too_high
    good = max((rate for rate, p in tests if p.p_pass < alpha / len(levels) and rate < roof), default=None)
    return good, too_high


def sustained_estimate(accepted: Sequence[float], confidence: float) -> Estimate:
    """Estimate the sustained ceiling from the rate accepted at each saturated level, with Student's t over the levels.

    Leave out each level's first minute, two when the burst allowance is large: the bucket starts full.

    Args:
        accepted: Accepted calls per unit of time, one number per saturated level.
        confidence: Two-sided coverage, in (0, 1).

    Raises:
        ValueError: If there is no level or a number is not finite.
    """
    require_open_unit("confidence", confidence)
    array = as_floats(accepted, least=1, finite=True)
    n = array.size
    mean = math.fsum(array) / n
    reach = critical_t(n - 1, confidence) * float(array.std(ddof=1)) / math.sqrt(n) if n > 1 else math.inf
    return Estimate(mean, mean - reach, mean + reach, confidence, f"Student's t over {n} saturated levels", n)
