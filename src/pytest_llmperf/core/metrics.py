"""The table of metrics, and the arithmetic that turns a call into a measurement.

Every formula stands here once, in words and in code. The zero of a call's latencies is the last byte of its *first*
attempt's request: latency is what the caller waits for, failed attempts and back-off inside. In an open loop a round
has a time when it is due, and by as much as it began late the zero of its first call lies earlier (`WAITS`): whoever
was due to be served has waited since then. The times of one attempt, and the client's own, stay as they are. A metric
that cannot be had is `Absent` with its reason. Here and in `trace`, and nowhere else, nanoseconds become seconds.

It is longer than other modules because a row of the table and the function behind it are read together.
"""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from pytest_llmperf.core import headroom
from pytest_llmperf.core.call import Attempt, Call
from pytest_llmperf.core.exchange import Provenance
from pytest_llmperf.core.generation import Kind
from pytest_llmperf.core.pricing import Absent, PriceBook
from pytest_llmperf.core.series import Measurement
from pytest_llmperf.core.trace import TOKEN_KINDS, last_content_ns, token_deltas, traced

Reading = float | Absent

ANSWER_KINDS = frozenset({Kind.TEXT, Kind.TOOL})


@dataclass(frozen=True, slots=True)
class Metric:
    """A row of the table: what a number means and where its definition comes from."""

    name: str
    unit: str
    better: str
    """`lower`, `higher`, or empty where neither is."""
    per: str
    """`call`, `event`, `round` or `series`: what one value belongs to."""
    formula: str
    source: str


_CALL_LATENCY = "first attempt's last request byte"
_TABLE = (
    Metric("ttft", "s", "lower", "call", f"first content delta − {_CALL_LATENCY}", "AIPerf TTFT; GuideLLM; vLLM docs"),
    Metric(
        "ttfat",
        "s",
        "lower",
        "call",
        f"first text or tool delta − {_CALL_LATENCY}",
        "AIPerf TTFO; Artificial Analysis time to first answer token",
    ),
    Metric("e2e", "s", "lower", "call", f"last content − {_CALL_LATENCY}", "AIPerf request latency"),
    Metric(
        "attempt_ttft",
        "s",
        "lower",
        "call",
        "first content delta − last request byte, of the successful attempt",
        "AIPerf TTFT",
    ),
    Metric(
        "attempt_e2e",
        "s",
        "lower",
        "call",
        "last content − last request byte, of the successful attempt",
        "AIPerf request latency",
    ),
    Metric(
        "tpot",
        "s/token",
        "lower",
        "call",
        "(last content delta − first content delta) / (output tokens − 1)",
        "MLPerf inference; vLLM; inference-perf",
    ),
    Metric("event_gap", "s", "lower", "event", "time between successive content deltas", "AIPerf inter-chunk latency"),
    Metric("output_tps", "tokens/s", "higher", "call", "1 / tpot", "Artificial Analysis output speed"),
    Metric("e2e_tps", "tokens/s", "higher", "call", "output tokens / e2e", "AIPerf E2E output throughput"),
    Metric("call", "s", "lower", "call", "return of the SDK − call of the SDK", "promptfoo latency"),
    Metric(
        "client_lag",
        "s",
        "lower",
        "call",
        "(first content event seen by the application − call of the SDK − queue − connect − tls) − ttft",
        "this project",
    ),
    Metric(
        "call_to_wire",
        "s",
        "lower",
        "call",
        f"{_CALL_LATENCY} − call of the SDK − queue − connect − tls",
        "this project",
    ),
    Metric(
        "wire_to_event",
        "s",
        "lower",
        "call",
        "first content event seen by the application − first content delta",
        "this project",
    ),
    Metric("queue", "s", "lower", "call", "wait for a pooled connection, all attempts", "httpcore trace events"),
    Metric("connect", "s", "lower", "call", "TCP connection set-up, all attempts", "httpcore trace events"),
    Metric("tls", "s", "lower", "call", "TLS set-up, all attempts", "httpcore trace events"),
    Metric(
        "reused",
        "share",
        "higher",
        "call",
        "1 where the last attempt's connection was there before, 0 where it was made for it",
        "httpcore trace events",
    ),
    Metric("attempts", "attempts", "lower", "call", "HTTP attempts of the call", "x-stainless-retry-count"),
    Metric(
        "overloaded",
        "attempts",
        "lower",
        "call",
        "attempts answered 503 or 529",
        "Anthropic and OpenAI errors",
    ),
    Metric("retry_wait", "s", "lower", "call", "time between the attempts", "inference-perf retry_wasted_sec"),
    Metric(
        "retry_after",
        "s",
        "lower",
        "call",
        "Σ of what the attempts were told to wait (retry-after-ms, retry-after)",
        "response headers",
    ),
    Metric(
        "ratelimit_requests_remaining",
        "requests",
        "higher",
        "call",
        "requests left of a minute's limit, by the last answer that said so",
        "Anthropic and OpenAI rate limit headers",
    ),
    Metric(
        "ratelimit_tokens_remaining",
        "tokens",
        "higher",
        "call",
        "tokens left of a minute's limit, by the last answer that said so",
        "Anthropic and OpenAI rate limit headers",
    ),
    Metric("input_tokens", "tokens", "", "call", "usage.input_tokens", "Anthropic usage"),
    Metric("output_tokens", "tokens", "", "call", "usage.output_tokens", "Anthropic usage"),
    Metric("cache_read_tokens", "tokens", "", "call", "usage.cache_read_input_tokens", "Anthropic usage"),
    Metric("cache_write_tokens", "tokens", "", "call", "usage.cache_creation_input_tokens", "Anthropic usage"),
    Metric("cost", "USD", "lower", "call", "Σ tokens × price, cache prices included", "usage and price table"),
    Metric("scenario", "s", "lower", "round", "wall time of the test body", "this project"),
    Metric(
        "total_tps",
        "tokens/s",
        "higher",
        "series",
        "Σ output tokens / (last content − first request)",
        "AIPerf, GuideLLM, vLLM: system throughput",
    ),
    Metric(
        "rpm",
        "calls/min",
        "higher",
        "series",
        "calls that did not fail / (last content − first request)",
        "AIPerf, GuideLLM: request throughput",
    ),
    Metric("error_rate", "share", "lower", "series", "calls that failed in the end / calls", "k6, AIPerf"),
    Metric("throttle_rate", "share", "lower", "series", "attempts answered 429 / attempts", "this project"),
    Metric(
        "goodput", "share", "higher", "series", "calls that meet every limit of the claim / calls", "DistServe; AIPerf"
    ),
)
METRICS = {metric.name: metric for metric in _TABLE}


