"""Rows of one shape as columns, and back: a hundred calls that say the same are then written once.

A column is `{"all": value}` where every row has the same value, `{"each": [...]}` where they differ, and
`{"of": {...}}` where the values are mappings, which are columns again. A mapping has no key whose value is null.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

Row = dict[str, Any]


def to_columns(rows: Sequence[Row]) -> Row:
    """The columns of rows that have the same keys."""
    return {key: _column([row[key] for row in rows]) for key in (rows[0] if rows else ())}


def from_columns(columns: Row, count: int) -> list[Row]:
    """The *count* rows of these columns.

    Raises:
        ValueError: a column is none, or has another number of rows.
    """
    spread = {key: _values(key, column, count) for key, column in columns.items()}
    return [{key: values[number] for key, values in spread.items()} for number in range(count)]


def _column(values: Sequence[Any]) -> Row:
    if all(value == values[0] for value in values):
        return {"all": values[0]}
    if all(isinstance(value, dict) for value in values):
        keys = sorted({key for value in values for key, item in value.items() if item is not None})
        return {"of": {key: _column([value.get(key) for value in values]) for key in keys}}
    return {"each": list(values)}


def _values(name: str, column: Any, count: int) -> list[Any]:
    match column:
        case {"all": value}:
            return [value] * count
        case {"each": list(values)} if len(values) == count:
            return values
        case {"of": dict(inner)}:
            return [_without_null(row) for row in from_columns(inner, count)]
    raise ValueError(f"{name!r} is no column of {count} rows")


def _without_null(row: Row) -> Row:
    return {key: value for key, value in row.items() if value is not None}
