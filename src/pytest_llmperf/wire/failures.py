"""How a provider, or a proxy before it, says that an attempt failed: one line, whatever shape it came in."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pytest_llmperf.wire.loose_json import mapping, text

_EXCERPT = 200


def bad_status(status: int | None) -> str:
    """`HTTP 500` for a status that is an error, otherwise nothing."""
    return f"HTTP {status}" if status is not None and status >= 400 else ""


def failure(fields: Mapping[str, Any], kind: str, body: str = "") -> str:
    """`error_type: message` of an error's JSON, or what the body of a proxy says beside the status.

    Args:
        fields: the JSON object that came; empty when none did.
        kind: stands in where it names no type.
        body: the text it came as, quoted where it says nothing we know.
    """
    error = fields.get("error")
    detail = mapping(error)
    said = (detail.get("message"), error, fields.get("message"), fields.get("detail"), _excerpt(body))
    message = next(filter(None, map(text, said)), "")
    return f"{text(detail.get('type')) or kind}: {message}".removesuffix(": ")


def _excerpt(body: str) -> str:
    """The beginning of a text, on one line."""
    shown = "".join([letter if letter.isprintable() else " " for letter in body[: 10 * _EXCERPT]])
    return " ".join(shown.split())[:_EXCERPT]
