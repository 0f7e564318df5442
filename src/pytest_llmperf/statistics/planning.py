"""What a number of calls can decide, asked before the first one is paid for."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from scipy.special import ndtr, ndtri

from pytest_llmperf.statistics.arrays import require_count, require_open_unit, require_share
from pytest_llmperf.statistics.binomial import LARGEST_COUNT, at_least, at_most, first_true
from pytest_llmperf.statistics.quantiles import (
    highest_passable_level,
    least_bad_to_fail,
    least_n_to_pass,
    most_bad_to_pass,
)
from pytest_llmperf.statistics.sequential import Operating, operating, spending_plan

if TYPE_CHECKING:
    from collections.abc import Callable

MOST = 5000
"""The largest budget looked for; beyond it a claim is out of practical reach."""
GROWTH = 1.05


@dataclass(frozen=True, slots=True)
class Decidability:
    """Whether ``n`` values can show, either way, that the share of bad ones is at most θ₀.

    Attributes:
        n: How many values there will be.
        theta0: The share of bad values the claim tolerates.
        alpha: One-sided error probability of either verdict.
        least_n_to_pass: The least n that can pass at all (with no bad value); None when no n can (θ₀ = 0).
        least_n_to_fail: The least n that can fail at all (with bad values only); None when no n can (θ₀ = 1).
        most_bad_to_pass: The most bad values of ``n`` that still pass; None when ``n`` cannot pass.
        least_bad_to_fail: The fewest bad values of ``n`` that fail; None when ``n`` cannot fail.
        highest_level: Quantile levels below this one can be passed by ``n`` values (α^(1/n); round down to show it).
    """

    n: int
    theta0: float
    alpha: float
    least_n_to_pass: int | None
    least_n_to_fail: int | None
    most_bad_to_pass: int | None
    least_bad_to_fail: int | None
    highest_level: float

    @property
    def can_pass(self) -> bool:
        """Whether some outcome of ``n`` values shows the claim."""
        return self.most_bad_to_pass is not None

    @property
    def can_fail(self) -> bool:
        """Whether some outcome of ``n`` values refutes the claim."""
        return self.least_bad_to_fail is not None


def decidability(n: int, theta0: float, alpha: float, *, fail_floor: int = 1) -> Decidability:
    """Work out what ``n`` values can decide about "the share of bad values is at most θ₀" (exact binomial, fixed n).

    Args:
        n: How many values there will be.
        theta0: The share of bad values the claim tolerates, in [0, 1]; `bad_share` of a quantile's level.
        alpha: One-sided error probability, in (0, 1).
        fail_floor: The least n at which a policy lets a claim fail; 1 for no such policy.

    Raises:
        ValueError: If a number is out of its range.
    """
    require_count(0, n)
    to_fail = least_n_to_fail(theta0, alpha, floor=fail_floor)
    return Decidability(
        n=n,
        theta0=theta0,
        alpha=alpha,
        least_n_to_pass=least_n_to_pass(theta0, alpha),
        least_n_to_fail=to_fail,
        most_bad_to_pass=most_bad_to_pass(n, theta0, alpha),
        least_bad_to_fail=None if to_fail is None or n < to_fail else least_bad_to_fail(n, theta0, alpha),
        highest_level=highest_passable_level(n, alpha),
    )


def least_n_to_fail(theta0: float, alpha: float, *, floor: int = 1) -> int | None:
    """Return the least n at which bad values alone show θ > θ₀ (θ₀ⁿ < α), but not below ``floor``; None for θ₀ = 1."""
    require_share("theta0", theta0)
    require_open_unit("alpha", alpha)
    least = first_true(lambda n: theta0**n < alpha, 1, LARGEST_COUNT)
    return None if least is None else max(floor, least)


@dataclass(frozen=True, slots=True)
class Budget:
    """How many values to plan for, and what that is expected to do.

    Attributes:
        budget: The most values that will be judged.
        operating: What the test does with that budget if the truth is as supposed.
    """

    budget: int
    operating: Operating


def sequential_budget(
    theta0: float,
    alpha: float,
    theta: float,
    chance: float,
    *,
    fail_floor: int = 1,
    futility: float = 0.0,
    most: int = MOST,
) -> Budget | None:
    """Return a budget at which the spending plan gives the right verdict with the wanted chance.

    Found on a grid of budgets 5 % apart and refined downwards: the chance is a saw-tooth in the budget, so a slightly
    smaller one may do as well, but the one returned does.

    Args:
        theta0: The share of bad values the claim tolerates, in (0, 1).
        alpha: One-sided error probability of either verdict.
        theta: The supposed true share: below θ₀ the right verdict is "pass", above it "fail".
        chance: The wanted probability of that verdict, in (0, 1).
        fail_floor: As for `spending_plan`.
        futility: As for `spending_plan`.
        most: The largest budget worth having.

    Returns:
        The budget, or None when none up to ``most`` does; always None at θ = θ₀.
    """

    def at(budget: int) -> Operating:
        return operating(spending_plan(theta0, alpha, budget, fail_floor=fail_floor, futility=futility), theta)

    return _search(at, theta0, alpha, theta, chance, most)


def fixed_budget(
    theta0: float, alpha: float, theta: float, chance: float, *, fail_floor: int = 1, most: int = MOST
) -> Budget | None:
    """Return a fixed n at which the exact binomial test gives the right verdict with the wanted chance.

    Arguments and result are those of `sequential_budget`.
    """
    return _search(
        lambda n: fixed_operating(n, theta0, alpha, theta, fail_floor=fail_floor), theta0, alpha, theta, chance, most
    )


def fixed_operating(n: int, theta0: float, alpha: float, theta: float, *, fail_floor: int = 1) -> Operating:
    """Return what the exact binomial test at a fixed ``n`` does when the true share of bad values is ``theta``."""
    require_share("theta", theta)
    few, many = most_bad_to_pass(n, theta0, alpha), least_bad_to_fail(n, theta0, alpha)
    p_pass = 0.0 if few is None else at_most(few, n, theta)
    p_fail = 0.0 if many is None or n < fail_floor else at_least(many, n, theta)
    return Operating(theta, p_pass, p_fail, float(n))


def bad_share_at_margin(margin: float, level: float, spread: float) -> float:
    """Return the share of values above a limit when their quantile is ``margin`` times it. For planning only.

    Assumes log-normal latencies, which no verdict here does: θ = 1 - Φ(z - ln margin / σ) with z = Φ⁻¹(level).

    Args:
        margin: True quantile over limit: 0.85 is 15 % inside of it.
        level: The quantile, in (0, 1).
        spread: σ of the logarithm, ln(p95 / p50) / 1.645; see `log_spread`.

    Raises:
        ValueError: If a number is out of its range.
    """
    require_open_unit("level", level)
    if not (margin > 0.0 and spread > 0.0):
        raise ValueError(f"margin and spread must be positive, got {margin!r} and {spread!r}")
    return float(ndtr(math.log(margin) / spread - ndtri(level)))


def growth_to_settle(p_value: float, alpha: float) -> float:
    """Return by which factor samples must grow until a one-sided p-value falls to α, if what they show stays as it is.

    z = Φ⁻¹(1 - p) grows with the root of the sample size: (z_α / z_p)². Infinite for p of one half or more. For
    planning only: half of such samples still fall short.
    """
    require_open_unit("alpha", alpha)
    require_share("p_value", p_value)
    if p_value >= 0.5:
        return math.inf
    return max(1.0, float((ndtri(alpha) / ndtri(max(p_value, 1e-300))) ** 2))


def log_spread(p50: float, p95: float) -> float:
    """Return σ of log-normal values with these two quantiles."""
    if not 0.0 < p50 < p95:
        raise ValueError(f"expected 0 < p50 < p95, got {p50!r} and {p95!r}")
    return math.log(p95 / p50) / float(ndtri(0.95))


def _search(
    at: Callable[[int], Operating], theta0: float, alpha: float, theta: float, chance: float, most: int
) -> Budget | None:
    require_share("theta", theta)
    require_open_unit("chance", chance)
    least = least_n_to_pass(theta0, alpha) if theta < theta0 else least_n_to_fail(theta0, alpha)
    if least is None or theta == theta0:
        return None

    def enough(outcome: Operating) -> bool:
        return (outcome.p_pass if theta < theta0 else outcome.p_fail) >= chance

    failed, n = least - 1, least
    while n <= most and not enough(at(n)):
        failed, n = n, max(n + 1, int(n * GROWTH))
    if n > most:
        return None
    while n - failed > 1:
        middle = (failed + n) // 2
        failed, n = (failed, middle) if enough(at(middle)) else (middle, n)
    return Budget(n, at(n))
