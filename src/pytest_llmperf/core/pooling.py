"""Evidence of several runs of one claim, put together.

The e-values of independent runs may be multiplied, however many runs there will be and whenever one looks (Ville's
inequality), which no p-value allows. Over many claims a fail is held to Holm's steps for e-values.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from pytest_llmperf.core.verdict import Outcome
from pytest_llmperf.statistics.multiplicity import e_holm


@dataclass(frozen=True, slots=True)
class Evidence:
    """What one run said of one claim: natural logarithms of its e-values."""

    test: str
    arm: str
    claim: str
    confidence: float
    to_pass: float
    to_fail: float
    n: int

    @property
    def subject(self) -> tuple[str, str, str, float]:
        """What the evidence is about."""
        return self.test, self.arm, self.claim, self.confidence


@dataclass(frozen=True, slots=True)
class Pooled:
    """What all runs together say of one claim."""

    test: str
    arm: str
    claim: str
    confidence: float
    runs: int
    n: int
    to_pass: float
    to_fail: float
    outcome: Outcome


def pooled(found: Sequence[Evidence]) -> tuple[Pooled, ...]:
    """Put together what independent runs said, in the order in which claims first appear."""
    by_subject: dict[tuple[str, str, str, float], list[Evidence]] = {}
    for one in found:
        by_subject.setdefault(one.subject, []).append(one)
    groups = list(by_subject.values())
    sums = [(sum(one.to_pass for one in group), sum(one.to_fail for one in group)) for group in groups]
    failed = _failed([to_fail for _, to_fail in sums], [group[0].confidence for group in groups])
    return tuple(
        Pooled(
            *group[0].subject,
            runs=len(group),
            n=sum(one.n for one in group),
            to_pass=to_pass,
            to_fail=to_fail,
            outcome=_outcome(to_pass, group[0].confidence, failed=fails),
        )
        for group, (to_pass, to_fail), fails in zip(groups, sums, failed, strict=True)
    )


def _failed(log_es: Sequence[float], confidences: Sequence[float]) -> tuple[bool, ...]:
    """Which claims are refuted, with a family-wise error of 1 − the highest confidence that was asked."""
    return e_holm(log_es, round(1 - max(confidences), 12)) if log_es else ()


def _outcome(to_pass: float, confidence: float, *, failed: bool) -> Outcome:
    if to_pass >= -math.log(round(1 - confidence, 12)):
        return Outcome.PASSED
    return Outcome.FAILED if failed else Outcome.INCONCLUSIVE