@contextmanager
def added(row: Metric, value: Callable[[Call], float | str], failed: float | None = None) -> Iterator[None]:
    """Have one metric of calls more in the table, until the end.

    Args:
        row: what the table says of it.
        value: its number for a call, or in words why there is none.
        failed: its number for a call that failed; None where such a call has none.

    Raises:
        ValueError: its name is none, or another metric's.
    """
    name = row.name
    if not name.isidentifier() or name in METRICS:
        why = "another metric has that name" if name in METRICS else "that is no identifier"
        raise ValueError(f"a metric cannot be called {name!r}: {why}")
    METRICS[name] = row
    _FORMULAS[name] = functools.partial(_value_of, value, failed)
    try:
        yield
    finally:
        del METRICS[name], _FORMULAS[name]


def _value_of(value: Callable[[Call], float | str], failed: float | None, call: Call) -> Reading:
    """What another's formula says of a call; an error in it is the reason why there is nothing."""
    if call.failure:
        return Absent("the call failed") if failed is None else failed
    try:
        found = value(call)
        number = math.nan if isinstance(found, str) else float(found)
        return (
            Absent(found if isinstance(found, str) else "its formula gave no number") if math.isnan(number) else number
        )
    except Exception as error:  # noqa: BLE001 - of another's code
        return Absent(f"its formula failed with {type(error).__name__}: {error}")


LATENCIES = frozenset({"ttft", "ttfat", "e2e", "attempt_ttft", "attempt_e2e", "tpot", "call"})
"""Metrics of which a failed call has an infinite one."""
RATES_OF_A_CALL = frozenset({"output_tps", "e2e_tps"})
"""Metrics of which a failed call has none at all: zero tokens a second."""

