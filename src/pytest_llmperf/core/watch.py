"""When enough is known: one claim watched while its rounds come in, in dispatch order.

A claim about a share is held against an exact α-spending plan for the budget of rounds (`statistics.sequential`): it
may be decided after any round, and the two error probabilities hold all the same. The runner watches to know when to
stop; the judge watches the finished series again, round by round, and so comes to the same answer. What comes after the
round that decided a claim does not change it.

A claim is looked at when a round ends, never inside one: looking less often only lowers the error probabilities. That a
verdict has become improbable ends sampling when no other claim needs more, but settles nothing: should sampling go on,
the claim goes on too.

An early stop counts only while neighbouring values do not resemble each other more than by chance. Once they do, the
whole budget is used, and the claim is decided by the number of independent values it is worth.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import groupby
from typing import Literal, Protocol

from pytest_llmperf.core import shares
from pytest_llmperf.core.errors import UsageError
from pytest_llmperf.core.finding import shown
from pytest_llmperf.core.objective import Objective
from pytest_llmperf.core.observations import observe, resolved_metric, shifted, was_cut
from pytest_llmperf.core.series import Measurement, Series
from pytest_llmperf.core.verdict import Outcome
from pytest_llmperf.statistics import quantiles
from pytest_llmperf.statistics.dependence import Dependence, dependence
from pytest_llmperf.statistics.estimate import PValues
from pytest_llmperf.statistics.sequential import FUTILITY, SpendingPlan, spending_plan

FAIL_FLOOR = 20
"""No fail is given before this many observations, unless the budget is smaller: one hiccup of a provider should not
decide a run."""
LARGEST_BUDGET = 10_000
"""Observations up to which a plan is worked out; its cost grows with their square (3 s at this size)."""

Settled = Literal["", "passed", "failed", "spent"]
_MOST_STOPS = 8
"""Steps of a table of stops that are told on either side."""


class Watching(Protocol):
    """A claim under way."""

    def add_round(self, one: Series) -> None:
        """Take the next round in dispatch order, given as a series of its own."""

    @property
    def done(self) -> bool:
        """Whether it needs no more rounds."""

    @property
    def outcome(self) -> Outcome:
        """What is shown so far."""


@dataclass(frozen=True, slots=True)
class Flag:
    """One observation: a yes-or-no answer to each of the two questions, and a number for its likeness to others."""

    bad: bool
    bad_with_slack: bool
    value: float


@dataclass(slots=True)
class Watch:
    """A claim under way. `add_round` takes the rounds in dispatch order."""

    objective: Objective
    rounds: int
    """The budget: the most rounds that will be judged."""
    error: float = 0.0
    """Seconds by which the client's clock may be off, added to every time."""
    flags: list[Flag] = field(default_factory=list)
    settled: Settled = ""
    at: int = 0
    """Observations after which it was settled."""
    futile: bool = False
    """Whether a verdict within the budget has become improbable."""
    watchable: bool = True
    """Whether the claim has a plan; one that has none never ends sampling early, and is judged at its end."""
    likeness: Dependence | None = None
    """Set once an early stop met values that resemble their neighbours."""
    to_pass: SpendingPlan | None = None
    to_fail: SpendingPlan | None = None
    per_round: int = 0
    """Observations that each round brings."""
    _metric: str = ""
    _bad: int = 0
    _bad_with_slack: int = 0

    def add_round(self, one: Series) -> None:
        """Take the next round, given as a series of its own."""
        if self.settled or not self.watchable:
            return
        flags = self._flags(one)
        if self.to_pass is None:
            self._begin(len(flags))
        # A plan needs to know how many observations there will be.
        self.watchable = self.to_pass is not None and len(flags) == self.per_round
        if not self.watchable:
            return
        self._take(flags)

    def _take(self, flags: list[Flag]) -> None:
        self.flags += flags
        self._bad += sum(flag.bad for flag in flags)
        self._bad_with_slack += sum(flag.bad_with_slack for flag in flags)
        self._decide()

    def add_overdue(self, is_overdue: Callable[[str, float], bool]) -> bool:
        """Take the next round before its end, if its one call is certain to be bad; whether it was taken.

        Args:
            is_overdue: whether a metric (seconds) of the round's call is certain to exceed a limit.
        """
        settable = self.watchable and not self.settled and self.per_round == 1 and self.objective.direction == "<="
        if not settable or self.objective.level is None or not is_overdue(self._metric, self.objective.relaxed_bound):
            return False
        self._take([Flag(bad=True, bad_with_slack=True, value=float("inf"))])
        return True

    def _flags(self, one: Series) -> list[Flag]:
        """The round's observations; none when it does not have the metric that the rounds before it had."""
        try:
            metric = resolved_metric(self.objective.metric, one)
        except UsageError:  # the claim does not say which metric it means: the judge will tell
            return []
        self._metric = self._metric or metric
        return list(_flags(one, self.objective, metric, self.error)) if metric == self._metric else []

    def _begin(self, per_round: int) -> None:
        self.per_round, budget = per_round, per_round * self.rounds
        tolerated, relaxed = tolerated_shares(self.objective)
        usable = 0 < budget <= LARGEST_BUDGET and all(0 < share < 1 for share in (tolerated, relaxed))
        if usable and self.objective.alpha < 0.5:
            self.to_pass, self.to_fail = (
                spending_plan(share, level, budget, fail_floor=min(FAIL_FLOOR, budget), futility=FUTILITY)
                for share, level in zip((relaxed, tolerated), self.objective.levels, strict=True)
            )

    def _decide(self) -> None:
        assert self.to_pass is not None
        assert self.to_fail is not None
        n, last = len(self.flags), len(self.flags) >= self.to_pass.budget
        step: Settled = ""
        if self.to_pass.passes(self._bad_with_slack, n):
            step = "passed"
        elif self.to_fail.fails(self._bad, n):
            step = "failed"
        self.futile = self.to_pass.is_futile(self._bad_with_slack, n) and self.to_fail.is_futile(self._bad, n)
        if self.likeness is None and step and (likeness := self._likeness()).flagged:
            self.likeness = likeness
        if self.likeness is not None:
            step, self.futile = (self._decided_by_worth() if last else ""), False
        if step or last:
            self.settled, self.at = step or "spent", n

    def _likeness(self) -> Dependence:
        return dependence([flag.value for flag in self.flags], tolerated_shares(self.objective)[0])

    def _decided_by_worth(self) -> Settled:
        """The fixed test on as many independent observations as the dependent ones are worth."""
        tolerated, relaxed = tolerated_shares(self.objective)
        self.likeness = worth = self._likeness()
        p_values = PValues(
            quantiles.binomial_p_values(*worth.effective(self._bad_with_slack), relaxed).p_pass,
            quantiles.binomial_p_values(*worth.effective(self._bad), tolerated).p_fail,
        )
        outcome = shown(p_values, self.objective.levels)
        return "passed" if outcome is Outcome.PASSED else "failed" if outcome is Outcome.FAILED else "spent"

    @property
    def outcome(self) -> Outcome:
        """What the plan says so far."""
        return {"passed": Outcome.PASSED, "failed": Outcome.FAILED}.get(self.settled, Outcome.INCONCLUSIVE)

    @property
    def done(self) -> bool:
        """Whether it needs no more rounds."""
        return bool(self.settled) or self.futile


