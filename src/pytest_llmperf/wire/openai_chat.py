"""OpenAI's Chat Completions, which many gateways speak: one attempt's bytes to what the model said and when.

It knows the protocol's chunks and fields, and trusts neither the content-type nor a body's completeness. The rules:

* Usage comes in one piece: with the document, or in a last chunk, only when `stream_options.include_usage` asked for
  it. Without it every count is unknown, for that reason; nothing is counted from chunks, which are no tokens.
* `prompt_tokens` holds the cached ones (`INPUT_HOLDS_CACHED`); a `Usage` never does, so they are taken out here.
* Words, stop reason and tools are those of the first choice; the deltas are those of all of them, as they were billed,
  and so a rate of tokens is that of all of them together.
* The answer is whole once every choice that began has its `finish_reason`; `[DONE]` ends the stream.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from pytest_llmperf.core.exchange import Chunk, Exchange
from pytest_llmperf.core.generation import Delta, Generation, Kind, Usage
from pytest_llmperf.wire import content_encoding, failures, loose_json, request, sse
from pytest_llmperf.wire.loose_json import count, mapping, objects, text
from pytest_llmperf.wire.request import Asked

NAME = "openai.chat"
INPUT_HOLDS_CACHED = True
DONE = "[DONE]"

_Fields = Mapping[str, Any]
_WORDS = (
    ("content", Kind.TEXT),
    ("refusal", Kind.TEXT),
    ("reasoning_content", Kind.THINKING),
    ("reasoning", Kind.THINKING),
)
"""Keys of a message or a delta and the kind of what they say; the reasoning ones are gateways', under two names."""


def recognises(exchange: Exchange) -> bool:
    """Whether the attempt asks for a completion of a chat. Gateways count: only the path tells."""
    return exchange.method.upper() == "POST" and exchange.path.endswith("/chat/completions")


def decode(exchange: Exchange) -> Generation:
    """What an attempt's bytes say. Never raises; what could not be read is in `missing`.

    Args:
        exchange: an attempt that `recognises` accepted.
    """
    asked = request.asked(exchange.request_body)
    chunks, damage = content_encoding.decoded(exchange)
    body = b"".join([chunk.data for chunk in chunks])
    if sse.looks_like(body):
        read = _stream(asked, chunks, exchange)
    elif exchange.status is None and not body:
        read = Generation(NAME, asked.streamed, asked.model, missing=("no response came",))
    else:
        read = _document(asked, body, exchange)
    read = replace(read, max_tokens=asked.max_tokens, temperature=asked.temperature)
    return replace(read, missing=damage + read.missing, complete=False) if damage else read


def _document(asked: Asked, body: bytes, exchange: Exchange) -> Generation:
    fields = mapping(loose_json.load(body))
    refused = failures.bad_status(exchange.status)
    if refused or (fields.get("error") and "choices" not in fields):
        told = failures.failure(fields, refused or "error", body.decode("utf-8", "replace"))
        return Generation(NAME, asked.streamed, asked.model, failure=told)
    choices = objects(fields.get("choices"))
    if not choices:
        why = f"the body, {len(body)} bytes, is no completion of a chat"
        return Generation(NAME, asked.streamed, asked.model, missing=(why,))
    message = mapping(_first(choices).get("message"))
    pieces = list(_pieces(message))
    return Generation(
        protocol=NAME,
        streamed=False,
        request_model=asked.model,
        response_model=text(fields.get("model")),
        message_id=text(fields.get("id")),
        usage=_usage(mapping(fields.get("usage"))),
        stop_reason=text(_first(choices).get("finish_reason")),
        tool_names=tuple(_tool_names([message])),
        text=_said(pieces, Kind.TEXT),
        thinking_characters=len(_said(pieces, Kind.THINKING)),
        complete=True,
    )


