"""Which rounds a cassette holds, and how they were begun."""

import pytest

from pytest_llmperf.cassettes.rounds import recorded_rounds
from pytest_llmperf.cassettes.timeline import NO_ROUND, Label

PACED = [Label(-1, "a", 60.0), Label(0, "a", 60.0, 2000), Label(1, "a", 60.0, 0), Label(-1, "b"), Label(0, "b")]


@pytest.mark.parametrize(("arms", "found"), [(["a"], (1, 2)), (["a", "b"], (1, 1)), (["a", "c"], (0, 0))])
def test_rounds_are_those_that_every_arm_has(arms, found):
    """An arm without recordings has none, so that there are none to compare."""
    rounds = recorded_rounds(PACED)
    assert (rounds.warmups(arms), rounds.judged(arms)) == found


def test_a_round_is_as_late_as_it_was():
    """Late by nothing is not the same as not due at any time."""
    rounds = recorded_rounds(PACED)
    assert rounds.rate == 60
    assert [rounds.lag_ns(Label(number, "a")) for number in (-1, 0, 1, 2)] == [None, 2000, 0, None]


@pytest.mark.parametrize("labels", [[], [NO_ROUND, NO_ROUND]])
def test_a_cassette_may_know_of_no_rounds(labels):
    """What something recorded that runs none, one by one."""
    rounds = recorded_rounds(labels)
    assert not rounds
    assert rounds.rate is None
