"""When a comparison is looked at: four times while its rounds come in, at thresholds that together spend α.

A comparison of two samples has no stop table, as a share has. It is looked at after a quarter, a half, three quarters
and all of the budget of rounds, in dispatch order, and only the rounds up to the look count. The runner looks to know
when to stop; the judge looks again at the finished series, and so comes to the same answer.

A look settles nothing while neighbouring values resemble each other more than by chance: then the whole budget is used.
If they still do, a fail is not believed. Sampling that ended before its budget is looked at once more where it ended.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

from pytest_llmperf.core import wording
from pytest_llmperf.core.claims import Question
from pytest_llmperf.core.finding import shown
from pytest_llmperf.core.objective import Levels
from pytest_llmperf.core.pair import Errors, Pair, comparable, paired, tested
from pytest_llmperf.core.series import Series
from pytest_llmperf.core.verdict import Outcome
from pytest_llmperf.core.watch import FAIL_FLOOR, upto_round
from pytest_llmperf.statistics import looks
from pytest_llmperf.statistics.estimate import PValues

QUARTERS = (0.25, 0.5, 0.75, 1.0)
OF_A_MEAN = (0.5, 0.75, 1.0)
LEAST_OF_A_MEAN = 50
"""Rounds before which a mean is not looked at: a test of it is approximate, and worst on few values."""
UNSEEN = PValues(1.0, 1.0)


@dataclass(frozen=True, slots=True)
class Look:
    """One of the looks at a comparison."""

    number: int
    rounds: int
    """Rounds of each growing sample that count."""
    levels: Levels
    """What the p-values must be below."""
    last: bool
    """Whether no look follows."""
    planned: int = 1
    """How many looks there may be."""


@lru_cache(maxsize=256)
def comparison_looks(
    budget: int, statistic: str, levels: Levels, *, stored: int = 0, ended_at: int = 0
) -> tuple[Look, ...]:
    """The looks at a comparison of at most *budget* rounds a side.

    Args:
        budget: rounds, at least 1.
        statistic: what is compared; a mean is looked at later than others.
        levels: the probabilities of error of all looks together.
        stored: size of the reference in rounds, where it is stored and does not grow; 0 where both sides grow.
        ended_at: rounds after which sampling ended before the budget was used; 0 where it did not.
    """
    shares, least = (OF_A_MEAN, LEAST_OF_A_MEAN) if statistic == "mean" else (QUARTERS, 1)
    sizes = sorted({n for share in shares if least <= (n := math.ceil(share * budget)) < budget} | {budget})
    rounds = _apart(sizes, budget, stored)
    if 0 < ended_at < budget:
        rounds = _apart([*(n for n in rounds if n < ended_at), ended_at], budget, stored)
    if not rounds:
        return (Look(1, ended_at, Levels(0.0, 0.0), last=True),)
    fractions = tuple(_information(n, budget, stored) for n in rounds)
    sides = (_thresholds(fractions, level) for level in levels)
    numbered = enumerate(zip(rounds, map(Levels, *sides), strict=True), 1)
    planned = max(len(rounds), len(shares))
    return tuple(Look(number, n, given, n == rounds[-1], planned) for number, (n, given) in numbered)


@lru_cache(maxsize=256)
def _thresholds(fractions: tuple[float, ...], level: float) -> tuple[float, ...]:
    return looks.look_levels(fractions, level)


def _apart(rounds: Sequence[int], budget: int, stored: int) -> list[int]:
    """The looks that are far enough from those before them, and from the end of the budget, to be ones of their own."""
    kept: list[int] = []
    reached = 0.0
    for n in rounds:
        information = _information(n, budget, stored)
        if n == budget or min(information - reached, 1.0 - information) >= looks.LEAST_GAP:
            kept.append(n)
            reached = information
    return kept


def _information(rounds: int, budget: int, stored: int) -> float:
    sizes = (rounds, budget)
    return looks.information_fractions([stored or n for n in sizes], sizes)[0]


@dataclass(slots=True)
class Walk:
    """A comparison on its way from look to look."""

    question: Question
    fail_floor: int = FAIL_FLOOR
    """No fail is given on fewer observations a side."""
    outcome: Outcome = Outcome.INCONCLUSIVE
    settled: bool = False
    alike: bool = False
    """Whether a look that would have settled it met neighbours that resemble each other."""
    look: Look | None = None
    """The last look that was taken."""
    pair: Pair | None = None
    p_values: PValues = UNSEEN
    stops: str = ""
    """When sampling may end, in words."""

    def take(self, look: Look, pair: Pair) -> None:
        """Look at the samples as they stand."""
        if self.settled:
            return
        self.look, self.pair = look, pair
        if not comparable(pair, self.question) or (self.alike and not look.last):
            return
        self.p_values = tested(pair, self.question)
        outcome = shown(self.p_values, look.levels)
        if outcome is Outcome.FAILED and not look.last and pair.fewest < self.fail_floor:
            return
        if outcome is not Outcome.INCONCLUSIVE and pair.alike:
            self.alike = True
            outcome = outcome if look.last and outcome is Outcome.PASSED else Outcome.INCONCLUSIVE
        self.outcome = outcome
        self.settled = outcome is not Outcome.INCONCLUSIVE


def walked(arm: Series, to: Series, question: Question, errors: Errors, *, stored: bool = False) -> Walk:
    """A comparison of finished series, as it was watched, or once and for all where it was not to end early.

    Args:
        arm: the series the claim is about.
        to: the series it is held against.
        question: what is asked.
        errors: of both clocks, in seconds.
        stored: whether *to* was sampled before, so that all of it counts at every look.
    """
    n, budget = len(arm.judged_rounds), arm.budget
    if not stored:
        n, budget = min(n, len(to.judged_rounds)), min(budget, to.budget)
    walk = Walk(question)
    if arm.stop != "early" or not budget or not n:
        walk.take(Look(1, n, question.levels, last=True), paired(arm, to, question, errors))
        return walk
    walk.fail_floor = min(FAIL_FLOOR, budget)
    size = len(to.judged_rounds) if stored else 0
    whole = comparison_looks(budget, question.statistic, question.levels, stored=size)
    walk.stops = f"looked at after {wording.listed(look.rounds for look in whole)} rounds"
    for look in comparison_looks(budget, question.statistic, question.levels, stored=size, ended_at=n):
        other = to if stored else upto_round(to, look.rounds)
        walk.take(look, paired(upto_round(arm, look.rounds), other, question, errors))
    return walk


def joined(rounds: Sequence[Series]) -> Series:
    """Rounds that were given as series of their own, as one series."""
    return replace(
        rounds[0],
        rounds=tuple(round_ for one in rounds for round_ in one.rounds),
        measurements=tuple(call for one in rounds for call in one.measurements),
    )
