"""For users' own tests: of code that reads what was measured, of a plugin's hooks, of limits before they cost money.

Values are made from lists of times, in seconds, so that a reader sees by eye what a test is about; everything else is
ordinary. Nothing here needs a network, a key or a wait, and none of it is used while tests are measured.

    from pytest_llmperf.testing import judge, series

    def test_our_limit_can_be_shown():
        seen = series([0.8, 0.9, 1.1] * 30, metric="ttft")
        assert judge(seen, metric="ttft", statistic="p95", max=2.34).outcome == "passed"
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager

from pytest_llmperf import wire
from pytest_llmperf.capture import Recorder, observing
from pytest_llmperf.clock import Clock
from pytest_llmperf.clock.manual import ManualClock
from pytest_llmperf.core import metrics
from pytest_llmperf.core.call import Attempt, Call
from pytest_llmperf.core.environment import Source
from pytest_llmperf.core.exchange import Chunk, End, Exchange, Provenance
from pytest_llmperf.core.generation import Delta, Generation, Kind, Usage
from pytest_llmperf.core.judge import judge as _judge
from pytest_llmperf.core.metrics import METRICS, RATES_OF_A_CALL
from pytest_llmperf.core.objective import Objective
from pytest_llmperf.core.pricing import Absent, PriceBook
from pytest_llmperf.core.series import Measurement, Round, Series
from pytest_llmperf.core.verdict import Outcome, Verdict
from pytest_llmperf.reports.report import Report, TestResult
from pytest_llmperf.wire import Protocol

__all__ = [
    "Absent",
    "Attempt",
    "Call",
    "Chunk",
    "Clock",
    "Delta",
    "End",
    "Exchange",
    "Generation",
    "Kind",
    "ManualClock",
    "Measurement",
    "Outcome",
    "PriceBook",
    "Protocol",
    "Provenance",
    "Report",
    "Round",
    "Series",
    "Source",
    "TestResult",
    "Usage",
    "Verdict",
    "call",
    "exchange",
    "judge",
    "measure",
    "observed",
    "series",
    "series_of",
]

URL = "https://api.anthropic.com/v1/messages"
MODEL = "claude-opus-4-1"
_APART = 60.0
"""Seconds between the beginnings of two calls of a series."""


def exchange(
    deltas: Sequence[float] = (1.0, 1.1, 1.2),
    *,
    started: float = 0.0,
    output_tokens: int | None = None,
    input_tokens: int = 100,
    model: str = MODEL,
    status: int | None = 200,
    error: str = "",
    url: str = URL,
    request: bytes | None = None,
    body: Iterable[tuple[float, bytes]] | None = None,
) -> Exchange:
    """One HTTP attempt with real bytes of Anthropic's Messages API, streamed, or with a *body* of your own.

    Args:
        deltas: when each text delta arrives, in seconds after the request's last byte.
        started: when the request was sent, in seconds.
        output_tokens: what `usage` says; by default as many as there are deltas.
        input_tokens: likewise.
        model: of request and answer.
        status: of HTTP; None when no answer came.
        error: how the attempt ended, as `TypeName: message`; empty when it ended well.
        url: of the request.
        request: its body; by default one that asks for a stream.
        body: pieces of the answer's body with their arrivals, in place of *deltas*.
    """
    counted = len(deltas) if output_tokens is None else output_tokens
    pieces = list(_messages(deltas, counted, input_tokens, model) if body is None else body) if status else []
    asked = json.dumps({"model": model, "max_tokens": 1024, "messages": [], "stream": True}).encode()
    zero = _nanoseconds(started)
    chunks = tuple(Chunk(zero + _nanoseconds(at), data) for at, data in pieces)
    end = chunks[-1].at_ns if chunks else zero
    return Exchange(
        method="POST",
        url=url,
        request_headers=(),
        request_body=asked if request is None else request,
        started_ns=zero,
        sent_ns=zero,
        status=status,
        headers_ns=chunks[0].at_ns if chunks else None,
        chunks=chunks,
        ended_ns=end,
        end=End.ERROR if error else End.COMPLETE,
        error=error,
        provenance=Provenance.WIRE,
    )


def call(*exchanges: Exchange, protocols: Sequence[wire.Protocol] = wire.PROTOCOLS) -> Call:
    """The call that these attempts belong to, decoded.

    Args:
        exchanges: in order; several where the SDK tried again.
        protocols: by which they are recognised; your own, to test one.

    Raises:
        ValueError: none is given, or one speaks no protocol that is known.
    """
    attempts = []
    for one in exchanges or [exchange()]:
        generation = wire.decode(one, protocols)
        if generation is None:
            raise ValueError(f"{one.method} {one.url} is a call of no protocol that is known here")
        attempts.append(Attempt(one, generation))
    return Call(tuple(attempts))


def measure(one: Call, *, round_number: int = 0, prices: PriceBook | None = None) -> Measurement:
    """A call's metrics: in `values`, or in `absent` with the reason.

    Args:
        one: the call.
        round_number: the round it counts for.
        prices: where its cost comes from; by default the table of `genai-prices`.
    """
    return metrics.measure(one, round_number=round_number, zero_ns=0, clock="manual", prices=prices or PriceBook())


def series(
    values: Sequence[float | None],
    *,
    metric: str = "ttft",
    reason: str = "it was not seen",
    warmup: int = 0,
    arm: str = "",
) -> Series:
    """A series of calls, one a round, of which one metric is known.

    Args:
        values: of the metric, in its unit, in dispatch order. None is absent, for the given *reason*; infinity (of a
            rate: zero) is a call that failed.
        metric: of calls, from the table in the README; any other name is a number that each round's body recorded.
        reason: why a value is absent.
        warmup: how many of the first rounds are warm-ups.
        arm: the arm's name.

    Raises:
        ValueError: the metric is none of calls.
    """
    if metric in METRICS and METRICS[metric].per != "call":
        raise ValueError(f"{metric} is no metric of single calls: it belongs to the {METRICS[metric].per}")
    recorded = metric not in METRICS
    rounds = tuple(
        Round(
            number,
            warmup=number < warmup,
            started=number * _APART,
            ended=number * _APART + _APART / 2,
            records={metric: value} if recorded and value is not None else {},
        )
        for number, value in enumerate(values)
    )
    calls = () if recorded else tuple(_one(number, metric, value, reason) for number, value in enumerate(values))
    return Series("series", Source.SIMULATED, "manual", arm=arm, rounds=rounds, measurements=calls)


def series_of(calls: Iterable[Call], *, warmup: int = 0, prices: PriceBook | None = None) -> Series:
    """A series of these calls, one a round, in the given order.

    Args:
        calls: in dispatch order.
        warmup: how many of the first are warm-ups.
        prices: as for `measure`.
    """
    measured = tuple(measure(one, round_number=number, prices=prices) for number, one in enumerate(calls))
    rounds = tuple(
        Round(m.round, warmup=m.round < warmup, started=m.dispatched, ended=m.finished or m.dispatched)
        for m in measured
    )
    return Series("series", Source.SIMULATED, "manual", rounds=rounds, measurements=measured)


def judge(
    seen: Series,
    *,
    metric: str,
    statistic: str,
    max: float | None = None,  # noqa: A002 - as the mark `claim` calls it
    min: float | None = None,  # noqa: A002
    confidence: float = 0.95,
    slack: float = 0.0,
) -> Verdict:
    """What a `claim` mark would say of a series whose number of calls was fixed beforehand.

    Args:
        seen: the series.
        metric: as in the mark.
        statistic: as in the mark: `"p95"`, `"mean"`, `"rate"`, …
        max: the limit, in the metric's own unit; this or *min*.
        min: likewise, from below.
        confidence: 1 − the most that either answer may err.
        slack: share of the limit by which it may be exceeded for a pass.

    Raises:
        ValueError: neither or both limits are given.
        UsageError: the metric has no such statistic.
    """
    if (max is None) == (min is None):
        raise ValueError("judge: give either max or min")
    bound = max if max is not None else min
    assert bound is not None
    direction = "<=" if max is not None else ">="
    return _judge(seen, Objective(metric, statistic, direction, bound, confidence=confidence, slack=slack))


@contextmanager
def observed(clock: Clock | None = None) -> Iterator[Callable[[], tuple[Call, ...]]]:
    """Observe the LLM calls of the code inside, as marked tests are observed; yields what gives them.

        clock = ManualClock()
        with observed(clock) as calls:
            my_client_with_a_mock_transport_that_advances_the_clock.messages.create(...)
        (one,) = calls()

    Args:
        clock: where times are read; by default the monotonic one.
    """
    recorder = Recorder(time.perf_counter_ns if clock is None else clock.now_ns)
    with observing(recorder), recorder.round("observed"):
        yield lambda: recorder.calls("observed")


def _messages(deltas: Sequence[float], output: int, given: int, model: str) -> Iterator[tuple[float, bytes]]:
    """The events of a message: the head with the first delta's time, a delta of four letters each, the end."""
    first, last = (deltas[0], deltas[-1]) if deltas else (0.0, 0.0)
    message = {"id": "msg_1", "type": "message", "role": "assistant", "content": [], "model": model}
    usage = {"input_tokens": given, "output_tokens": 1}
    yield first, _event("message_start", message=message | {"stop_reason": None, "usage": usage})
    for at in deltas:
        yield at, _event("content_block_delta", index=0, delta={"type": "text_delta", "text": "word"})
    yield last, _event("message_delta", delta={"stop_reason": "end_turn"}, usage={"output_tokens": output})
    yield last, _event("message_stop")


def _event(name: str, **fields: object) -> bytes:
    return f"event: {name}\ndata: {json.dumps({'type': name} | fields)}\n\n".encode()


def _one(number: int, metric: str, value: float | None, reason: str) -> Measurement:
    failed = value is not None and (math.isinf(value) or (metric in RATES_OF_A_CALL and value == 0))
    ended = None if failed else number * _APART + _APART / 2
    return Measurement(
        round=number,
        dispatched=number * _APART,
        finished=ended,
        streamed=True,
        values={"attempts": 1.0} | ({} if value is None else {metric: value}),
        absent={metric: reason} if value is None else {},
        failure="it failed" if failed else "",
        protocol="anthropic.messages",
        model=MODEL,
        endpoint="api.anthropic.com",
        provenance=Provenance.WIRE.value,
    )


def _nanoseconds(seconds: float) -> int:
    return round(seconds * 1e9)
