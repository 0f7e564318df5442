"""The words of a miss: what was asked, what comes nearest to it on the cassette, where they differ, what to do."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

from pytest_llmperf.cassettes.cassette import TimedCassette
from pytest_llmperf.cassettes.errors import CassetteMiss, miss
from pytest_llmperf.cassettes.matching import canonical
from pytest_llmperf.cassettes.timeline import Label

_MOST_COMPARED = 200
"""Recorded requests that are compared: each costs about as much as reading its body."""
_MOST_SHOWN = 3
_SHOWN_CHARACTERS = 60
_ABSENT = object()


def miss_of(request: Any, label: Label, cassette: TimedCassette, remedy: str) -> CassetteMiss:
    """The exception for a request that the cassette does not answer.

    Args:
        request: filtered.
        label: of the round that asked.
        cassette: that was asked.
        remedy: what records anew; empty where nobody knows.
    """
    rows = {"file": str(cassette.path)} | ({"next": remedy} if remedy else {})
    where = "" if label.round is None else f" (in {_round(label)})"
    asked = f"{request.method} {urlsplit(request.uri).path}{where}"
    if not len(cassette):
        headline = f"the cassette holds nothing, so it has no answer to {asked}"
    elif number := cassette.alike(request):
        headline = f"the cassette has no further answer to {asked}"
        rows = {"recorded": _how_often(number, label)} | rows
    else:
        headline = f"the cassette has no answer to {asked}"
        rows = _nearest(request, cassette) | rows
    text = "\n".join([headline, *(f"  {name:<10}{words}" for name, words in rows.items())])
    return miss(text, cassette, request)


def _round(label: Label) -> str:
    arm = f" of arm {label.arm}" if label.arm else ""
    assert label.round is not None
    return f"warm-up round {label.round}{arm}" if label.warmup else f"judged round {label.round + 1}{arm}"


def _how_often(number: int, label: Label) -> str:
    times = "once" if number == 1 else f"{number} times"
    of_round = "" if label.round is None else "; each round is answered from its own recordings"
    return f"this request was recorded {times}, and no recording is played twice{of_round}"


def _nearest(request: Any, cassette: TimedCassette) -> dict[str, str]:
    """The recorded request with the fewest differences, the first of several."""
    told: dict[Any, tuple[int, list[str]]] = {}
    for number, (recorded, _) in enumerate(cassette.data, start=1):
        key = (recorded.method, recorded.uri, recorded.body if isinstance(recorded.body, bytes) else None)
        if key not in told:
            told[key] = (number, list(differences(request, recorded, hosts=cassette.tells_hosts_apart)))
        if len(told) >= _MOST_COMPARED:
            break
    number, found = min(told.values(), key=lambda one: len(one[1]))
    more = f" (and {len(found) - _MOST_SHOWN} more)" if len(found) > _MOST_SHOWN else ""
    shown = "; ".join(found[:_MOST_SHOWN]) or "something that only the matchers of the cassette see"
    return {"nearest": f"interaction {number} of {len(cassette)}", "differs": shown + more}


def differences(request: Any, recorded: Any, *, hosts: bool = True) -> Iterator[str]:
    """Where two requests differ, in words: `messages[0].content: 'Hello' here, 'Hi' recorded`.

    Args:
        request: that was made.
        recorded: that was recorded.
        hosts: compare hosts and ports as well.
    """
    here, there = urlsplit(request.uri), urlsplit(recorded.uri)
    yield from _told("method", request.method, recorded.method)
    if hosts:
        yield from _told("host", here.netloc, there.netloc)
    yield from _told("path", here.path or "/", there.path or "/")
    yield from _told("query", here.query, there.query)
    yield from _of_bodies(request, recorded)


def _of_bodies(request: Any, recorded: Any) -> Iterator[str]:
    bodies = [one.body if isinstance(one.body, bytes) else b"" for one in (request, recorded)]
    if canonical(bodies[0]) == canonical(bodies[1]):
        return
    try:
        leaves = [dict(_leaves(json.loads(body), "")) for body in bodies]
    except (ValueError, RecursionError):
        yield f"body: {len(bodies[0])} bytes here, {len(bodies[1])} recorded"
        return
    for name in dict.fromkeys([*leaves[0], *leaves[1]]):
        yield from _told(name, leaves[0].get(name, _ABSENT), leaves[1].get(name, _ABSENT))


def _told(name: str, here: Any, there: Any) -> Iterator[str]:
    if here != there:
        yield f"{name}: {_shown(here)} here, {_shown(there)} recorded"


def _shown(value: Any) -> str:
    if value is _ABSENT:
        return "nothing"
    text = repr(value)
    return text if len(text) <= _SHOWN_CHARACTERS else f"{text[: _SHOWN_CHARACTERS - 1]}…"


def _leaves(value: Any, name: str) -> Iterator[tuple[str, Any]]:
    if isinstance(value, dict) and value:
        for key, inner in value.items():
            yield from _leaves(inner, f"{name}.{key}" if name else key)
    elif isinstance(value, list) and value:
        for number, inner in enumerate(value):
            yield from _leaves(inner, f"{name}[{number}]")
    else:
        yield name or "body", value
