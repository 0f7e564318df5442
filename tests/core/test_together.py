"""The claims of one test, decided together."""

from __future__ import annotations

import pytest

from factories import verdict
from pytest_llmperf.core.together import decided, left_of


def judgement(asked, *, needs=1.0, outcome="failed"):
    """A claim that is shown once at most this part of its family is left; *asked* keeps the parts."""

    def decide(left):
        asked.append(left)
        return verdict(outcome if left <= needs else "inconclusive")

    return decide


def outcomes(verdicts):
    """How they ended."""
    return [str(one.outcome) for one in verdicts]


def test_claims_that_fail_hand_their_share_on():
    """The next is asked again with what is left, and so on; one that passed is not asked again."""
    strong, weak, weaker, holds = [], [], [], []
    judgements = [
        judgement(strong),
        judgement(weak, needs=0.75),
        judgement(weaker, needs=0.5),
        judgement(holds, outcome="passed"),
    ]
    assert outcomes(decided(judgements, "fixed")) == ["failed", "failed", "failed", "passed"]
    assert (strong, weak, weaker, holds) == ([1.0], [1.0, 0.75], [1.0, 0.75, 0.5], [1.0])


@pytest.mark.parametrize("stop", ["early", "fixed"])
def test_nothing_is_handed_on_where_none_fails(stop):
    """Nor under early stopping, where the shares are in the plans."""
    asked = []
    judgements = [judgement(asked, needs=0.5), judgement([], outcome="failed" if stop == "early" else "passed")]
    assert outcomes(decided(judgements, stop))[0] == "inconclusive"
    assert asked == [1.0]


@pytest.mark.parametrize(("family", "part", "left"), [(8, 0.5, 4.0), (1, 0.5, 1.0), (3, 1.0, 3.0)])
def test_one_claim_is_the_least_there_is(family, part, left):
    """The last claim has the whole probability, and not more."""
    assert left_of(family, part) == left
