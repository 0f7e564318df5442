"""The layout of vcrpy and pytest-recording, which is ours too: YAML or JSON, a list under `interactions`.

With its variants in the wild: a `parsed_body` in place of a `body` that was JSON; a response with `status_code` and
`content`, as vcrpy wrote httpx's before version 6. Our own files add one key to the response.
"""

from __future__ import annotations

from typing import Any

from pytest_llmperf.cassettes import fields
from pytest_llmperf.cassettes.fields import Fields, Unreadable
from pytest_llmperf.cassettes.interaction import Interaction
from pytest_llmperf.cassettes.timeline import KEY, Timing, from_plain

PLACE: tuple[str, ...] = ("interactions",)
_PARSED = "parsed_body"


def layout(entries: list[Any], *, is_json: bool) -> str:
    """The layout's name; with `+parsed_body` when any body is stored so."""
    name = "vcrpy-json" if is_json else "vcrpy-yaml"
    return f"{name}+{_PARSED}" if any(_PARSED in side for entry in entries for side in _sides(entry)) else name


def interaction(number: int, entry: object) -> Interaction:
    """One entry of the list.

    Raises:
        Unreadable: it lacks a part, or a part cannot be read.
    """
    request, response = fields.fields(entry, "request"), fields.fields(entry, "response")
    body = _body(response, "the response")
    timing = _timing(response, len(body))
    return Interaction(
        number=number,
        method=fields.words(request, "method", "the request"),
        uri=fields.uri(request, "uri"),
        request_headers=fields.headers(request.get("headers"), "the request"),
        request_body=_body(request, "the request"),
        status=None if timing and not timing.answered else _status(response),
        response_headers=fields.headers(response.get("headers"), "the response"),
        body=body,
        timing=timing,
    )


def _sides(entry: object) -> list[Fields]:
    sides = entry.values() if isinstance(entry, dict) else ()
    return [side for side in sides if isinstance(side, dict)]


def _body(side: Fields, whose: str) -> bytes:
    if _PARSED in side:
        return fields.written(side[_PARSED], whose)
    return fields.body(side.get("body", side.get("content")), whose)


def _status(response: Fields) -> int | None:
    if "status_code" in response:
        return fields.status(response["status_code"])
    return fields.status(fields.part(fields.fields(response, "status", "the response"), "code", "the status"))


def _timing(response: Fields, size: int) -> Timing | None:
    """The times, which are worth nothing beside a body of another size than the one they are of."""
    if KEY not in response:
        return None
    try:
        timing = from_plain(response[KEY])
    except ValueError as error:
        raise Unreadable(str(error)) from error
    if sum(timing.sizes) != size:
        raise Unreadable(
            f"{KEY}: its chunks are {sum(timing.sizes)} bytes, the body {size}: it was changed after it was recorded. "
            f"Record it again, or take the {KEY!r} out of it to have it untimed"
        )
    return timing
