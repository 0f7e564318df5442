"""The answer to one claim: a value with three outcomes, which is decided in `judge` and only rendered elsewhere."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Outcome(StrEnum):
    """What was shown."""

    PASSED = "passed"
    FAILED = "failed"
    INCONCLUSIVE = "inconclusive"


@dataclass(frozen=True, slots=True)
class Verdict:
    """What was claimed, what was seen, on what ground it was decided, and what to do next."""

    claim: str
    metric: str
    statistic: str
    direction: str
    bound: float
    unit: str
    outcome: Outcome
    reason: str
    """The ground, in plain words with its numbers."""
    confidence: float
    method: str
    n: int
    estimate: float | None = None
    """None when there was nothing to estimate from."""
    low: float | None = None
    high: float | None = None
    missing: int = 0
    """Judged calls or rounds that had no such metric."""
    remedy: str = ""
    """What would settle or mend it."""
    slack: float = 0.0
    """By which share of the limit it may be exceeded for a pass."""
    mark: str = ""
    arm: str = ""
    stops: str = ""
    """When sampling may end by this claim, in words; empty where it was judged once, at the end."""
    evidence: tuple[float, float] | None = None
    """Natural logarithms of the e-values for a pass and for a fail, which of independent runs add up; None where the
    claim is no share of independent observations."""
    to: str = ""
    """The arm it is held against, where two are compared."""


def combined(outcomes: list[Outcome]) -> Outcome:
    """The outcome of several claims together: one failure fails, one doubt leaves doubt."""
    for outcome in (Outcome.FAILED, Outcome.INCONCLUSIVE):
        if outcome in outcomes:
            return outcome
    return Outcome.PASSED
