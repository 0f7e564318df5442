"""Exchanges as they happen, turned into interactions: observed like any others, so that the application streams on.

The same observer that measures writes down what is recorded, one step further in; what it notes is cleaned of secrets
before it goes anywhere else.
"""

from __future__ import annotations

import copy
import itertools
from collections.abc import Callable
from dataclasses import replace
from http.client import responses
from typing import Any

from vcr.request import Request

from pytest_llmperf.capture import Recorder
from pytest_llmperf.capture.log import AttemptLog, CallLog
from pytest_llmperf.cassettes import redaction, timeline
from pytest_llmperf.cassettes.document import Interaction
from pytest_llmperf.cassettes.redaction import Rules
from pytest_llmperf.cassettes.timeline import Label, Timing
from pytest_llmperf.core.exchange import Chunk, Exchange
from pytest_llmperf.wire import content_encoding, sse

Filter = Callable[[Any], Any]


class TapedLog(AttemptLog):
    """An attempt that is being recorded."""

    label: Label
    secrets: frozenset[bytes]
    """The request's own."""
    known: frozenset[bytes]
    """And those of all requests before it, which an answer may quote as well."""


class TapeRecorder(Recorder):
    """Observes attempts only to hand them on when they have ended.

    Args:
        now_ns: the clock.
        rules: what is left out; asked for the secrets of a request before they are forgotten.
        label: of the round that is running, asked when an attempt begins.
        ended: takes an attempt that has ended; whoever collects garbage may be the one who calls it.
    """

    def __init__(
        self, now_ns: Callable[[], int], rules: Rules, label: Callable[[], Label], ended: Callable[[TapedLog], None]
    ) -> None:
        super().__init__(now_ns)
        self._rules, self._label, self._hand_on = rules, label, ended
        self._known: frozenset[bytes] = frozenset()

    def begin(self, request: Any) -> TapedLog | None:
        """An attempt leaves now."""
        try:
            log = TapedLog(self, CallLog(), request, 0, self.now_ns())
            log.label = self._label()
            log.secrets = redaction.secrets_of(request.headers.items(), self._rules)
            if not log.secrets <= self._known:
                self._known |= log.secrets
            log.known = self._known
        except Exception as error:  # noqa: BLE001 - ours, and not the application's affair
            self.trouble(error)
            return None
        return log

    def ended(self, log: AttemptLog) -> None:
        """An attempt came to its end."""
        assert isinstance(log, TapedLog)
        self._hand_on(log)


def interaction_of(
    log: TapedLog, rules: Rules, *, began_ns: int, source: Callable[[Exchange], str] = lambda _: ""
) -> Interaction:
    """A finished attempt as VCR's format has it, without what must not be kept.

    Args:
        log: of the attempt.
        rules: what is left out beside the usual credentials.
        began_ns: begin of the recording.
        source: who answered, as it is to stand in the file.
    """
    exchange = log.exchange()
    timing = timeline.timing_of(exchange, began_ns=began_ns, label=log.label, source=source(exchange))
    body = b"".join(chunk.data for chunk in exchange.chunks)
    headers = list(exchange.response_headers)
    changes = redaction.edits(body, rules, log.known)
    if not changes and rules.fields | log.known and "content-encoding" in dict(headers):
        body, headers, timing, changes = _looked_into(exchange, body, headers, timing, rules, log.known)
    if changes:
        sizes = redaction.fitted(timing.sizes, changes)
        timing = replace(timing, sizes=sizes, rechunked="redacted")
        body = redaction.edited(body, changes)
    timing = replace(timing, error=redaction.clean_text(timing.error, log.known))
    response = {
        "status": _status(exchange.status),
        "headers": _listed(redaction.clean_headers(headers, rules, log.known)),
        "body": {"string": body},
        timeline.KEY: timeline.to_plain(timing),
    }
    return Interaction(_request(exchange, rules, log.secrets), response, timing)


