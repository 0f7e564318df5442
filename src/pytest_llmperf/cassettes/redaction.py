"""What must never reach the disk, taken out while recording. Knows bytes, headers and addresses, and no cassette.

Left out always: the values of headers that carry credentials or name an organisation, user and password of an address,
query parameters that carry keys, and, wherever they turn up again (an echo in an answer, the text of an error), the
values of the request's own credentials. Left out on request: headers, query parameters and JSON fields by name. Names
are compared whole: `max_tokens` and the counts of tokens are no tokens.
"""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple
from urllib.parse import quote, unquote_plus, urlsplit, urlunsplit

from pytest_llmperf.capture import redaction
from pytest_llmperf.capture.redaction import REDACTED, SECRET_HEADERS

_LEAST_SECRET = 8
"""Characters; a shorter value would be found in ordinary words."""
_NO_CREDENTIAL = frozenset({"anthropic-organization-id", "anthropic-workspace-id", "openai-organization"})
_STRING = re.compile(rb'"(?:[^"\\]|\\.)*+"?', re.DOTALL)
_BARE = re.compile(rb"[^\s,}\]]*")
_NESTING = re.compile(rb'"(?:[^"\\]|\\.)*+"?|[\[{]|[\]}]', re.DOTALL)


@dataclass(frozen=True, slots=True)
class Rules:
    """Names a project wants left out beside the usual ones. Those of headers and parameters in lower case."""

    headers: frozenset[str] = frozenset()
    parameters: frozenset[str] = frozenset()
    fields: frozenset[str] = frozenset()
    """Of JSON objects, at any depth, in requests and answers."""


NONE = Rules()


class Edit(NamedTuple):
    """Bytes from `start` to before `end` become others."""

    start: int
    end: int
    data: bytes


def rules(headers: Iterable[str] = (), parameters: Iterable[str] = (), fields: Iterable[str] = ()) -> Rules:
    """The rules for names as a user writes them."""
    return Rules(
        frozenset(name.lower() for name in headers), frozenset(name.lower() for name in parameters), frozenset(fields)
    )


def secrets_of(headers: Iterable[tuple[str, str]], rules: Rules) -> frozenset[bytes]:
    """The values of a request's credentials, to be looked for elsewhere; `Bearer` and its like are none of them."""
    found: set[bytes] = set()
    for name, value in headers:
        if name.lower() in (SECRET_HEADERS - _NO_CREDENTIAL) | rules.headers:
            found |= {part.encode() for part in (value, value.rpartition(" ")[2]) if len(part) >= _LEAST_SECRET}
    return frozenset(found - {REDACTED.encode()})


def clean_headers(
    headers: Iterable[tuple[str, str]], rules: Rules, secrets: frozenset[bytes] = frozenset()
) -> list[tuple[str, str]]:
    """The headers with every value that must not be kept replaced."""
    kept = SECRET_HEADERS | rules.headers
    return [(name, REDACTED if name.lower() in kept else clean_text(value, secrets)) for name, value in headers]


def clean_url(url: str, rules: Rules, secrets: frozenset[bytes] = frozenset()) -> str:
    """The address without credentials and without the values of the parameters that are to be left out."""
    return _without_parameters(clean_text(redaction.clean_url(url), secrets), rules)


def clean_text(text: str, secrets: frozenset[bytes]) -> str:
    """The text without the values of credentials."""
    for secret in sorted(secrets, key=len, reverse=True):  # a scheme goes with its key, whatever the order of a set
        text = text.replace(secret.decode(), REDACTED)
    return text


def clean_body(body: bytes, rules: Rules, secrets: frozenset[bytes] = frozenset()) -> bytes:
    """The body without what must not be kept."""
    return edited(body, edits(body, rules, secrets))


def edits(body: bytes, rules: Rules, secrets: frozenset[bytes] = frozenset()) -> list[Edit]:
    """What is to be changed in a body, in order and apart from each other. Of JSON, or of events that carry JSON."""
    found = sorted([*_fields(body, rules.fields), *_echoes(body, secrets)])
    apart: list[Edit] = []
    for edit in found:
        if not apart or edit.start >= apart[-1].end:
            apart.append(edit)
    return apart


def edited(body: bytes, changes: Sequence[Edit]) -> bytes:
    """The body with the changes made."""
    if not changes:
        return body
    parts, at = list[bytes](), 0
    for change in changes:
        parts += [body[at : change.start], change.data]
        at = change.end
    return b"".join([*parts, body[at:]])


def fitted(sizes: Sequence[int], changes: Sequence[Edit]) -> tuple[int, ...]:
    """The sizes of a body's chunks once the changes are made: a change that spans chunks goes to the last of them."""
    ends, shift, waiting = list[int](), 0, iter(changes)
    change = next(waiting, None)
    for end in itertools.accumulate(sizes):
        while change is not None and change.end <= end:
            shift += len(change.data) - (change.end - change.start)
            change = next(waiting, None)
        inside = change is not None and change.start < end
        ends.append((change.start if change is not None and inside else end) + shift)
    return tuple(later - sooner for sooner, later in itertools.pairwise([0, *ends]))


def _without_parameters(url: str, rules: Rules) -> str:
    parts = urlsplit(url)
    if not parts.query or not rules.parameters:
        return url
    kept = [
        f"{name}={quote(REDACTED)}"
        if equals and unquote_plus(name).lower() in rules.parameters
        else f"{name}{equals}{value}"
        for name, equals, value in (part.partition("=") for part in parts.query.split("&"))
    ]
    return urlunsplit(parts._replace(query="&".join(kept)))


def _fields(body: bytes, names: frozenset[str]) -> Iterator[Edit]:
    if not names:
        return
    at, replacement = 0, json.dumps(REDACTED).encode()
    while (found := _named(names).search(body, at)) is not None:
        at = _value_end(body, found.end())
        yield Edit(found.end(), at, replacement)


@lru_cache(maxsize=64)
def _named(names: frozenset[str]) -> re.Pattern[bytes]:
    """A field of one of these names up to its value, in either way JSON writes letters beyond ASCII."""
    written = {json.dumps(name, ensure_ascii=plain) for name in names for plain in (True, False)}
    return re.compile(rb"(?<!\\)(?:" + b"|".join(re.escape(name.encode()) for name in sorted(written)) + rb")\s*:\s*")


def _value_end(body: bytes, start: int) -> int:
    """Where the JSON value that begins at *start* ends; a value that was cut ends with the body."""
    if body[start : start + 1] not in (b"{", b"["):
        found = _STRING.match(body, start) or _BARE.match(body, start)
        return found.end() if found else start
    depth = 0
    for token in _NESTING.finditer(body, start):
        depth += {b"{": 1, b"[": 1, b"}": -1, b"]": -1}.get(token[0], 0)
        if depth == 0:
            return token.end()
    return len(body)


def _echoes(body: bytes, secrets: frozenset[bytes]) -> Iterator[Edit]:
    for secret in secrets:
        for found in re.finditer(re.escape(secret), body):
            yield Edit(found.start(), found.end(), REDACTED.encode())
