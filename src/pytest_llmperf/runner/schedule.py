"""When each arm's rounds are run: interleaved in blocks, each of which holds every arm once, in an order drawn anew.

A drift over the run then meets all arms alike, where two tests one after the other would take it for a difference.
Warm-ups come first, for all arms, one after the other. Arms that ask for different concurrency cannot share their
moments: they take turns in stretches of several blocks, each at its own concurrency. Arms of different rates have one
stretch each, since what a rate limit lets through at the start of a level is not what it lets through later.

Of several processes that run one plan together each has the same stretches in the same order, so that the service meets
a level whole; the moments of Poisson arrivals are a process's own.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from pytest_llmperf.runner.arms import Arm
from pytest_llmperf.runner.pacing import due_times
from pytest_llmperf.runner.plan import Load, Plan

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
    """Rounds that one number of workers takes from one queue, or that are begun when they are due."""

    end: int
    """Number of the first round that is not in it."""
    workers: int
    due_ns: tuple[int, ...] = ()
    """Of an open loop, when each of its rounds is due, from the start of the stage; empty for a closed loop."""


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
    groups = _by_load(plan.whole)
    stretches = list(_stretches(plan, len(groups)))
    orders = [rng.sample(groups, len(groups)) for _ in stretches]  # before the blocks, of which processes have fewer
    for stretch, order in zip(stretches, orders, strict=True):
        for arms in order:
            first = len(turns)
            for ordinal in stretch:
                turns += _block(arms, ordinal, rng)
                if len(groups) == 1:
                    even.add(len(turns))
            stages.append(_stage(plan, plan.load_of(arms[0]), first, len(turns), seed))
        even.add(len(turns))
    return Schedule(tuple(turns), tuple(stages), frozenset(even))


def _by_load(plan: Plan) -> list[list[Arm]]:
    groups: dict[Load, list[Arm]] = {}
    for arm in plan.arms:
        groups.setdefault(plan.load_of(arm), []).append(arm)
    return list(groups.values())


def _stage(plan: Plan, load: Load, first: int, end: int, seed: int) -> Stage:
    if load.rate_per_minute is None:
        return Stage(end, load.concurrency)
    part = plan.part
    own = f" part {part.number}" if part.of > 1 else ""
    words = f"{seed} arrivals from {first}{own}"
    due = due_times(end - first, load.rate_per_minute, plan.arrival, words, offset=part.number / part.of)
    return Stage(end, 1, due)


def _stretches(plan: Plan, groups: int) -> Iterator[range]:
    """The ordinals of the judged rounds, parted into as many stretches as are worth it."""
    apart, whole = groups > 1 and not plan.is_open, plan.whole
    parts = max(1, min(STRETCHES, whole.rounds // (_FILLS * whole.most_workers))) if apart else 1
    marks = [plan.warmup + plan.rounds * part // parts for part in range(parts + 1)]
    return map(range, marks, marks[1:])


def _block(arms: Sequence[Arm], ordinal: int, rng: random.Random) -> list[Turn]:
    return [Turn(arm, ordinal) for arm in rng.sample(arms, len(arms))]
