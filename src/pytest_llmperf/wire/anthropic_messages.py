"""Anthropic's Messages API: one attempt's bytes to what the model said, when, and at what count of tokens.

It knows the protocol's events and fields, and trusts neither the content-type nor a body's completeness. The rules:

* The body says what it is: an event stream, a message, an error. Only a body that says nothing (empty, cut after a few
  bytes) is taken for what the request asked for.
* Usage starts from `message_start`; each key of a later `message_delta` that is not null replaces it, and nothing is
  added up. Until the message has ended, every output count is provisional and therefore unknown; when it ended
  without a count in a `message_delta`, that of `message_start` stands and `missing` says so.
* Only `content_block_delta` brings tokens. A delta without characters is `Kind.OTHER`, so that it is never the first
  token; a signature has no characters of its own. (Should a block start with text in it, that counts as a delta.)
* An `error` event is the attempt's failure, whatever the status said.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

from pytest_llmperf.core.exchange import Chunk, End, Exchange, header
from pytest_llmperf.core.generation import Delta, Generation, Kind, Pass, Usage
from pytest_llmperf.wire import content_encoding, failures, loose_json, request, sse
from pytest_llmperf.wire.failures import bad_status
from pytest_llmperf.wire.loose_json import count, mapping, text
from pytest_llmperf.wire.request import Asked

NAME = "anthropic.messages"
INPUT_HOLDS_CACHED = False

_WORDS = {
    "text_delta": (Kind.TEXT, "text"),
    "thinking_delta": (Kind.THINKING, "thinking"),
    "input_json_delta": (Kind.TOOL, "partial_json"),
    "signature_delta": (Kind.SIGNATURE, "signature"),
    "text": (Kind.TEXT, "text"),
    "thinking": (Kind.THINKING, "thinking"),
}
"""Types of deltas and of whole blocks: the kind of what they say and the key it is under."""
_NOTHING = (Kind.OTHER, "")
_CARRIERS = {"content_block_delta": "delta", "content_block_start": "content_block"}
_EVENTS = frozenset(
    {
        "",
        "message_start",
        "content_block_start",
        "content_block_delta",
        "content_block_stop",
        "message_delta",
        "message_stop",
    }
)
"""Names of events that must be readable: an answer that lost one of them is not whole."""
_NAME_DECIDES = frozenset({"error", "ping"})
"""Events whose name says what they are, whatever is in them; for others the data's `type` goes before the name."""
_FINAL_ONLY = frozenset(("output_tokens", "output_tokens_details", "iterations"))
"""Keys of usage that mean something only once the message is ended."""
_OWN_PASSES = frozenset(("message", "fallback_message"))
"""Types of `usage.iterations` whose tokens the top level of `usage` already holds."""


_Fields = Mapping[str, Any]
"""A JSON object."""
_Said = tuple[str, _Fields, int]
"""One event that could be read: what it is, its data, its arrival in nanoseconds."""


def recognises(exchange: Exchange) -> bool:
    """Whether the attempt asks for a message. Gateways and loopback servers count: only the path tells."""
    return exchange.method.upper() == "POST" and exchange.path.endswith("/v1/messages")


def decode(exchange: Exchange) -> Generation:
    """What an attempt's bytes say. Never raises; what could not be read is in `missing`.

    `streamed` is true of an event stream, and of an attempt that was asked for one and brought no answer.

    Args:
        exchange: an attempt that `recognises` accepted.
    """
    asked = request.asked(exchange.request_body)
    chunks, damage = content_encoding.decoded(exchange)
    body = b"".join([chunk.data for chunk in chunks])
    if sse.looks_like(body):
        read = _stream(asked, sse.frame(chunks), exchange)
    elif exchange.status is None and not body:
        read = _unread(asked, "no response came")
    else:
        read = _document(asked, chunks, body, exchange)
    read = replace(read, max_tokens=asked.max_tokens, temperature=asked.temperature)
    return replace(read, missing=damage + read.missing, complete=False) if damage else read


