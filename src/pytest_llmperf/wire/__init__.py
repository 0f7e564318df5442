"""Bytes to meaning: one attempt's `Exchange` becomes a `Generation`, with no I/O.

One module for each protocol, all of the same shape (`Protocol`). `PROTOCOLS` lists those whose calls are measured;
`LEGIBLE` has beside them those that can be read in a recording. Next to them is what they share: the framing of event
streams, HTTP's content codings, JSON that is not to be trusted. Nothing here raises on any bytes.
"""

import typing
from collections import Counter

from pytest_llmperf.core.exchange import Exchange
from pytest_llmperf.core.generation import Generation
from pytest_llmperf.wire import anthropic_messages, content_encoding, loose_json, openai_chat, openai_responses, sse


class Protocol(typing.Protocol):
    """What a module for one protocol offers."""

    NAME: str
    """`vendor.api`, as in `Generation.protocol`."""
    INPUT_HOLDS_CACHED: bool
    """Whether the provider's own count of input tokens holds cached ones; `Usage.input_tokens` never does."""

    def recognises(self, exchange: Exchange) -> bool:
        """Whether the attempt is a generation call of this protocol."""
        ...

    def decode(self, exchange: Exchange) -> Generation:
        """What the attempt's bytes say; never raises."""
        ...


PROTOCOLS: tuple[Protocol, ...] = (anthropic_messages,)
LEGIBLE: tuple[Protocol, ...] = (*PROTOCOLS, openai_chat, openai_responses)


def protocol_of(exchange: Exchange, known: tuple[Protocol, ...] = PROTOCOLS) -> Protocol | None:
    """The protocol an attempt speaks; None when it is no generation call of one that is known."""
    return next((protocol for protocol in known if protocol.recognises(exchange)), None)


def recognise(exchange: Exchange) -> str | None:
    """The name of the protocol an attempt speaks; None when it is no generation call of one we know."""
    protocol = protocol_of(exchange)
    return protocol.NAME if protocol else None


def decode(exchange: Exchange) -> Generation | None:
    """What an attempt's bytes say; None when it is no generation call of a protocol we know.

    Never raises on any bytes: what could not be read is named in `Generation.missing`.
    """
    protocol = protocol_of(exchange)
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