def filtered(interaction: Interaction, request_filter: Filter, response_filter: Filter) -> Interaction | None:
    """The interaction as a user's own filters leave it, its timing fitted to the body; None when they drop it."""
    request = request_filter(interaction.request)
    response = response_filter(copy.deepcopy(interaction.response)) if request else None
    if not request or response is None:
        return None
    timing = interaction.timing
    before, after = interaction.response["body"]["string"], (response.get("body") or {}).get("string") or b""
    if timing is not None and before != after:
        timing = _refitted(timing, interaction.response, after)
        response.pop(timeline.KEY, None)
        if timing is not None:
            response[timeline.KEY] = timeline.to_plain(timing)
    return Interaction(request, response, timing)


def _request(exchange: Exchange, rules: Rules, secrets: frozenset[bytes]) -> Any:
    headers = redaction.clean_headers(exchange.request_headers, rules, secrets)
    body = redaction.clean_body(exchange.request_body, rules, secrets)
    return Request(exchange.method, redaction.clean_url(exchange.url, rules, secrets), body, dict(headers))


def _status(status: int | None) -> dict[str, Any]:
    if status is None:
        return {"code": timeline.NO_RESPONSE, "message": "No response"}
    return {"code": status, "message": responses.get(status, "")}


def _listed(headers: list[tuple[str, str]]) -> dict[str, list[str]]:
    listed: dict[str, list[str]] = {}
    for name, value in headers:
        listed.setdefault(name, []).append(value)
    return listed


def _looked_into(
    exchange: Exchange,
    body: bytes,
    headers: list[tuple[str, str]],
    timing: Timing,
    rules: Rules,
    secrets: frozenset[bytes],
) -> tuple[bytes, list[tuple[str, str]], Timing, list[redaction.Edit]]:
    """A compressed body, decoded if there is something in it to be left out; else as it is."""
    chunks, damage = content_encoding.decoded(exchange)
    plain = b"".join(chunk.data for chunk in chunks)
    changes = [] if damage else redaction.edits(plain, rules, secrets)
    if not changes:
        return body, headers, timing, []
    kept = [pair for pair in headers if pair[0] not in ("content-encoding", "content-length")]
    return plain, kept, replace(timing, sizes=tuple(len(chunk.data) for chunk in chunks)), changes


def _refitted(timing: Timing, response: dict[str, Any], after: bytes) -> Timing | None:
    """The timing of a body that a filter changed: decoded, or event by event; None when neither tells."""
    headers = tuple((name.lower(), value) for name, values in response["headers"].items() for value in values)
    body, sizes = response["body"]["string"], timing.sizes
    borders = itertools.pairwise([0, *itertools.accumulate(sizes)])
    chunks = tuple(
        Chunk(at, body[begin:end]) for at, (begin, end) in zip(timing.timeline.chunks_ns, borders, strict=True)
    )
    exchange = Exchange("", "", (), b"", 0, response_headers=headers, chunks=chunks)
    plain, damage = content_encoding.decoded(exchange)
    if not damage and b"".join(chunk.data for chunk in plain) == after:
        return replace(timing, sizes=tuple(len(chunk.data) for chunk in plain), rechunked="decoded")
    return _by_event(timing, list(plain), after)


def _by_event(timing: Timing, chunks: list[Chunk], after: bytes) -> Timing | None:
    """Each event at the time its chunk came, when there are as many as before."""
    before_events, after_events = _events(b"".join(chunk.data for chunk in chunks)), _events(after)
    if len(before_events) < 2 or len(before_events) != len(after_events):
        return None
    times, at, chunk_ends = list[int](), 0, list[tuple[int, int]]()
    for chunk in chunks:
        at += len(chunk.data)
        chunk_ends.append((at, chunk.at_ns))
    read = 0
    for event in before_events:
        read += len(event)
        times.append(next(at_ns for end, at_ns in chunk_ends if end >= read))
    told = replace(timing.timeline, chunks_ns=tuple(times))
    return replace(timing, timeline=told, sizes=tuple(map(len, after_events)), rechunked="by-event")


def _events(body: bytes) -> list[bytes]:
    """The events of a stream with their blank lines; nothing lost."""
    if not sse.looks_like(body):
        return [body]
    parts = body.split(b"\n\n")
    events = [part + b"\n\n" for part in parts[:-1]]
    return [*events, parts[-1]] if parts[-1] else events
