"""What brings a whole run together, as tables of words that every written report shows alike.

Two kinds there may be: the synthesis, for each source and clock a table with a row for each test and advice below, and
the published figures with what was measured beside them. Both start from the JSON document; figures are worded here and
compared nowhere.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from pytest_llmperf.core import wording
from pytest_llmperf.reports import formatting
from pytest_llmperf.reports.reading import number

_HEADINGS = {
    ("ttft", "p50"): "first token p50",
    ("ttft", "p95"): "first token p95",
    ("e2e", "p50"): "whole answer p50",
    ("e2e", "p95"): "whole answer p95",
    ("output_tps", "p50"): "tokens/s p50",
    ("cost", "mean"): "cost of a call",
    ("cost", "per_mtok"): "of 1M tokens",
}
_SAID_ABOVE = {"tokens/s": " tokens/s", "USD/Mtok": " per million tokens"}
"""By unit, the words that a heading says once for all figures below it."""
_NOTHING = "–"


@dataclass(frozen=True, slots=True)
class Group:
    """Rows under a heading of their own; an empty one for a table that needs none."""

    title: str
    rows: tuple[tuple[str, ...], ...]


@dataclass(frozen=True, slots=True)
class Overview:
    """One table, and what is said around it."""

    name: str
    """Which no other of the document has."""
    title: str
    foreword: str
    columns: tuple[str, ...]
    """Of which the first names a row; the others hold figures."""
    groups: tuple[Group, ...]
    below: tuple[str, ...]


def overviews(document: dict[str, Any]) -> list[Overview]:
    """Those that a document has."""
    synthesis = [document["synthesis"]] if document.get("synthesis") else []
    each = [_synthesis(one, number) for number, one in enumerate((*synthesis, *document.get("more_syntheses", ())), 1)]
    return [*each, *([_beside(document["beside"])] if document.get("beside") else [])]


def _synthesis(found: dict[str, Any], number: int) -> Overview:
    """The table of one source and clock; a document of old does not say which."""
    origin = f" ({found['source']}, {found['clock']} clock)" if "source" in found else ""
    asked = [(figure["metric"], figure["statistic"]) for figure in found["rows"][0]["figures"]] if found["rows"] else []
    rows = [(row["test"], f"{row['calls']:,}", *map(_short, row["figures"])) for row in found["rows"]]
    return Overview(
        name="synthesis" if number == 1 else f"synthesis-{number}",
        title=f"synthesis{origin}",
        foreword="",
        columns=("test", "calls", *(_HEADINGS.get(one, " ".join(one)) for one in asked)),
        groups=(Group("", tuple(rows)),),
        below=(_total(found), *(f"advice: {advice}" for advice in found["advice"])),
    )


def _short(figure: dict[str, Any]) -> str:
    """A figure without the words that its column says."""
    value = number(figure["estimate"])
    if value is None:
        return _NOTHING
    return wording.quantity(value, figure["unit"]).removesuffix(_SAID_ABOVE.get(figure["unit"], " "))


def _total(found: dict[str, Any]) -> str:
    """`10,000 calls: 31 h 2 min one after the other, at least $978.36; 160 calls without a price`."""
    unpriced, untimed = found.get("unpriced", 0), found.get("untimed", 0)
    seconds = _known(found, "seconds", lambda value: f"{wording.span(value)} one after the other")
    usd = _known(found, "usd", lambda value: f"${value:,.2f}")
    parts = ", ".join(filter(None, (seconds, usd)))
    without = [
        *([f"{_many(untimed, 'round')} without a known end"] if untimed and seconds else []),
        *([f"{_many(unpriced, 'call')} without a price"] if unpriced else []),
    ]
    calls = _many(found["calls"], "call")
    return "; ".join([f"{calls}: {parts}" if parts else calls, *without])


def _known(found: dict[str, Any], name: str, told: Callable[[float], str]) -> str:
    """A total, or the part of it that is known; an empty text where nothing is."""
    if found[name] is not None:
        return told(found[name])
    part = found.get(f"{name}_at_least")
    return f"at least {told(part)}" if part else ""


def _many(number: int, noun: str) -> str:
    return f"{number:,} {noun if number == 1 else f'{noun}s'}"


def _beside(found: dict[str, Any]) -> Overview:
    share = wording.percent(found["confidence"])
    return Overview(
        name="beside",
        title=f"beside {found['title']}",
        foreword=found["foreword"],
        columns=("", "published", f"measured ({share} interval)", "n", "published is"),
        groups=tuple(map(_group, found["tables"])),
        below=(*_unmeasured(found["tables"]), *_notes(found["notes"]), *found["remarks"]),
    )


def _group(table: dict[str, Any]) -> Group:
    """The rows of one table; a unit of many letters that all of them have is said above them."""
    (unit, *others) = {row["unit"] for row in table["rows"]} - {""} or {""}
    above = _SAID_ABOVE.get(unit, "") if not others else ""
    title = f"{table['title']},{above}" if above else table["title"]
    return Group(title, tuple(tuple(cell.replace(above, "") for cell in _row(row)) for row in table["rows"]))


def _row(row: dict[str, Any]) -> tuple[str, ...]:
    marks = " ".join(f"[{place}]" for place in row["notes"])
    standing = " ".join(filter(None, (row["standing"], marks)))
    return (row["name"], _published(row), _measured(row), f"{row['n']:,}" if row["n"] else "", standing)


def _published(row: dict[str, Any]) -> str:
    if row["published"] is None:
        return _NOTHING
    least, largest = map(float, row["published"])
    return wording.limit(least, row["unit"]) if least == largest else wording.interval(least, largest, row["unit"])


def _measured(row: dict[str, Any]) -> str:
    estimate, low, high = (number(row[name]) for name in ("estimate", "low", "high"))
    if estimate is None or low is None or high is None:
        return _NOTHING
    value, bounds = wording.quantity(estimate, row["unit"]), wording.interval(low, high, row["unit"])
    return value if bounds == value else formatting.around(value, bounds)


def _unmeasured(tables: Sequence[dict[str, Any]]) -> Iterator[str]:
    """Why rows have no figures."""
    for row in (row for table in tables for row in table["rows"]):
        if row["reason"]:
            yield f"{row['name']}: {row['reason']}"


def _notes(notes: Sequence[str]) -> Iterator[str]:
    for place, note in enumerate(notes, 1):
        yield f"[{place}] {note}"