def _document(asked: Asked, chunks: Sequence[Chunk], body: bytes, exchange: Exchange) -> Generation:
    """An answer that does not begin as an event stream does."""
    status, value = exchange.status or 200, loose_json.load(body)
    fields = mapping(value)
    if bad_status(status) or (fields.get("error") and "content" not in fields):
        failure = failures.failure(fields, f"HTTP {status}", body.decode("utf-8", "replace"))
        return Generation(NAME, asked.streamed, asked.model, failure=failure)
    if status >= 300:
        return _unread(asked, f"HTTP {status} carries no answer")
    if isinstance(fields.get("content"), list):
        return _message(asked, fields)
    if value is not None:
        return _unread(asked, "the body is JSON, but neither a message nor an error")
    if _stream_expected(asked, exchange) and not body.lstrip().startswith(b"{"):
        return _stream(asked, sse.frame(chunks), exchange)
    return _unread(asked, f"the body, {len(body)} bytes, is no whole JSON document")


def _unread(asked: Asked, why: str) -> Generation:
    return Generation(NAME, asked.streamed, asked.model, missing=(why,))


def _stream_expected(asked: Asked, exchange: Exchange) -> bool:
    return asked.streamed or (header(exchange.response_headers, "content-type") or "").startswith("text/event-stream")


def _message(asked: Asked, message: _Fields) -> Generation:
    """An answer in one JSON document."""
    blocks = [mapping(block) for block in message["content"]]
    pieces = [_piece(block) for block in blocks]
    usage = mapping(message.get("usage"))
    return Generation(
        protocol=NAME,
        streamed=False,
        request_model=asked.model,
        response_model=text(message.get("model")),
        message_id=text(message.get("id")),
        usage=_usage(usage),
        stop_reason=text(message.get("stop_reason")),
        blocks=_types(blocks),
        tool_names=_tool_names(blocks),
        text=_words(pieces),
        thinking_characters=sum(len(words) for kind, words in pieces if kind is Kind.THINKING),
        complete=True,
        passes=_passes(usage),
    )


def _stream(asked: Asked, frames: sse.Frames, exchange: Exchange) -> Generation:
    """An answer as an event stream, whole or cut anywhere."""
    said, unreadable = _said(frames.events)
    found = _by_kind(said)
    start, stop, error = (next(iter(found[kind]), None) for kind in ("message_start", "message_stop", "error"))
    message = mapping(start and start[1].get("message"))
    ending = _ending(message, [fields for _, fields, _ in found["message_delta"]], stopped=stop is not None)
    blocks = [mapping(fields.get("content_block")) for _, fields, _ in found["content_block_start"]]
    pieces, deltas = _content(said)
    whole = stop or (exchange.end is End.COMPLETE and _is_stop(frames.unfinished))
    failure = failures.failure(error[1], "error") if error else bad_status(exchange.status)
    return Generation(
        protocol=NAME,
        streamed=True,
        request_model=asked.model,
        response_model=text(message.get("model")),
        message_id=text(message.get("id")),
        usage=_usage(ending.usage),
        stop_reason=ending.stop_reason,
        blocks=_types(blocks),
        tool_names=_tool_names(blocks),
        text=_words(pieces),
        thinking_characters=sum(len(words) for kind, words in pieces if kind is Kind.THINKING),
        deltas=tuple(deltas),
        pings=len(found["ping"]) + len(frames.comments),
        stopped_ns=stop[2] if stop else None,
        failure=failure,
        complete=bool(start and whole and not failure and not unreadable),
        missing=unreadable + (() if failure else _gaps(frames, start, stop, ending)),
        passes=_passes(ending.usage),
    )


def _said(events: Sequence[sse.Event]) -> tuple[list[_Said], tuple[str, ...]]:
    """The events that could be read, and in words those that could not although the protocol knows them."""
    events = [event for event in events if event.data != "[DONE]"]  # ends other protocols' streams; gateways add it
    said: list[_Said] = []
    unreadable: list[str] = []
    values = loose_json.load_all([event.data or "{}" for event in events])
    for (name, data, at_ns), value in zip(events, values, strict=True):
        if isinstance(value, dict):
            kind = value.get("type")
            said.append((kind if isinstance(kind, str) and name not in _NAME_DECIDES else name, value, at_ns))
        elif name == "error":
            said.append(("error", {"error": data}, at_ns))
        elif name in _EVENTS:
            unreadable.append(name or "one without a name")
    if not unreadable:
        return said, ()
    return said, (f"events that are no JSON objects: {len(unreadable)}, the first of them {unreadable[0]}",)


def _by_kind(said: Iterable[_Said]) -> Mapping[str, list[_Said]]:
    found: dict[str, list[_Said]] = defaultdict(list)
    for event in said:
        found[event[0]].append(event)
    return found


