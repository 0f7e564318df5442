"""What two series must share before they may be compared."""

from dataclasses import replace

import pytest

from factories import calls, measurement, series
from pytest_llmperf.core.conditions import Conditions, conditions_of

ORDINARY = Conditions("simulated", "virtual", "claude-opus-4-20250514", "api.anthropic.com", "yes")


def test_the_judged_calls_tell():
    """Warm-ups do not."""
    warm = replace(measurement(0), model="another")
    assert conditions_of(series([warm, *calls(5, first=1)], warmup=1)) == ORDINARY


def test_several_models_are_named_in_order():
    """However often each answered."""
    mixed = [replace(one, model=name) for one, name in zip(calls(3), "bab", strict=True)]
    assert conditions_of(series(mixed)).model == "a, b"


@pytest.mark.parametrize(("kinds", "told"), [([], ""), ([False], "no"), ([True], "yes"), ([True, False], "partly")])
def test_streaming_is_told_in_a_word(kinds, told):
    """Nothing is told where there was no call."""
    assert conditions_of(series([measurement(n, streamed=one) for n, one in enumerate(kinds)])).streaming == told


@pytest.mark.parametrize("field", ["source", "clock", "model", "endpoint", "streaming"])
def test_what_differs_is_named(field):
    """Unless it may differ, or one of the two does not tell."""
    other = replace(ORDINARY, **{field: "another"})
    assert ORDINARY.differing(other) == (field,)
    assert ORDINARY.differing(other, across=[field]) == ()
    assert ORDINARY.differing(replace(ORDINARY, **{field: ""})) == ()
