"""Show what cassettes hold: a line for each interaction, as a table or as JSON lines.

Reads the files of this project, vcrpy, pytest-recording, VCR for Ruby, HTTP archives and bare event streams. What
cannot be read is told on standard error, and the other files are shown nevertheless.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict
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
    """Show each file; the status says whether all could be read."""
    from pytest_llmperf.cassettes.reading import read

    show = _print_lines if arguments.json else _print_table
    status = DONE
    for file in arguments.files:
        try:
            cassette = read(file)
        except LLMPerfError as error:
            print(f"llmperf inspect: {error}", file=sys.stderr)
            status = WRONG
        else:
            show(cassette)
    return status


def _print_lines(cassette: Cassette) -> None:
    from pytest_llmperf.cassettes.contents import contents

    for facts in contents(cassette):
        print(json.dumps(asdict(facts)))


def _print_table(cassette: Cassette) -> None:
    from rich.console import Console

    from pytest_llmperf.cassettes.contents import contents

    console = Console(highlight=False, markup=False, emoji=False)
    found = list(contents(cassette))
    columns = _columns(found)
    common = [column for column in ("api", "model") if len({columns[column](facts) for facts in found}) == 1]
    said_once = [columns.pop(column)(found[0]) for column in common]
    console.print(_shown(str(cassette.path)), style="bold", soft_wrap=True)
    console.print(_shown(", ".join([cassette.layout, *said_once])), soft_wrap=True)
    if found:
        console.print(_table(found, columns, console.width))
    console.print(_totals(found), soft_wrap=True)
    console.print()


def _table(found: Iterable[Facts], columns: Mapping[str, Column], width: int) -> Table:
    from rich import box
    from rich.table import Table

    crowded = "model" in columns and width < _WIDE
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 0 if crowded else 1, 0, 0), show_edge=False)
    for column in columns:
        table.add_column(column, justify="left" if column in _WORDY else "right", no_wrap=column not in _WORDY)
    for facts in found:
        cells = {column: _shown(cell(facts)) for column, cell in columns.items()}
        if crowded:
            cells |= {column: _folded(cells[column], _WORDY[column]) for column in _WORDY if column in cells}
        table.add_row(*cells.values(), style="red" if facts.failure else "")
    return table


def _folded(text: str, width: int) -> str:
    """The text in lines of at most that many characters, which end where words do if they can."""
    return "\n".join(re.findall(rf".{{1,{width}}}$|.{{0,{width - 1}}}[-._/]|.{{{width}}}", text))


def _stop(facts: Facts) -> str:
    """Why the answer ended, or the type of its error."""
    return facts.stop_reason or (facts.failure or _ABSENT).partition(":")[0]


def _totals(found: list[Facts]) -> str:
    """One line that sums up a file; tokens that an interaction does not tell are not in it."""
    parts = [wording.count(len(found), "interaction")]
    failed = sum(facts.failure is not None for facts in found)
    parts += [f"{failed} failed"] if failed else []
    for words, name in (
        ("input tokens", "input_tokens"),
        ("output tokens", "output_tokens"),
        ("read from cache", "cache_read_input_tokens"),
        ("written to it", "cache_creation_input_tokens"),
    ):
        total = sum(getattr(facts, name) or 0 for facts in found)
        parts += [f"{total:,} {words}"] if total else []
    return ", ".join([*parts, f"{sum(facts.timed for facts in found)} timed"])


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
        columns |= {"ttft": lambda facts: _seconds(facts.ttft), "e2e": lambda facts: _seconds(facts.e2e)}
    return columns


_WORDY = {"api": 12, "model": 14, "stop": 11}
"""Columns of words, and how wide they are where the terminal is narrow."""
_WIDE = 110


def _seconds(value: float | None) -> str:
    return _ABSENT if value is None else f"{value:.2f} s"


def _shown(text: str) -> str:
    """The text without what could steer a terminal; a cassette may come from anywhere."""
    return "".join([letter if letter.isprintable() else "?" for letter in text])
