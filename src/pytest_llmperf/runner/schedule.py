"""When each arm's rounds are run: interleaved in blocks, each of which holds every arm once, in an order drawn anew.

A drift over the run then meets all arms alike, where two tests one after the other would take it for a difference.
Warm-ups come first, for all arms. Arms that ask for different concurrency cannot share their moments: they take turns
in stretches of several blocks, each at its own concurrency.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from pytest_llmperf.runner.arms import Arm
from pytest_llmperf.runner.plan import Plan

STRETCHES = 4
"""Into how many stretches the rounds of arms with different concurrency are parted at the most."""
_FILLS = 10
"""A stretch holds at least so many times the rounds that are in flight at once: its ends, with fewer, are small."""


@dataclass(frozen=True, slots=True)
class Turn:
    """One round to come."""

    arm: Arm
    ordinal: int
    """Among the rounds of its arm, from 0, warm-ups first."""


@dataclass(frozen=True, slots=True)
class Stage:
    """Rounds that one number of workers takes from one queue."""

    end: int
    """Number of the first round that is not in it."""
    workers: int


@dataclass(frozen=True, slots=True)
class Schedule:
    """All rounds of a test in dispatch order."""

    turns: tuple[Turn, ...]
    stages: tuple[Stage, ...]
    even: frozenset[int]
    """After how many rounds all arms have had equally many: only there do arms stop, and they stop together."""


def scheduled(plan: Plan, seed: int) -> Schedule:
    """The rounds of a plan; the same seed gives the same order."""
    rng = random.Random(f"{seed} arms")
    turns = [turn for ordinal in range(plan.warmup) for turn in _block(plan.arms, ordinal, rng)]
    even = set(range(0, len(turns) + 1, len(plan.arms)))
    stages = [Stage(len(turns), 1)] if turns else []
    groups = _by_concurrency(plan)
    for stretch in _stretches(plan, len(groups)):
        for workers, arms in rng.sample(groups, len(groups)):
            for ordinal in stretch:
                turns += _block(arms, ordinal, rng)
                if len(groups) == 1:
                    even.add(len(turns))
            stages.append(Stage(len(turns), workers))
        even.add(len(turns))
    return Schedule(tuple(turns), tuple(stages), frozenset(even))


def _by_concurrency(plan: Plan) -> list[tuple[int, list[Arm]]]:
    groups: dict[int, list[Arm]] = {}
    for arm in plan.arms:
        groups.setdefault(plan.concurrency_of(arm), []).append(arm)
    return list(groups.items())


def _stretches(plan: Plan, groups: int) -> Iterator[range]:
    """The ordinals of the judged rounds, parted into as many stretches as are worth it."""
    parts = max(1, min(STRETCHES, plan.rounds // (_FILLS * plan.most_workers))) if groups > 1 else 1
    marks = [plan.warmup + plan.rounds * part // parts for part in range(parts + 1)]
    return map(range, marks, marks[1:])


def _block(arms: Sequence[Arm], ordinal: int, rng: random.Random) -> list[Turn]:
    return [Turn(arm, ordinal) for arm in rng.sample(arms, len(arms))]
