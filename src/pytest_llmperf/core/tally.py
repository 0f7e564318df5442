"""How many of some observations are bad, what that shows, and what would settle it.

A claim on a quantile or a rate tolerates some share of bad observations. The exact binomial test asks in both
directions whether the share is shown to be smaller, or larger, than what is tolerated. Observations that resemble one
another are counted for as many independent ones as they are worth (Korn & Graubard 1998).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from pytest_llmperf.core import wording
from pytest_llmperf.core.finding import MEND, shown
from pytest_llmperf.core.objective import Levels
from pytest_llmperf.core.series import Measurement
from pytest_llmperf.core.verdict import Outcome
from pytest_llmperf.statistics import evidence, quantiles
from pytest_llmperf.statistics.dependence import Dependence
from pytest_llmperf.statistics.estimate import PValues


@dataclass(frozen=True, slots=True)
class Tally:
    """How many of *n* observations are bad, and which share of bad ones the claim tolerates.

    A pass is asked of the limit with its slack, a fail of the limit itself; what is missing counts against both.
    """

    noun: str
    n: int
    bad: int
    bad_with_slack: int
    tolerated: float
    tolerated_with_slack: float
    missing: int = 0
    worth: float = 1.0
    """How many independent observations one of them is worth, where several belong to one call."""

    def p_values(self, n: int) -> PValues:
        """The exact tests, or what they would be at another *n*, were the shares to stay as they were seen."""
        size = n * self.worth
        to_pass, to_fail = (min(bad * size / self.n, size) for bad in (self.bad_with_slack + self.missing, self.bad))
        return PValues(
            quantiles.binomial_p_values(to_pass, size, self.tolerated_with_slack).p_pass,
            quantiles.binomial_p_values(to_fail, size, self.tolerated).p_fail,
        )

    def weighed(self, likeness: Dependence) -> Tally:
        """The same, where neighbours resemble one another."""
        return replace(self, worth=self.worth / likeness.design_effect) if likeness.flagged else self

    @property
    def evidence(self) -> tuple[float, float] | None:
        """Natural logarithms of the e-values for a pass and for a fail; None where there is no such evidence.

        They of independent runs add up, however many there will be and whenever one looks.
        """
        if self.worth != 1 or not all(0 < share < 1 for share in (self.tolerated, self.tolerated_with_slack)):
            return None
        return (
            evidence.log_e(self.bad_with_slack + self.missing, self.n, self.tolerated_with_slack, "pass"),
            evidence.log_e(self.bad, self.n, self.tolerated, "fail"),
        )


def needs(tally: Tally, levels: Levels, of_pass: str = "", of_fail: str = "") -> str:
    """What a pass and a fail ask of so many observations: `a pass needs at most 4, a fail at least 14`."""
    most, least = _most_to_pass(tally, levels), _least_to_fail(tally, levels)
    if most is None and least is None:
        return "neither a pass nor a fail is within reach"
    if most is None:
        return f"a pass is out of reach, a fail needs at least {least}{of_fail}"
    passing = f"a pass needs at most {most}{of_pass}"
    return f"{passing}, a fail at least {least}{of_fail}" if least is not None else f"{passing}, a fail is out of reach"


def _most_to_pass(tally: Tally, levels: Levels) -> int | None:
    if tally.worth == 1:
        return quantiles.most_bad_to_pass(tally.n, tally.tolerated_with_slack, levels.to_pass)
    passing = _count_of(tally.n, lambda bad: _with_bad(tally, bad).p_values(tally.n).p_pass < levels.to_pass)
    return passing - 1 if passing else None


def _least_to_fail(tally: Tally, levels: Levels) -> int | None:
    if tally.worth == 1:
        return quantiles.least_bad_to_fail(tally.n, tally.tolerated, levels.to_fail)
    least = _count_of(tally.n, lambda bad: not _with_bad(tally, bad).p_values(tally.n).p_fail < levels.to_fail)
    return least if least <= tally.n else None


def _with_bad(tally: Tally, bad: int) -> Tally:
    return replace(tally, bad=bad, bad_with_slack=bad, missing=0)


def _count_of(n: int, holds: Callable[[int], bool]) -> int:
    """How many of 0 … n hold, when those that do come first."""
    low, high = 0, n + 1
    while low < high:
        middle = (low + high) // 2
        low, high = (middle + 1, high) if holds(middle) else (low, middle)
    return low


_SETTLING_FACTORS = (1.5, 2, 3, 5, 10)


def remedy(tally: Tally, levels: Levels) -> str:
    """How many observations would settle it, were the share of bad ones to stay as seen."""
    if tally.missing and tally.missing < tally.n:
        seen = replace(tally, n=tally.n - tally.missing, missing=0)
        if shown(seen.p_values(seen.n), levels) is not Outcome.INCONCLUSIVE:
            return MEND
    least = quantiles.least_n_to_pass(tally.tolerated_with_slack, levels.to_pass)
    clean = tally.bad_with_slack + tally.missing == 0
    if least is None:
        reached = wording.percent(
            math.ceil((1 - quantiles.highest_passable_level(tally.n, levels.to_pass)) * 1e4) / 1e4
        )
        return f"no number of {tally.noun}s shows that it never happens; {tally.n} clean ones show less than {reached}"
    if tally.n < least and clean:
        return f"raise rounds: {least} clean {tally.noun}s are the fewest that can pass"
    for factor in _SETTLING_FACTORS:
        more = math.ceil(tally.n * factor)
        if shown(tally.p_values(more), levels) is not Outcome.INCONCLUSIVE:
            return f"about {more} {tally.noun}s would settle it, if the share stays as it is"
    return "the share is too near what is tolerated for sampling to tell: allow slack, or move the limit"


def worth_of_an_attempt(calls: Sequence[Measurement]) -> float:
    """What one attempt is worth, 0 to 1: the variance of independent ones over theirs (Korn & Graubard 1998).

    The share of attempts answered 429 is a ratio of totals over calls, whose variance is that of its residuals.
    """
    attempts, hits, n = sum(m.attempts for m in calls), sum(m.throttled for m in calls), len(calls)
    if not 0 < hits < attempts or n < 2:
        return 1.0
    share = hits / attempts
    residuals = sum((m.throttled - share * m.attempts) ** 2 for m in calls)
    variance = n / (n - 1) * residuals / attempts**2
    return min(1.0, share * (1 - share) / variance / attempts) if variance else 1.0
