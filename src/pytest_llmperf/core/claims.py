"""What a mark claims of more than one series, apart from anything measured.

As light as `objective`, which holds the claims on one series: marks are read in every run, so nothing heavy is
imported.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Protocol

from pytest_llmperf.core import wording
from pytest_llmperf.core.errors import UsageError
from pytest_llmperf.core.metrics import METRICS, RATES_OF_A_CALL
from pytest_llmperf.core.objective import SHARES, Levels, quantile_level

Kind = Literal["ratio", "added"]
"""Whether the first of two values is held against a multiple of the second, or against the second and an amount."""


Shape = Literal["linear", "log", "flat"]
"""How a curve may go: straight in the factor, straight in its logarithm, or not at all."""


class Doubtful(Protocol):
    """What of a claim says how often it may be wrong."""

    @property
    def confidence(self) -> float:
        """1 less the probability of a wrong verdict, in either direction."""

    @property
    def family(self) -> float:
        """How many claims share the probability of a wrong fail."""

    @property
    def attempt(self) -> int:
        """Which try this is; 0 where it is not one of several."""


def levels_of(claim: Doubtful) -> Levels:
    """Probabilities of a wrong pass and of a wrong fail, shared with other claims and tries as an `Objective`'s are."""
    from pytest_llmperf.statistics.multiplicity import attempt_alpha, suite_alpha

    alpha = round(1 - claim.confidence, 12)
    alpha = attempt_alpha(alpha, claim.attempt) if claim.attempt else alpha
    return Levels(alpha, suite_alpha(alpha, claim.family))


def levels_told(claim: Doubtful) -> str:
    """What a verdict is held to, where that is not just its confidence; to be put behind its method."""
    levels, told = levels_of(claim), ""
    if claim.attempt:
        told += f"; try {claim.attempt}: errs with at most {wording.percent(levels.to_pass)}"
    if claim.family > 1:
        told += f"; 1 of {claim.family:g} claims: fails wrongly with at most {wording.percent(levels.to_fail)}"
    return told


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked of two samples: is *statistic* of the one at most so many times, or so much above, the other's."""

    metric: str
    statistic: str
    kind: Kind
    direction: str
    """`<=`, or `>=` where it is to be at least that."""
    bound: float
    relaxed_bound: float
    """The limit a pass is tested against: the bound and its slack."""
    levels: Levels
    """Probabilities of a wrong pass and of a wrong fail."""

    @property
    def level(self) -> float | None:
        """The quantile's level; None for a mean or a share."""
        return quantile_level(self.statistic)

    @property
    def inverse(self) -> bool:
        """Whether it is asked of seconds per token in place of tokens per second."""
        return self.metric in RATES_OF_A_CALL and self.kind == "ratio" and self.level is not None


@dataclass(frozen=True, slots=True)
class Contrast:
    """A claim: *statistic* of *metric* of one arm, over or minus that of another, stays on one side of *bound*."""

    metric: str
    """A metric's name, or two as `ttft|e2e`: the first when every judged call streamed, the second when none did."""
    statistic: str
    """`p50` … `p99.9`, `mean`, or `rate` (a difference of shares)."""
    arm: str
    to: str
    """The arm it is held against."""
    kind: Kind
    """`ratio`: arm / to; `added`: arm - to."""
    direction: str
    """`<=` or `>=`."""
    bound: float
    """A plain number for a ratio, else in the metric's base unit; a share of one for shares."""
    confidence: float = 0.95
    slack: float = 0.0
    """Widens the limit a pass is tested against, as a share of it; a fail is always tested against the limit itself."""
    mark: str = ""
    """The mark it was written as."""
    unit: str = ""
    """The metric's, where the table of metrics does not tell it."""
    family: float = 1
    """How many claims share the probability of a wrong fail, as of an `Objective`."""
    attempt: int = 0
    """Which try this is, as of an `Objective`."""

    @property
    def levels(self) -> Levels:
        """Probabilities of a wrong pass and of a wrong fail."""
        return levels_of(self)

    @property
    def relaxed_bound(self) -> float:
        """The limit a pass is tested against: the bound and its slack."""
        if self.kind == "ratio":
            return self.bound * (1 + self.slack) if self.direction == "<=" else self.bound / (1 + self.slack)
        return self.bound + (1 if self.direction == "<=" else -1) * abs(self.bound) * self.slack

    def base_unit(self, metric: str | None = None) -> str:
        """Unit of the metric."""
        row = METRICS.get(metric or self.metric.partition("|")[0])
        return self.unit or (row.unit if row is not None else "share" if self.statistic == "rate" else "")

    def described(self, metric: str | None = None) -> str:
        """The claim in words: `p50 ttft: warm / cold <= 0.9`."""
        name = metric or self.metric.replace("|", " or ")
        statistic = "" if name in SHARES or self.statistic == "rate" else f"{self.statistic} "
        unit = "" if self.kind == "ratio" else self.base_unit(metric)
        limit = wording.limit(self.bound, unit, slack=self.slack, direction=self.direction)
        sign = "/" if self.kind == "ratio" else "-"
        return f"{statistic}{name}: {self.arm} {sign} {self.to} {self.direction} {limit}"

    def asked(self, metric: str) -> Question:
        """What is asked of the two samples.

        Raises:
            UsageError: a ratio of shares, which is 0 or unbounded as soon as one of them is 0; or a ratio that is to be
                0 or less.
        """
        if self.statistic == "rate" and self.kind == "ratio":
            raise UsageError(f"shares such as {metric} are compared by their difference: claim what is added")
        if self.kind == "ratio" and not self.bound > 0:
            raise UsageError(f"a ratio is above 0, and {self.described(metric)} says otherwise")
        return Question(metric, self.statistic, self.kind, self.direction, self.bound, self.relaxed_bound, self.levels)


