"""When each arm's rounds are run."""

from __future__ import annotations

import itertools
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_llmperf.runner.arms import product
from pytest_llmperf.runner.plan import Plan
from pytest_llmperf.runner.schedule import Stage, scheduled

THREE = product({"prompt": ["a", "b", "c"]})
LOADS = product({"concurrency": [1, 5]})


def test_one_arm_is_the_plain_loop():
    """Warm-ups alone, then all rounds by as many workers as asked; it may stop anywhere."""
    schedule = scheduled(Plan(rounds=5, warmup=2, concurrency=3), 1)
    assert [turn.ordinal for turn in schedule.turns] == list(range(7))
    assert schedule.stages == (Stage(2, 1), Stage(7, 3))
    assert schedule.even == set(range(8))


@given(st.integers(0, 5), st.integers(1, 40), st.integers(0, 2**32))
def test_every_block_holds_each_arm_once(warmup, rounds, seed):
    """Whenever a block is over, all arms have had equally many rounds, in the order of their ordinals."""
    schedule = scheduled(Plan(rounds=rounds, warmup=warmup, arms=THREE), seed)
    blocks = [schedule.turns[first : first + 3] for first in range(0, len(schedule.turns), 3)]
    assert len(blocks) == warmup + rounds
    for ordinal, block in enumerate(blocks):
        assert {turn.arm.name for turn in block} == {"a", "b", "c"}
        assert {turn.ordinal for turn in block} == {ordinal}
    assert schedule.even == set(range(0, len(schedule.turns) + 1, 3))


def test_the_order_is_drawn_by_the_seed():
    """The same seed gives the same order, another one another; within a run every place is had by every arm."""
    plan = Plan(rounds=60, warmup=0, arms=THREE)
    assert scheduled(plan, 1) == scheduled(plan, 1)
    assert scheduled(plan, 1).turns != scheduled(plan, 2).turns
    firsts = Counter(turn.arm.name for turn in scheduled(plan, 1).turns[::3])
    assert min(firsts.values()) > 10


def test_arms_of_different_concurrency_take_turns():
    """They are never in flight together: each stretch has one number of workers, and its own arms only."""
    schedule = scheduled(Plan(rounds=100, warmup=1, arms=LOADS), 1)
    assert schedule.stages[0] == Stage(2, 1)
    firsts = [stage.end for stage in schedule.stages[:-1]]
    for first, stage in zip(firsts, schedule.stages[1:], strict=True):
        turns = schedule.turns[first : stage.end]
        assert len(turns) == 50
        assert {turn.arm.concurrency for turn in turns} == {stage.workers}
    assert Counter(turn.arm.name for turn in schedule.turns) == {"concurrency=1": 101, "concurrency=5": 101}
    assert schedule.even == {0, 2, 102, 202}


@pytest.mark.parametrize("factors", [{"rate_per_minute": [40, 50, 60]}, {"concurrency": [4, 5, 6]}])
def test_processes_have_the_same_levels_at_the_same_time(factors):
    """Each runs the stages of the whole in its order, however many of the rounds are its own."""
    whole = Plan(rounds=270, arms=product(factors))
    parts = [scheduled(whole.shared(number, 4), 1) for number in range(4)]
    assert {_levels(part) for part in parts} == {_levels(scheduled(whole, 1))}


def test_processes_draw_arrivals_of_their_own():
    """Poisson arrivals of several processes are no copies of each other, in the same order of arms."""
    plan = Plan(rounds=40, rate_per_minute=60)
    dues = {scheduled(plan.shared(number, 4), 1).stages[-1].due_ns for number in range(4)}
    assert len(dues) == 4


def _levels(schedule):
    """The arms of each stage after the warm-ups."""
    ends = [stage.end for stage in schedule.stages]
    return tuple(frozenset(turn.arm.name for turn in schedule.turns[a:b]) for a, b in itertools.pairwise(ends))


@pytest.mark.parametrize(("rounds", "stretches"), [(49, 1), (100, 2), (10_000, 4)])
def test_a_stretch_is_worth_its_ends(rounds, stretches):
    """At the ends of a stretch fewer rounds are in flight: it is long against its concurrency."""
    schedule = scheduled(Plan(rounds=rounds, warmup=0, arms=LOADS), 1)
    assert len(schedule.stages) == 2 * stretches
