"""What is written down of an attempt and of a call while they run.

The only mutable values of the layer. Writing is a few assignments; everything that takes time (decoding, redacting)
waits until somebody asks. No method here may raise into the observed program.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Hashable
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Concatenate, NamedTuple, ParamSpec, Protocol, TypeVar

from pytest_llmperf.capture import arrival, connection
from pytest_llmperf.capture.redaction import clean_headers, clean_url
from pytest_llmperf.clock.time_module import in_virtual_time
from pytest_llmperf.core.call import Attempt, Call
from pytest_llmperf.core.exchange import SUBSTITUTED, Chunk, Connection, End, Exchange, Provenance, Timeline
from pytest_llmperf.core.generation import Generation

if TYPE_CHECKING:
    from pytest_llmperf.capture.recorder import Recorder


AT_ONCE = 65_536
"""Bytes of a body that a socket takes in one go."""
OPEN = End.OPEN  # looking up an enum's member costs as much as a call


class _Troubled(Protocol):
    def trouble(self, error: Exception) -> None: ...


Observer = TypeVar("Observer", bound=_Troubled)
Rest = ParamSpec("Rest")
Result = TypeVar("Result")


def never_raises(
    method: Callable[Concatenate[Observer, Rest], Result],
) -> Callable[Concatenate[Observer, Rest], Result | None]:
    """Turn an exception of our own code into one warning of the recorder, and the result into None."""

    @functools.wraps(method)
    def guarded(self: Observer, /, *args: Rest.args, **kwargs: Rest.kwargs) -> Result | None:
        try:
            return method(self, *args, **kwargs)
        except Exception as error:  # noqa: BLE001 - whatever it is, the application must not see it
            self.trouble(error)
            return None

    return guarded


class Asked(NamedTuple):
    """The parts of a request, copied: nothing that a client may change later."""

    method: str
    url: Any
    headers: list[tuple[bytes, bytes]]
    body: bytes

    def exchange(self, started_ns: int) -> Exchange:
        """An attempt of which nothing but the request is known; credentials are left out."""
        return Exchange(
            self.method, clean_url(str(self.url)), clean_headers(self.headers), self.body, started_ns=started_ns
        )


def asked(request: Any) -> Asked:
    """The parts of an httpx or httpx2 request; a body that is streamed to the server is left empty."""
    try:
        body = request.content
    except RuntimeError:  # RequestNotRead: reading it here would take it from the server
        body = b""
    return Asked(request.method, request.url, request.headers.raw, body)


class CallLog:
    """A logical call while it runs. `entered_ns` is None unless an SDK said where the call begins."""

    key: Hashable = None
    late = False
    """Attributed although its own round had ended."""
    returned_ns: int | None = None
    first_event_ns: int | None = None

    def __init__(self, client: str = "", entered_ns: int | None = None, *, streams: bool = False) -> None:
        self.client = client
        self.entered_ns = entered_ns
        self.streams = streams
        """The SDK will hand out events, the first of which is waited for."""
        self.attempts: list[AttemptLog] = []

    def call(self) -> Call | None:
        """The call as it stands, or None when nothing of it was LLM traffic."""
        attempts = tuple(attempt for log in self.attempts if (attempt := log.attempt()) is not None)
        if not attempts:
            return None
        # An answer that was served on a timeline never took that long: the SDK's clock says nothing beside it.
        timed = all(log.timeline is None for log in self.attempts)
        return Call(
            attempts,
            entered_ns=self.entered_ns,
            returned_ns=self.returned_ns if timed else None,
            first_event_ns=self.first_event_ns if timed else None,
        )

    def forget(self) -> None:
        """Let go of what was decoded.

        The client may keep a response, and with it the log of its body, until the garbage collector comes; for every
        chunk and delta of it that comes sooner, and takes as long as the heap of an SDK is large.
        """
        for log in self.attempts:
            log.forget()


class AttemptLog:
    """One HTTP attempt while it runs. What is not known yet is a value of the class: fewer stores for each request."""

    status: int | None = None
    response_headers: Any = ()
    headers_ns: int | None = None
    transport: type = object
    """The class of the transport that was observed."""
    package_transports: tuple[type, ...] = ()
    """The client package's own, which give trace events whenever they connect."""
    substituted = False
    timeline: Timeline | None = None
    waited_ns: int | None = None
    """For a place in the client's pool, where a substitute said so."""
    end = OPEN
    ended_ns: int | None = None
    error = ""
    decoded = False
    """Looked at after its end: only what it meant is left."""
    watch: arrival.Watch | None = None
    """Knows when a chunk arrived that the reader gets now, where that is known better than that it is now."""
    _asked: Asked | None = None
    _attempt: Attempt | None = None

    def __init__(self, recorder: Recorder, call: CallLog, request: Any, retry_count: int, started_ns: int) -> None:
        self._recorder = recorder
        self._request = request
        self.call = call
        self.now_ns = recorder.now_ns
        self.retry_count = retry_count
        """As far as it was needed: 0 when the SDK itself says which call the attempt belongs to."""
        self.started_ns = started_ns
        self.events: list[connection.Event] = []
        # Written by the observed body, a time first and then its chunk: two lists need no object for each pair.
        self.times: list[int] = []
        self.parts: list[bytes] = []

    def trouble(self, error: Exception) -> None:
        """Report an error of our own."""
        self._recorder.trouble(error)

    def connected(self, name: str, info: Any) -> None:
        """A trace event came; of a new connection it tells the stream."""
        if name.endswith(connection.CONNECTED):
            self._recorder.connected(info.get("return_value"))

    @never_raises
    def watch_arrivals(self, response: Any) -> None:
        """From now on know of the chunks of this response when they arrived; those of a substitute came at once."""
        if self.end is OPEN and not self.substituted and not in_virtual_time():
            self.watch = self._recorder.watch(response)

    def finish(self, end: End, error: BaseException | None = None) -> None:
        """The body came to an end. The first end counts: closing after it changes nothing. Never raises."""
        if self.end is not OPEN:
            return
        self.end = end
        try:
            if error is not None:
                self.error = _described(error)
            self.ended_ns = self.now_ns()
            self._let_go()
            if self.watch is not None:
                watch, self.watch = self.watch, None
                self._recorder.watched(watch)
        except Exception as trouble:  # noqa: BLE001 - ours, and not the application's affair
            self.trouble(trouble)
        self._recorder.ended(self)

    def asked(self) -> Asked:
        """The request; while the attempt runs, as it is now."""
        return self._asked or asked(self._request)

    def attempt(self) -> Attempt | None:
        """The attempt decoded, or None when it was no LLM traffic. Once it has ended the body is dropped."""
        if self.decoded:
            return self._attempt
        ended = self.end is not OPEN
        attempt = self._recorder.decoded(self)
        if ended:
            self._attempt, self.decoded = attempt, True
            self._request = self._asked = None
            self.parts, self.events, self.response_headers = [], [], ()
        return attempt

    def forget(self) -> None:
        """Let go of what was decoded, times of chunks included."""
        if self.decoded:
            self._attempt, self.times = None, []

    def exchange(self) -> Exchange:
        """The attempt as a value, with its body."""
        events = list(self.events)
        standard = issubclass(self.transport, self.package_transports)
        substituted = self.substituted or self._taken()
        served = connection.provenance(
            events, substituted=substituted, answered=self.headers_ns is not None, standard=standard
        )
        request = self.asked()
        sent_ns = self._sent_ns(events, at_once=0 < len(request.body) <= AT_ONCE)
        # A busy loop comes to the head after the body has arrived, and may be told of the sending later still.
        headers_ns = _no_later(self.headers_ns, self.times[:1])
        exchange = replace(
            request.exchange(self.started_ns),
            sent_ns=_no_later(sent_ns, self.times[:1]),
            status=self.status,
            response_headers=clean_headers(getattr(self.response_headers, "raw", self.response_headers)),
            headers_ns=headers_ns,
            chunks=tuple(map(Chunk, self.times, self.parts)),
            ended_ns=self.ended_ns,
            end=self.end,
            error=self.error,
            connection=self._connection(events, served),
            provenance=served,
        )
        return exchange if self.timeline is None else _on_timeline(exchange, self.timeline)

    def _taken(self) -> bool:
        """Whether what stands in for the network has a request that it has not answered yet."""
        return self._request is not None and bool(self._request.extensions.get(SUBSTITUTED))

    def _sent_ns(self, events: list[connection.Event], *, at_once: bool) -> int | None:
        if any(name != connection.RETURNED for name, _ in events):
            return connection.sent_ns(events, at_once=at_once)
        # Nobody told; an answer proves that it was sent, and the wrapper starts where the transport begins.
        return None if self.headers_ns is None else self.started_ns + (self.waited_ns or 0)

    def _connection(self, events: list[connection.Event], served: Provenance) -> Connection:
        found = connection.connection(events, self.started_ns)
        if found.state != "unknown":
            return found
        if served in (Provenance.UNSERVED, Provenance.SUBSTITUTED):
            return Connection(state="none", wait_ns=self.waited_ns)
        if self.error.startswith("PoolTimeout:") and self.ended_ns is not None:
            return Connection(wait_ns=self.ended_ns - self.started_ns)
        return found

    def _let_go(self) -> None:
        """Let go of a request whose body is streamed to the server: it may hold an open file. Others are bytes."""
        try:
            _ = self._request.content
        except RuntimeError:
            self._asked, self._request = asked(self._request), None