def _stream(asked: Asked, chunks: Sequence[Chunk], exchange: Exchange) -> Generation:
    """An answer as an event stream, whole or cut anywhere."""
    frames = sse.frame(chunks)
    events = [event for event in frames.events if event.data != DONE]
    values = [mapping(value) for value in loose_json.load_all([event.data or "{}" for event in events])]
    firsts = [_first(choices) for value in values if (choices := objects(value.get("choices")))]
    deltas = [mapping(choice.get("delta")) for choice in firsts]
    pieces = [piece for delta in deltas for piece in _pieces(delta)]
    error = next((value for value in values if value.get("error")), None)
    stop_reason = _last(text(choice.get("finish_reason")) for choice in firsts)
    unended = _unended([choice for value in values for choice in objects(value.get("choices"))])
    usage = _last(value.get("usage") for value in values)
    uncounted = "" if usage else _uncounted(exchange.request_body)
    failure = failures.failure(error, "error") if error else failures.bad_status(exchange.status)
    stopped_ns = next((event.at_ns for event in frames.events if event.data == DONE), None)
    return Generation(
        protocol=NAME,
        streamed=True,
        request_model=asked.model,
        response_model=_last(text(value.get("model")) for value in values),
        message_id=_last(text(value.get("id")) for value in values),
        usage=_usage(mapping(usage)),
        stop_reason=stop_reason,
        tool_names=tuple(_tool_names(deltas)),
        text=_said(pieces, Kind.TEXT),
        thinking_characters=len(_said(pieces, Kind.THINKING)),
        deltas=tuple(_deltas(zip(events, values, strict=True))),
        pings=len(frames.comments),
        stopped_ns=stopped_ns,
        failure=failure,
        complete=bool(stop_reason and not unended and not failure),
        missing=() if failure else _gaps(unended, stopped_ns, uncounted),
        uncounted=uncounted,
    )


def _uncounted(body: bytes) -> str:
    """Why a stream has no usage: nobody asked for it, or it was cut before its last chunk."""
    wanted = mapping(mapping(loose_json.load(body)).get("stream_options")).get("include_usage") is True
    return "no usage came" if wanted else "no usage came (stream_options.include_usage was not asked for)"


def _unended(choices: Sequence[_Fields]) -> str:
    """What is missing of a stream's choices; empty where each of them ended, and there is one."""
    ended = {count(choice.get("index")) or 0: False for choice in choices} or {0: False}
    ended |= {count(choice.get("index")) or 0: True for choice in choices if text(choice.get("finish_reason"))}
    without = [str(index) for index, whole in ended.items() if not whole]
    if not without:
        return ""
    return "no finish_reason came" + (f" for choice {', '.join(without)}" if len(ended) > 1 else "")


def _gaps(unended: str, stopped_ns: int | None, uncounted: str) -> tuple[str, ...]:
    gaps = {
        unended: bool(unended),
        f"{DONE} never came": stopped_ns is None,
        uncounted: bool(uncounted),
    }
    return tuple(words for words, holds in gaps.items() if holds)


def _deltas(events: Iterable[tuple[sse.Event, _Fields]]) -> Iterator[Delta]:
    for event, value in events:
        for choice in objects(value.get("choices")):
            for kind, words in _pieces(mapping(choice.get("delta"))):
                yield Delta(event.at_ns, kind, len(words))


def _pieces(said: _Fields) -> Iterator[tuple[Kind, str]]:
    """What a message or a delta says, by kind."""
    for key, kind in _WORDS:
        words = text(said.get(key))
        if words:
            yield kind, words
    for call in objects(said.get("tool_calls")):
        words = text(mapping(call.get("function")).get("arguments"))
        if words:
            yield Kind.TOOL, words


def _tool_names(said: Iterable[_Fields]) -> Iterator[str]:
    for one in said:
        for call in objects(one.get("tool_calls")):
            name = text(mapping(call.get("function")).get("name"))
            if name:
                yield name


def _usage(usage: _Fields) -> Usage:
    cached = count(mapping(usage.get("prompt_tokens_details")).get("cached_tokens"))
    counted = count(usage.get("prompt_tokens"))
    return Usage(
        input_tokens=None if counted is None else max(counted - (cached or 0), 0),
        output_tokens=count(usage.get("completion_tokens")),
        cache_read_input_tokens=cached,
        thinking_tokens=count(mapping(usage.get("completion_tokens_details")).get("reasoning_tokens")),
    )


def _first(choices: Sequence[_Fields]) -> _Fields:
    """The choice with index 0: the only one, unless more were asked for."""
    return next((choice for choice in choices if choice.get("index", 0) == 0), {})


def _said(pieces: Iterable[tuple[Kind, str]], wanted: Kind) -> str:
    return "".join([words for kind, words in pieces if kind is wanted])


def _last(values: Iterable[Any]) -> Any:
    """The last value that is not empty; None when all are."""
    return next(filter(None, reversed(list(values))), None)