def _content(said: Iterable[_Said]) -> tuple[list[tuple[Kind, str]], list[Delta]]:
    """Each content delta's words by kind, and its arrival."""
    pieces: list[tuple[Kind, str]] = []
    deltas: list[Delta] = []
    for event, fields, at_ns in said:
        carrier = _CARRIERS.get(event)
        if carrier is None:
            continue
        kind, words = piece = _piece(fields.get(carrier))
        if words or event == "content_block_delta":
            pieces.append(piece)
            deltas.append(Delta(at_ns, kind, 0 if kind is Kind.SIGNATURE else len(words)))
    return pieces, deltas


def _piece(carried: object) -> tuple[Kind, str]:
    """The kind and the words of a block or a delta; one without words is of no kind that counts."""
    fields = mapping(carried)
    name = fields.get("type")
    kind, key = _WORDS.get(name, _NOTHING) if isinstance(name, str) else _NOTHING
    words = fields.get(key)
    return (kind, words) if words and isinstance(words, str) else _NOTHING


def _words(pieces: Iterable[tuple[Kind, str]]) -> str:
    return text("".join([words for kind, words in pieces if kind is Kind.TEXT])) or ""


def _types(blocks: Iterable[_Fields]) -> tuple[str, ...]:
    return tuple([text(block.get("type")) or "" for block in blocks])


def _tool_names(blocks: Iterable[_Fields]) -> tuple[str, ...]:
    return tuple([text(block.get("name")) or "" for block in blocks if block.get("type") == "tool_use"])


def _is_stop(unfinished: sse.Event | None) -> bool:
    """Whether the stream's end lacks nothing but its last blank line, as in some recordings."""
    return unfinished is not None and mapping(loose_json.load(unfinished.data)).get("type") == "message_stop"


class _Ending(NamedTuple):
    """What a stream said of itself apart from its content."""

    stop_reason: str | None
    usage: _Fields
    counted: bool
    """A count of output tokens came after the head, and the message ended with it."""


def _ending(message: _Fields, changes: Sequence[_Fields], *, stopped: bool) -> _Ending:
    reasons = [text(mapping(change.get("delta")).get("stop_reason")) for change in changes]
    stop_reason = next(filter(None, reversed(reasons)), None)
    usage = dict(mapping(message.get("usage")))
    later: dict[str, Any] = {}
    for change in changes:
        later |= {key: value for key, value in mapping(change.get("usage")).items() if value is not None}
    if stopped or stop_reason:
        return _Ending(stop_reason, usage | later, "output_tokens" in later)
    return _Ending(
        None, {key: value for key, value in (usage | later).items() if key not in _FINAL_ONLY}, counted=False
    )


def _usage(usage: _Fields) -> Usage:
    return Usage(
        input_tokens=count(usage.get("input_tokens")),
        output_tokens=count(usage.get("output_tokens")),
        cache_creation_input_tokens=count(usage.get("cache_creation_input_tokens")),
        cache_creation_1h_input_tokens=count(mapping(usage.get("cache_creation")).get("ephemeral_1h_input_tokens")),
        cache_read_input_tokens=count(usage.get("cache_read_input_tokens")),
        thinking_tokens=count(mapping(usage.get("output_tokens_details")).get("thinking_tokens")),
    )


def _passes(usage: _Fields) -> tuple[Pass, ...]:
    iterations = usage.get("iterations")
    found = [mapping(one) for one in iterations] if isinstance(iterations, list) else []
    kinds = [text(one.get("type")) for one in found]
    return tuple(
        Pass(kind, text(one.get("model")), _usage(one))
        for kind, one in zip(kinds, found, strict=True)
        if kind and kind not in _OWN_PASSES
    )


def _gaps(frames: sse.Frames, start: _Said | None, stop: _Said | None, ending: _Ending) -> tuple[str, ...]:
    gaps = {
        "the body holds no event": not frames.events and not frames.unfinished,
        "message_start never came": start is None,
        "no final count of output tokens came": not ending.counted,
        "message_stop never came": stop is None,
        _unfinished(frames.unfinished): frames.unfinished is not None,
    }
    return tuple(words for words, holds in gaps.items() if holds)


def _unfinished(event: sse.Event | None) -> str:
    return f"the last event ({event.name or 'without a name'}) was cut or lacks its blank line" if event else ""