def watched(series: Series, objective: Objective, error: float = 0.0) -> Watch:
    """The claim watched over a finished series, round by round."""
    watch = Watch(objective, series.budget, error)
    for one in by_round(series):
        watch.add_round(one)
    return watch


def stops(to_pass: SpendingPlan, to_fail: SpendingPlan) -> str:
    """The table of stops in words: `passes with 0 bad of 72, 1 of 99; fails with 7 of 48, 8 of 66, …`.

    It is the test itself: after so many observations with at most, or at least, so many bad ones it is decided.
    """
    passing = [f"{bad} of {n}" for n, bad in steps(to_pass.pass_at) if bad >= 0]
    failing = [f"{bad} of {n}" for n, bad in _last_of_each(to_fail.fail_at) if to_fail.fail_floor <= n and bad <= n]
    told = [f"{verb} with {_listed(found)}" for verb, found in (("passes", passing), ("fails", failing)) if found]
    return "; ".join(told) + " bad" if told else ""


def steps(table: Sequence[int]) -> list[tuple[int, int]]:
    """Where a table of stops first reaches each of its numbers: (n, number)."""
    return [(n, number) for n, number in enumerate(table, 1) if n == 1 or number != table[n - 2]]


def _last_of_each(table: Sequence[int]) -> list[tuple[int, int]]:
    """Until when each number of a table of stops is enough: (n, number)."""
    return [(n, number) for n, number in enumerate(table, 1) if n == len(table) or number != table[n]]


