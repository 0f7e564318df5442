"""How many requests are in flight at once when they arrive at random and never wait."""

from __future__ import annotations

import math

from scipy.special import pdtr

from pytest_llmperf.statistics.arrays import require_open_unit


def busy_quantile(mean: float, level: float) -> int:
    """Return the number in flight that is exceeded in at most 1 - ``level`` of all moments.

    Requests that arrive at random (a Poisson process) and are served at once are in flight in a Poisson number, whose
    mean is Little's λ·W whatever the distribution of the time each takes (M/G/∞; Takács 1962).

    Args:
        mean: Mean number in flight, 0 or more.
        level: In (0, 1).

    Raises:
        ValueError: If an argument is out of range.
    """
    require_open_unit("level", level)
    if not 0.0 <= mean < math.inf:
        raise ValueError(f"a mean number of 0 or more is expected, got {mean!r}")
    number = max(0, math.floor(mean - 10.0 * math.sqrt(mean) - 10.0))
    while pdtr(number, mean) < level:
        number += 1
    return number
