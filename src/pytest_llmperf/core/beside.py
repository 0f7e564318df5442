"""What a run measured beside what was published of it, row by row.

A row pools the series it is about (arms of one test, or of several), and has its interval from the judge, like any
claim: the published figure is *inside* it, or *outside*; towards an open end it is *not settled*. Nothing passes or
fails by it: at 95 % confidence one row in twenty is outside by chance. Numbers of different sources or clocks are never
pooled.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from pytest_llmperf.core.claims import Contrast
from pytest_llmperf.core.contrast import judge_contrast
from pytest_llmperf.core.errors import UsageError
from pytest_llmperf.core.judge import judge
from pytest_llmperf.core.objective import Objective
from pytest_llmperf.core.overview import (
    INSIDE,
    OUTSIDE,
    UNMEASURED,
    UNPUBLISHED,
    UNSETTLED,
    Beside,
    BesideRow,
    BesideTable,
)
from pytest_llmperf.core.pools import Pools
from pytest_llmperf.core.reference import Reference, Row, Table
from pytest_llmperf.core.series import Series
from pytest_llmperf.core.verdict import Verdict

CONFIDENCE = 0.95


def beside(every: Sequence[Series], reference: Reference) -> Beside:
    """Put what was measured beside what was published.

    Args:
        every: the series of a run, of all tests and arms.
        reference: what was published.
    """
    used = [key for table in reference.tables for row in table.rows for key in row.notes]
    numbers = {key: number for number, key in enumerate(dict.fromkeys(used), 1)}
    pools = Pools(every)
    return Beside(
        title=reference.title,
        foreword=reference.foreword,
        confidence=CONFIDENCE,
        tables=tuple(_table(table, pools, numbers) for table in reference.tables),
        notes=tuple(reference.notes[key] for key in numbers),
        remarks=tuple(text for key, text in reference.notes.items() if key not in numbers),
    )


def _table(table: Table, pools: Pools, numbers: dict[str, int]) -> BesideTable:
    return BesideTable(table.title, tuple(_row(row, pools, numbers) for row in table.rows))


def _row(row: Row, pools: Pools, numbers: dict[str, int]) -> BesideRow:
    published, notes = row.published, tuple(numbers[key] for key in row.notes)
    try:
        found = _measured(row, pools)
        reason = found.reason if found.estimate is None else ""
    except UsageError as problem:
        found, reason = None, str(problem)
    if found is None or found.estimate is None:
        unit = _asked(row).base_unit() if row.to is None else ""
        return BesideRow(
            row.name, row.metric, row.statistic, unit, published, None, None, None, 0, UNMEASURED, reason, notes
        )
    return BesideRow(
        name=row.name,
        metric=row.metric,
        statistic=row.statistic,
        unit=found.unit,
        published=published,
        estimate=found.estimate,
        low=found.low,
        high=found.high,
        n=found.n - found.missing,
        standing=_standing(published, found),
        notes=notes,
    )


def _measured(row: Row, pools: Pools) -> Verdict:
    """The judge's answer; its outcome is of no interest, for nothing is claimed.

    Raises:
        UsageError: nothing was measured that it could be had from.
    """
    own = pools.of(row.test, row.where)
    if row.to is None:
        return judge(own, _asked(row))
    other = pools.of(row.test, row.where | row.to)
    return judge_contrast(own, other, Contrast(row.metric, row.statistic, "these", "those", "ratio", "<=", 1.0))


def _asked(row: Row) -> Objective:
    return Objective(row.metric, row.statistic, "<=", row.published[1] if row.published else 1.0, CONFIDENCE)


def _standing(published: tuple[float, float] | None, found: Verdict) -> str:
    if published is None:
        return UNPUBLISHED
    least, largest = published
    assert found.low is not None
    assert found.high is not None
    if found.low > largest or least > found.high:
        return OUTSIDE
    # Where the interval has no end, any figure at all would lie inside it.
    assert found.estimate is not None
    beyond = (least > found.estimate and math.isinf(found.high)) or (largest < found.estimate and math.isinf(found.low))
    return UNSETTLED if beyond else INSIDE
