"""Numbers as a reader sees them, with their units.

Milliseconds were meant to stand in marks and reports only. The judge's reasons and the errors at collection hold
numbers too, and two ways to write "2340 ms" would drift apart: so the one way lives here, below both.
"""

from __future__ import annotations

import math
from collections.abc import Iterable

_MILLISECONDS_UP_TO = 10.0
"""Seconds from which a duration reads better in seconds."""


def limit(bound: float, unit: str, *, slack: float = 0.0, direction: str = "<=") -> str:
    """A limit as its author wrote it, with its slack: `2340 ms`, `$0.05175`, `892 ms + 25 %`."""
    return quantity(bound, unit, digits=6) + (f" {'+' if direction == '<=' else '−'} {percent(slack)}" if slack else "")


def quantity(value: float, unit: str, *, digits: int = 0) -> str:
    """A value in its base unit as text, such as `2340 ms`, `12.3 s`, `38.3 tokens/s`, `$0.0517`, `2 %`.

    Args:
        value: in the base unit.
        unit: of the table of metrics; or `change` of a ratio that is told as what was added or lost, `BIC` of a lead
            that is told as a factor of likelihood.
        digits: significant digits at the least; each unit has its own measure of them, three or four.
    """
    if math.isnan(value):
        return "undefined"
    if math.isinf(value):
        return "infinite" if value > 0 else "minus infinite"
    match unit:
        case "s":
            return _duration(value, max(4, digits))
        case "s/token":
            return f"{_digits(value * 1e3, max(3, digits))} ms/token"
        case "USD":
            return f"${_cents(value, max(3, digits))}"
        case "USD/Mtok":
            return f"${_digits(value, max(4, digits))} per million tokens"
        case "share":
            return f"{_digits(value * 100, max(3, digits))} %"
        case "change":
            return f"{'+' if value > 1 else '−' if value < 1 else ''}{_digits(abs(value - 1) * 100, max(3, digits))} %"
        case "BIC":
            return _likelier(value)
        case "":
            return _digits(value, max(4, digits))
        case _:
            return f"{_digits(value, max(4, digits))} {unit}"


def interval(low: float, high: float, unit: str) -> str:
    """An interval as `780 … 940 ms`, or `above 780 ms` where an end does not exist."""
    if math.isinf(low) and math.isinf(high):
        return "infinite" if low == high else "unbounded"
    if math.isinf(high):
        return f"above {quantity(low, unit)}"
    if math.isinf(low):
        return f"below {quantity(high, unit)}"
    first, last = quantity(low, unit), quantity(high, unit)
    if first == last:
        return first
    number, _, words = first.partition(" ")
    return f"{number if last.endswith(f' {words}') else first} … {last}"


def axis(largest: float, unit: str) -> tuple[float, str]:
    """By what values up to *largest* are multiplied for a scale, and its unit: `(1000.0, "ms")`."""
    match unit:
        case "s":
            return (1e3, "ms") if largest < _MILLISECONDS_UP_TO else (1.0, "s")
        case "s/token":
            return 1e3, "ms/token"
        case "share":
            return 100.0, "%"
        case _:
            return 1.0, unit


def percent(share: float) -> str:
    """A share of one as a percentage without needless digits."""
    return f"{_digits(share * 100, 4)} %"


def count(n: int, one: str, many: str | None = None) -> str:
    """A number with its noun: `1 call`, `2 calls`."""
    return f"{n} {one if n == 1 else many or one + 's'}"


def listed(things: Iterable[object]) -> str:
    """`50, 75 and 100`."""
    *first, last = map(str, things)
    return f"{', '.join(first)} and {last}" if first else last


def a(name: str) -> str:
    """A name with its article: `a ttft`, `an e2e`."""
    return f"{'an' if name[:1] in 'aeiou' else 'a'} {name}"


def span(seconds: float) -> str:
    """Elapsed or remaining time for a person who waits: `48 s`, `3 min 20 s`, `2 h 5 min`."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"


def _likelier(lead: float) -> str:
    """A lead in Schwarz's criterion as what it stands for: by which factor one explanation is likelier than another."""
    factor = math.exp(min(abs(lead), 100.0) / 2)
    number = "over 1000" if factor > 1000 else _digits(factor, 2)
    return f"{number} times {'as' if lead >= 0 else 'less'} likely"


def _cents(dollars: float, digits: int) -> str:
    """Significant digits, and both digits of the cents in everyday amounts: `0.0517`, `0.50`, `12.35`, `850`."""
    text = _digits(dollars, digits)
    return f"{dollars:.2f}" if 0.1 <= abs(dollars) < 100 and len(text.partition(".")[2]) < 3 else text


def _duration(seconds: float, digits: int) -> str:
    if abs(seconds) >= _MILLISECONDS_UP_TO:
        return f"{_digits(seconds, digits)} s"
    return f"{_digits(seconds * 1e3, digits)} ms"


def _digits(value: float, digits: int) -> str:
    """At least *digits* significant digits, never an exponent for everyday sizes, no trailing zeros."""
    if value == 0:
        return "0"
    places = max(0, digits - 1 - math.floor(math.log10(abs(value))))
    text = f"{value:.{places}f}"
    return text.rstrip("0").rstrip(".") if "." in text else text
