"""What a request asks for, as far as all protocols say it alike: a model, and whether the answer comes as a stream."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from pytest_llmperf.wire import loose_json
from pytest_llmperf.wire.loose_json import mapping, text


class Asked(NamedTuple):
    """What the request asks for."""

    model: str | None
    streamed: bool


def asked(body: bytes) -> Asked:
    """Read a request's body; what it does not say is None or False."""
    fields = _tail(body) or mapping(loose_json.load(body))
    return Asked(text(fields.get("model")), fields.get("stream") is True)


def _tail(body: bytes) -> Mapping[str, Any]:
    """The request from its last `"model"` on: 600 kB of prompt before it need not be read, which takes milliseconds.

    If what follows a key reads as an object once it has an opening brace, no brace was open before it but the
    document's own: the key is the request's and not one of a tool's schema. Empty when that is not so.
    """
    start = body.rfind(b'"model"')
    fields = mapping(loose_json.load(b"{" + body[start:])) if start > 0 else {}
    return fields if "stream" in fields or b'"stream"' not in body[:start] else {}
