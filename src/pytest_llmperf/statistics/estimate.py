"""What a statistic says: a value with an interval around it, or a pair of p-values.

Plain values on the standard library alone, so that a stored verdict can be read and shown without numpy or scipy.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple


@dataclass(frozen=True, slots=True)
class Estimate:
    """A point estimate with its two-sided confidence interval.

    Attributes:
        value: The point estimate, in the unit of the data; ±inf where the data make it so.
        low: Lower bound of the interval; -inf when this many values give none.
        high: Upper bound of the interval; +inf when this many values give none.
        confidence: Two-sided coverage the interval is built for, in (0, 1).
        method: How the interval was made, in words fit for a report.
        n: Number of values behind the estimate.
    """

    value: float
    low: float
    high: float
    confidence: float
    method: str
    n: int


class PValues(NamedTuple):
    """The two one-sided tests of one claim; for any one truth at most one of them can err.

    Both run at the full α: the claim is shown when ``p_pass`` < α and refuted when ``p_fail`` < α.

    Attributes:
        p_pass: Chance of data at least this favourable although the claim does not hold.
        p_fail: Chance of data at least this unfavourable although the claim holds.
    """

    p_pass: float
    p_fail: float