_OF_STREAMS = frozenset({"ttft", "ttfat", "attempt_ttft", "tpot", "output_tps"})
"""Metrics that an answer in one piece does not have, failed or not."""

_ACROSS_ATTEMPTS = frozenset({"ttft", "ttfat", "e2e", "e2e_tps"})
"""Metrics that run from the first attempt, so that they span the waits of a call with several."""

WAITS = ("ttft", "ttfat", "e2e", "call")
"""Times that count from when a round was due, for its first call; `e2e_tps`, a rate over one of them, goes with it."""

_NEVER_CONNECTED = ("ConnectError:", "ConnectTimeout:", "PoolTimeout:")

_INSTANT = "the instant clock does not wait: only times inside one attempt mean anything"
_UNTIMED = "the cassette is untimed: another tool recorded the answer, and when its parts came is not in it"
_OF_THE_CLIENT = frozenset({"client_lag", "call_to_wire", "wire_to_event"})
"""Times that the client itself takes: `client_lag` is the sum of the others."""
_OF_TIME = _OF_THE_CLIENT | {
    "ttft", "ttfat", "e2e", "attempt_ttft", "attempt_e2e", "tpot", "output_tps", "e2e_tps", "call",
    "queue", "connect", "tls", "retry_wait",
}  # fmt: skip
_RECORDED = _ACROSS_ATTEMPTS | {"queue", "connect", "tls", "retry_wait"}
"""What the instant clock can tell of a call whose attempts all have the times of one recording."""
_VIRTUAL = "virtual time does not pass while the client computes"


def needs_waiting(name: str, *, recorded: bool = False) -> bool:
    """Whether a metric spans more than one attempt's own timeline, so that the instant clock cannot give it.

    Args:
        name: of the metric.
        recorded: all attempts have the times of one recording, so that the time between them is known as well.
    """
    waits = {"call", "queue", "connect", "tls", "retry_wait", "scenario", "total_tps", "rpm"}
    return not (recorded and name in _RECORDED) and name in waits | _OF_THE_CLIENT


def measure(
    call: Call,
    *,
    round_number: int,
    zero_ns: int,
    clock: str,
    prices: PriceBook,
    lateness: Callable[[int], float | None] = lambda _: None,
    lag_ns: int = 0,
) -> Measurement:
    """One call's metrics in seconds, tokens and dollars.

    Args:
        call: with at least one attempt.
        round_number: the round it belongs to.
        zero_ns: start of the series, on the same clock as the call.
        clock: `realtime`, `virtual`, `instant` or `manual`; what it cannot tell is absent.
        prices: where the cost comes from.
        lateness: by how many seconds the client may have come late to a moment of that clock; None where unknown.
        lag_ns: by how much the round began after it was due, for its first call.
    """
    lag = _seconds(lag_ns)
    readings = _from_due({name: _reading(name, call, clock) for name in _FORMULAS}, lag)
    readings["cost"] = _cost(call, prices)
    gaps = _event_gaps(call)
    if isinstance(gaps, Absent):
        readings["event_gap"] = gaps
    last = call.last
    finished_ns = last.exchange.ended_ns if call.failure else last_content_ns(last)
    return Measurement(
        round=round_number,
        dispatched=_seconds(call.dispatched_ns - zero_ns),
        finished=None if finished_ns is None else _seconds(finished_ns - zero_ns),
        streamed=call.streamed,
        values={name: value for name, value in readings.items() if not isinstance(value, Absent)},
        absent={name: value.reason for name, value in readings.items() if isinstance(value, Absent)},
        event_gaps=() if isinstance(gaps, Absent) else gaps,
        failure=call.failure,
        throttled=sum(attempt.exchange.throttled for attempt in call.attempts),
        protocol=last.generation.protocol,
        model=last.generation.model or "",
        endpoint=last.exchange.host,
        provenance=last.exchange.provenance.value,
        stop_reason=last.generation.stop_reason or "",
        usage=last.generation.usage,
        late={name: late + lag * (name in WAITS) for name, late in _late(call, lateness).items()},
        trace=traced(call, clock),
    )


