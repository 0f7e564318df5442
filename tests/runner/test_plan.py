"""How a scenario is to be run."""

from __future__ import annotations

import pytest

from pytest_llmperf.runner.arms import Arm, product
from pytest_llmperf.runner.plan import Plan


def test_warm_ups_come_on_top():
    """The total is that of warm-ups and judged rounds."""
    assert Plan(rounds=20, warmup=3).total_rounds == 23


@pytest.mark.parametrize(
    ("number", "name"), [(0, "warm-up round 1 of 2"), (1, "warm-up round 2 of 2"), (2, "round 1 of 20")]
)
def test_rounds_are_named_as_a_reader_counts(number, name):
    """Counting begins at one, for warm-ups and for judged rounds apart."""
    assert Plan(rounds=20, warmup=2).round_name(number) == name


def test_processes_share_rounds_rate_and_concurrency():
    """Together they do what one would, each with warm-ups of its own."""
    shares = [Plan(rounds=10, warmup=2, concurrency=5).shared(number, 3) for number in range(3)]
    assert [share.rounds for share in shares] == [4, 4, 2]
    assert [share.concurrency_of(Arm()) for share in shares] == [2, 2, 1]
    assert {share.warmup for share in shares} == {2}
    paced = Plan(rounds=10, rate_per_minute=60).shared(1, 4)
    assert (paced.load_of(Arm()).rate_per_minute, paced.rate_of(Arm())) == (15, 60)


@pytest.mark.parametrize(
    ("asked", "shares"),
    [
        ({"rounds": 40, "concurrency": 5}, [16, 8, 8, 8]),
        ({"rounds": 41, "concurrency": 4}, [11, 10, 10, 10]),
        ({"rounds": 41, "concurrency": 5, "rate_per_minute": 60}, [11, 10, 10, 10]),
        ({"rounds": 40, "arms": product({"concurrency": [4, 5]})}, [10, 10, 10, 10]),
    ],
)
def test_rounds_go_where_they_are_in_flight(asked, shares):
    """A process with twice the concurrency has twice the rounds, so that all end together; none is lost."""
    assert [Plan(**asked).shared(number, 4).rounds for number in range(4)] == shares


def test_what_cannot_be_shared_is_left_to_the_first():
    """Two rounds in flight are two processes' at the most: a third runs none."""
    shares = [Plan(rounds=10, concurrency=2).shared(number, 3) for number in range(3)]
    assert [share.total_rounds for share in shares] == [6, 6, 0]
