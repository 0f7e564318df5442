"""Comparison with earlier sessions: the day is part of the noise, and no number of calls within one day removes it.

One quantile per session on the logarithmic scale, and a t prediction test for one more of them (Kalibera & Jones 2013:
repeat at the level where the variation is). Against a single stored session, a shift of 10 % from day to day (standard
deviation) reads as a regression in one comparison out of five, however many calls are made.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from scipy.special import stdtr

from pytest_llmperf.statistics.arrays import as_floats, require_open_unit
from pytest_llmperf.statistics.estimate import Estimate, PValues
from pytest_llmperf.statistics.means import ROUNDING, critical_t

if TYPE_CHECKING:
    from collections.abc import Sequence

LEAST_SESSIONS = 5
"""Earlier sessions needed before the variation between them is known well enough to judge by."""


def session_p_values(earlier: Sequence[float], new: float, ratio: float) -> PValues:
    """Test "the new session's quantile is at most ``ratio`` times that of the earlier ones" in both directions.

    t = (ln new - mean ln earlier - ln ratio) / (s·√(1 + 1/k)) on k - 1 degrees of freedom.

    Args:
        earlier: One quantile per earlier session, positive and finite, each from about as many calls as the new one.
        new: The new session's quantile, positive; +inf when too many calls failed.
        ratio: The claimed bound, positive; 1.15 tolerates 15 % more.

    Returns:
        (1, 1) for fewer than two earlier sessions; ask for `LEAST_SESSIONS` before trusting it.

    Raises:
        ValueError: If a number is not positive, or an earlier one or the ratio not finite.
    """
    distance = _log(new, "the new quantile", endless=True) - _log(ratio, "the ratio")
    mean, error, freedom = _prediction(earlier)
    if freedom < 1:
        return PValues(1.0, 1.0)
    distance -= mean
    if error == 0.0:
        within = abs(distance) <= ROUNDING
        return PValues(0.0, 1.0) if within else PValues(float(distance > 0.0), float(distance < 0.0))
    return PValues(float(stdtr(freedom, distance / error)), float(stdtr(freedom, -distance / error)))


def session_ratio_estimate(earlier: Sequence[float], new: float, confidence: float) -> Estimate:
    """Estimate the new session's quantile over the (geometric) mean of the earlier ones, by the same t.

    The interval is (0, inf) for fewer than two earlier sessions.

    Raises:
        ValueError: As `session_p_values`, or if there is no earlier session.
    """
    require_open_unit("confidence", confidence)
    mean, error, freedom = _prediction(as_floats(earlier, least=1).tolist())
    value = _log(new, "the new quantile", endless=True) - mean
    method = f"t prediction over {freedom + 1} earlier sessions"
    reach = critical_t(freedom, confidence) * error if freedom else math.inf
    low = 0.0 if freedom == 0 else _exp(value - reach)
    return Estimate(_exp(value), low, _exp(value + reach), confidence, method, freedom + 2)


def _prediction(earlier: Sequence[float]) -> tuple[float, float, int]:
    """Return the mean of the logarithms, the standard error of predicting one more, and the degrees of freedom."""
    logs = [_log(value, "an earlier quantile") for value in earlier]
    k = len(logs)
    if k < 2:
        return sum(logs), 0.0, 0
    mean = math.fsum(logs) / k
    spread = math.sqrt(math.fsum((log - mean) ** 2 for log in logs) / (k - 1))
    return mean, 0.0 if spread <= ROUNDING else spread * math.sqrt(1.0 + 1.0 / k), k - 1


def _log(number: float, name: str, *, endless: bool = False) -> float:
    if not number > 0.0 or (math.isinf(number) and not endless):
        raise ValueError(f"{name} must be positive{'' if endless else ' and finite'}, got {number!r}")
    return math.log(number)


def _exp(log: float) -> float:
    return math.exp(log) if log < 700.0 else math.inf
