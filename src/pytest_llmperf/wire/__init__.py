"""Bytes to meaning: one attempt's `Exchange` becomes a `Generation`, with no I/O.

One module for each protocol, all of the same shape (`Protocol`). `PROTOCOLS` lists those whose calls are measured, the
first that recognises an attempt decodes it; `LEGIBLE` those of them whose bytes are read (of the others only times are
known). Next to them is what they share: the framing of event streams, HTTP's content codings, JSON that is not to be
trusted. Nothing here raises on any bytes.
"""

import typing
from collections import Counter
from collections.abc import Sequence

from pytest_llmperf.core.exchange import Exchange
from pytest_llmperf.core.generation import Generation
from pytest_llmperf.wire import (
    anthropic_messages,
    bedrock,
    content_encoding,
    loose_json,
    openai_chat,
    openai_responses,
    sse,
)


class Protocol(typing.Protocol):
    """What a module for one protocol offers."""

    @property
    def NAME(self) -> str:  # noqa: N802 - a constant, of a module as a rule
        """`vendor.api`, as in `Generation.protocol`."""
        ...

    @property
    def INPUT_HOLDS_CACHED(self) -> bool:  # noqa: N802
        """Whether the provider's own count of input tokens holds cached ones; `Usage.input_tokens` never does."""
        ...

    def recognises(self, exchange: Exchange) -> bool:
        """Whether the attempt is a generation call of this protocol."""
        ...

    def decode(self, exchange: Exchange) -> Generation:
        """What the attempt's bytes say; never raises."""
        ...


LEGIBLE: tuple[Protocol, ...] = (anthropic_messages, openai_chat, openai_responses)
PROTOCOLS: tuple[Protocol, ...] = (*LEGIBLE, bedrock)


def protocol_of(exchange: Exchange, known: Sequence[Protocol] = PROTOCOLS) -> Protocol | None:
    """The protocol an attempt speaks; None when it is no generation call of one that is known."""
    return next((protocol for protocol in known if protocol.recognises(exchange)), None)


def recognise(exchange: Exchange, known: Sequence[Protocol] = PROTOCOLS) -> str | None:
    """The name of the protocol an attempt speaks; None when it is no generation call of one that is known."""
    protocol = protocol_of(exchange, known)
    return protocol.NAME if protocol else None


def decode(exchange: Exchange, known: Sequence[Protocol] = PROTOCOLS) -> Generation | None:
    """What an attempt's bytes say; None when it is no generation call of a protocol that is known.

    Never raises on any bytes: what could not be read is named in `Generation.missing`.
    """
    protocol = protocol_of(exchange, known)
    return protocol.decode(exchange) if protocol else None


def events(exchange: Exchange) -> Counter[str] | None:
    """How often each event came; None when the body is no event stream.

    An event without a name goes by its data's `type`, and by the empty text when that is missing too.
    """
    chunks, _ = content_encoding.decoded(exchange)
    if not sse.looks_like(b"".join([chunk.data for chunk in chunks])):
        return None
    return Counter(event.name or _type(event) for event in sse.frame(chunks).events)


def _type(event: sse.Event) -> str:
    return loose_json.text(loose_json.mapping(loose_json.load(event.data)).get("type")) or ""
