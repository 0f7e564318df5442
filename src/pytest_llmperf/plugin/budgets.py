"""Whether a budget of rounds can decide a claim at all, asked at collection, before any paid call."""

from __future__ import annotations

import math

from pytest_llmperf.core import wording
from pytest_llmperf.core.claims import Contrast
from pytest_llmperf.core.objective import SHARES, Objective
from pytest_llmperf.plugin.marks import Scenario

LARGEST_PLANNED = 10_000
"""Rounds up to which a likely number is told."""


def undecidable(scenario: Scenario) -> list[str]:
    """Claims that the rounds can neither pass nor fail, in words; each is an error of the test's author."""
    rounds = scenario.plan.rounds
    of_one = [_undecidable(objective, rounds) for objective in scenario.objectives]
    return [text for text in (*of_one, *(_incomparable(contrast, rounds) for contrast in scenario.contrasts)) if text]


def unpassable(scenario: Scenario) -> list[str]:
    """Claims that the rounds can fail but never pass, in words."""
    rounds = scenario.plan.rounds
    of_one = [_unpassable(objective, rounds) for objective in scenario.objectives]
    return [text for text in (*of_one, *(_one_sided(contrast, rounds) for contrast in scenario.contrasts)) if text]


def _incomparable(contrast: Contrast, rounds: int) -> str:
    """Why so many rounds of either arm cannot decide a contrast, whatever they show; empty where they can."""
    from pytest_llmperf.statistics.means import LEAST_N

    told = f"{contrast.mark}: {wording.count(rounds, 'round')} of either arm cannot decide {contrast.described()}"
    if contrast.statistic == "mean" and rounds < LEAST_N:
        return f"{told}; {LEAST_N} are the fewest for a mean"
    return f"{told}; raise rounds" if _within_reach(contrast, rounds) == (False, False) else ""


def _one_sided(contrast: Contrast, rounds: int) -> str:
    """Why so many rounds can fail a contrast and never pass it; empty where they can do both."""
    if _within_reach(contrast, rounds) != (False, True):
        return ""
    told = wording.count(rounds, "round")
    return f"{contrast.mark}: {told} of either arm can fail {contrast.described()} but never pass it; raise rounds"


def _within_reach(contrast: Contrast, rounds: int) -> tuple[bool, bool]:
    """Whether a pass and a fail are possible at all."""
    from pytest_llmperf.core.observations import Observations
    from pytest_llmperf.core.pair import Pair, attainable
    from pytest_llmperf.core.walk import comparison_looks

    nothing = Pair(Observations("", "", ()), Observations("", "", ()))
    levels = comparison_looks(rounds, contrast.statistic, contrast.levels)[-1].levels
    least = attainable(nothing, contrast.asked(contrast.metric.partition("|")[0]), rounds)
    return least.p_pass < levels.to_pass, least.p_fail < levels.to_fail


def tolerated_share(objective: Objective) -> float | None:
    """The share of bad observations a claim tolerates; None for a claim that is no question of shares."""
    if objective.metric in SHARES:
        return objective.bound if objective.direction == "<=" else 1 - objective.bound
    if objective.level is None:
        return None
    return round(1 - objective.level, 12) if objective.direction == "<=" else objective.level


def _undecidable(objective: Objective, rounds: int) -> str:
    from pytest_llmperf.statistics.means import LEAST_N
    from pytest_llmperf.statistics.planning import decidability

    share = tolerated_share(objective)
    if share is None:
        if objective.statistic in ("mean", "total", "per_mtok") and rounds < LEAST_N:
            what = "a mean" if objective.statistic == "mean" else "a total"
            return f"{objective.mark}: {rounds} rounds cannot decide {what}; {LEAST_N} are the fewest"
        return ""
    able, failing = (decidability(rounds, share, level) for level in objective.levels)
    if able.can_pass or failing.can_fail:
        return ""
    least = [n for n in (able.least_n_to_pass, failing.least_n_to_fail) if n is not None]
    enough = f"; {min(least)} are the fewest that can" if least else ""
    return (
        f"{objective.mark}: {wording.count(rounds, 'round')} can neither pass nor fail {objective.described()}{enough}"
    )


def _unpassable(objective: Objective, rounds: int) -> str:
    from pytest_llmperf.statistics.planning import decidability

    share = tolerated_share(objective)
    if share is None:
        return ""
    able, failing = (decidability(rounds, share, level) for level in objective.levels)
    if able.can_pass or not failing.can_fail:
        return ""
    claim = f"{objective.mark}: {wording.count(rounds, 'round')} can fail {objective.described()} but never pass it"
    if able.least_n_to_pass is None:
        return f"{claim}: no number of rounds shows that something cannot happen"
    hint = f"{claim}; {able.least_n_to_pass} are needed{_likely(share, objective)}"
    if objective.level is None or objective.direction != "<=":
        return hint
    return f"{hint}, or claim p{math.floor(able.highest_level * 100)}, the highest quantile {rounds} can pass"


def _likely(share: float, objective: Objective) -> str:
    """What a pass is likely to take, where some calls are beyond the limit after all."""
    from pytest_llmperf.statistics.planning import fixed_budget

    found = fixed_budget(share, objective.alpha, share / 4, 0.8, most=LARGEST_PLANNED)
    if found is None:
        return ""
    some = wording.percent(share / 4)
    return f" when not one call is beyond the limit, about {found.budget} for a chance of 80 % when {some} are"
