"""The API that an attempt calls, by its name: generation calls of all protocols, and what else their providers offer.

It reads method, host and path, never a body.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from pytest_llmperf.core.exchange import Exchange
from pytest_llmperf.wire import LEGIBLE, PROTOCOLS, Protocol, bedrock, protocol_of

_BESIDE = {
    "/v1/messages/count_tokens": "anthropic.count_tokens",
    "/v1/messages/batches": "anthropic.batches",
    "/v1/complete": "anthropic.complete",
}
"""Paths that say by themselves whose they are, although no message is asked for."""
_GENERATING = frozenset({"messages", "chat", "responses"})
"""First parts of paths that name a protocol, which a call that is none of it must not be counted under."""
_VENDORS = {"api.anthropic.com": "anthropic", "api.openai.com": "openai"}
_HOSTS = re.compile(r"(?:.+\.)?(?:anthropic\.com|api\.openai\.com)")
"""Theirs and those of their regions."""


def name(exchange: Exchange) -> str | None:
    """`vendor.api`, such as `anthropic.messages` or `openai.embeddings`; None when neither path nor host tells."""
    protocol = protocol_of(exchange, LEGIBLE)
    if protocol:
        return protocol.NAME
    beside = next((api for path, api in _BESIDE.items() if _is_at(exchange.path, path)), None)
    return beside or _by_host(exchange)


def is_provider(host: str) -> bool:
    """Whether a host, without its port, is a provider's own, whatever is asked of it."""
    known = host.lower().rstrip(".")
    return _HOSTS.fullmatch(known) is not None or bedrock.is_host(known)


def is_openai(host: str) -> bool:
    """Whether a host, without its port, is OpenAI's."""
    return host.lower().rstrip(".").endswith("api.openai.com")


def foreign(exchange: Exchange, known: Sequence[Protocol]) -> str:
    """The name of the first protocol by which another plugin knows an attempt; empty where none does.

    A protocol that raises knows nothing: whoever observes the attempt tells of it.
    """
    others = (one for one in known if all(one is not own for own in PROTOCOLS))
    return next((str(one.NAME) for one in others if _recognises(one, exchange)), "")


def _recognises(protocol: Protocol, exchange: Exchange) -> bool:
    try:
        return protocol.recognises(exchange)
    except Exception:  # noqa: BLE001 - of another plugin
        return False


def _is_at(path: str, endpoint: str) -> bool:
    return path.endswith(endpoint) or f"{endpoint}/" in path


def _by_host(exchange: Exchange) -> str | None:
    vendor = _VENDORS.get(exchange.host.partition(":")[0])
    api = exchange.path.removeprefix("/v1/").partition("/")[0]
    return f"{vendor}.{api}" if vendor and api and api not in _GENERATING else None
