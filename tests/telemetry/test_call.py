"""The span of a call: its times, its names, and what it brings to the histograms."""

from dataclasses import replace

import pytest

from factories import measurement
from pytest_llmperf.core.generation import Usage
from pytest_llmperf.telemetry.call import call_span
from pytest_llmperf.telemetry.particulars import Particulars, particulars
from pytest_llmperf.testing import call, exchange, measure

COMMON = {"llmperf.source": "live", "llmperf.warmup": False}
SECOND = 1_000_000_000


def span_of(made, *, zero_ns=0, round_ended=None):
    return call_span(measure(made), particulars(made), zero_ns=zero_ns, round_ended=round_ended, common=COMMON)


def points(span):
    return {
        (one.instrument.rpartition(".")[2], one.attributes.get("gen_ai.token.type", "")): one.values
        for one in span.points
    }


def test_an_ordinary_stream():
    """It lasts from the request to the end of the answer, and has the names that the wire said."""
    span = span_of(call(exchange([0.8, 0.9, 1.1], output_tokens=4, input_tokens=7, started=2.0)), zero_ns=10 * SECOND)
    assert (span.name, span.client, span.error) == ("chat claude-opus-4-1", True, "")
    assert (span.start_ns, span.end_ns) == (12 * SECOND, 13_100_000_000)
    expected = {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "anthropic",
        "gen_ai.request.model": "claude-opus-4-1",
        "gen_ai.request.stream": True,
        "gen_ai.request.max_tokens": 1024,
        "gen_ai.response.model": "claude-opus-4-1",
        "gen_ai.response.id": "msg_1",
        "gen_ai.response.finish_reasons": ("end_turn",),
        "gen_ai.response.time_to_first_chunk": 0.8,
        "gen_ai.usage.input_tokens": 7,
        "gen_ai.usage.output_tokens": 4,
        "server.address": "api.anthropic.com",
        "server.port": 443,
        "llmperf.metric.ttft": 0.8,
        "llmperf.metric.tpot": pytest.approx(0.1),
        **COMMON,
    }
    assert {name: span.attributes.get(name) for name in expected} == expected
    assert [(event.name, event.at_ns) for event in span.events] == [("llmperf.first_content", 12_800_000_000)]


def test_what_it_brings_to_the_histograms():
    """Each has its value, told apart by names that do not differ from call to call."""
    span = span_of(call(exchange([0.8, 0.9, 1.1], output_tokens=4, input_tokens=7)))
    assert points(span) == {
        ("duration", ""): (pytest.approx(1.1),),
        ("usage", "input"): (7,),
        ("usage", "output"): (4,),
        ("time_to_first_chunk", ""): (0.8,),
        ("time_per_output_chunk", ""): (pytest.approx(0.1), pytest.approx(0.2)),
        ("time_per_output_token", ""): (pytest.approx(0.1),),
    }
    assert span.points[0].attributes == {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "anthropic",
        "gen_ai.request.model": "claude-opus-4-1",
        "gen_ai.response.model": "claude-opus-4-1",
        "server.address": "api.anthropic.com",
        "server.port": 443,
        **COMMON,
    }


def test_a_call_that_was_tried_again():
    """One span, from the first attempt on, with an event at the end of each."""
    refused = exchange(status=529, body=[(0.1, b'{"error": {"type": "overloaded_error", "message": "SECRET"}}')])
    span = span_of(call(refused, exchange([1.0, 2.0], started=3.0)))
    assert (span.start_ns, span.end_ns, span.error) == (0, 5 * SECOND, "")
    assert [(event.at_ns, dict(event.attributes)) for event in span.events if event.name == "llmperf.attempt"] == [
        (
            100_000_000,
            {
                "http.request.resend_count": 0,
                "http.response.status_code": 529,
                "error.type": "overloaded_error",
            },
        ),
        (5 * SECOND, {"http.request.resend_count": 1, "http.response.status_code": 200}),
    ]
    assert span.attributes["llmperf.metric.attempts"] == 2
    assert "SECRET" not in repr(span)


def test_a_call_that_failed():
    """It took as long as it took, and brings neither tokens nor any other time."""
    span = span_of(call(exchange(status=None, error="ReadTimeout: SECRET", body=[])))
    assert (span.error, span.attributes["error.type"]) == ("ReadTimeout", "ReadTimeout")
    assert [(one.instrument, one.attributes["error.type"]) for one in span.points] == [
        ("gen_ai.client.operation.duration", "ReadTimeout")
    ]
    assert "llmperf.metric.ttft" not in span.attributes  # it is infinite
    assert "SECRET" not in repr(span)


def test_a_call_that_was_cut_off_ends_with_its_round():
    """Whether and how it would have ended nobody knows."""
    made = call(replace(exchange([0.5]), ended_ns=None))
    cut = replace(measure(made), finished=None)
    span = call_span(cut, particulars(made), zero_ns=0, round_ended=4.0, common={})
    assert span.end_ns == 4 * SECOND
    assert not [one for one in span.points if one.instrument.endswith("duration")]


def test_without_a_common_time_line():
    """Only the content's times are known then: the span is as long as they say, and no duration is counted."""
    span = call_span(measurement(2), Particulars(), zero_ns=SECOND, round_ended=None, common={})
    assert (span.start_ns, span.end_ns) == (25 * SECOND, 36 * SECOND)
    assert [one.instrument.rpartition(".")[2] for one in span.points] == [
        "usage",
        "usage",
        "time_per_output_chunk",
        "time_per_output_token",
    ]
    assert span.name == "chat claude-opus-4-20250514"


def test_tokens_are_those_that_the_conventions_count():
    """Cached ones are part of the input, thinking is part of the output."""
    cached = {"cache_read_tokens": 500.0, "cache_write_tokens": 20.0}
    one = replace(measurement(**cached), usage=Usage(1000, 401, thinking_tokens=90))
    usage = call_span(one, Particulars(), zero_ns=0, round_ended=None, common={}).attributes
    assert {name.removeprefix("gen_ai.usage."): value for name, value in usage.items() if ".usage." in name} == {
        "input_tokens": 1520,
        "output_tokens": 401,
        "cache_read.input_tokens": 500,
        "cache_write.input_tokens": 20,
        "reasoning.output_tokens": 90,
    }
