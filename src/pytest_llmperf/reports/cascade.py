"""The stages of one call, from the moments of its attempts: what it spent its time on, one after the other."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

_DURATIONS = (("queue", "wait for a connection"), ("connect", "TCP connect"), ("tls", "TLS"))
_MOMENTS = (
    ("sent", "sending"),
    ("headers", "wait for headers"),
    ("first", "wait for the first content"),
    ("last", "content"),
    ("ended", "end of the answer"),
)
_COLORS = {name: place for place, (_, name) in enumerate((*_DURATIONS, *_MOMENTS))}


@dataclass(frozen=True, slots=True)
class Bar:
    """One stage of one attempt."""

    attempt: str
    """Whose it is, in words."""
    stage: str
    start: float
    """Seconds after the call began."""
    seconds: float
    color: int
    """The same number for the same stage everywhere."""


def bars(waterfall: dict[str, Any], arm: str = "") -> list[Bar]:
    """The stages in order, of every attempt; a stage that was not seen or took no time has no bar."""
    attempts = waterfall["attempts"]
    found = []
    for place, attempt in enumerate(attempts, 1):
        answer = attempt["status"] or "no answer"
        name = f"attempt {place} ({answer})" if len(attempts) > 1 else f"round {waterfall['round']} ({answer})"
        label = f"{arm}: {name}" if arm else name
        own = [Bar(label, stage, start, end - start, _COLORS[stage]) for stage, start, end in _stages(attempt)]
        found += own or [Bar(label, "sending", attempt["started"], 0.0, _COLORS["sending"])]
    return found


def _stages(attempt: dict[str, Any]) -> Iterator[tuple[str, float, float]]:
    at = attempt["started"]
    for key, stage in _DURATIONS:
        if attempt[key]:
            yield stage, at, at + attempt[key]
            at += attempt[key]
    for key, stage in _MOMENTS:
        moment = attempt[key]
        if moment is not None and moment > at:
            yield stage, at, moment
            at = moment
