"""The span of a test: rounds and calls within it at their times, and verdicts as its events."""

from dataclasses import replace

from factories import failed_measurement, measurement, result, rounds, series, verdict
from pytest_llmperf.core.environment import Source
from pytest_llmperf.core.series import AttemptTimes, Round
from pytest_llmperf.telemetry.particulars import Particulars
from pytest_llmperf.telemetry.result import result_span

SECOND = 1_000_000_000
BEGAN = 1_700_000_000 * SECOND


def told(one, particulars=None, **beside):
    return result_span(one, particulars or {}, began_ns=BEGAN, beside=beside)


def offsets(span):
    """Start and end in seconds after the series began."""
    return (span.start_ns - BEGAN) / SECOND, (span.end_ns - BEGAN) / SECOND


def test_times_are_those_of_the_clock_after_the_beginning():
    """Each span begins where its part of the test did; warm-ups are there, and say so."""
    span = told(result(series_=[series([measurement(0), measurement(1, at=12.2)], warmup=1)]))
    assert offsets(span) == (0.0, 23.5)
    assert [(one.name, offsets(one)) for one in span.children] == [
        ("llmperf warm-up", (0.0, 11.5)),
        ("llmperf round", (12.0, 23.5)),
    ]
    assert [(one.attributes["llmperf.warmup"], one.attributes["llmperf.judged"]) for one in span.children] == [
        (True, False),
        (False, True),
    ]
    (call,) = span.children[1].children
    assert offsets(call) == (12.2, 23.2)


def test_everything_says_where_its_numbers_come_from():
    """Source and clock are on each span and on each value of a histogram."""
    span = told(result(series_=[series([measurement()], source=Source.REPLAYED, clock="instant")]))
    (round_,) = span.children
    (call,) = round_.children
    marked = [span.attributes, round_.attributes, call.attributes, *(one.attributes for one in call.points)]
    assert len(marked) > 5
    assert {(one["llmperf.source"], one["llmperf.clock"]) for one in marked} == {("replayed", "instant")}


def test_a_round_on_the_instant_clock_is_as_long_as_its_calls():
    """That clock passes no time between them, and what a round took on it means nothing."""
    one = measurement(at=5.0)
    span = told(result(series_=[series([one], rounds_=[Round(0, False, 0.0, 0.01)], clock="instant")]))
    assert offsets(span.children[0]) == (5.0, 16.0)
    assert offsets(span) == (0.0, 16.0)


def test_an_interrupted_round_ends_with_its_calls():
    """When it would have ended nobody knows."""
    cut = series([measurement()], rounds_=[Round(0, warmup=False, started=0.0, ended=None)])
    assert offsets(told(result(series_=[cut])).children[0]) == (0.0, 11.0)


def test_arms():
    """Rounds of all arms are told in the order they began, each with its arm and factors."""
    several = [
        series([measurement(1)], rounds_=rounds(2)[1:], arm="warm", factors={"cache": "warm", "size": 3}),
        series([measurement(0)], rounds_=rounds(1), arm="cold", factors={"cache": "cold", "size": 3}),
    ]
    found = told(result(series_=several)).children
    assert [(one.attributes["llmperf.arm"], one.attributes["llmperf.factor.cache"]) for one in found] == [
        ("cold", "cold"),
        ("warm", "warm"),
    ]
    assert found[1].children[0].points[0].attributes["llmperf.arm"] == "warm"


def test_names_belong_to_their_calls():
    """Of several calls in a round the order in which they were sent tells whose is whose."""
    early, late = measurement(at=0.0), measurement(at=1.0)
    names = [Particulars(response_id="late", dispatched_ns=9), Particulars(response_id="early", dispatched_ns=5)]
    (round_,) = told(result(series_=[series([late, early])]), {0: names}).children
    assert [one.attributes["gen_ai.response.id"] for one in round_.children] == ["early", "late"]


def test_verdicts():
    """Each is an event with what was claimed, seen and decided; what is infinite is left out."""
    failed = verdict("failed", estimate=float("inf"), arm="cold")
    span = told(result(verdicts=[verdict(), failed], series_=[series([measurement()])]))
    first, second = (event.attributes for event in span.events)
    assert (span.error, span.attributes["llmperf.outcome"]) == ("failed", "failed")
    assert first["llmperf.verdict.claim"] == "p95 ttft <= 2340 ms"
    assert (first["llmperf.verdict.outcome"], first["llmperf.verdict.estimate"]) == ("passed", 2.1)
    assert (second["llmperf.verdict.outcome"], second["llmperf.verdict.arm"]) == ("failed", "cold")
    assert "llmperf.verdict.estimate" not in second
    assert all(event.at_ns == span.end_ns for event in span.events)


def test_no_word_of_an_answer_leaves():
    """Of what a body raised only the type is told: a failing assertion quotes the answer."""
    broken = Round(0, False, 0.0, 1.0, failure="AssertionError: assert 'SECRET' in answer")
    one = series([failed_measurement(failure="invalid_request_error: SECRET")], rounds_=[broken])
    span = told(result(series_=[one], outcome="error", error="AssertionError: SECRET"))
    assert (span.error, span.children[0].error) == ("AssertionError", "AssertionError")
    assert span.children[0].children[0].error == "invalid_request_error"
    assert "SECRET" not in repr(span)


def test_what_a_body_said_of_its_round():
    """Scores and records have their names; a round of an open loop tells how late it began."""
    one = Round(0, False, 0.3, 1.0, scores={"accuracy": 0.5}, records={"words": 7.0}, intended=0.1)
    found = told(result(series_=[series([], rounds_=[one])])).children[0].attributes
    assert (found["llmperf.score.accuracy"], found["llmperf.record.words"]) == (0.5, 7.0)
    assert round(found["llmperf.late"], 6) == 0.2


def test_a_test_without_rounds():
    """There is a span of no length, with its error and where the test stands."""
    empty = series([], rounds_=[])
    span = told(
        result(series_=[empty], outcome="error", error="no LLM call was seen", location=("tests/test_a.py", 3)),
        **{"llmperf.worker": "gw1"},
    )
    assert (offsets(span), span.error, span.children) == ((0.0, 0.0), "_OTHER", ())
    assert span.attributes["llmperf.worker"] == "gw1"
    assert (span.attributes["code.file.path"], span.attributes["code.line.number"]) == ("tests/test_a.py", 3)


def test_times_of_an_attempt_count_from_its_handing_over():
    """A call is dispatched with its request's last byte, and its span begins when the client handed it over."""
    one = replace(
        measurement(at=1.0), trace=(AttemptTimes(started=0.0, sent=0.25, first=1.25, ended=11.25, status=200),)
    )
    (call,) = told(result(series_=[series([one])])).children[0].children
    assert offsets(call) == (0.75, 12.0)
    assert call.attributes["gen_ai.response.time_to_first_chunk"] == 1.25
