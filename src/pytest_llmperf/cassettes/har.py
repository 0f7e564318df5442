"""HTTP Archives, as browsers and Polly.JS write them: JSON, a list under `log` and `entries`.

Bodies were decoded before they were stored, whatever `content-encoding` says. An archive's times are whole
milliseconds of the browser's and know no chunks, so it counts as untimed.
"""

from __future__ import annotations

from typing import Any

from pytest_llmperf.cassettes import fields
from pytest_llmperf.cassettes.fields import Fields, Unreadable
from pytest_llmperf.cassettes.interaction import Headers, Interaction
from pytest_llmperf.wire import loose_json

PLACE: tuple[str, ...] = ("log", "entries")


def layout(entries: list[Any], *, is_json: bool) -> str:
    """The layout's name."""
    return "har"


def interaction(number: int, entry: object) -> Interaction:
    """One entry of the archive.

    Raises:
        Unreadable: it lacks a part, or a part cannot be read.
    """
    request, response = fields.fields(entry, "request"), fields.fields(entry, "response")
    return Interaction(
        number=number,
        method=fields.words(request, "method", "the request"),
        uri=fields.uri(request, "url"),
        request_headers=_headers(request, "the request"),
        request_body=fields.body(loose_json.mapping(request.get("postData")).get("text"), "the request"),
        status=fields.status(fields.part(response, "status", "the response")),
        response_headers=_headers(response, "the response"),
        body=_content(loose_json.mapping(response.get("content"))),
    )


def _headers(side: Fields, whose: str) -> Headers:
    given = side.get("headers") or []
    if not isinstance(given, list):
        raise Unreadable(f"the headers of {whose} are {fields.kind(given)}, not a list")
    pairs = [(fields.words(one, "name", "a header"), one.get("value")) for one in given]
    return tuple(pair for name, value in pairs for pair in fields.headers({name: value}, whose))


def _content(content: Fields) -> bytes:
    text = content.get("text")
    if content.get("encoding") != "base64":
        return fields.body(text, "the response")
    pieces = loose_json.load(text) if isinstance(text, str) and text.startswith("[") else None
    if isinstance(pieces, list):  # Polly.JS: each chunk by itself, as a JSON array
        return b"".join([fields.from_base64(piece, "the response") for piece in pieces])
    return fields.from_base64(text, "the response")