def _from_due(readings: dict[str, Reading], lag: float) -> dict[str, Reading]:
    """The same with waits that began *lag* (seconds) earlier."""
    if not lag:
        return readings
    e2e, rate = readings["e2e"], readings["e2e_tps"]
    waits = {name: value + lag for name in WAITS if not isinstance(value := readings[name], Absent)}
    if not isinstance(e2e, Absent) and not isinstance(rate, Absent) and math.isfinite(e2e):
        waits["e2e_tps"] = rate * e2e / (e2e + lag)
    return readings | waits


def reading(name: str, call: Call, clock: str) -> Reading:
    """One metric of one call, in its unit; those of the table that belong to a call, without the cost.

    Args:
        name: of the metric.
        call: with at least one attempt.
        clock: as for `measure`.
    """
    return _reading(name, call, clock)


def _late(call: Call, lateness: Callable[[int], float | None]) -> dict[str, float]:
    """The client's lateness at the moment each time ends with; a time between two reads has the greater of theirs."""
    ends = {
        ("ttft", "attempt_ttft"): _first_delta(call, TOKEN_KINDS),
        ("ttfat",): _first_delta(call, ANSWER_KINDS),
        ("e2e", "attempt_e2e", "e2e_tps"): _ended(call),
        ("call",): call.returned_ns,
    }
    late: dict[str, float] = {}
    for names, moment in ends.items():
        if isinstance(moment, int) and (seconds := lateness(moment)) is not None:
            late |= dict.fromkeys(names, seconds)
    if "ttft" in late and "e2e" in late:
        late |= dict.fromkeys(("tpot", "output_tps"), max(late["ttft"], late["e2e"]))
    return late


def _reading(name: str, call: Call, clock: str) -> Reading:
    """A failed call is a slow call, which no clock is needed to tell; what a clock cannot tell is refused."""
    if call.failure and _applies(name, call):
        if name in LATENCIES:
            return math.inf
        if name in RATES_OF_A_CALL:
            return 0.0
    return _refused(name, call, clock) or _FORMULAS[name](call)


def _applies(name: str, call: Call) -> bool:
    return call.streamed if name in _OF_STREAMS else name != "call" or call.entered_ns is not None


def _refused(name: str, call: Call, clock: str) -> Absent | None:
    served = {attempt.exchange.provenance for attempt in call.attempts}
    if name in _OF_TIME and Provenance.UNTIMED in served:
        return Absent(_UNTIMED)
    recorded = served == {Provenance.REPLAYED}
    across = name in _ACROSS_ATTEMPTS and len(call.attempts) > 1 and not recorded
    if clock == "instant" and (across or needs_waiting(name, recorded=recorded)):
        return Absent(_INSTANT)
    if clock == "virtual" and name in _OF_THE_CLIENT:
        return Absent(_VIRTUAL)
    return None


def _seconds(nanoseconds: int) -> float:
    return nanoseconds / 1e9


def _no_times(call: Call) -> Absent | None:
    """Why no time inside the answer means anything."""
    if not call.streamed:
        return Absent("the call did not stream")
    if call.last.generation.undecoded:
        return Absent(call.last.generation.undecoded)
    if call.last.exchange.provenance is Provenance.BUFFERED:
        return Absent("another tool read the whole answer before the client saw its first byte")
    return None


def _first_delta(call: Call, kinds: frozenset[Kind]) -> int | Absent:
    if (reason := _no_times(call)) is not None:
        return reason
    first = next((delta.at_ns for delta in call.last.generation.deltas if delta.kind in kinds), None)
    if first is not None:
        return first
    if call.abandoned:
        return Absent("the application stopped reading before it came")
    return Absent("the answer held no content" if kinds is TOKEN_KINDS else "the answer held no text and no tool call")


def _ended(call: Call) -> int | Absent:
    if call.abandoned:
        return Absent("the application stopped reading before the end")
    content = last_content_ns(call.last)
    return Absent("the answer has no end") if content is None else content


def _since(moment: int | Absent, zero: int) -> Reading:
    return moment if isinstance(moment, Absent) else _seconds(moment - zero)


def _ttft(call: Call) -> Reading:
    return _since(_first_delta(call, TOKEN_KINDS), call.first.exchange.zero_ns)


def _ttfat(call: Call) -> Reading:
    return _since(_first_delta(call, ANSWER_KINDS), call.first.exchange.zero_ns)


