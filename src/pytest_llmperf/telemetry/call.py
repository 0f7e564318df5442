"""The span of one LLM call, with its attempts as events and the values it brings to the histograms."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING

from pytest_llmperf.telemetry import conventions
from pytest_llmperf.telemetry.span import Attributes, Event, Points, Span, known

if TYPE_CHECKING:
    from pytest_llmperf.core.series import AttemptTimes, Measurement
    from pytest_llmperf.telemetry.particulars import Particulars

_BY_CONVENTION = frozenset({"input_tokens", "output_tokens", "cache_read_tokens", "cache_write_tokens"})
"""Metrics that have a name of the conventions."""


def call_span(
    call: Measurement, said: Particulars, *, zero_ns: int, round_ended: float | None, common: Attributes
) -> Span:
    """One call, from its first attempt to the end of its answer.

    Args:
        call: what was measured, in seconds from the start of its series.
        said: its names.
        zero_ns: Unix time of that start.
        round_ended: when its round ended, in the same seconds; a call that was cut off ends there.
        common: attributes of everything in its round.
    """
    began, ended = span_of(call)
    end = max(began, next(moment for moment in (ended, round_ended, began) if moment is not None))
    last = call.trace[-1] if call.trace else None
    error = conventions.error_type(call.failure, last.status if last else None)
    named = _named(call, said, error)
    return Span(
        name=f"{conventions.OPERATION} {said.request_model or call.model}".rstrip(),
        start_ns=zero_ns + _ns(began),
        end_ns=zero_ns + _ns(end),
        attributes=known({**named, **_usage(call), **_measured(call), **common}),
        client=True,
        error=error,
        events=tuple(_events(call, zero_ns + _ns(began))),
        points=tuple(_points(call, known({**_labels(named), **common}))),
    )


def span_of(call: Measurement) -> tuple[float, float | None]:
    """When the client handed over a call's first attempt, and when the answer ended, in seconds of its series.

    Of a call whose attempts have no common time line only their content is known.
    """
    if not call.trace:
        return call.dispatched, call.finished
    began = call.dispatched - (call.trace[0].sent or 0.0)
    ended = call.trace[-1].ended
    return began, call.finished if ended is None else began + ended


def first_content(call: Measurement) -> float | None:
    """Seconds from the first attempt to the first content of a stream; None where TTFT is absent or infinite.

    It is TTFT with the sending of the request in it, and never with the lateness of a round, which is no client's.
    """
    known_time = call.trace and math.isfinite(call.values.get("ttft", math.inf))
    return call.trace[-1].first if known_time else None


def _named(call: Measurement, said: Particulars, error: str) -> Attributes:
    return known(
        {
            "gen_ai.operation.name": conventions.OPERATION,
            "gen_ai.provider.name": conventions.provider(call.protocol, said.address),
            "gen_ai.request.model": said.request_model,
            "gen_ai.request.stream": call.streamed or None,
            "gen_ai.request.max_tokens": said.max_tokens,
            "gen_ai.request.temperature": said.temperature,
            "gen_ai.response.model": said.response_model,
            "gen_ai.response.id": said.response_id,
            "gen_ai.response.finish_reasons": (call.stop_reason,) if call.stop_reason else (),
            "gen_ai.response.time_to_first_chunk": first_content(call),
            "server.address": said.address,
            "server.port": said.port,
            "error.type": error,
        }
    )


def _labels(named: Attributes) -> Attributes:
    """What histograms are told apart by: nothing that differs from call to call."""
    names = ("operation.name", "provider.name", "request.model", "response.model")
    kept = {*(f"gen_ai.{name}" for name in names), "server.address", "server.port", "error.type"}
    return {name: value for name, value in named.items() if name in kept}


def _usage(call: Measurement) -> Attributes:
    """Tokens as the conventions count them: cached ones are part of the input, thinking is part of the output."""
    thinking = call.usage.thinking_tokens if "output_tokens" in call.values else None
    return known(
        {
            "gen_ai.usage.input_tokens": _input_tokens(call),
            "gen_ai.usage.output_tokens": _whole(call, "output_tokens"),
            "gen_ai.usage.cache_read.input_tokens": _whole(call, "cache_read_tokens"),
            "gen_ai.usage.cache_write.input_tokens": _whole(call, "cache_write_tokens"),
            "gen_ai.usage.reasoning.output_tokens": thinking,
        }
    )


def _input_tokens(call: Measurement) -> int | None:
    uncached = _whole(call, "input_tokens")
    if uncached is None:
        return None
    return uncached + sum(_whole(call, name) or 0 for name in ("cache_read_tokens", "cache_write_tokens"))


def _whole(call: Measurement, name: str) -> int | None:
    value = call.values.get(name)
    return None if value is None else round(value)


def _measured(call: Measurement) -> Attributes:
    """Every metric that has no name of the conventions, in its own unit."""
    return {
        **{f"llmperf.metric.{name}": value for name, value in call.values.items() if name not in _BY_CONVENTION},
        "llmperf.provenance": call.provenance,
    }


def _events(call: Measurement, began_ns: int) -> Iterator[Event]:
    """Every attempt of a call that took several, at its end, and the first content."""
    for number, attempt in enumerate(call.trace if len(call.trace) > 1 else ()):
        yield Event("llmperf.attempt", began_ns + _ns(_end_of(attempt)), _outcome(attempt, number))
    if (content := first_content(call)) is not None:
        yield Event("llmperf.first_content", began_ns + _ns(content), {})


def _end_of(attempt: AttemptTimes) -> float:
    return attempt.started if attempt.ended is None else attempt.ended


def _outcome(attempt: AttemptTimes, number: int) -> Attributes:
    return known(
        {
            "http.request.resend_count": number,
            "http.response.status_code": attempt.status,
            "error.type": conventions.error_type(attempt.failure, attempt.status),
        }
    )


def _points(call: Measurement, labels: Attributes) -> Iterator[Points]:
    """What it brings to each histogram; of a call that failed only how long it took."""
    began, ended = span_of(call)
    if call.trace and ended is not None:
        yield Points(conventions.DURATION, (max(ended - began, 0.0),), labels)
    for kind, tokens in (("input", _input_tokens(call)), ("output", _whole(call, "output_tokens"))):
        if tokens is not None:
            yield Points(conventions.TOKENS, (tokens,), {**labels, "gen_ai.token.type": kind})
    if (content := first_content(call)) is not None:
        yield Points(conventions.FIRST_CHUNK, (content,), labels)
    if gaps := tuple(gap for gap in call.event_gaps if math.isfinite(gap)):
        yield Points(conventions.EACH_CHUNK, gaps, labels)
    if math.isfinite(tpot := call.values.get("tpot", math.inf)):
        yield Points(conventions.TPOT, (tpot,), labels)


def _ns(seconds: float) -> int:
    return round(seconds * 1e9)
