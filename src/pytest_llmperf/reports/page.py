"""How the terminal's summary is laid out: columns where they fit, stacked lines where they do not.

Knows widths, colours and encodings, and nothing of what the words mean. Text is folded and never cut: a number that is
not seen cannot be read. The only module that uses rich, which it imports when a page is begun.
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from rich.text import Text

OUTCOMES = {
    "error": ("ERROR", "bold red"),
    "failed": ("FAILED", "bold red"),
    "inconclusive": ("INCONCLUSIVE", "bold yellow"),
    "xfailed": ("xfailed", "yellow"),
    "passed": ("passed", "green"),
}
"""The word and the style of an outcome, the gravest first."""
_GAP = 2
_INDENT = 2
_LEAST_WIDTH = 40
"""Columns a page is laid out for even where the terminal has fewer."""
_READABLE = 100
"""Widest line of prose, in columns."""
_NARROWEST = 60
"""Columns that prose must have left before it is set below its claim and not at the margin."""
_NAME = 18
"""Columns that the names of a table of figures should have, before the gaps between its columns are narrowed."""
_GLUE = "\ue000"
"""Stands for a blank at which no line ends, until lines are folded."""
_TOGETHER = re.compile(
    r"(?<=\d) (?=of \d|m?s\b|min\b|%|ms/token|tokens/s)|(?<=\d of) (?=\d)"
    r"|(?<=\bat) (?=(?:least|most) \d)|(?<=at least) (?=\d)|(?<=at most) (?=\d)"
)
"""A number and its unit, or two numbers that mean something together only."""
_PLAIN = {"…": "...", "−": "-", "–": "-", "×": "x", "Σ": "sum of", "─": "-"}
"""What stands for the characters we write, where the terminal lacks them."""


_COLUMNS = ("claim", "arm", "measured", "n", "outcome")
_JUSTIFY: dict[str, Literal["left", "right"]] = {"n": "right"}


@dataclass(frozen=True, slots=True)
class Line:
    """A line of prose below a row or a test."""

    words: str
    style: str = ""


@dataclass(frozen=True, slots=True)
class Row:
    """One claim in the table."""

    arm: str
    claim: str
    measured: str
    n: str
    outcome: str
    """A key of `OUTCOMES`."""
    below: tuple[Line, ...] = ()


@dataclass(frozen=True, slots=True)
class Block:
    """The rows of one test, and what is said of the test as a whole."""

    name: str
    rows: tuple[Row, ...]
    below: tuple[Line, ...] = ()


class Page:
    """Collects what is written, top down, as text for a terminal of some width, with or without colour."""

    def __init__(self, width: int, *, color: bool, encoding: str) -> None:
        from rich.console import Console

        self._file = io.StringIO()
        self._width = max(width, _LEAST_WIDTH)
        self._encoding = encoding
        self._plain = not _can_write("".join(_PLAIN), encoding)
        self._console = Console(
            file=self._file,
            width=self._width,
            height=100,  # with a height given too, rich does not ask the environment
            force_terminal=color,
            force_jupyter=False,
            no_color=not color,
            color_system="standard" if color else None,
            legacy_windows=False,
        )

    def text(self) -> str:
        """All that was written, without blanks at the ends of lines."""
        return "\n".join(line.rstrip() for line in self._file.getvalue().replace(_GLUE, " ").split("\n"))

    def heading(self, words: str) -> None:
        """A line across the page, in pytest's manner."""
        self._print(f" {words} ".center(self._width, "="), "bold", 0, self._width)

    def prose(self, words: str, style: str = "", indent: int = 0) -> None:
        """A paragraph, folded at a readable width."""
        self._print(words, style, indent, min(self._width, indent + _READABLE))

    def terms(self, pairs: Sequence[tuple[str, str]]) -> None:
        """Names and what they mean, side by side."""
        widest = max(len(name) for name, _ in pairs)
        left = min(self._width - _INDENT - widest - _GAP, _READABLE)
        for name, meaning in pairs:
            self._cells([_Cell(name, widest, "dim"), _Cell(meaning, left, "dim")], _INDENT)

    def table(self, blocks: Sequence[Block], headings: Row) -> None:
        """The widest of three forms that fits: test beside its claims, test above them, figures below the claims."""
        rows = [headings, *(row for block in blocks for row in block.rows)]
        armed = any(row.arm for block in blocks for row in block.rows)
        columns = [name for name in _COLUMNS if armed or name != "arm"]
        widths = {name: max(self._length(word) for word in _words(rows, name)) for name in columns}
        beside = max(self._length(name) for name in ("test", *(block.name for block in blocks)))
        needed = sum(widths.values()) + _GAP * (len(widths) - 1)
        if beside + _GAP + needed <= self._width:
            self._columns(blocks, headings, widths, beside)
        elif _INDENT + needed <= self._width:
            self._columns(blocks, headings, widths, 0)
        else:
            self._stacked(blocks)

    def sheet(self, columns: Sequence[str], groups: Sequence[tuple[str, Sequence[Sequence[str]]]]) -> None:
        """A table of figures in groups, each with a line above it.

        Where the page is narrow, names are folded first, then get lines of their own; last, figures are told in a row.
        """
        rows = [row for _, own in groups for row in own]
        widths = self._widths(columns, rows, whole=True)
        if _INDENT + sum(widths) + _GAP * (len(widths) - 1) > self._width:
            widths = self._widths(columns, rows, whole=False)
        left = self._width - _INDENT - sum(widths[1:])
        gap = _GAP if left - _GAP * (len(widths) - 1) >= min(widths[0], _NAME) else 1
        longest_word = max((self._length(word) for row in rows for word in row[0].split()), default=0)
        room = left - gap * (len(widths) - 1)
        fits, numbers_fit = longest_word <= room, room > 0
        widths[0] = max(min(widths[0], room), 1)
        if numbers_fit:
            self._lines_of_figures([columns if fits else ["", *columns[1:]]], widths, gap, "dim")
        for title, own in groups:
            if title:
                self.prose(title, "bold", _INDENT)
            if fits:
                self._lines_of_figures(own, widths, gap, "")
            for name, *cells in () if fits else own:
                self.prose(name, indent=_INDENT)
                if numbers_fit:
                    self._lines_of_figures([["", *cells]], widths, gap, "")
                else:
                    told = [f"{heading} {cell}" for heading, cell in zip(columns[1:], cells, strict=True) if cell]
                    self.prose(", ".join(told), indent=2 * _INDENT)

    def _widths(self, columns: Sequence[str], rows: Sequence[Sequence[str]], *, whole: bool) -> list[int]:
        """Of the columns of a table of figures, with headings on one line or folded between words."""
        return [
            max(
                map(self._length, (*([heading] if whole else heading.split()), *(row[place] for row in rows))),
                default=0,
            )
            for place, heading in enumerate(columns)
        ]

    def _lines_of_figures(self, rows: Sequence[Sequence[str]], widths: Sequence[int], gap: int, style: str) -> None:
        from rich.padding import Padding
        from rich.table import Table

        grid = Table.grid(padding=(0, gap, 0, 0))
        for place, width in enumerate(widths):
            grid.add_column(width=width, justify="right" if place else "left", overflow="fold", vertical="bottom")
        for row in rows:
            grid.add_row(*(self._styled(words, style) for words in row))
        self._console.print(Padding(grid, (0, 0, 0, _INDENT)))

    def _columns(self, blocks: Sequence[Block], headings: Row, widths: dict[str, int], beside: int) -> None:
        """A row for each claim; *beside* is the width of the column of tests, 0 when tests stand on their own lines."""
        indent = beside + _GAP if beside else _INDENT
        self._row(headings, widths, "test" if beside else "", beside)
        self._print("─" * (indent + sum(widths.values()) + _GAP * (len(widths) - 1)), "dim", 0, self._width)
        below = indent if indent + _NARROWEST <= self._width else _INDENT
        for block in blocks:
            if not beside:
                self.prose(block.name, "bold")
            for number, row in enumerate(block.rows):
                self._row(row, widths, "" if number else block.name, beside)
                self._lines(row.below, below + _INDENT)
            self._lines(block.below, below)

    def _row(self, row: Row, widths: dict[str, int], test: str, beside: int) -> None:
        word, style = OUTCOMES.get(row.outcome, (row.outcome, ""))
        cells = [
            _Cell(getattr(row, name), width, _weight(row) if name == "claim" else "", _JUSTIFY.get(name, "left"))
            for name, width in widths.items()
        ]
        cells[-1] = _Cell(word, cells[-1].width, style)
        self._cells([_Cell(test, beside), *cells] if beside else cells, 0 if beside else _INDENT)

    def _stacked(self, blocks: Sequence[Block]) -> None:
        """For narrow terminals: claim and outcome on one line, the figures below."""
        widest = max(len(word) for word, _ in OUTCOMES.values())
        for block in blocks:
            self.prose(block.name, "bold")
            for row in block.rows:
                claim = f"{row.claim} [{row.arm}]" if row.arm else row.claim
                word, style = OUTCOMES[row.outcome]
                left = self._width - _INDENT - _GAP - widest
                self._cells([_Cell(claim, left, _weight(row)), _Cell(word, widest, style)], _INDENT)
                self.prose(", ".join(filter(None, [row.measured, f"n={row.n}"])), indent=2 * _INDENT)
                self._lines(row.below, 2 * _INDENT)
            self._lines(block.below, _INDENT)

    def _lines(self, lines: Iterable[Line], indent: int) -> None:
        for line in lines:
            self.prose(line.words, line.style, indent)

    def _cells(self, cells: Sequence[_Cell], indent: int) -> None:
        """One line of a table; a cell that is too long for its column is folded."""
        from rich.padding import Padding
        from rich.table import Table
        from rich.text import Text

        if all(self._length(cell.words) <= cell.width for cell in cells):
            joined = Text(" " * _GAP).join(self._filled(cell) for cell in cells)
            self._console.print(joined if not indent else Text(" " * indent) + joined)
            return
        line = Table.grid(padding=(0, _GAP, 0, 0))
        for cell in cells:
            line.add_column(width=cell.width, justify=cell.justify, overflow="fold")
        line.add_row(*(self._styled(cell.words, cell.style) for cell in cells))
        self._console.print(Padding(line, (0, 0, 0, indent)))

    def _print(self, words: str, style: str, indent: int, width: int) -> None:
        from rich.padding import Padding

        self._console.print(Padding(self._styled(words, style), (0, 0, 0, indent)), width=width)

    def _filled(self, cell: _Cell) -> Text:
        """A cell that fits, with its blanks: far quicker than a table of one line."""
        text, blanks = self._styled(cell.words, cell.style), cell.width - self._length(cell.words)
        if cell.justify == "right":
            text.pad_left(blanks)
        else:
            text.pad_right(blanks)
        return text

    def _styled(self, words: str, style: str) -> Text:
        from rich.text import Text

        return Text(_TOGETHER.sub(_GLUE, self._writable(words)), style, overflow="fold")

    def _length(self, words: str) -> int:
        from rich.cells import cell_len

        return cell_len(self._writable(words))

    def _writable(self, words: str) -> str:
        """The same for this terminal: in its encoding, and without characters that would steer it."""
        if words.isascii() and words.isprintable():
            return words
        words = "".join(character if character.isprintable() or character == "\n" else "?" for character in words)
        if self._plain:
            words = "".join(_PLAIN.get(character, character) for character in words)
        return words.encode(self._encoding, "backslashreplace").decode(self._encoding)


@dataclass(frozen=True, slots=True)
class _Cell:
    words: str
    width: int
    style: str = ""
    justify: Literal["left", "right"] = "left"


def _weight(row: Row) -> str:
    """What asks for attention stands out from its first word on."""
    return "bold" if row.outcome in ("error", "failed", "inconclusive") else ""


def _words(rows: Iterable[Row], column: str) -> list[str]:
    """What stands in a column; of outcomes the words that are shown for them."""
    words = [getattr(row, column) for row in rows]
    return [OUTCOMES[word][0] if word in OUTCOMES else word for word in words] if column == "outcome" else words


def _can_write(characters: str, encoding: str) -> bool:
    try:
        characters.encode(encoding)
    except UnicodeEncodeError:
        return False
    return True
