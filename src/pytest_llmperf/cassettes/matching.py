"""Which recording answers a request: an index, asked in constant time however many there are.

By default a request is the same as a recorded one when method, path, query and canonical body are. The host is left out
as long as only one was recorded: what a server on loopback answered is replayed to whoever asks elsewhere. Requests
that are the same are told apart by the round they belong to and, within it, by the retry they are, then taken in the
order they were recorded; so retries and rounds keep their structure when another order comes about.
"""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Callable, Hashable, Iterable, Sequence
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from vcr import matchers
from vcr.matchers import requests_match

from pytest_llmperf.cassettes.timeline import NO_ROUND, Label

Keyer = Callable[[Any], Hashable]


def same_request(one: Any, other: Any) -> bool:
    """The matcher of our own cassettes, as vcrpy knows matchers."""
    return default_key(one) == default_key(other)


def default_key(request: Any) -> Hashable:
    """What two requests share when one recording can answer both."""
    parts = urlsplit(request.uri)
    return (
        request.method,
        parts.path or "/",
        tuple(sorted(parse_qsl(parts.query, keep_blank_values=True))),
        _body(request),
    )


def canonical(body: bytes) -> Hashable:
    """The body without what JSON leaves to taste: the order of keys and the space between them."""
    try:
        return json.dumps(json.loads(body), sort_keys=True, separators=(",", ":"))
    except (ValueError, RecursionError):
        return body


def _bytes(request: Any) -> bytes:
    body = request.body
    if body is None or isinstance(body, bytes | bytearray):
        return bytes(body or b"")
    return body.read() if hasattr(body, "read") else b"".join(body)


def _body(request: Any) -> Hashable:
    return canonical(_bytes(request))


def _json_body(request: Any) -> Hashable:
    """What vcrpy's `body` compares, of JSON; for bodies of other kinds only it can tell."""
    kind = str(request.headers.get("content-type", ""))
    return _body(request) if "application/json" in kind.lower() else None


_KEYERS: dict[Any, Keyer] = {
    same_request: default_key,
    matchers.method: lambda request: request.method,
    matchers.uri: lambda request: request.uri.rstrip("/"),
    matchers.scheme: lambda request: request.scheme,
    matchers.host: lambda request: request.host,
    matchers.port: lambda request: request.port,
    matchers.path: lambda request: request.path or "/",
    matchers.query: lambda request: tuple(request.query),
    matchers.raw_body: _bytes,
    matchers.body: _json_body,
}
"""By the function itself: a matcher that a user registered under the same name is another one."""
_EXACT = frozenset(_KEYERS) - {matchers.uri, matchers.body}
"""Matchers whose key says it all."""


class Shelf:
    """Recordings by what they answer, each to be taken once.

    Args:
        match_on: matchers as vcrpy knows them, which all must agree; those that are not known here are asked one
            recording after the other, among those on which the known ones agree.
    """

    def __init__(self, match_on: Sequence[Any]) -> None:
        self._keyers = [_KEYERS[matcher] for matcher in match_on if matcher in _KEYERS]
        self._asked = [matcher for matcher in match_on if matcher not in _EXACT]
        self._boxes: dict[Hashable, _Box] = {}
        self._requests: dict[int, Any] = {}

    def add(self, number: int, request: Any, label: Label) -> None:
        """Put a recording on the shelf; later ones have greater numbers."""
        self._requests[number] = request
        self._boxes.setdefault(self._key(request), _Box()).add(number, request.host, label, lane(request))

    def take(self, request: Any, label: Label) -> int | None:
        """The number of the recording that answers a request, which is gone then; None when there is none."""
        box = self._boxes.get(self._key(request))
        if box is None:
            return None
        return box.take(request.host, label, lane(request), lambda number: self._agree(request, number))

    def alike(self, request: Any) -> Sequence[int]:
        """The numbers of all recordings that answer a request, taken or not."""
        box = self._boxes.get(self._key(request))
        return [number for number in box.all if self._agree(request, number)] if box else []

    def renew(self) -> None:
        """Put everything back."""
        for box in self._boxes.values():
            box.taken.clear()
            box.renew()

    def _key(self, request: Any) -> Hashable:
        return tuple(keyer(request) for keyer in self._keyers)

    def _agree(self, request: Any, number: int) -> bool:
        return not self._asked or requests_match(request, self._requests[number], self._asked)


class _Box:
    """Recordings of the same request."""

    def __init__(self) -> None:
        self.all: list[int] = []
        self.taken: set[int] = set()
        self._hosts: set[str] = set()
        self._places: list[tuple[str, Label, int]] = []
        self._lanes: dict[tuple[str, Label], dict[int, deque[int]]] = {}
        self._orders: dict[tuple[str, bool | None], deque[int]] = {}

    def add(self, number: int, host: str, label: Label, lane: int) -> None:
        self.all.append(number)
        self._hosts.add(host)
        self._places.append((host, label, lane))
        self._put(number, host, label, lane)

    def renew(self) -> None:
        self._lanes.clear()
        self._orders.clear()
        for number, place in zip(self.all, self._places, strict=True):
            self._put(number, *place)

    def take(self, host: str, label: Label, lane: int, agrees: Callable[[int], bool]) -> int | None:
        """The recording of this round and retry, else of this round; of others only if this round has none at all."""
        if len(self._hosts) == 1:
            (host,) = self._hosts
        own = self._lanes.get((host, label))
        if own is not None:
            queues = [own[lane]] if lane in own else []
            found = self._first(queues, agrees)
            found = self._first(own.values(), agrees) if found is None else found
        else:
            found = self._first(self._elsewhere(host, label), agrees)
        if found is not None:
            self.taken.add(found)
        return found

    def _put(self, number: int, host: str, label: Label, lane: int) -> None:
        self._lanes.setdefault((host, label), {}).setdefault(lane, deque()).append(number)
        self._orders.setdefault((host, _kind(label)), deque()).append(number)

    def _elsewhere(self, host: str, label: Label) -> list[deque[int]]:
        """A judged round is never answered from a warm-up, nor the other way round."""
        kinds = (None, _kind(label)) if label.round is not None else (None, False, True)
        return [self._orders[host, kind] for kind in kinds if (host, kind) in self._orders]

    def _first(self, queues: Iterable[deque[int]], agrees: Callable[[int], bool]) -> int | None:
        """The earliest of them that was not taken, and about which all matchers agree."""
        heads = [number for queue in queues if (number := self._next(queue, agrees)) is not None]
        return min(heads, default=None)

    def _next(self, queue: deque[int], agrees: Callable[[int], bool]) -> int | None:
        while queue and queue[0] in self.taken:
            queue.popleft()
        return next((number for number in queue if number not in self.taken and agrees(number)), None)


def lane(request: Any) -> int:
    """Which retry of its call the SDK says a request is."""
    value = str(request.headers.get("x-stainless-retry-count", "0"))
    return int(value) if value.isdecimal() else 0


def _kind(label: Label) -> bool | None:
    return None if label == NO_ROUND or label.round is None else label.warmup
