"""Many tests at once, and the same test again: what keeps the error of the whole at α.

A suite that passes only when every test passes needs no correction (an intersection-union test, Berger 1982). A suite
that is red as soon as one test fails does, on the fail side only. And a re-run is one more chance to be wrong.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from pytest_llmperf.statistics.arrays import Floats, as_floats, require_open_unit

if TYPE_CHECKING:
    from collections.abc import Sequence


def holm(p_values: Sequence[float]) -> tuple[float, ...]:
    """Return adjusted p-values that keep the chance of any false rejection at α (Holm 1979), in the order given.

    Raises:
        ValueError: If a p-value is not within [0, 1].
    """
    p, order = _ordered(p_values)
    stepped = np.maximum.accumulate(p[order] * np.arange(p.size, 0, -1))
    return _in_place(stepped, order)


def benjamini_hochberg(p_values: Sequence[float]) -> tuple[float, ...]:
    """Return adjusted p-values that keep the share of false rejections at α (Benjamini & Hochberg 1995), in order.

    Raises:
        ValueError: If a p-value is not within [0, 1].
    """
    p, order = _ordered(p_values)
    stepped = p[order] * (p.size / np.arange(1, p.size + 1))
    return _in_place(np.minimum.accumulate(stepped[::-1])[::-1], order)


def e_holm(log_es: Sequence[float], alpha: float) -> tuple[bool, ...]:
    """Say which of several e-values reject, keeping the chance of any false rejection at α, in the order given.

    From the largest down, reject while E₍ᵢ₎ >= (m - i + 1) / α. Valid at any time and for dependent tests, where
    sequential tests cannot be put through `holm` after the fact.

    Args:
        log_es: ln E, one per test.
        alpha: Family-wise error probability, in (0, 1).
    """
    require_open_unit("alpha", alpha)
    log_e = as_floats(log_es)
    order = np.argsort(-log_e, kind="stable")
    enough = log_e[order] >= np.log(np.arange(log_e.size, 0, -1) / alpha)
    rejected = np.empty(log_e.size, dtype=bool)
    rejected[order] = np.logical_and.accumulate(enough)
    return tuple(rejected.tolist())


def attempt_alpha(alpha: float, attempt: int) -> float:
    """Return α / 2ʲ, the level of the j-th attempt (from 1) at one claim: all attempts together stay below α."""
    require_open_unit("alpha", alpha)
    if attempt < 1:
        raise ValueError(f"attempts count from 1, got {attempt}")
    return math.ldexp(alpha, -attempt)


def suite_alpha(alpha: float, tests: float) -> float:
    """Return α / m, the fail level of each of m tests known before the first call (Bonferroni).

    With a group of k of them judged at once, Holm's steps may go on inside of it: after r rejections the others have
    the group's share, α·k/m, for k - r tests, which is m·(k - r)/k in place of m here.
    """
    require_open_unit("alpha", alpha)
    if tests < 1:
        raise ValueError(f"a suite has at least one test, got {tests}")
    return alpha / tests


def _ordered(p_values: Sequence[float]) -> tuple[Floats, np.ndarray[tuple[int, ...], np.dtype[np.intp]]]:
    p = as_floats(p_values)
    if p.size and not (p.min() >= 0.0 and p.max() <= 1.0):
        raise ValueError(f"p-values must lie between 0 and 1, got {p.min()} to {p.max()}")
    return p, np.argsort(p, kind="stable")


def _in_place(stepped: Floats, order: np.ndarray[tuple[int, ...], np.dtype[np.intp]]) -> tuple[float, ...]:
    adjusted = np.empty(stepped.size)
    adjusted[order] = np.minimum(stepped, 1.0)
    return tuple(adjusted.tolist())