SESSION_MARGIN = 1.10
"""Ratio beyond which a regression must be shown, however little is allowed, while nobody knows how sessions differ."""


@dataclass(frozen=True, slots=True)
class Regression:
    """A claim: *statistic* of *metric* is at most *allowed* worse than a baseline's.

    Worse is more of what is better low and less of what is better high; of what is neither, more.
    """

    metric: str
    """A metric's name, or two as `ttft|e2e`: the first when every judged call streamed, the second when none did."""
    statistic: str
    """`p50`, `p90`, `p95` or `mean`."""
    allowed: float = 0.15
    """0.15 allows 15 % more, of tokens per second as many seconds per token more."""
    confidence: float = 0.95
    slack: float = 0.0
    """Widens the limit a pass is tested against, as a share of it."""
    baseline: str = ""
    """Its name."""
    mark: str = ""
    """The mark it was written as."""
    unit: str = ""
    """The metric's, where the table of metrics does not tell it."""
    family: float = 1
    """How many claims share the probability of a wrong fail, as of an `Objective`."""
    attempt: int = 0
    """Which try this is, as of an `Objective`."""
    arm: str | None = None
    """The arm it is about."""

    @property
    def levels(self) -> Levels:
        """Probabilities of a wrong pass and of a wrong fail."""
        return levels_of(self)

    @property
    def against(self) -> str:
        """What a reader calls the baseline."""
        return f"baseline {self.baseline}" if self.baseline else "the baseline"

    def base_unit(self, metric: str) -> str:
        """Unit of the metric."""
        row = METRICS.get(metric)
        return self.unit or (row.unit if row is not None else "")

    def described(self, metric: str | None = None) -> str:
        """The claim in words: `p50 ttft at most 15 % worse than baseline main`."""
        name = metric or self.metric.replace("|", " or ")
        slack = f" + {wording.percent(self.slack)}" if self.slack else ""
        return f"{self.statistic} {name} at most {wording.percent(self.allowed)}{slack} worse than {self.against}"

    def asked(self, metric: str, *, margin: float = 1.0) -> Question:
        """What is asked of the two samples; a fail is asked of a ratio of *margin* at least."""
        row, limit = METRICS.get(metric), 1 + self.allowed
        bounds = max(limit, margin), limit * (1 + self.slack)
        if row is not None and row.better == "higher":
            strict, relaxed = (1 / bound for bound in bounds)
            return Question(metric, self.statistic, "ratio", ">=", strict, relaxed, self.levels)
        return Question(metric, self.statistic, "ratio", "<=", *bounds, self.levels)


@dataclass(frozen=True, slots=True)
class Scaling:
    """Claims on how the median of *metric* goes with a numeric factor, *over* which the arms of a test differ."""

    over: str
    """The factor's name."""
    metric: str
    """A metric's name, or two as `ttft|e2e`: the first when every judged call streamed, the second when none did."""
    max_drop: float | None = None
    """Largest fall from the first level to the last, as a share of the first: 0.35 allows 35 %."""
    max_rise: float | None = None
    """Largest rise from the first level to the last, as a share of the first."""
    shape: Shape | None = None
    no_knee_before: float | None = None
    """Level before which the curve does not bend."""
    confidence: float = 0.95
    slack: float = 0.0
    """Widens the limit a pass of a drop or rise is tested against, as a share of it."""
    mark: str = ""
    """The mark it was written as."""
    unit: str = ""
    """The metric's, where the table of metrics does not tell it."""
    family: float = 1
    """How many claims share the probability of a wrong fail, as of an `Objective`."""
    attempt: int = 0
    """Which try this is, as of an `Objective`."""

    @property
    def levels(self) -> Levels:
        """Probabilities of a wrong pass and of a wrong fail."""
        return levels_of(self)

    def base_unit(self, metric: str) -> str:
        """Unit of the metric."""
        row = METRICS.get(metric)
        return self.unit or (row.unit if row is not None else "")

    def drop(self, metric: str) -> Question | None:
        """What is asked of the last level against the first; None where no drop is claimed.

        Raises:
            UsageError: a drop of 100 % or more is allowed, which is never exceeded.
        """
        if self.max_drop is None:
            return None
        if self.max_drop >= 1:
            raise UsageError(f"nothing falls by more than 100 %, so max_drop={self.max_drop:g} claims nothing")
        bound = 1 - self.max_drop
        return Question(metric, "p50", "ratio", ">=", bound, bound / (1 + self.slack), self.levels)

    def rise(self, metric: str) -> Question | None:
        """What is asked of the last level against the first; None where no rise is claimed."""
        if self.max_rise is None:
            return None
        bound = 1 + self.max_rise
        return Question(metric, "p50", "ratio", "<=", bound, bound * (1 + self.slack), self.levels)

    def described(self, limit: str, metric: str | None = None) -> str:
        """One of the claims in words: `p50 output_tps over context_tokens falls by at most 35 %`.

        Args:
            limit: `max_drop`, `max_rise`, `shape` or `no_knee_before`.
            metric: the metric, where it is known which it is.
        """
        name = metric or self.metric.replace("|", " or ")
        slack = f" + {wording.percent(self.slack)}" if self.slack else ""
        words = {
            "max_drop": f"falls by at most {wording.percent(self.max_drop or 0.0)}{slack}",
            "max_rise": f"rises by at most {wording.percent(self.max_rise or 0.0)}{slack}",
            "shape": f"is {self.shape}",
            "no_knee_before": f"has no knee before {wording.quantity(self.no_knee_before or 0.0, '', digits=6)}",
        }
        statistic = "p50 " if limit.startswith("max_") else ""
        return f"{statistic}{name} over {self.over} {words[limit]}"
