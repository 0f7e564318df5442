"""The rate ceiling of a service, from arms that offered it different rates.

Two numbers, which differ by design: the highest offered rate at which refusals were shown to be few, with the lowest at
which they were shown not to be; and the rate that was let through once more was offered than that. A call counts as
refused when any of its attempts was answered 429, though a retry may have been let through.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from pytest_llmperf.core import wording
from pytest_llmperf.core.errors import UsageError
from pytest_llmperf.core.series import Measurement, Series
from pytest_llmperf.statistics.estimate import Estimate

FACTOR = "rate_per_minute"
SETTLING_SECONDS = 60.0
"""What is left out at the start of a level, while the allowance for bursts is used up."""
LEAST_SECONDS = 60.0
"""Shortest time after that in which accepted calls are counted."""


@dataclass(frozen=True, slots=True)
class RateLevel:
    """What one offered rate met."""

    rate: float
    """Offered calls per minute."""
    calls: int
    refused: int
    """Calls of which an attempt was answered 429."""
    accepted: float | None
    """Calls per minute that ended well, after the first minute; None where the level was too short to tell."""


@dataclass(frozen=True, slots=True)
class Ceiling:
    """The bracket and the sustained rate, in calls per minute."""

    share: float
    """The largest tolerated share of refused calls."""
    confidence: float
    levels: tuple[RateLevel, ...]
    """By rate."""
    good: float | None
    """Highest rate shown to keep refusals below the share; None where no level shows it."""
    bad: float | None
    """Lowest rate shown to exceed it; None where no level shows it."""
    sustained: Estimate | None
    """Calls accepted per minute at the levels shown bad; None where there is none that was long enough."""

    def described(self) -> str:
        """Both numbers in a sentence."""
        return f"{self._bracket()}; {self._sustained()}"

    def _bracket(self) -> str:
        claim = f"refusals of at most {wording.percent(self.share)}"
        good, bad = (None if rate is None else f"{wording.quantity(rate, '')}/min" for rate in (self.good, self.bad))
        if good and bad:
            return f"{claim} are shown up to {good}, more from {bad} on"
        if good:
            return f"{claim} are shown up to {good}, and no rate shows more"
        return f"{claim} are shown at no rate, more from {bad} on" if bad else f"{claim}: nothing is shown"

    def _sustained(self) -> str:
        if self.sustained is None:
            return "no rate was offered long enough above the ceiling to tell what is let through"
        value = wording.quantity(self.sustained.value, "")
        levels = wording.count(self.sustained.n, "saturated level")
        if math.isinf(self.sustained.high):
            return f"{value} calls a minute are let through above it ({levels}, so without an interval)"
        low, high = (wording.quantity(end, "") for end in (self.sustained.low, self.sustained.high))
        told = f"{wording.percent(self.confidence)} CI {low} to {high}"
        return f"{value} calls a minute are let through above it, {told} ({levels})"


def rate_ceiling(arms: Sequence[Series], share: float = 0.05, confidence: float = 0.95) -> Ceiling:
    """Find the ceiling in arms over `rate_per_minute`.

    Args:
        arms: one series for each offered rate.
        share: the largest tolerated share of refused calls, in (0, 1).
        confidence: of the whole bracket in either direction, and of the interval, in (0, 1).

    Raises:
        UsageError: an arm has no such rate, or two have the same.
    """
    from pytest_llmperf.statistics.ceilings import ceiling_bracket, sustained_estimate

    pairs = sorted(((_rate(one), one) for one in arms), key=lambda pair: pair[0])
    if len({rate for rate, _ in pairs}) < len(pairs) or not pairs:
        raise UsageError(f"a ceiling is looked for in arms that each have a {FACTOR} of their own")
    levels = tuple(_level(rate, one) for rate, one in pairs)
    judged = [(rate, *_counts(one, share)) for rate, one in pairs if one.judged]
    rates, calls, refused = ([level[column] for level in judged] for column in range(3))
    good, bad = ceiling_bracket(rates, calls, refused, share, round(1 - confidence, 12)) if judged else (None, None)
    saturated = [one.accepted for one in levels if bad is not None and one.rate >= bad and one.accepted is not None]
    sustained = sustained_estimate(saturated, confidence) if saturated else None
    return Ceiling(share, confidence, levels, good, bad, sustained)


def _rate(one: Series) -> float:
    rate = one.factors.get(FACTOR)
    if isinstance(rate, bool) or not isinstance(rate, (int, float)):
        raise UsageError(f"{one.arm or one.scenario} has no {FACTOR}: a ceiling is looked for in arms over it")
    return float(rate)


def _level(rate: float, one: Series) -> RateLevel:
    calls = one.judged
    return RateLevel(rate, len(calls), sum(map(_refused, calls)), _accepted(calls))


def _refused(call: Measurement) -> bool:
    return call.throttled > 0


def _counts(one: Series, share: float) -> tuple[float, float]:
    """Calls and refused ones; as many as they are worth where refusals come in bursts."""
    from pytest_llmperf.statistics.dependence import dependence

    flags = [float(_refused(call)) for call in sorted(one.judged, key=lambda call: call.dispatched)]
    bad, n = sum(flags), float(len(flags))
    likeness = dependence(flags, share)
    if likeness.flagged:
        bad, n = likeness.effective(bad)
    return n, bad


def _accepted(calls: Sequence[Measurement]) -> float | None:
    """Calls that ended well per minute, from the end of the first minute to the last dispatch."""
    if not calls:
        return None
    start, end = min(call.dispatched for call in calls) + SETTLING_SECONDS, max(call.dispatched for call in calls)
    if end - start < LEAST_SECONDS:
        return None
    done = sum(not call.failure and call.finished is not None and start <= call.finished < end for call in calls)
    return done / (end - start) * 60.0
