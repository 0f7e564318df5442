"""How a scenario is to be run."""

from __future__ import annotations

import pytest

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