def _listed(parts: list[str]) -> str:
    if len(parts) <= _MOST_STOPS:
        return ", ".join(parts)
    return ", ".join([*parts[: _MOST_STOPS - 1], "…", parts[-1]])


def by_round(series: Series) -> Iterator[Series]:
    """Each judged round as a series of its own, in dispatch order."""
    calls = sorted(series.measurements, key=lambda m: (m.round, m.dispatched))
    grouped = {number: tuple(group) for number, group in groupby(calls, key=lambda m: m.round)}
    for round_ in series.judged_rounds:
        yield replace(series, rounds=(round_,), measurements=grouped.get(round_.number, ()))


def tolerated_shares(objective: Objective) -> tuple[float, float]:
    """The share of bad observations that a claim on a quantile or a rate tolerates, and the same with slack."""
    if objective.level is not None:
        return objective.tolerated, objective.tolerated
    upper = objective.direction == "<="
    bounds = (objective.bound, objective.relaxed_bound)
    tolerated, relaxed = (round(min(max(bound if upper else 1 - bound, 0.0), 1.0), 12) for bound in bounds)
    return tolerated, relaxed


def first_rounds(series: Series, observations: int, per_round: int) -> Series:
    """The series as it stood when so many *observations* had been judged."""
    return upto_round(series, observations // per_round)


def upto_round(series: Series, count: int) -> Series:
    """The series with its first *count* judged rounds only."""
    kept = series.judged_rounds[:count]
    numbers = {round_.number for round_ in kept}
    return replace(series, rounds=kept, measurements=tuple(m for m in series.measurements if m.round in numbers))


def _flags(one: Series, objective: Objective, metric: str, error: float) -> Iterator[Flag]:
    """The observations of one round; an absent one is bad for a pass and good for a fail."""
    if metric == "error_rate":
        yield from (_error(measurement, one, objective) for measurement in one.judged)
    elif metric in shares.COUNTED:
        if not shares.graded(one):  # of scores between wrong and right there is no share to watch
            yield from (_counted(objective, good) for good in shares.goods(one, objective, error))
    elif objective.level is not None and metric != "event_gap":
        for value in shifted(one, observe(one, metric), error).values:
            if value is None:
                yield Flag(bad=False, bad_with_slack=True, value=float("inf"))
            else:
                relaxed = objective.violated_by(value, relaxed=True)
                yield Flag(bad=objective.violated_by(value), bad_with_slack=relaxed, value=value)


def _counted(objective: Objective, good: bool | None) -> Flag:  # noqa: FBT001 (that is the observation)
    bad = good is not None and good != (objective.direction == ">=")
    return Flag(bad=bad, bad_with_slack=bad or good is None, value=float(bad or good is None))


def _error(measurement: Measurement, one: Series, objective: Objective) -> Flag:
    if was_cut(measurement, one.cut):
        return Flag(bad=False, bad_with_slack=True, value=1.0)
    bad = bool(measurement.failure) == (objective.direction == "<=")
    return Flag(bad=bad, bad_with_slack=bad, value=float(bad))
