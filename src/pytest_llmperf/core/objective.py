"""What a mark claims, apart from anything measured."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import NamedTuple

from pytest_llmperf.core import wording
from pytest_llmperf.core.errors import UsageError
from pytest_llmperf.core.metrics import METRICS

_QUANTILE = re.compile(r"p(\d{1,2}(?:\.\d+)?)")
SHARES = frozenset({"error_rate", "throttle_rate", "goodput", "accuracy"})
"""Metrics that are a share of yes-or-no observations."""
TOTALS = frozenset({"total_tps", "rpm"})
"""Metrics of the whole series."""


class Levels(NamedTuple):
    """The probabilities of error that a verdict may use."""

    to_pass: float
    """Of a wrong pass."""
    to_fail: float
    """Of a wrong fail."""


@dataclass(frozen=True, slots=True)
class Objective:
    """A claim: *statistic* of *metric* stays on one side of *bound*, which is in the metric's base unit."""

    metric: str
    """A metric's name, or two as `ttft|e2e`: the first when every judged call streamed, the second when none did."""
    statistic: str
    """`p50` … `p99.9`, `mean`, `max`, `min`, `rate`, `total`, or `per_mtok` (of cost, per million tokens)."""
    direction: str
    """`<=` or `>=`."""
    bound: float
    confidence: float = 0.95
    slack: float = 0.0
    """Widens the limit a pass is tested against, as a share of it; a fail is always tested against the limit itself."""
    mark: str = ""
    """The mark it was written as."""
    unit: str = ""
    family: float = 1
    """How many claims share the probability of a wrong fail, because one fail makes the run red. A run that passes when
    all of its claims do needs no such share for its passes (Berger 1982)."""
    attempt: int = 0
    """Which try this is, from 1, of a test that is run again when it fails; 0 where it is not. Every try is a chance to
    be wrong, so that each has half the probability of the one before."""
    cap: float | None = None
    """The largest value that can occur, where that is known; of a mean."""
    given: Levels | None = None
    """The probabilities of error that one look of several may use."""
    limits: tuple[tuple[str, float], ...] = ()
    """Of a goodput: metrics, and the most that a good call may have of each, in base units."""
    arm: str | None = None
    """The one arm it is about; None when it is about each."""

    def applies_to(self, arm: str) -> bool:
        """Whether it is a claim about this arm."""
        return self.arm is None or self.arm == arm

    @property
    def level(self) -> float | None:
        """The quantile's level, 0.95 for `p95`; None for another statistic."""
        return quantile_level(self.statistic)

    @property
    def alpha(self) -> float:
        """Probability of a wrong pass."""
        from pytest_llmperf.statistics.multiplicity import attempt_alpha

        alpha = round(1 - self.confidence, 12)
        return attempt_alpha(alpha, self.attempt) if self.attempt else alpha

    @property
    def levels(self) -> Levels:
        """Probabilities of a wrong pass and of a wrong fail."""
        from pytest_llmperf.statistics.multiplicity import suite_alpha

        return self.given or Levels(self.alpha, suite_alpha(self.alpha, self.family))

    @property
    def tolerated(self) -> float:
        """The share of observations beyond the limit that a claim on a quantile tolerates: 0.05 for `p95 <=`.

        Raises:
            ValueError: the statistic is no quantile.
        """
        level = self.level
        if level is None:
            raise ValueError(f"{self.statistic} is no quantile")
        return round(1 - level, 12) if self.direction == "<=" else level

    @property
    def relaxed_bound(self) -> float:
        """The limit a pass is tested against: the bound and its slack."""
        return self.bound * (1 + self.slack) if self.direction == "<=" else self.bound / (1 + self.slack)

    def described(self, metric: str | None = None) -> str:
        """The claim in words: `p95 ttft <= 2340 ms`."""
        name = metric or self.metric.replace("|", " or ")
        statistic = "" if self.statistic in ("rate", "total", "per_mtok") else f"{self.statistic} "
        limit = wording.limit(self.bound, self.base_unit(metric), slack=self.slack, direction=self.direction)
        return f"{statistic}{name}{self._limits()} {self.direction} {limit}"

    def _limits(self) -> str:
        """` (ttft 2000 ms, tpot 50 ms/token)`: what a good call stays within."""
        each = [f"{name} {wording.limit(most, METRICS[name].unit)}" for name, most in self.limits]
        return f" ({', '.join(each)})" if each else ""

    def base_unit(self, metric: str | None = None) -> str:
        """Unit of the bound."""
        if self.unit:
            return self.unit
        if self.statistic == "per_mtok":
            return "USD/Mtok"
        name = metric or self.metric.partition("|")[0]
        return METRICS[name].unit if name in METRICS else "share" if name in SHARES else ""

    def violated_by(self, value: float, *, relaxed: bool = False) -> bool:
        """Whether one observation is on the wrong side of the limit; on the limit is within."""
        limit = self.relaxed_bound if relaxed else self.bound
        return value > limit if self.direction == "<=" else value < limit


def quantile_level(statistic: str) -> float | None:
    """0.95 for `p95`; None for what is no quantile.

    Raises:
        UsageError: a quantile of level 0 was asked for.
    """
    match = _QUANTILE.fullmatch(statistic)
    if match is None:
        return None
    level = round(float(match[1]) / 100, 12)
    if level == 0:
        raise UsageError("p0 is no quantile that can be judged; use statistic='min'")
    return level
