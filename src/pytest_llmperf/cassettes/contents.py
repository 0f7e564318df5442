"""What a recorded interaction says: the facts that `llmperf inspect` shows, read from its bytes.

Counts are those of the wire, in the provider's own way of counting: OpenAI's input tokens hold the cached ones,
Anthropic's do not. What the wire does not say is None, never zero.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from urllib.parse import urlsplit

from pytest_llmperf import wire
from pytest_llmperf.cassettes.interaction import Cassette, Interaction
from pytest_llmperf.core import metrics
from pytest_llmperf.core.call import Attempt, Call
from pytest_llmperf.core.exchange import Exchange
from pytest_llmperf.core.generation import Generation
from pytest_llmperf.wire import anthropic_messages, content_encoding, endpoints, loose_json, request
from pytest_llmperf.wire.failures import bad_status, failure

_THINKING = frozenset({"thinking", "redacted_thinking", "reasoning"})
"""Types of blocks that hold thinking, shown or not."""


@dataclass(frozen=True, slots=True)
class Facts:
    """One interaction in short. The names are those of the JSON lines."""

    file: str
    index: int
    """Place in the file; the first is 0."""
    format: str
    method: str
    host: str
    path: str
    query: str | None
    api: str | None
    """`anthropic.messages`, `openai.chat`, …; None for traffic of no API that is known here."""
    status: int | None
    stream: bool
    """The answer is an event stream, whatever was asked for."""
    request_model: str | None
    response_model: str | None
    input_tokens: int | None
    output_tokens: int | None
    cache_creation_input_tokens: int | None
    cache_read_input_tokens: int | None
    stop_reason: str | None
    n_content_block_delta: int | None
    """Of streams of Anthropic's; None for everything else, as is `ping`."""
    ping: bool | None
    has_thinking: bool
    has_tool_use: bool
    """The model asks the caller to run a tool."""
    timed: bool
    failure: str | None
    """Why the attempt failed: the provider's error by status or inside the stream, or how the answer broke off."""
    unread: str | None
    """Why the body cannot be read, so that what it says is missing here."""
    ttft: float | None
    """Seconds from the request's last byte to the first content, where it is timed and streamed."""
    e2e: float | None
    """Seconds from the request's last byte to the last content, where it is timed."""


def contents(cassette: Cassette) -> Iterator[Facts]:
    """The facts of each interaction, in the order of the file."""
    for interaction in cassette.interactions:
        yield _facts(cassette, interaction)


def _facts(cassette: Cassette, interaction: Interaction) -> Facts:
    exchange = interaction.exchange()
    said, events = _said(exchange), wire.events(exchange)
    call = Call((Attempt(exchange, said),))
    anthropic_stream = events if said.protocol == anthropic_messages.NAME else None
    return Facts(
        file=str(cassette.path),
        index=interaction.number - 1,
        format=cassette.layout,
        method=interaction.method,
        host=exchange.host,
        path=exchange.path,
        query=urlsplit(interaction.uri).query or None,
        api=endpoints.name(exchange),
        status=interaction.status,
        stream=events is not None,
        request_model=said.request_model,
        response_model=said.response_model,
        input_tokens=_counted_input(said),
        output_tokens=said.usage.output_tokens,
        cache_creation_input_tokens=said.usage.cache_creation_input_tokens,
        cache_read_input_tokens=said.usage.cache_read_input_tokens,
        stop_reason=said.stop_reason,
        n_content_block_delta=None if anthropic_stream is None else anthropic_stream["content_block_delta"],
        ping=None if anthropic_stream is None else anthropic_stream["ping"] > 0,
        has_thinking=said.thinking_characters > 0 or not _THINKING.isdisjoint(said.blocks),
        has_tool_use=bool(said.tool_names),
        timed=interaction.timing is not None,
        failure=call.failure or None,
        unread=_unread(exchange),
        ttft=_seconds("attempt_ttft", interaction, call),
        e2e=_seconds("attempt_e2e", interaction, call),
    )


def _unread(exchange: Exchange) -> str | None:
    _, damage = content_encoding.decoded(exchange)
    return "; ".join(damage) or None


def _seconds(metric: str, interaction: Interaction, call: Call) -> float | None:
    value = metrics.reading(metric, call, "realtime") if interaction.timing else None
    return value if isinstance(value, float) and math.isfinite(value) else None


def _said(exchange: Exchange) -> Generation:
    """The answer; of a call that generates nothing, no more than the model it names and the error it met."""
    protocol = wire.protocol_of(exchange, wire.LEGIBLE)
    if protocol:
        return protocol.decode(exchange)
    model = request.asked(exchange.request_body).model
    refused = bad_status(exchange.status)
    if not refused:
        return Generation("", streamed=False, request_model=model, complete=True)
    body = b"".join([chunk.data for chunk in content_encoding.decoded(exchange)[0]])
    told = failure(loose_json.mapping(loose_json.load(body)), refused, body.decode("utf-8", "replace"))
    return Generation("", streamed=False, request_model=model, failure=told)


def _counted_input(said: Generation) -> int | None:
    """Input tokens as the provider counts them."""
    usage = said.usage
    holds_cached = any(protocol.INPUT_HOLDS_CACHED for protocol in wire.PROTOCOLS if said.protocol == protocol.NAME)
    if usage.input_tokens is None or not holds_cached:
        return usage.input_tokens
    return usage.input_tokens + (usage.cache_read_input_tokens or 0)
