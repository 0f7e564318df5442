"""The layout of VCR for Ruby, which Betamax shares: YAML or JSON, a list under `http_interactions`.

Bodies are mappings of an encoding and a `string` or `base64_string`; methods are lower case, in old files symbols.
"""

from __future__ import annotations

from typing import Any

from pytest_llmperf.cassettes import fields
from pytest_llmperf.cassettes.interaction import Interaction

PLACE: tuple[str, ...] = ("http_interactions",)


def layout(entries: list[Any], *, is_json: bool) -> str:
    """The layout's name."""
    return "ruby-vcr"


def interaction(number: int, entry: object) -> Interaction:
    """One entry of the list.

    Raises:
        Unreadable: it lacks a part, or a part cannot be read.
    """
    request, response = fields.fields(entry, "request"), fields.fields(entry, "response")
    return Interaction(
        number=number,
        method=fields.words(request, "method", "the request").removeprefix(":").upper(),
        uri=fields.uri(request, "uri"),
        request_headers=fields.headers(request.get("headers"), "the request"),
        request_body=fields.body(request.get("body"), "the request"),
        status=fields.status(fields.part(fields.fields(response, "status", "the response"), "code", "the status")),
        response_headers=fields.headers(response.get("headers"), "the response"),
        body=fields.body(response.get("body"), "the response"),
    )
