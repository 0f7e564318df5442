"""When the parts of a call's attempts came: the moments that its metrics rest on, and all of them on one time line.

Knows no formula. Moments are nanoseconds of the call's clock, a trace is in seconds after the call began.
"""

from __future__ import annotations

from pytest_llmperf.core.call import Attempt, Call
from pytest_llmperf.core.exchange import Provenance
from pytest_llmperf.core.generation import Delta, Kind
from pytest_llmperf.core.series import AttemptTimes

TOKEN_KINDS = frozenset({Kind.TEXT, Kind.THINKING, Kind.TOOL, Kind.SIGNATURE})
"""A signature stands for thinking that is not shown: the first sign of output, though no token is counted for it."""


def token_deltas(attempt: Attempt) -> list[Delta]:
    """The deltas that carry output."""
    return [delta for delta in attempt.generation.deltas if delta.kind in TOKEN_KINDS]


def last_content_ns(attempt: Attempt) -> int | None:
    """Arrival of the last content: of a stream its last delta (or its end, when it has none), else of the body."""
    deltas = token_deltas(attempt)
    if deltas:
        return deltas[-1].at_ns
    if attempt.generation.streamed:
        return attempt.generation.stopped_ns
    chunks = attempt.exchange.chunks
    return chunks[-1].at_ns if chunks else attempt.exchange.ended_ns


def traced(call: Call, clock: str) -> tuple[AttemptTimes, ...]:
    """The attempts on one time line; none where nothing is known of it.

    On the instant clock each attempt has a time line of its own, and an untimed cassette has none.
    """
    untimed = any(attempt.exchange.provenance is Provenance.UNTIMED for attempt in call.attempts)
    if untimed or (clock == "instant" and len(call.attempts) > 1):
        return ()
    zero_ns = call.first.exchange.started_ns
    return tuple(_times(attempt, zero_ns) for attempt in call.attempts)


def _times(attempt: Attempt, zero_ns: int) -> AttemptTimes:
    exchange = attempt.exchange
    # Where another tool read the answer first, its parts came when that tool was done.
    deltas = [] if exchange.provenance is Provenance.BUFFERED else token_deltas(attempt)
    return AttemptTimes(
        started=(exchange.started_ns - zero_ns) / 1e9,
        queue=_seconds(exchange.connection.wait_ns),
        connect=_seconds(exchange.connection.tcp_ns),
        tls=_seconds(exchange.connection.tls_ns),
        sent=_seconds(exchange.sent_ns, zero_ns),
        headers=_seconds(exchange.headers_ns, zero_ns),
        first=_seconds(deltas[0].at_ns, zero_ns) if deltas else None,
        last=_seconds(deltas[-1].at_ns, zero_ns) if deltas else None,
        ended=_seconds(exchange.ended_ns, zero_ns),
        status=exchange.status,
        failure=attempt.generation.failure or exchange.error,
    )


def _seconds(moment: int | None, zero_ns: int = 0) -> float | None:
    return None if moment is None else (moment - zero_ns) / 1e9
