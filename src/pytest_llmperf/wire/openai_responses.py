"""OpenAI's Responses: one attempt's bytes to what the model said and when.

It knows the protocol's events and fields, and trusts neither the content-type nor a body's completeness. The rules:

* A stream's last event (`response.completed`, `.incomplete`, `.failed`) holds the whole answer once more: facts are
  read from it. A stream that was cut is read as far as it came, its counts unknown.
* The stop reason is the answer's `status`, as the wire has no other word.
* `input_tokens` holds the cached ones (`INPUT_HOLDS_CACHED`); a `Usage` never does, so they are taken out here.
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

NAME = "openai.responses"
INPUT_HOLDS_CACHED = True

_Fields = Mapping[str, Any]
_LAST = frozenset({"response.completed", "response.incomplete", "response.failed"})
_KINDS = {
    "response.output_text.delta": Kind.TEXT,
    "response.refusal.delta": Kind.TEXT,
    "response.reasoning_text.delta": Kind.THINKING,
    "response.reasoning_summary_text.delta": Kind.THINKING,
    "response.function_call_arguments.delta": Kind.TOOL,
    "response.custom_tool_call_input.delta": Kind.TOOL,
}
_UNDER_WAY = frozenset({"queued", "in_progress"})
_WORDS = {"output_text": "text", "refusal": "refusal"}


def recognises(exchange: Exchange) -> bool:
    """Whether the attempt asks for a response. Gateways count: only the path tells."""
    return exchange.method.upper() == "POST" and exchange.path.endswith("/v1/responses")


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
    if refused or (fields.get("error") and "output" not in fields):
        told = failures.failure(fields, refused or "error", body.decode("utf-8", "replace"))
        return Generation(NAME, asked.streamed, asked.model, failure=told)
    if not isinstance(fields.get("output"), list):
        why = f"the body, {len(body)} bytes, is no response"
        return Generation(NAME, asked.streamed, asked.model, missing=(why,))
    return _response(Generation(NAME, streamed=False, request_model=asked.model), fields)


def _response(known: Generation, response: _Fields) -> Generation:
    """What is known already, with what a response object adds to it."""
    items = objects(response.get("output"))
    status = text(response.get("status"))
    return replace(
        known,
        response_model=text(response.get("model")),
        message_id=text(response.get("id")),
        usage=_usage(mapping(response.get("usage"))),
        stop_reason=None if status in _UNDER_WAY else status,
        blocks=tuple(text(item.get("type")) or "" for item in items),
        tool_names=tuple(text(item.get("name")) or "" for item in items if item.get("type") == "function_call"),
        text="".join(_words(items)),
        thinking_characters=sum(len(words) for words in _thoughts(items)),
        failure=known.failure or (failures.failure(response, "failed") if response.get("error") else ""),
        complete=status not in _UNDER_WAY and not response.get("error") and not known.failure,
    )


def _stream(asked: Asked, chunks: Sequence[Chunk], exchange: Exchange) -> Generation:
    """An answer as an event stream, whole or cut anywhere."""
    frames = sse.frame(chunks)
    values = [mapping(value) for value in loose_json.load_all([event.data or "{}" for event in frames.events])]
    said = [
        (event, text(value.get("type")) or event.name, value)
        for event, value in zip(frames.events, values, strict=True)
    ]
    ending = next(((event, value) for event, kind, value in said if kind in _LAST), None)
    error = next((value for _, kind, value in said if kind == "error"), None)
    known = Generation(
        protocol=NAME,
        streamed=True,
        request_model=asked.model,
        deltas=tuple(_deltas(said)),
        pings=len(frames.comments),
        stopped_ns=ending[0].at_ns if ending else None,
        failure=_told(error) if error else failures.bad_status(exchange.status),
    )
    if ending:
        return _response(known, mapping(ending[1].get("response")))
    begun = next((mapping(value.get("response")) for value in values if "response" in value), {})
    items = [value.get("item") for _, kind, value in said if kind == "response.output_item.added"]
    missing = () if known.failure else ("the response's last event never came",)
    return replace(_response(known, {**begun, "output": items, "usage": None}), missing=missing, complete=False)


def _told(error: _Fields) -> str:
    """An error event, which has its facts at the top or under `error`."""
    return failures.failure(error if error.get("error") else {"error": {**error, "type": error.get("code")}}, "error")


def _deltas(said: Iterable[tuple[sse.Event, str, _Fields]]) -> Iterator[Delta]:
    for event, name, value in said:
        kind = _KINDS.get(name)
        if kind:
            words = text(value.get("delta")) or ""
            yield Delta(event.at_ns, kind if words else Kind.OTHER, len(words))


def _words(items: Iterable[_Fields]) -> Iterator[str]:
    for part in _parts(items, "message", "content"):
        yield text(part.get(_WORDS.get(str(part.get("type")), ""))) or ""


def _thoughts(items: Sequence[_Fields]) -> Iterator[str]:
    for key in ("summary", "content"):
        for part in _parts(items, "reasoning", key):
            yield text(part.get("text")) or ""


def _parts(items: Iterable[_Fields], kind: str, key: str) -> Iterator[_Fields]:
    for item in items:
        if item.get("type") == kind:
            yield from objects(item.get(key))


def _usage(usage: _Fields) -> Usage:
    cached = count(mapping(usage.get("input_tokens_details")).get("cached_tokens"))
    counted = count(usage.get("input_tokens"))
    return Usage(
        input_tokens=None if counted is None else max(counted - (cached or 0), 0),
        output_tokens=count(usage.get("output_tokens")),
        cache_read_input_tokens=cached,
        thinking_tokens=count(mapping(usage.get("output_tokens_details")).get("reasoning_tokens")),
    )
