"""Numbers as a reader sees them, with their units.

Milliseconds were meant to stand in marks and reports only. The judge's reasons and the errors at collection hold
numbers too, and two ways to write "2340 ms" would drift apart: so the one way lives here, below both.
"""

from __future__ import annotations

import math

_MILLISECONDS_UP_TO = 10.0
"""Seconds from which a duration reads better in seconds."""


def quantity(value: float, unit: str) -> str:
    """A value in its base unit as text, such as `2340 ms`, `12.3 s`, `38.3 tokens/s`, `$0.0517`, `2 %`."""
    if math.isnan(value):
        return "undefined"
    if math.isinf(value):
        return "infinite" if value > 0 else "minus infinite"
    match unit:
        case "s":
            return _duration(value)
        case "s/token":
            return f"{_digits(value * 1e3, 3)} ms/token"
        case "USD":
            return f"${_cents(value)}"
        case "USD/Mtok":
            return f"${_digits(value, 4)} per million tokens"
        case "share":
            return f"{_digits(value * 100, 3)} %"
        case "":
            return _digits(value, 4)
        case _:
            return f"{_digits(value, 4)} {unit}"


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


def percent(share: float) -> str:
    """A share of one as a percentage without needless digits."""
    return f"{_digits(share * 100, 4)} %"


def count(n: int, one: str, many: str | None = None) -> str:
    """A number with its noun: `1 call`, `2 calls`."""
    return f"{n} {one if n == 1 else many or one + 's'}"


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


def _cents(dollars: float) -> str:
    """Three significant digits, and both digits of the cents in everyday amounts: `0.0517`, `0.50`, `12.35`, `850`."""
    text = _digits(dollars, 3)
    return f"{dollars:.2f}" if 0.1 <= abs(dollars) < 100 and len(text.partition(".")[2]) != 3 else text


def _duration(seconds: float) -> str:
    if abs(seconds) >= _MILLISECONDS_UP_TO:
        return f"{_digits(seconds, 4)} s"
    return f"{_digits(seconds * 1e3, 4)} ms"


def _digits(value: float, digits: int) -> str:
    """At least *digits* significant digits, never an exponent for everyday sizes, no trailing zeros."""
    if value == 0:
        return "0"
    places = max(0, digits - 1 - math.floor(math.log10(abs(value))))
    text = f"{value:.{places}f}"
    return text.rstrip("0").rstrip(".") if "." in text else text
