"""Workflow commands by which GitHub shows a message beside the line of a test.

GitHub shows ten errors and ten warnings of a step; more would only be noise in its log.
"""

from __future__ import annotations

from pytest_llmperf.reports.rows import Document, Row, sections

_SHOWN = 10
_COMMANDS = {"error": "error", "failed": "error", "inconclusive": "warning"}


def commands(document: Document, *, folder: str = "", inconclusive: str = "warning") -> list[str]:
    """One command for each test that did not pass, errors first.

    Args:
        document: the JSON report.
        folder: of the tests' files, as seen from the root of the repository, with a slash at its end.
        inconclusive: the command for a test that is inconclusive; empty for none.
    """
    levels = _COMMANDS | {"inconclusive": inconclusive}
    found = [
        (levels[test["outcome"]], _command(levels[test["outcome"]], test, section.rows, folder))
        for section in sections(document)
        for test in section.tests
        if levels.get(test["outcome"])
    ]
    return [line for level in ("error", "warning") for line in [text for own, text in found if own == level][:_SHOWN]]


def _command(level: str, test: Document, rows: tuple[Row, ...], folder: str) -> str:
    place = test["location"]
    where = [] if place is None else [f"file={_property(folder + place['file'])}", f"line={place['line']}"]
    properties = [*where, f"title={_property(test['nodeid'].rpartition('/')[2])}"]
    blamed = [row for row in rows if row.nodeid == test["nodeid"] and row.outcome == test["outcome"]]
    told = [_told(row, test["source"]) for row in blamed if row.verdict] or [test["error"]]
    return f"::{level} {','.join(properties)}::{_data(chr(10).join(told))}"


def _told(row: Row, source: str) -> str:
    said = "does not hold" if row.outcome == "failed" else "is not decided"
    arm = f" [{row.arm}]" if row.arm else ""
    return f"{row.claim}{arm} {said}: measured {row.measured}, n={row.n}, {source}\n{row.ground}"


def _data(text: str) -> str:
    """A message that cannot end its line, and so not begin a command of its own."""
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    """A value that cannot end itself either."""
    return _data(text).replace(":", "%3A").replace(",", "%2C")
