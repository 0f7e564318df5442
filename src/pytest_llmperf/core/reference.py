"""Published figures, to stand beside what a run measures: a file of them as values.

The file is TOML: a title, a foreword, notes, and tables of rows. A row says what is measured and what was published of
it, in the metric's base unit (seconds, dollars, shares of one); what its table says counts for all of its rows::

    title = "What our provider promises"

    [notes]
    short = "Promised of short questions only."

    [[tables]]
    title = "First token"
    metric = "ttft"
    where = { streamed = true }
    rows = [
      { name = "chat, p50", test = "test_chat", statistic = "p50", figure = 0.9, notes = ["short"] },
      { name = "all, p95", statistic = "p95", between = [1.5, 2.5] },
      { name = "chat, eu over us", test = "test_chat", where = { region = "eu" }, to = { region = "us" },
        statistic = "p50", figure = 1.2 },
    ]

`test` is a test's name, or the one that its `llmperf` mark gives it; without it all tests are meant. `where` picks arms
by their factors. With `to` the row is a ratio: of these arms over those that differ from them as `to` says.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from pytest_llmperf.core import wording
from pytest_llmperf.core.errors import UsageError
from pytest_llmperf.core.objective import SHARES, TOTALS, quantile_level
from pytest_llmperf.core.series import Factor

STATISTICS = ("mean", "rate", "total", "per_mtok")
"""Statistics that are no quantile. The largest and the smallest are facts of one run, with no interval to be inside."""
_OF_A_TABLE = ("title", "rows")
"""What a table says of itself; all else it says for its rows."""


@dataclass(frozen=True, slots=True)
class Row:
    """One published figure, and what is measured to stand beside it."""

    name: str
    metric: str
    statistic: str
    figure: float | None = None
    """None where nothing was published, or a span was."""
    between: tuple[float, float] | None = None
    test: str = ""
    where: dict[str, Factor] = field(default_factory=dict)
    to: dict[str, Factor] | None = None
    notes: tuple[str, ...] = ()
    """Keys of the reference's notes."""

    @property
    def published(self) -> tuple[float, float] | None:
        """The least and the largest that was published, alike where it is one figure."""
        return self.between or (None if self.figure is None else (self.figure, self.figure))


@dataclass(frozen=True, slots=True)
class Table:
    """Rows under one heading."""

    title: str
    rows: tuple[Row, ...]


@dataclass(frozen=True, slots=True)
class Reference:
    """All that one file says."""

    title: str
    tables: tuple[Table, ...]
    foreword: str = ""
    notes: dict[str, str] = field(default_factory=dict)
    """By key, in the file's order."""


def parse(text: str, source: str) -> Reference:
    """Read a file.

    Args:
        text: its content.
        source: its name, for messages.

    Raises:
        UsageError: it is no TOML, has an unknown or missing key, or a row that cannot mean anything.
    """
    from cattrs import BaseValidationError, transform_error

    from pytest_llmperf.core.plain import from_plain

    try:
        raw = tomllib.loads(text)
        whole = raw | {"tables": [_spread(table) for table in raw["tables"]]}
    except tomllib.TOMLDecodeError as problem:
        raise UsageError(f"{source} is no TOML: {problem}") from None
    except (KeyError, TypeError, AttributeError):
        raise UsageError(f"{source}: it needs tables, each with a title and rows") from None
    try:
        found = from_plain(Reference, whole)
    except BaseValidationError as problem:
        raise UsageError(f"{source}: {'; '.join(transform_error(problem, path='the file'))}") from None
    for table in found.tables:
        for row in table.rows:
            _check(row, found.notes, f"{source}: {table.title}, {row.name}")
    return found


def _spread(table: Mapping[str, Any]) -> dict[str, Any]:
    """A table whose rows say for themselves what it says for all of them."""
    common = {key: value for key, value in table.items() if key not in _OF_A_TABLE}
    rows = [common | row | {"where": {**common.get("where", {}), **row.get("where", {})}} for row in table["rows"]]
    return {"title": table["title"], "rows": rows}


def _check(row: Row, notes: Mapping[str, str], place: str) -> None:
    if quantile_level(row.statistic) is None and row.statistic not in STATISTICS:
        raise UsageError(f"{place}: no statistic {row.statistic!r}; a quantile as p95, {_or(STATISTICS)}")
    if _kind(row.metric) != (row.statistic if row.statistic in ("rate", "total") else ""):
        fitting = _kind(row.metric) or "mean or a quantile as p95"
        raise UsageError(f"{place}: {row.metric} has no {row.statistic}; {fitting}")
    if row.statistic == "per_mtok" and row.metric != "cost":
        raise UsageError(f"{place}: {row.metric} has no per_mtok, which is of cost")
    if row.metric == "goodput":
        raise UsageError(f"{place}: goodput has no value without the limits of a claim")
    if row.to is not None and quantile_level(row.statistic) is None and row.statistic != "mean":
        raise UsageError(f"{place}: a ratio is of a quantile or a mean, not of {row.statistic}")
    if row.figure is not None and row.between is not None:
        raise UsageError(f"{place}: give figure or between, not both")
    if row.between is not None and row.between[0] > row.between[1]:
        raise UsageError(
            f"{place}: between = [{row.between[0]:g}, {row.between[1]:g}] has its ends the wrong way round"
        )
    if unknown := [key for key in row.notes if key not in notes]:
        raise UsageError(f"{place}: there is no note {unknown[0]!r}; notes: {wording.listed(notes) or 'none'}")


def _kind(metric: str) -> str:
    """The one statistic that a metric of the whole series has; empty of any other metric."""
    return "rate" if metric in SHARES else "total" if metric in TOTALS else ""


def _or(words: Sequence[str]) -> str:
    return f"{', '.join(words[:-1])} or {words[-1]}"
