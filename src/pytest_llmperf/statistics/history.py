"""Change points in a history of one number per run, without assuming a distribution or forgetting the search.

The largest rank-sum statistic over all splits is compared with what it becomes when the runs are shuffled, so the
p-value accounts for having looked everywhere. Splits are then sought within the parts, at half the level per depth. A
change in the last runs is for the session test in `sessions`: a few runs at the end are too few to split off.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from pytest_llmperf.statistics.arrays import Floats, as_floats, require_open_unit
from pytest_llmperf.statistics.dependence import is_flagged, lag1, midranks, unbiased

if TYPE_CHECKING:
    from collections.abc import Sequence

ALPHA = 0.01
LEAST_SIDE = 4
LEAST_CHANGE = 0.05
PERMUTATIONS = 999
BLOCK = 4
LEAST_FOR_BLOCKS = 40


@dataclass(frozen=True, slots=True)
class Change:
    """A lasting change in a history.

    Attributes:
        index: The first run after the change, counted from 0.
        before: Median of the part before it, within the segment it was found in.
        after: Median of the part after it, within that segment.
        p_value: Chance of so strong a split anywhere in the segment without a change.
        dependent: Whether neighbouring runs resemble each other beyond the changes. Blocks of four runs were then
            shuffled in a history of 40 runs or more; in a shorter one the p-value is too small.
    """

    index: int
    before: float
    after: float
    p_value: float
    dependent: bool

    @property
    def ratio(self) -> float:
        """Median after over median before."""
        return self.after / self.before


def scan_statistic(values: Sequence[float], least_side: int = LEAST_SIDE) -> tuple[float, int]:
    """Return the largest |rank-sum z| over all splits with ``least_side`` runs on each side, and where it splits.

    z = (R - E R) / √Var R of the ranks left of the split, with midranks and their permutation variance under ties.

    Returns:
        (z, k): the split leaves k runs on the left. (0, 0) when the history is too short or all values tie.
    """
    array = as_floats(values)
    if array.size < 2 * least_side or array.min(initial=math.inf) == array.max(initial=-math.inf):
        return 0.0, 0
    z = _split_z(midranks(array)[None, :], least_side)[0]
    best = int(z.argmax())
    return float(z[best]), best + least_side


def find_changes(
    values: Sequence[float],
    *,
    alpha: float = ALPHA,
    least_side: int = LEAST_SIDE,
    least_change: float = LEAST_CHANGE,
    permutations: int = PERMUTATIONS,
    seed: int = 0,
) -> tuple[Change, ...]:
    """Find the lasting changes in a history by binary segmentation, in the order of the runs.

    Args:
        values: One positive number per run, oldest first.
        alpha: Level of the first split; halved per depth.
        least_side: Fewest runs on either side of a change.
        least_change: Smallest relative distance of the medians worth reporting: 0.05 is 5 %, either way.
        permutations: Shuffles behind a p-value, which is at least 1 / (permutations + 1).
        seed: Seed of the shuffles; the same history gives the same answer.

    Raises:
        ValueError: If a value is not positive or ``alpha`` is out of range.
    """
    require_open_unit("alpha", alpha)
    array = as_floats(values)
    if array.size and not array.min() > 0.0:
        raise ValueError(f"a history of positive numbers is expected, got {array.min()}")
    changes = _segmented(array, alpha, least_side, 1, permutations, seed)
    dependent = bool(changes) and _is_dependent(array, [change.index for change in changes])
    if dependent and array.size >= LEAST_FOR_BLOCKS:
        changes = _segmented(array, alpha, least_side, BLOCK, permutations, seed)
    least = math.log1p(least_change) * (1 - 1e-9)
    return tuple(replace(c, dependent=dependent) for c in changes if abs(math.log(c.ratio)) >= least)


def _segmented(array: Floats, alpha: float, least_side: int, block: int, permutations: int, seed: int) -> list[Change]:
    """Split where the scan is significant, then within the parts at half the level."""
    rng = np.random.default_rng(seed)
    found: list[Change] = []
    segments = [(0, array.size, alpha)]
    while segments:
        start, end, level = segments.pop()
        z, split = scan_statistic(array[start:end].tolist(), least_side)
        if split == 0:
            continue
        shuffled = _shuffled(midranks(array[start:end]), block, permutations, rng)
        reached = int((_split_z(shuffled, least_side).max(axis=1) >= z * (1 - 1e-12)).sum())
        p_value, index = (1 + reached) / (permutations + 1), start + split
        if p_value <= level:
            before, after = float(np.median(array[start:index])), float(np.median(array[index:end]))
            found.append(Change(index, before, after, p_value, dependent=False))
            segments += [(start, index, level / 2.0), (index, end, level / 2.0)]
    return sorted(found, key=lambda change: change.index)


def _is_dependent(array: Floats, splits: list[int]) -> bool:
    """Return whether neighbours resemble each other within the parts, by the ranks each run has in its own part."""
    within = np.concatenate([(midranks(part) - 0.5) / part.size for part in np.split(array, splits)])
    return is_flagged(unbiased(lag1(within.tolist()), array.size), array.size)


def _split_z(ranks: Floats, least_side: int) -> Floats:
    """Return |z| of every allowed split, one row per series of ranks."""
    n = ranks.shape[1]
    left = np.arange(least_side, n - least_side + 1)
    variance = left * (n - left) / (n * (n - 1.0)) * ((ranks[0] - ranks[0].mean()) ** 2).sum()
    sums = np.cumsum(ranks, axis=1)[:, left - 1]
    return np.asarray(np.abs(sums - left * (n + 1) / 2.0) / np.sqrt(variance), dtype=np.float64)


def _shuffled(ranks: Floats, block: int, times: int, rng: np.random.Generator) -> Floats:
    """Return shuffled copies, one per row; blocks of neighbours stay together, from a random first block on."""
    if block == 1:
        return rng.permuted(np.tile(ranks, (times, 1)), axis=1)
    rows = []
    for _ in range(times):
        turned = np.roll(ranks, int(rng.integers(ranks.size)))
        pieces = np.array_split(turned, math.ceil(ranks.size / block))
        rows.append(np.concatenate([pieces[i] for i in rng.permutation(len(pieces))]))
    return np.array(rows)
