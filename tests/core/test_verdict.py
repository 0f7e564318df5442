"""Several verdicts together."""

import itertools

import pytest

from pytest_llmperf.core.verdict import Outcome, combined

PASSED, FAILED, INCONCLUSIVE = Outcome.PASSED, Outcome.FAILED, Outcome.INCONCLUSIVE


@pytest.mark.parametrize(
    ("outcomes", "together"),
    [
        ([], PASSED),
        ([PASSED, PASSED], PASSED),
        ([PASSED, INCONCLUSIVE], INCONCLUSIVE),
        ([PASSED, INCONCLUSIVE, FAILED], FAILED),
    ],
)
def test_one_failure_fails_and_one_doubt_leaves_doubt(outcomes, together):
    """In any order."""
    for order in itertools.permutations(outcomes):
        assert combined(list(order)) is together
