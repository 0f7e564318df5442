"""Parts of a parsed recording as typed values: headers, bodies, statuses, in the forms that recorders write them.

Strict where a guess would falsify the traffic: what has another type than it may have is `Unreadable`, with the reason
in words and no place, which whoever walks the file adds.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import urlsplit

from pytest_llmperf.cassettes.interaction import Headers

Fields = Mapping[str, Any]

_KINDS: dict[type, str] = {
    dict: "a mapping",
    list: "a list",
    tuple: "a list",
    str: "text",
    bytes: "binary",
    bool: "true or false",
    int: "a number",
    float: "a number",
    type(None): "empty",
}


class Unreadable(Exception):
    """A part is missing or has a type it cannot have; the text says which."""


def kind(value: object) -> str:
    """What a value is, in words."""
    return _KINDS.get(type(value), type(value).__name__)


def part(entry: object, key: str, whose: str = "the interaction") -> Any:
    """A part that must be there.

    Raises:
        Unreadable: it is not, or there can be none.
    """
    if not isinstance(entry, dict):
        raise Unreadable(f"{whose} is {kind(entry)}, not a mapping")
    if key not in entry:
        raise Unreadable(f"{whose} has no {key!r}")
    return entry[key]


def fields(entry: object, key: str, whose: str = "the interaction") -> Fields:
    """A part that must be a mapping."""
    value = part(entry, key, whose)
    if not isinstance(value, dict):
        raise Unreadable(f"{key!r} of {whose} is {kind(value)}, not a mapping")
    return value


def words(entry: object, key: str, whose: str) -> str:
    """A part that must be text."""
    value = part(entry, key, whose)
    if not isinstance(value, str):
        raise Unreadable(f"{key!r} of {whose} is {kind(value)}, not text")
    return value


def uri(request: Fields, key: str) -> str:
    """The address of a request."""
    address = words(request, key, "the request")
    try:
        urlsplit(address)
    except ValueError as error:
        raise Unreadable(f"{key!r} of the request is no URL: {error}") from error
    return address


def status(value: object) -> int | None:
    """A status code, which some recorders write as text; None for 0, by which they say that no answer came."""
    if isinstance(value, str) and value.isdecimal():
        value = int(value)
    if not isinstance(value, int) or isinstance(value, bool):
        raise Unreadable(f"the status is {kind(value)}, not a number")
    return value or None


def headers(value: object, whose: str) -> Headers:
    """Names with one value or a list of them; names become lower case."""
    if value is None:
        return ()
    if not isinstance(value, dict):
        raise Unreadable(f"the headers of {whose} are {kind(value)}, not a mapping")
    return tuple(
        (_name(name, whose), _value(one, whose))
        for name, given in value.items()
        for one in (given if isinstance(given, list | tuple) else (given,))
    )


def body(value: object, whose: str) -> bytes:
    """A body as bytes: text, binary, a list of either, or a mapping that holds one as `string` or `base64_string`."""
    if isinstance(value, dict):
        if "base64_string" in value:
            return from_base64(value["base64_string"], whose)
        if "string" not in value and value:
            raise Unreadable(f"the body of {whose} is a mapping with neither 'string' nor 'base64_string'")
        value = value.get("string")
    return b"".join(_pieces(value, whose))


def from_base64(value: object, whose: str) -> bytes:
    """A body that was written in base64; line breaks in it mean nothing."""
    try:
        return base64.b64decode("".join(value.split()) if isinstance(value, str) else b"".join(_pieces(value, whose)))
    except (binascii.Error, ValueError) as error:
        raise Unreadable(f"the body of {whose} is no base64: {error}") from error


def written(value: object, whose: str) -> bytes:
    """A body that was stored as the value its JSON means, written as JSON again."""
    try:
        return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "surrogatepass")
    except (TypeError, ValueError, RecursionError) as error:
        raise Unreadable(f"the parsed body of {whose} is no JSON: {error}") from error


def _pieces(value: object, whose: str) -> Iterator[bytes]:
    if isinstance(value, str):
        yield value.encode("utf-8", "surrogatepass")
    elif isinstance(value, bytes):
        yield value
    elif isinstance(value, list | tuple):
        for one in value:
            yield from _pieces(one, whose)
    elif value is not None:
        raise Unreadable(f"the body of {whose} is {kind(value)}, neither text nor binary")


def _name(name: object, whose: str) -> str:
    if not isinstance(name, str | bytes):
        raise Unreadable(f"a header's name of {whose} is {kind(name)}, not text")
    return _decoded(name).lower()


def _value(value: object, whose: str) -> str:
    if isinstance(value, str | bytes):
        return _decoded(value)
    if isinstance(value, dict | list | tuple):
        raise Unreadable(f"a header's value of {whose} is {kind(value)}, not text")
    return "" if value is None else str(value)


def _decoded(value: str | bytes) -> str:
    return value.decode("latin-1") if isinstance(value, bytes) else value