def lean(exchange: Exchange) -> Exchange:
    """The exchange without its bodies; the chunks keep their times."""
    return replace(exchange, request_body=b"", chunks=tuple(Chunk(chunk.at_ns, b"") for chunk in exchange.chunks))


def decoded_attempt(exchange: Exchange, generation: Generation | None) -> Attempt | None:
    """An attempt to keep, or None for traffic that is none of ours."""
    return None if generation is None else Attempt(lean(exchange), generation)


def _on_timeline(exchange: Exchange, timeline: Timeline) -> Exchange:
    """The exchange at the times it was due.

    A reader that stopped early stopped at the last chunk it took; chunks beyond the timeline are due at its end.
    """
    if not timeline.known:
        return replace(exchange, provenance=Provenance.UNTIMED)
    if timeline.started_ns is not None:
        exchange = replace(
            exchange,
            started_ns=timeline.started_ns,
            sent_ns=None if timeline.sent_ns is None else timeline.started_ns + timeline.sent_ns,
            connection=timeline.connection or exchange.connection,
            provenance=Provenance.REPLAYED,
        )
    zero = exchange.zero_ns
    due = (*timeline.chunks_ns, *(timeline.end_ns,) * (len(exchange.chunks) - len(timeline.chunks_ns)))
    chunks = tuple(Chunk(zero + at, chunk.data) for at, chunk in zip(due, exchange.chunks, strict=False))
    if exchange.end is End.OPEN:
        ended_ns = None
    elif exchange.end in (End.COMPLETE, End.ERROR):
        ended_ns = zero + timeline.end_ns
    else:
        ended_ns = chunks[-1].at_ns if chunks else zero + timeline.headers_ns
    answered = None if exchange.status is None else zero + timeline.headers_ns
    return replace(exchange, headers_ns=answered, chunks=chunks, ended_ns=ended_ns)


def _no_later(moment_ns: int | None, than: list[int]) -> int | None:
    return None if moment_ns is None else min([moment_ns, *than])


def _described(error: BaseException) -> str:
    """`TypeName: message`; an exception whose text cannot be had is named by its type alone."""
    try:
        return f"{type(error).__name__}: {error}"
    except Exception:  # noqa: BLE001 - the text is the application's code
        return f"{type(error).__name__}: "
