"""Quantiles and rates with a budget: an exact α-spending plan that may stop after any value.

The plan is a table of integers, worked out before the first value and printable as such: stop and pass when at most
A[n] of the first n values are bad, stop and fail when at least R[n] are. Under θ₀ the distribution of the running count
is stepped forward one value at a time; by value n either side may have used up α·(n / budget)^ρ of its error (the power
family of Kim & DeMets 1987), and the counts that fit into what is still unspent stop there. So the error at θ₀ is
computed, not bounded, and no distribution of the values is assumed. Both sides run at the full α, because for any one
truth only one of them can be wrong, and the chance of a wrong verdict falls as the truth moves away from θ₀.

Values must be counted in the order the calls were dispatched. In the order they complete, the fast ones vote first.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Literal, TypeAlias

import numpy as np

from pytest_llmperf.statistics.arrays import Floats, require_count, require_open_unit, require_share
from pytest_llmperf.statistics.estimate import PValues

Step: TypeAlias = Literal["pass", "fail", "futile", "continue"]

RHO = 2.0
FUTILITY = 0.02


@dataclass(frozen=True, slots=True)
class SpendingPlan:
    """A stop table for "the share of bad values is at most θ₀" over at most ``budget`` values.

    Tables are indexed by n - 1, for n = 1 … budget.

    Attributes:
        theta0: The share of bad values the claim tolerates.
        alpha: One-sided error probability of either verdict.
        budget: The most values that will be judged.
        rho: Exponent of the spending function.
        fail_floor: No verdict "fail" is given before this many values (a policy; it only lowers the error).
        futility: Stop undecided when the predictive probability of any verdict by the budget falls below this.
        pass_at: A[n], the most bad values that pass at n; -1 where none does.
        fail_at: R[n], the fewest bad values that fail at n; n + 1 where none does.
        futile_from: The fewest bad values that make going on futile at n.
        futile_to: The most bad values that make going on futile at n; below ``futile_from`` where none does.
        error: The exact error each side spends at θ₀ when every value is looked at and the other side never stops.
    """

    theta0: float
    alpha: float
    budget: int
    rho: float
    fail_floor: int
    futility: float
    pass_at: tuple[int, ...]
    fail_at: tuple[int, ...]
    futile_from: tuple[int, ...]
    futile_to: tuple[int, ...]
    error: PValues

    def step(self, bad: int, n: int) -> Step:
        """Say what to do after ``n`` values of which ``bad`` are bad.

        At the budget whatever is undecided stays so: "futile". Looking at some n only is allowed: it lowers the error.

        Raises:
            ValueError: If the counts are impossible or beyond the budget.
        """
        require_count(bad, n)
        if n > self.budget:
            raise ValueError(f"the plan ends at {self.budget} values, got {n}")
        if self.passes(bad, n):
            return "pass"
        if self.fails(bad, n):
            return "fail"
        return "futile" if self.is_futile(bad, n) else "continue"

    def passes(self, bad: int, n: int) -> bool:
        """Whether ``bad`` bad values of the first ``n`` show the claim."""
        return n > 0 and bad <= self.pass_at[n - 1]

    def fails(self, bad: int, n: int) -> bool:
        """Whether ``bad`` bad values of the first ``n`` refute the claim."""
        return n >= max(1, self.fail_floor) and bad >= self.fail_at[n - 1]

    def is_futile(self, bad: int, n: int) -> bool:
        """Whether the budget is used up, or a verdict within it has become too improbable to go on for."""
        return n >= self.budget or (n > 0 and self.futile_from[n - 1] <= bad <= self.futile_to[n - 1])

    @property
    def passes_from(self) -> tuple[int, ...]:
        """The least n at which 0, 1, 2, … bad values pass."""
        most = self.pass_at[-1]
        return tuple(next(n for n, a in enumerate(self.pass_at, 1) if a >= bad) for bad in range(most + 1))

    @property
    def fails_until(self) -> tuple[tuple[int, int], ...]:
        """Pairs (bad, n): that many bad values fail when seen within the first n."""
        reachable = ((bad, n) for n, bad in enumerate(self.fail_at, 1) if self.fail_floor <= n and bad <= n)
        return tuple(sorted(dict(reachable).items()))  # a later n replaces an earlier one


@dataclass(frozen=True, slots=True)
class Operating:
    """What a plan does when the true share of bad values is ``theta``.

    Attributes:
        theta: The supposed true share.
        p_pass: Probability of the verdict "pass".
        p_fail: Probability of the verdict "fail".
        mean_n: Expected number of values judged.
    """

    theta: float
    p_pass: float
    p_fail: float
    mean_n: float

    @property
    def p_decided(self) -> float:
        """Probability of either verdict."""
        return self.p_pass + self.p_fail


@lru_cache(maxsize=256)
def spending_plan(
    theta0: float, alpha: float, budget: int, *, rho: float = RHO, fail_floor: int = 1, futility: float = 0.0
) -> SpendingPlan:
    """Work out the stop table, in O(budget²).

    Args:
        theta0: The share of bad values the claim tolerates, in (0, 1).
        alpha: One-sided error probability of either verdict, in (0, 0.5).
        budget: The most values that will be judged, at least 1.
        rho: Exponent of the spending function; larger spends later. 2 is robust for θ₀ from 0.01 to 0.5.
        fail_floor: No "fail" before this many values; 1 for no floor. The table itself stays as it is.
        futility: Predictive probability of a verdict below which going on is futile; 0 switches it off. It cannot raise
            either error.

    Raises:
        ValueError: If an argument is out of its range.
    """
    require_open_unit("theta0", theta0)
    require_open_unit("2 alpha", 2 * alpha)
    require_share("futility", futility)
    if budget < 1 or rho <= 0:
        raise ValueError(f"budget must be at least 1 and rho positive, got {budget} and {rho}")
    allowance = alpha * (np.arange(1, budget + 1) / budget) ** rho
    few_bad, error_pass = _one_side(theta0, allowance)
    few_good, error_fail = _one_side(1.0 - theta0, allowance)
    pass_at = tuple(stop - 1 for stop in few_bad)
    fail_at = tuple(n + 1 - stop for n, stop in enumerate(few_good, 1))
    futile_from, futile_to = _futile(theta0, pass_at, fail_at, fail_floor, futility)
    return SpendingPlan(
        theta0=theta0,
        alpha=alpha,
        budget=budget,
        rho=rho,
        fail_floor=fail_floor,
        futility=futility,
        pass_at=pass_at,
        fail_at=fail_at,
        futile_from=futile_from,
        futile_to=futile_to,
        error=PValues(error_pass, error_fail),
    )


def operating(plan: SpendingPlan, theta: float) -> Operating:
    """Return the exact operating characteristics of a plan at a true share ``theta``, by forward recursion."""
    require_share("theta", theta)
    alive = np.array([1.0])
    p_pass = p_fail = mean_n = 0.0
    for n in range(1, plan.budget + 1):
        mean_n += float(alive.sum())
        alive = _stepped(alive, theta)
        passing, failing = plan.pass_at[n - 1] + 1, plan.fail_at[n - 1]
        p_pass += _removed(alive, 0, passing)
        if n >= plan.fail_floor:
            p_fail += _removed(alive, failing, n + 1)
        _removed(alive, plan.futile_from[n - 1], plan.futile_to[n - 1] + 1)
    return Operating(theta, p_pass, p_fail, mean_n)


def _one_side(theta: float, allowance: Floats) -> tuple[tuple[int, ...], float]:
    """Return how many of the lowest counts stop at each n, and the error they spend.

    Each side is worked out as if the other never stopped: its error then holds whichever of the other's stops are
    honoured, so neither a floor nor a decision to gather more can break it.
    """
    alive, spent, stops = np.array([1.0]), 0.0, []
    for allowed in allowance:
        alive = _stepped(alive, theta)
        stop = int(np.searchsorted(np.cumsum(alive), allowed - spent, side="right"))
        spent += _removed(alive, 0, stop)
        stops.append(stop)
    return tuple(stops), spent


def _stepped(alive: Floats, theta: float) -> Floats:
    """Move the distribution of the running count one value on."""
    moved = np.zeros(alive.size + 1)
    moved[:-1] = alive * (1.0 - theta)
    moved[1:] += alive * theta
    return moved


def _removed(alive: Floats, start: int, end: int) -> float:
    """Take the counts in [start, end) out of play and return their probability."""
    mass = float(alive[start:end].sum()) if start < end else 0.0
    alive[start:end] = 0.0
    return mass


def _futile(
    theta0: float, pass_at: tuple[int, ...], fail_at: tuple[int, ...], fail_floor: int, futility: float
) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Return the range of counts at each n from which a verdict is too improbable, by one backward recursion.

    The chance that the next value is bad is that of a Beta(½, (1-θ₀)/(2θ₀)) prior, worth half a bad value at rate θ₀,
    after what has been seen.
    """
    budget = len(pass_at)
    a, b = 0.5, (1.0 - theta0) / (2.0 * theta0)
    decided = np.zeros(budget + 2)
    start, end = [1] * budget, [0] * budget
    for n in range(budget, 0, -1):
        counts = np.arange(n + 1)
        next_bad = (a + counts) / (a + b + n)
        decided = next_bad * decided[1 : n + 2] + (1.0 - next_bad) * decided[: n + 1]
        decided[: pass_at[n - 1] + 1] = 1.0
        if n >= fail_floor:
            decided[fail_at[n - 1] :] = 1.0
        futile = np.flatnonzero(decided < futility)
        if futile.size:
            start[n - 1], end[n - 1] = int(futile[0]), int(futile[-1])
    return tuple(start), tuple(end)
