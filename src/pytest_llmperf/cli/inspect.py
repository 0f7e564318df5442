"""Show what cassettes hold: a line for each interaction, as a table or as JSON lines.

Reads the files of this project, vcrpy, pytest-recording, VCR for Ruby, HTTP archives and bare event streams. What
cannot be read is told on standard error, and the other files are shown nevertheless.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING

from pytest_llmperf.cli.status import DONE, WRONG
from pytest_llmperf.core import wording
from pytest_llmperf.core.errors import LLMPerfError

if TYPE_CHECKING:
    from rich.table import Table

    from pytest_llmperf.cassettes.contents import Facts
    from pytest_llmperf.cassettes.interaction import Cassette

HELP = "show what cassettes hold"
_ABSENT = "-"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Say what it takes."""
    parser.add_argument("files", nargs="+", type=Path, metavar="FILE", help="a file of recorded traffic")
    parser.add_argument("--json", action="store_true", help="JSON lines, one for each interaction")


def run(arguments: argparse.Namespace) -> int:
    """Show each file; the status says whether all of them, and all that is in them, could be read."""
    status = DONE
    for file in arguments.files:
        for trouble in _inspected(file, _print_lines if arguments.json else _print_table):
            print(f"llmperf inspect: {_shown(trouble)}", file=sys.stderr)
            status = WRONG
    return status


def _inspected(file: Path, show: Callable[[Cassette, list[Facts]], None]) -> Iterator[str]:
    """Show a file; gives what of it cannot be read."""
    from pytest_llmperf.cassettes.contents import contents
    from pytest_llmperf.cassettes.reading import read

    try:
        cassette = read(file)
    except LLMPerfError as error:
        yield str(error)
        return
    found = list(contents(cassette))
    show(cassette, found)
    for facts in found:
        if facts.unread:
            yield f"{file}: interaction {facts.index + 1} of {len(found)}: {facts.unread}"


def _print_lines(_cassette: Cassette, found: list[Facts]) -> None:
    for facts in found:
        print(json.dumps({field.name: getattr(facts, field.name) for field in fields(facts)}))


def _print_table(cassette: Cassette, found: list[Facts]) -> None:
    from rich.console import Console

    console = Console(highlight=False, markup=False, emoji=False)
    columns = _columns(found)
    common = {"api": _one(map(columns["api"], found)), "model": _common_model(found)}
    for column in [column for column, words in common.items() if words]:
        del columns[column]
    console.print(_shown(str(cassette.path)), style="bold", soft_wrap=True)
    console.print(_shown(", ".join(filter(None, [cassette.layout, *common.values()]))), soft_wrap=True)
    if found:
        console.print(_table(found, columns, console.width))
    console.print(_totals(found))
    console.print()


def _common_model(found: Iterable[Facts]) -> str:
    """The model of all interactions; of a failed one only the name that was asked for is known, perhaps an alias."""
    asked, answered = {facts.request_model for facts in found}, {facts.response_model for facts in found} - {None}
    asked_for, answering = _one(asked), _one(answered)
    if len(asked) > 1 or len(answered) > 1:
        return ""
    alias = asked_for and answering not in ("", asked_for)
    return f"{answering} (asked for: {asked_for})" if alias else asked_for or answering


def _one(values: Iterable[str | None]) -> str:
    """The value that all of them are; empty when they differ or there are none."""
    different = set(values)
    return (different.pop() or "") if len(different) == 1 else ""


def _table(found: Iterable[Facts], columns: Mapping[str, Column], width: int) -> Table:
    from rich import box
    from rich.table import Table

    rows = [[_shown(cell(facts)) for cell in columns.values()] for facts in found]
    widths = [max(map(len, column)) for column in zip(columns, *rows, strict=True)]
    crowded = sum(widths) + _GAP * (len(widths) - 1) > width
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 0 if crowded else 1, 0, 0), show_edge=False)
    for column in columns:
        words = column in _WORDY
        table.add_column(column, justify="left" if words else "right", no_wrap=not words, overflow="fold")
    folds = [_WORDY.get(column) if crowded else None for column in columns]
    for facts, row in zip(found, rows, strict=True):
        cells = [_folded(cell, fold) if fold else cell for cell, fold in zip(row, folds, strict=True)]
        table.add_row(*cells, style="red" if facts.failure else "")
    return table


def _folded(text: str, width: int) -> str:
    """The text in lines of at most that many characters, which end where words do if they can."""
    return "\n".join(re.findall(rf".{{1,{width}}}$|.{{0,{width - 1}}}[-._/]|.{{{width}}}", text))


def _stop(facts: Facts) -> str:
    """Why the answer ended, or the type of its error."""
    return facts.stop_reason or (facts.failure or _ABSENT).partition(":")[0]


def _totals(found: list[Facts]) -> str:
    """One line that sums up a file; tokens that an interaction does not tell are not in it."""
    failed = sum(facts.failure is not None for facts in found)
    timed = sum(facts.timed for facts in found)
    tokens = {
        "in": sum(facts.input_tokens or 0 for facts in found),
        "out": sum(facts.output_tokens or 0 for facts in found),
        "read": sum(facts.cache_read_input_tokens or 0 for facts in found),
        "written": sum(facts.cache_creation_input_tokens or 0 for facts in found),
    }
    shown = ", ".join([f"{count:,} {name}" for name, count in tokens.items() if count])
    words = [wording.count(len(found), "interaction"), *([f"{failed} failed"] if failed else []), f"{timed} timed"]
    return ", ".join(words) + (f"; tokens: {shown}" if shown else "")


def _number(value: int | None) -> str:
    return _ABSENT if value is None else str(value)


def _yes(value: bool) -> str:  # noqa: FBT001 — the value that is put into words
    return "yes" if value else "no"


Column = Callable[["Facts"], str]
"""What a column shows of an interaction."""


def _columns(found: Iterable[Facts]) -> dict[str, Column]:
    """The columns by their headings: tokens that went in and out, and those read from the cache and written to it."""
    columns: dict[str, Column] = {
        "#": lambda facts: str(facts.index + 1),
        "api": lambda facts: facts.api or f"{facts.host}{facts.path}",
        "model": lambda facts: facts.response_model or facts.request_model or _ABSENT,
        "status": lambda facts: _number(facts.status),
        "stream": lambda facts: _yes(facts.stream),
        "in": lambda facts: _number(facts.input_tokens),
        "out": lambda facts: _number(facts.output_tokens),
        "read": lambda facts: _number(facts.cache_read_input_tokens),
        "written": lambda facts: _number(facts.cache_creation_input_tokens),
        "stop": _stop,
        "timed": lambda facts: _yes(facts.timed),
    }
    if any(facts.timed for facts in found):
        columns |= {"ttft s": lambda facts: _seconds(facts.ttft), "e2e s": lambda facts: _seconds(facts.e2e)}
    return columns


_WORDY = {"api": 12, "model": 14, "stop": 11}
"""Columns of words, and how wide they are where the terminal is too narrow for them."""
_GAP = 2


def _seconds(value: float | None) -> str:
    return _ABSENT if value is None else f"{value:.2f}"


def _shown(text: str) -> str:
    """The text without what could steer a terminal; a cassette may come from anywhere."""
    return "".join([letter if letter.isprintable() else "?" for letter in text])
