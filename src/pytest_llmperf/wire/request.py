"""What a request asks for, as far as all protocols say it alike: a model, a stream or not, and the limits it sets."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, NamedTuple

from pytest_llmperf.wire import loose_json
from pytest_llmperf.wire.loose_json import count, mapping, text

_MOST_TOKENS = ("max_tokens", "max_completion_tokens", "max_output_tokens")
"""How the protocols call it."""
_IN_FRONT = re.compile(rb'\s*\{\s*"max_tokens"\s*:\s*(\d{1,9})\s*,')
"""Where Anthropic's SDK writes it: before the prompt, which is not read for it."""


class Asked(NamedTuple):
    """What the request asks for."""

    model: str | None
    streamed: bool
    max_tokens: int | None = None
    temperature: float | None = None


def asked(body: bytes) -> Asked:
    """Read a request's body; what it does not say, or says before a long prompt, is None or False."""
    fields = _tail(body) or mapping(loose_json.load(body))
    model, streamed = text(fields.get("model")), fields.get("stream") is True
    return Asked(model, streamed, _most_tokens(fields, body), _temperature(fields.get("temperature")))


def _most_tokens(fields: Mapping[str, Any], body: bytes) -> int | None:
    said = next((fields[name] for name in _MOST_TOKENS if name in fields), None)
    if said is None and (found := _IN_FRONT.match(body)):
        return int(found[1])
    return count(said)


def _temperature(said: Any) -> float | None:
    number = isinstance(said, int | float) and not isinstance(said, bool)
    return float(said) if number and 0 <= said <= 100 else None


def _tail(body: bytes) -> Mapping[str, Any]:
    """The request from its last `"model"` on: 600 kB of prompt before it need not be read, which takes milliseconds.

    If what follows a key reads as an object once it has an opening brace, no brace was open before it but the
    document's own: the key is the request's and not one of a tool's schema. Empty when that is not so.
    """
    start = body.rfind(b'"model"')
    fields = mapping(loose_json.load(b"{" + body[start:])) if start > 0 else {}
    return fields if "stream" in fields or b'"stream"' not in body[:start] else {}