def _e2e(call: Call) -> Reading:
    return _since(_ended(call), call.first.exchange.zero_ns)


def _attempt_ttft(call: Call) -> Reading:
    return _since(_first_delta(call, TOKEN_KINDS), call.last.exchange.zero_ns)


def _attempt_e2e(call: Call) -> Reading:
    return _since(_ended(call), call.last.exchange.zero_ns)


def _tpot(call: Call) -> Reading:
    if (reason := _no_times(call)) is not None:
        return reason
    if call.abandoned:
        return Absent("the application stopped reading before the end")
    tokens = _shown_tokens(call.last)
    if isinstance(tokens, Absent):
        return tokens
    deltas = [delta for delta in token_deltas(call.last) if delta.kind is not Kind.SIGNATURE]
    if len(deltas) < 2 or tokens < 2:
        return Absent("fewer than two deltas or tokens: there is no time between them")
    span = deltas[-1].at_ns - deltas[0].at_ns
    if span <= 0:
        return Absent("all output arrived at once")
    return _seconds(span) / (tokens - 1)


def _shown_tokens(attempt: Attempt) -> float | Absent:
    """Output tokens that the stream showed: thinking whose words are withheld took no part in the stream's time."""
    usage = attempt.generation.usage
    if usage.output_tokens is None:
        return Absent(attempt.generation.uncounted or "the stream carried no final usage")
    kinds = {delta.kind for delta in attempt.generation.deltas}
    redacted = "redacted_thinking" in attempt.generation.blocks
    if Kind.THINKING in kinds:
        return Absent("a part of the thinking was withheld") if redacted else usage.output_tokens
    if usage.thinking_tokens is not None:
        return usage.output_tokens - usage.thinking_tokens
    if redacted or Kind.SIGNATURE in kinds:
        return Absent("thinking was withheld and its tokens were not counted apart")
    return usage.output_tokens


def _output_tps(call: Call) -> Reading:
    tpot = _tpot(call)
    return tpot if isinstance(tpot, Absent) else 1 / tpot


def _e2e_tps(call: Call) -> Reading:
    e2e, tokens = _e2e(call), call.last.generation.usage.output_tokens
    if isinstance(e2e, Absent):
        return e2e
    if tokens is None:
        return Absent(call.last.generation.uncounted or "the answer carried no usage")
    return tokens / e2e if e2e > 0 else Absent("the answer took no time")


def _event_gaps(call: Call) -> tuple[float, ...] | Absent:
    """Gaps of the attempt that decided the call; a failed stream ends with an infinite one."""
    if call.last.exchange.provenance is Provenance.UNTIMED:
        return Absent(_UNTIMED)
    if (reason := _no_times(call)) is not None:
        return (math.inf,) if call.failure and call.streamed else reason
    times = [delta.at_ns for delta in token_deltas(call.last)]
    gaps = tuple(_seconds(later - sooner) for sooner, later in itertools.pairwise(times))
    return (*gaps, math.inf) if call.failure else gaps


def _call_time(call: Call) -> Reading:
    if call.entered_ns is None or call.returned_ns is None:
        return Absent("the call did not go through an SDK that is known here, or has not returned")
    return _seconds(call.returned_ns - call.entered_ns)


def _client_lag(call: Call) -> Reading:
    """What the client itself added to the TTFT that the application saw, connection set-up left out."""
    if call.entered_ns is None or call.first_event_ns is None:
        return Absent("the application saw no content event of a known SDK")
    ttft = _ttft(call)
    if isinstance(ttft, Absent) or call.failure:
        return Absent("there is no TTFT to compare with")
    return max(0.0, _seconds(call.first_event_ns - call.entered_ns - _set_up_ns(call)) - ttft)


def _call_to_wire(call: Call) -> Reading:
    """What the client took until its first request had left, connection set-up left out."""
    first = call.first.exchange
    if call.entered_ns is None:
        return Absent("the call did not go through an SDK that is known here")
    if first.sent_ns is None:
        return Absent("the first request was not seen to leave")
    if first.connection.state == "unknown":
        return Absent("no connection was seen, so what of it was set-up is not known")
    return max(0.0, _seconds(first.sent_ns - call.entered_ns - _set_up_ns(call)))


