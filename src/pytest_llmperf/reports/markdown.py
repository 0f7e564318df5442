"""The report as GitHub-flavoured Markdown: for a file, a comment or a step's summary.

A table of claims for each source of numbers, the gravest outcome first, then the metrics in short, then what other
plugins add. Texts come from anywhere: none of them can end a cell, begin markup or become HTML.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from pytest_llmperf.core import wording
from pytest_llmperf.reports.overview import Overview, overviews
from pytest_llmperf.reports.rows import (
    HEADLINE,
    OUTCOMES,
    Document,
    Row,
    Section,
    armed,
    counted,
    headline,
    notes,
    origin,
    sections,
    told,
)

SUMMARY_BYTES = 200_000
"""What a step's summary gets of us: GitHub drops one of more than a mebibyte, and others write to it too."""
_WORDS = {
    "error": "🛑 **error**",
    "failed": "❌ **failed**",
    "inconclusive": "⚠️ **inconclusive**",
    "xfailed": "➖ xfailed",
    "passed": "✅ passed",
}
_ENTITIES = {"&": "&amp;", "<": "&lt;", ">": "&gt;", "$": "&#36;"}
"""`$` would begin a formula."""
_MARKUP = re.compile(r"[\\`*\[\]~|]|(?<![^\W_])_|_(?![^\W_])")
"""What has a meaning inside a line; an underscore within a word has none."""


def render(document: Document, *, most_bytes: int | None = None) -> str:
    """The report as Markdown that ends with a line break.

    Args:
        document: the JSON report.
        most_bytes: in UTF-8. Where that is too little, whole rows are left out, from the least grave on, and a line
            says how many; None leaves out nothing.
    """
    found = sections(document)
    ranked = [(outcome, place, row) for outcome in OUTCOMES for place, row in _having(found, outcome)]
    left = None if most_bytes is None else max(most_bytes - _bytes([*_head(document), *_frame(found)]), 0)
    kept, left = _fitting([(place, _claim(row, with_arm=armed(found[place].rows))) for _, place, row in ranked], left)
    figures, left = _fitting([(place, line) for place, one in enumerate(found) for line in _figures(one)], left)
    closing = [(0, line) for line in (*_remarks(document), *_added(document))]
    closed, left = _fitting(closing, left)
    lines = _head(document)
    for place, section in enumerate(found):
        lines += [*_opening(section), *(line for number, line in kept if number == place), ""]
        if own := [line for number, line in figures if number == place]:
            lines += [*_figures_opening(section), *own, "", "</details>", ""]
    lines += [line for _, line in closed]
    together = [line for one in overviews(document) for line in _overview(one)]
    if left is None or _bytes(together) <= left:
        lines += together
        together = []
    missing, every = len(ranked) - len(kept), sum(len(list(_figures(one))) for one in found) + len(closing)
    if missing or together or len(figures) + len(closed) < every:
        lines += ["", _left_out(missing)]
    return "\n".join(lines).rstrip("\n") + "\n"


def words(text: str) -> str:
    """A text that stays text, in one line."""
    quoted = "".join(_ENTITIES.get(character, character) for character in _MARKUP.sub(r"\\\g<0>", text))
    return "<br>".join(quoted.splitlines())


def code(text: str) -> str:
    """A name in a code span, for the cell of a table."""
    line = " ".join(text.splitlines()).replace("|", "\\|")
    longest = max(map(len, re.findall("`+", line)), default=0)
    fence, space = "`" * (longest + 1), " " if longest else ""
    return f"{fence}{space}{line}{space}{fence}"


def _having(found: Sequence[Section], outcome: str) -> list[tuple[int, Row]]:
    return [(place, row) for place, one in enumerate(found) for row in one.rows if row.outcome == outcome]


def _fitting(lines: Sequence[tuple[int, str]], room: int | None) -> tuple[list[tuple[int, str]], int | None]:
    """The first of these lines, as many as there is room for, and the room that is left."""
    if room is None:
        return list(lines), None
    kept: list[tuple[int, str]] = []
    for line in lines:
        room -= _bytes([line[1]])
        if room < 0:
            return kept, 0
        kept.append(line)
    return kept, room


def _bytes(lines: Sequence[str]) -> int:
    return sum(len(line.encode("utf-8", "backslashreplace")) + 1 for line in lines)


def _head(document: Document) -> list[str]:
    return [f"## llmperf: {counted(document)}", "", words(origin(document)), ""]


def _frame(found: Sequence[Section]) -> list[str]:
    """All that stands around the rows, for its length."""
    around = [line for one in found for line in (*_opening(one), "", *_figures_opening(one), "", "</details>", "")]
    return [*around, _left_out(10**9)]


def _opening(section: Section) -> list[str]:
    names = ["outcome", "test", "claim", *(["arm"] if armed(section.rows) else []), "measured", "n", "ground"]
    rules = ["---:" if name == "n" else "---" for name in names]
    return [f"### {section.label}", "", _line(names), _line(rules)]


def _claim(row: Row, *, with_arm: bool) -> str:
    arm = [words(row.arm)] if with_arm else []
    return _line(
        [
            _WORDS[row.outcome],
            code(row.nodeid),
            words(row.claim),
            *arm,
            words(row.measured),
            str(row.n),
            words(row.ground),
        ]
    )


def _figures_opening(section: Section) -> list[str]:
    names = ["test", "arm", "calls", *(f"{metric} {statistic}" for metric, statistic in HEADLINE)]
    summary = f"<details><summary>Metrics in short: {section.label}</summary>"
    return [summary, "", _line(names), _line(["---", "---", *["---:"] * (len(names) - 2)])]


def _figures(section: Section) -> Iterator[str]:
    for test in section.tests:
        for arm in test["arms"]:
            cells = [words(figure) for figure in headline(arm)]
            yield _line([code(test["nodeid"]), words(arm["name"]), str(arm["calls"]), *cells])


def _remarks(document: Document) -> Iterator[str]:
    for test in document["tests"]:
        for remark in told(test):
            yield f"- {code(test['nodeid'])}: {words(remark)}"
    for note in notes(document):
        yield f"- note: {words(note)}"


def _overview(one: Overview) -> Iterator[str]:
    """One table of the run as a whole; where its rows have headings, they are rows too."""
    yield from ("", f"### {words(one.title)}", "")
    if one.foreword:
        yield from (words(" ".join(one.foreword.split())), "")
    yield _line([words(name) for name in one.columns])
    yield _line(["---", *["---:"] * (len(one.columns) - 1)])
    for group in one.groups:
        if group.title:
            yield _line([f"**{words(group.title)}**", *[""] * (len(one.columns) - 1)])
        for row in group.rows:
            yield _line([words(cell) for cell in row])
    yield ""
    for remark in one.below:
        yield f"- {words(remark)}"


def _added(document: Document) -> Iterator[str]:
    """The sections of other plugins."""
    for section in document.get("sections", ()):
        yield from ("", f"### {words(section['title'])}", "")
        yield from (f"- {words(line)}" for line in section["lines"])


def _left_out(rows: int) -> str:
    what = f"{wording.count(rows, 'claim')} and more" if rows else "some of the metrics and remarks"
    return f"_Cut for its length: {what} left out, the gravest outcomes shown first. The JSON report has all._"


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"
