"""Entry checks: a number or a list of numbers that comes in is what the formulas assume, or the call is refused.

+inf is a legitimate value (a call that never came back); NaN never is, because an absent value is not a number at all.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

Floats: TypeAlias = "np.ndarray[tuple[int, ...], np.dtype[np.float64]]"


def as_floats(values: Sequence[float] | Floats, *, least: int = 0, finite: bool = False) -> Floats:
    """Return ``values`` as a one-dimensional float array.

    Args:
        values: Any flat sequence of numbers, in their own unit.
        least: Fewest values that make sense to the caller.
        finite: Whether ±inf is refused as well.

    Raises:
        ValueError: If the sequence is not flat, is too short, or holds NaN (or ±inf where ``finite``).
    """
    array = np.asarray(values, dtype=np.float64)
    if array.ndim != 1:
        raise ValueError(f"expected a flat sequence of numbers, got {array.ndim} dimensions")
    if array.size < least:
        raise ValueError(f"expected at least {least} value{'s' * (least != 1)}, got {array.size}")
    if np.isnan(array).any():
        raise ValueError("values hold NaN: leave an absent value out and count it as missing")
    if finite and np.isinf(array).any():
        raise ValueError("values hold an infinity, which this statistic cannot take")
    return array


def require_open_unit(name: str, number: float) -> None:
    """Raise ValueError unless 0 < ``number`` < 1, as a level, a confidence or an α must be."""
    if not 0.0 < number < 1.0:
        raise ValueError(f"{name} must lie strictly between 0 and 1, got {number!r}")


def require_share(name: str, number: float) -> None:
    """Raise ValueError unless 0 <= ``number`` <= 1, as a probability must be."""
    if not 0.0 <= number <= 1.0:
        raise ValueError(f"{name} must lie between 0 and 1, got {number!r}")


def require_count(bad: float, n: float) -> None:
    """Raise ValueError unless 0 <= ``bad`` <= ``n`` and both are finite (effective counts may be fractions)."""
    if not (0 <= bad <= n and math.isfinite(n)):
        raise ValueError(f"expected 0 <= bad <= n, got bad={bad!r} and n={n!r}")


def complement(share: float) -> float:
    """Return 1 - ``share`` to 12 decimals: 1 - 0.95 is 0.05 in decimal but not in binary arithmetic."""
    return round(1.0 - share, 12)
