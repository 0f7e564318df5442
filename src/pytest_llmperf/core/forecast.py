"""What a budget of rounds will probably do for a claim, before anything is measured.

For planning only: exact for a supposed share of bad observations; how large that share is at some distance of the limit
is worked out for log-normal latencies, which no verdict supposes.
"""

from __future__ import annotations

from dataclasses import dataclass

from pytest_llmperf.core.objective import Objective
from pytest_llmperf.core.watch import FAIL_FLOOR, LARGEST_BUDGET, stops, tolerated_shares
from pytest_llmperf.statistics.planning import bad_share_at_margin, decidability, sequential_budget
from pytest_llmperf.statistics.sequential import FUTILITY, SpendingPlan, operating, spending_plan

MARGINS = (0.7, 0.85, 1.0, 1.15, 1.3, 1.5)
"""True quantile over limit."""
MULTIPLES = (0.0, 0.25, 0.5, 1.0, 2.0, 3.0)
"""True share of bad observations over the tolerated one."""
CHANCE = 0.8


@dataclass(frozen=True, slots=True)
class Supposed:
    """What happens if the truth is so."""

    truth: str
    """`0.85 × the limit`, or `twice the share`, in words."""
    bad_share: float
    p_pass: float
    p_fail: float
    rounds: float
    """On average, early stopping included."""
    enough: int | None
    """Rounds for a chance of 80 % of the right verdict; None where no number, or none below the largest, is enough."""


@dataclass(frozen=True, slots=True)
class Forecast:
    """One claim with its budget."""

    claim: str
    rounds: int
    tolerated: float
    least_to_pass: int | None
    """Fewest rounds that can pass, when not one observation is bad; None where no number can."""
    stops: str
    supposed: tuple[Supposed, ...]


def forecast(objective: Objective, rounds: int, *, spread: float | None = None, chance: float = CHANCE) -> Forecast:
    """Work out what *rounds* with one observation each will do for a claim on a quantile or a rate.

    Args:
        objective: the claim.
        rounds: the budget, with early stopping.
        spread: σ of the logarithm of the latencies, for truths in terms of the limit; None for truths in terms of the
            share of bad observations.
        chance: of the right verdict, for which the number of rounds is sought.

    Raises:
        ValueError: the claim is no question about a share, or nothing is tolerated.
    """
    tolerated, _ = tolerated_shares(objective)
    if not 0 < tolerated < 1:
        raise ValueError(f"{objective.described()} tolerates no share that could be planned for")
    plans = tuple(_plan(tolerated, level, rounds) for level in objective.levels)
    truths = _by_margin(objective, spread) if spread is not None else _by_multiple(tolerated)
    return Forecast(
        claim=objective.described(),
        rounds=rounds,
        tolerated=tolerated,
        least_to_pass=decidability(rounds, tolerated, objective.levels.to_pass).least_n_to_pass,
        stops=stops(*plans),
        supposed=tuple(_supposed(truth, share, objective, plans, chance) for truth, share in truths),
    )


def _plan(tolerated: float, level: float, rounds: int) -> SpendingPlan:
    return spending_plan(tolerated, level, rounds, fail_floor=min(FAIL_FLOOR, rounds), futility=FUTILITY)


def _by_margin(objective: Objective, spread: float) -> list[tuple[str, float]]:
    """Shares above the limit; of a lower limit the margin is the limit over the true quantile."""
    level = 1 - objective.tolerated
    return [(f"{margin:g} × the limit", bad_share_at_margin(margin, level, spread)) for margin in MARGINS]


def _by_multiple(tolerated: float) -> list[tuple[str, float]]:
    words = {0.0: "none bad", 1.0: "just what is tolerated"}
    return [
        (words.get(multiple, f"{multiple:g} × what is tolerated"), min(multiple * tolerated, 1.0))
        for multiple in MULTIPLES
    ]


def _supposed(
    truth: str, share: float, objective: Objective, plans: tuple[SpendingPlan, ...], chance: float
) -> Supposed:
    to_pass, to_fail = (operating(plan, share) for plan in plans)
    enough = None
    tolerated, _ = tolerated_shares(objective)
    if share != tolerated:
        level = objective.levels.to_pass if share < tolerated else objective.levels.to_fail
        found = sequential_budget(
            tolerated, level, share, chance, fail_floor=FAIL_FLOOR, futility=FUTILITY, most=LARGEST_BUDGET // 4
        )
        enough = found.budget if found is not None else None
    # The two sides are worked out apart, as if the other never stopped: sampling ends by the earlier of both.
    return Supposed(truth, share, to_pass.p_pass, to_fail.p_fail, min(to_pass.mean_n, to_fail.mean_n), enough)
