"""How far two samples are apart, as a reader says it: `18 % faster, 95 % CI 12 to 23 %`.

Less of a time is faster; of anything else it is lower. An end of the interval that does not exist is never shown as a
number.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

from pytest_llmperf.core import wording
from pytest_llmperf.statistics.estimate import Estimate

_TIMES = frozenset({"s", "s/token"})


def relative(ratio: Estimate, unit: str) -> str:
    """A ratio to a reference as a change, `18 % faster, 95 % CI 12 to 23 %`.

    Args:
        ratio: of two values in *unit*; a low end of 0 is none.
        unit: what the values are in.
    """
    low = ratio.low - 1 if ratio.low > 0 else -math.inf
    return _changed(replace(ratio, value=ratio.value - 1, low=low, high=ratio.high - 1), unit, _percent)


def absolute(shift: Estimate, unit: str) -> str:
    """A distance to a reference as a change, `180 ms faster, 95 % CI 120 to 240 ms`."""
    return _changed(shift, unit, lambda size: _amount(size, unit))


def _percent(size: float) -> str:
    return f"{_rounded(size * 100)} %"


def _amount(size: float, unit: str) -> str:
    return f"{_rounded(size * 100)} points" if unit == "share" else wording.quantity(size, unit)


def _rounded(size: float) -> str:
    """Whole numbers from ten on, a decimal below."""
    return f"{size:.0f}" if size >= 9.95 else f"{size:.1f}".removesuffix(".0")


def _changed(change: Estimate, unit: str, shown: Callable[[float], str]) -> str:
    less, more = ("faster", "slower") if unit in _TIMES else ("lower", "higher")

    def told(size: float) -> str:
        return f"{shown(abs(size))} {less if size < 0 else more}"

    value = change.value
    none = shown(abs(value)) == shown(0.0)
    head = "no different" if none else f"infinitely {more if value > 0 else less}" if math.isinf(value) else told(value)
    interval = _interval(change.low, change.high, shown, told, agrees=value * change.low > 0 or none)
    return f"{head}, {wording.percent(change.confidence)} CI {interval}"


def _interval(
    low: float, high: float, shown: Callable[[float], str], told: Callable[[float], str], *, agrees: bool
) -> str:
    """Both ends in words; the direction once, and not at all where the value before it has said it (*agrees*)."""
    if math.isinf(low) and math.isinf(high):
        return "infinite" if low == high else "unbounded"
    if math.isinf(low):
        return f"at {'most' if high > 0 else 'least'} {told(high)}"
    if math.isinf(high):
        return f"at {'least' if low > 0 else 'most'} {told(low)}"
    if low < 0 < high or not agrees:
        return f"{told(low)} to {told(high)}"
    nearer, farther = sorted((abs(low), abs(high)))
    first, last = shown(nearer), shown(farther)
    if first == last:
        return last
    number, _, words = first.partition(" ")
    return f"{number if last.endswith(f' {words}') else first} to {last}"
