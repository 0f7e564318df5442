"""Claims on means and totals under early stopping: looked at a few times on the way, and not after every round.

An unbounded mean has no exact test, and Hall's t is an approximation that a peek after every round would wear out. So
there are looks at a half, three quarters and all of the budget, the first at 50 rounds at the earliest, and each may
use the error probability that a power spending function (Kim & DeMets 1987) leaves it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import lru_cache

from pytest_llmperf.core import wording
from pytest_llmperf.core.finding import Finding
from pytest_llmperf.core.objective import Levels, Objective
from pytest_llmperf.core.observations import observe
from pytest_llmperf.core.series import Measurement, Round, Series
from pytest_llmperf.core.verdict import Outcome
from pytest_llmperf.core.watch import upto_round
from pytest_llmperf.statistics.dependence import dependence
from pytest_llmperf.statistics.looks import LEAST_GAP, look_levels

FRACTIONS = (0.5, 0.75, 1.0)
LEAST_AT_FIRST = 50
"""Rounds at the first look: earlier ones would err more often than they say, on costs with rare expensive calls."""

Decide = Callable[[Series, Objective], Finding]


def planned_looks(rounds: int) -> tuple[int, ...]:
    """After how many rounds a claim is looked at, the last one being all of them."""
    early = (round(fraction * rounds) for fraction in FRACTIONS[:-1])
    return (*(look for look in early if LEAST_AT_FIRST <= look < rounds), rounds)


def looked(series: Series, objective: Objective, decide: Decide) -> Finding:
    """The finding at the first look that decides the claim, or at the last one there was."""
    if series.stop != "early" or not series.budget:
        return decide(series, objective)
    looks, rounds = planned_looks(series.budget), len(series.judged_rounds)
    reached = [look for look in looks if look <= rounds]
    if rounds - (reached[-1] if reached else 0) > LEAST_GAP * series.budget:
        reached.append(rounds)  # sampling was ended between two looks
    finding = None
    for number, levels in enumerate(_levels(tuple(look / series.budget for look in reached), objective.levels)):
        look = reached[number]
        finding = _at(upto_round(series, look), replace(objective, given=levels), decide, last=look not in looks[:-1])
        if finding.outcome is not Outcome.INCONCLUSIVE:
            break
    if finding is None:
        return decide(series, objective)
    method = f"{finding.method}, look {number + 1} of {max(len(looks), len(reached))}"
    told = f"looked at after {wording.listed(looks)} rounds"
    return replace(finding, method=method if finding.n else finding.method, stops=told)


def _at(upto: Series, objective: Objective, decide: Decide, *, last: bool) -> Finding:
    """The finding at one look; an early one decides nothing while neighbours resemble each other."""
    finding = decide(upto, objective)
    if last or finding.outcome is Outcome.INCONCLUSIVE or objective.statistic != "mean":
        return finding
    alike = dependence(observe(upto, objective.metric).present, 0.5).flagged
    return replace(finding, outcome=Outcome.INCONCLUSIVE) if alike else finding


@lru_cache(maxsize=64)
def _levels(fractions: tuple[float, ...], levels: Levels) -> tuple[Levels, ...]:
    """The probabilities of error that each look may use."""
    if not fractions or not fractions[0]:
        return ()
    sides = [look_levels(fractions, level) for level in levels]
    return tuple(Levels(*pair) for pair in zip(*sides, strict=True))


@dataclass(slots=True)
class LookWatch:
    """A claim on a mean or a total under way."""

    objective: Objective
    rounds: int
    """The budget: the most rounds that will be judged."""
    decide: Decide
    done: bool = False
    outcome: Outcome = Outcome.INCONCLUSIVE
    _rounds: list[Round] = field(default_factory=list)
    _measurements: list[Measurement] = field(default_factory=list)

    def add_round(self, one: Series) -> None:
        """Take the next round in dispatch order, given as a series of its own."""
        if self.done:
            return
        self._rounds += one.rounds
        self._measurements += one.measurements
        if len(self._rounds) in planned_looks(self.rounds):
            so_far = replace(
                one,
                rounds=tuple(self._rounds),
                measurements=tuple(self._measurements),
                stop="early",
                budget=self.rounds,
            )
            self.outcome = looked(so_far, self.objective, self.decide).outcome
            self.done = self.outcome is not Outcome.INCONCLUSIVE or len(self._rounds) >= self.rounds