def _wire_to_event(call: Call) -> Reading:
    """What the client took from the arrival of the first content until the application had it."""
    if call.first_event_ns is None:
        return Absent("the application saw no content event of a known SDK")
    first = _first_delta(call, TOKEN_KINDS)
    if isinstance(first, Absent) or call.failure:
        return Absent("there is no TTFT to compare with")
    return max(0.0, _seconds(call.first_event_ns - first))


def _set_up_ns(call: Call) -> int:
    """Of the first attempt's connection."""
    first = call.first.exchange.connection
    return sum(part for part in (first.wait_ns, first.tcp_ns, first.tls_ns) if part is not None)


def _connection_part(name: str) -> Callable[[Call], Reading]:
    def total(call: Call) -> Reading:
        connections = [attempt.exchange.connection for attempt in call.attempts]
        unseen = any(c.state == "unknown" and getattr(c, name) is None for c in connections)
        if unseen or all(c.state == "none" and getattr(c, name) is None for c in connections):
            return Absent("no connection was seen")
        if name == "tcp_ns" and any(c.state == "new" and c.tcp_ns is None for c in connections):
            return Absent("the set-up of a new connection was not seen to its end")
        return _seconds(sum(getattr(connection, name) or 0 for connection in connections))

    return total


def _retry_wait(call: Call) -> Reading:
    waits = 0
    for sooner, later in itertools.pairwise(call.attempts):
        if sooner.exchange.ended_ns is None:
            return Absent("the end of an earlier attempt was not seen")
        waits += max(0, later.exchange.started_ns - sooner.exchange.ended_ns)
    return _seconds(waits)


def _tokens(name: str) -> Callable[[Call], Reading]:
    def tokens(call: Call) -> Reading:
        if call.failure:
            return Absent("the call failed")
        if call.abandoned and name == "output_tokens":
            return Absent("the application stopped reading before the final count")
        generation = call.last.generation
        value = getattr(generation.usage, name)
        return Absent(generation.uncounted or "the answer did not say") if value is None else float(value)

    return tokens


def _cost(call: Call, prices: PriceBook) -> Reading:
    """Of an attempt that broke off after it was sent nobody but the provider knows whether it was billed."""
    if not all(_unbilled(attempt) for attempt in call.attempts[:-1]):
        return Absent("an earlier attempt broke off after it was sent and may have been billed")
    last = call.last
    if _unbilled(last):
        return 0.0
    if call.failure or call.abandoned:
        return Absent("the answer was cut before its final usage")
    return prices.cost(last.generation)


def _unbilled(attempt: Attempt) -> bool:
    """Whether it was answered with an error status, or surely never reached the provider."""
    exchange = attempt.exchange
    if exchange.status is not None:
        return exchange.status >= 400
    known = exchange.provenance is not Provenance.UNKNOWN or exchange.error.startswith(_NEVER_CONNECTED)
    return exchange.sent_ns is None and known


_FORMULAS: dict[str, Callable[[Call], Reading]] = {
    "ttft": _ttft,
    "ttfat": _ttfat,
    "e2e": _e2e,
    "attempt_ttft": _attempt_ttft,
    "attempt_e2e": _attempt_e2e,
    "tpot": _tpot,
    "output_tps": _output_tps,
    "e2e_tps": _e2e_tps,
    "call": _call_time,
    "client_lag": _client_lag,
    "call_to_wire": _call_to_wire,
    "wire_to_event": _wire_to_event,
    "queue": _connection_part("wait_ns"),
    "connect": _connection_part("tcp_ns"),
    "tls": _connection_part("tls_ns"),
    "reused": headroom.reused,
    "attempts": lambda call: float(len(call.attempts)),
    "overloaded": headroom.overloaded,
    "retry_wait": _retry_wait,
    "retry_after": headroom.retry_after,
    "ratelimit_requests_remaining": headroom.remaining("requests"),
    "ratelimit_tokens_remaining": headroom.remaining("tokens"),
    "input_tokens": _tokens("input_tokens"),
    "output_tokens": _tokens("output_tokens"),
    "cache_read_tokens": _tokens("cache_read_input_tokens"),
    "cache_write_tokens": _tokens("cache_creation_input_tokens"),
}
