"""What the body says of its round."""

from __future__ import annotations

import math

import pytest

from pytest_llmperf.core.errors import UsageError
from pytest_llmperf.runner.rounds import OpenRound


@pytest.fixture
def opened():
    """A round under way."""
    return OpenRound(0, warmup=False, started_ns=0)


def test_numbers_are_kept_with_their_units(opened):
    """A number recorded twice is the later one."""
    opened.record("steps", 2, "steps")
    opened.record("steps", 3, "steps")
    opened.record("share", "0.5")
    assert (opened.records, opened.units) == ({"steps": 3.0, "share": 0.5}, {"steps": "steps", "share": ""})


@pytest.mark.parametrize("value", [math.nan, math.inf, "many", None])
def test_what_is_no_number_is_refused(opened, value):
    """NaN, infinity and words cannot be judged."""
    with pytest.raises(UsageError, match=r"steps: .* is no finite number"):
        opened.record("steps", value)
    assert opened.records == {}


@pytest.mark.parametrize("value", [-0.1, 1.1])
def test_a_score_is_a_share(opened, value):
    """It goes from 0, wrong, to 1, right."""
    with pytest.raises(UsageError, match="a score is a number from 0"):
        opened.score(value)


def test_scores_have_names(opened):
    """Without one it is the accuracy."""
    opened.score(True)
    opened.score(0.25, name="tone")
    assert opened.scores == {"accuracy": 1.0, "tone": 0.25}
