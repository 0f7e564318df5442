"""A span as a value: its name, from when to when it lasts, what is known of it. Knows no SDK and no convention.

Times are Unix times in nanoseconds.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

Value = str | bool | int | float | tuple[str, ...]
"""What an attribute may be."""
Attributes = Mapping[str, Value]


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened at one moment of a span."""

    name: str
    at_ns: int
    attributes: Attributes


@dataclass(frozen=True, slots=True)
class Points:
    """Values for one histogram, all with the same attributes."""

    instrument: str
    values: tuple[float, ...]
    attributes: Attributes


@dataclass(frozen=True, slots=True)
class Span:
    """A span with all that is within it."""

    name: str
    start_ns: int
    end_ns: int
    attributes: Attributes
    client: bool = False
    """A call of another service; else something within this process."""
    error: str = ""
    """A word for why it failed; empty when it did not."""
    events: tuple[Event, ...] = ()
    children: tuple[Span, ...] = ()
    points: tuple[Points, ...] = ()


def known(attributes: Mapping[str, Any]) -> dict[str, Value]:
    """Those that have a value: what is absent, empty or infinite is left out, since backends take it for zero."""
    return {name: value for name, value in attributes.items() if _is_known(value)}


def _is_known(value: Any) -> bool:
    return math.isfinite(value) if isinstance(value, float) else value is not None and value not in ("", ())
