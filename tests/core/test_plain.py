"""Values to plain JSON types and back."""

import json
import math

import pytest
from cattrs import BaseValidationError
from hypothesis import given
from hypothesis import strategies as st

from factories import attempt, call, failed_measurement, measurement, series, verdict
from pytest_llmperf.core.call import Call
from pytest_llmperf.core.environment import Environment
from pytest_llmperf.core.exchange import Chunk, Connection, Exchange
from pytest_llmperf.core.generation import Pass, Usage
from pytest_llmperf.core.objective import Objective
from pytest_llmperf.core.plain import from_plain, number_to_plain, to_plain
from pytest_llmperf.core.series import Series
from pytest_llmperf.core.verdict import Verdict

INF = math.inf


def through_json(kind, value):
    return from_plain(kind, json.loads(json.dumps(to_plain(value), allow_nan=False)))


@pytest.mark.parametrize(
    "value",
    [
        call(attempt(status=429), attempt(sent=9, deltas=[(100, "thinking", 3), (200, "signature", 0)]), entered=1),
        call(usage=Usage(1, 2, 3, 4, 5, 6), passes=(Pass("compaction", None, Usage(1, 2)),)),
        call(connection=Connection("new", 1, 2, 3), body=5, streamed=False),
        Exchange("POST", "http://h/", (("a", "b"),), b"\x00\xff", 1, chunks=(Chunk(2, b"\xfe"),)),
        series([measurement(0), failed_measurement(1)], loop_lag=0.001, factors={"t": 0.5, "s": "x", "o": None}),
        verdict(estimate=INF, low=-INF, high=INF),
        verdict(estimate=None, low=None, high=None),
        Objective("ttft", "p95", "<=", 2.34, slack=0.1, mark="latency(p95_ms=2340)"),
        Environment("3.11", "Linux", 2, seed=None),
    ],
    ids=lambda value: type(value).__name__,
)  # fmt: skip
def test_every_value_survives_json(value):
    """Taken apart, written as strict JSON, read and put together it is the same."""
    assert through_json(type(value), value) == value


def test_factors_keep_their_types():
    """A temperature of 1 is not the text "1" and not True."""
    factors = {"t": 1.0, "n": 1, "b": True, "s": "1", "o": None}
    read = through_json(Series, series(factors=factors)).factors
    assert {name: type(value) for name, value in read.items()} == {name: type(value) for name, value in factors.items()}


def test_infinity_is_a_text():
    """JSON has no number for it."""
    assert [number_to_plain(value) for value in (1.5, INF, -INF)] == [1.5, "inf", "-inf"]
    assert to_plain(failed_measurement())["values"]["ttft"] == "inf"


def test_names_are_plain_texts():
    """Enumerations are written by their values."""
    assert to_plain(verdict())["outcome"] == "passed"
    assert type(to_plain(verdict())["outcome"]) is str


def test_what_has_another_shape_is_refused():
    """A key too many or too few is an error, not a guess."""
    plain = to_plain(verdict())
    with pytest.raises(BaseValidationError):
        from_plain(Verdict, plain | {"colour": "green"})
    with pytest.raises(BaseValidationError):
        from_plain(Verdict, {key: value for key, value in plain.items() if key != "outcome"})
    with pytest.raises(BaseValidationError):
        from_plain(Verdict, plain | {"outcome": "perhaps"})


@given(st.binary(), st.floats(allow_nan=False), st.text())
def test_any_bytes_numbers_and_texts_survive(data, number, text):
    """Bodies are bytes, estimates may be infinite, reasons may hold any character."""
    exchange = Exchange("POST", text, ((text, text),), data, 0, chunks=(Chunk(1, data),))
    assert through_json(Exchange, exchange) == exchange
    assert through_json(Verdict, verdict(estimate=number, reason=text)) == verdict(estimate=number, reason=text)


def test_calls_are_taken_apart_into_plain_types_only():
    """Dicts, lists, texts, numbers, booleans and None."""

    def check(value):
        assert type(value) in {dict, list, str, int, float, bool, type(None)}
        for part in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
            check(part)

    check(to_plain(call(connection=Connection("new", 1, 2, 3))))
    assert isinstance(from_plain(Call, to_plain(call())), Call)
