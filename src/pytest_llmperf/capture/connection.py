"""What the trace events of one attempt say of its connection. Pure: events in, values out.

httpcore names an event `layer.phase.moment`, for instance `http11.send_request_body.complete`. The observer adds one of
its own, `RETURNED`, where the transport handed the response back: what happened before it and after it differs.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import takewhile

from pytest_llmperf.core.exchange import Connection, Provenance

Event = tuple[str, int]
"""A trace event's name and its moment in nanoseconds; a bare tuple, since a dozen are made for each request."""

RETURNED = "observer.response.returned"
_HANDING_OVER_NS = 100_000
"""About what encoding a body and the system call take; measured 0.08 to 0.2 ms."""
_CONNECTS = (".connect_tcp.started", ".connect_unix_socket.started")
CONNECTED = ".connect_tcp.complete"


def sent_ns(events: Sequence[Event], *, at_once: bool = False) -> int | None:
    """When the last byte of the request was handed to the socket; None when that is not among the events.

    The last such event counts: a proxy's CONNECT and a connection that broke before use come before the real request.

    Args:
        events: the attempt's trace events.
        at_once: the body is one that a socket takes in one go. Then it was handed over soon after its sending began:
            of the end an event loop tells a turn later, which in a busy one is milliseconds, and every wait would look
            shorter than it was.
    """
    began: int | None = None
    sent: int | None = None
    for name, at_ns in events:
        if name.endswith(".send_request_body.started"):
            began = at_ns
        elif name.endswith(".send_request_body.complete"):
            sent = at_ns if began is None or not at_once else began + min((at_ns - began) // 2, _HANDING_OVER_NS)
        elif name.endswith(".send_request_headers.complete"):
            sent = at_ns
        elif name.endswith(".send_request_body.failed"):
            sent = None
    return sent


def connection(events: Sequence[Event], started_ns: int) -> Connection:
    """Waiting, connecting and the TLS handshake of an attempt that began at *started_ns*.

    Without events nothing can be said: the state is `unknown`. A wait is counted to the first event; on the first
    request of a process it also holds the imports the client defers (about 10 ms).
    """
    traced = [event for event in events if event[0] != RETURNED]
    if not traced:
        return Connection()
    connected = any(name.endswith(_CONNECTS) for name, _ in traced)
    return Connection(
        state="new" if connected else "reused",
        wait_ns=traced[0][1] - started_ns,
        tcp_ns=_duration(traced, "connect_tcp", "connect_unix_socket"),
        tls_ns=_duration(traced, "start_tls"),
    )


def provenance(events: Sequence[Event], *, substituted: bool, answered: bool, standard: bool) -> Provenance:
    """Who served the bytes, judged by the events alone.

    Args:
        events: the attempt's trace events with `RETURNED` among them.
        substituted: our own simulated API or cassette served the answer.
        answered: a response came back.
        standard: the transport is one of the client package's own, which would have given events had it connected.
    """
    if substituted:
        return Provenance.SUBSTITUTED
    before = [name for name, _ in takewhile(lambda event: event[0] != RETURNED, events)]
    if any(name.endswith(".receive_response_body.complete") for name in before):
        return Provenance.BUFFERED
    if before:
        return Provenance.WIRE
    return Provenance.UNSERVED if answered and standard else Provenance.UNKNOWN


def _duration(events: Sequence[Event], *phases: str) -> int | None:
    spans = [end - begin for phase in phases for begin, end in _spans(events, phase)]
    return sum(spans) if spans else None


def _spans(events: Sequence[Event], phase: str) -> Iterator[tuple[int, int]]:
    begin: int | None = None
    for name, at_ns in events:
        if name.endswith(f".{phase}.started"):
            begin = at_ns
        elif begin is not None and name.endswith((f".{phase}.complete", f".{phase}.failed")):
            yield begin, at_ns
            begin = None
