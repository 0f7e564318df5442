"""Bytes to meaning: one attempt's `Exchange` becomes a `Generation`, with no I/O.

One module for each protocol, all of the same shape (`Protocol`); `PROTOCOLS` lists them. Beside them is what they
share: the framing of event streams, HTTP's content codings, JSON that is not to be trusted. Nothing here raises on any
bytes.
"""

import typing

from pytest_llmperf.core.exchange import Exchange
from pytest_llmperf.core.generation import Generation
from pytest_llmperf.wire import anthropic_messages


class Protocol(typing.Protocol):
    """What a module for one protocol offers."""

    NAME: str
    """`vendor.api`, as in `Generation.protocol`."""

    def recognises(self, exchange: Exchange) -> bool:
        """Whether the attempt is a generation call of this protocol."""
        ...

    def decode(self, exchange: Exchange) -> Generation:
        """What the attempt's bytes say; never raises."""
        ...


PROTOCOLS: tuple[Protocol, ...] = (anthropic_messages,)


def recognise(exchange: Exchange) -> str | None:
    """The name of the protocol an attempt speaks; None when it is no generation call of one we know."""
    protocol = _protocol(exchange)
    return protocol.NAME if protocol else None


def decode(exchange: Exchange) -> Generation | None:
    """What an attempt's bytes say; None when it is no generation call of a protocol we know.

    Never raises on any bytes: what could not be read is named in `Generation.missing`.
    """
    protocol = _protocol(exchange)
    return protocol.decode(exchange) if protocol else None


def _protocol(exchange: Exchange) -> Protocol | None:
    return next((protocol for protocol in PROTOCOLS if protocol.recognises(exchange)), None)
