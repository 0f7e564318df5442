"""The formats a report is written in, by the name that options and commands give them.

A renderer is imported when its format is asked for.
"""

from __future__ import annotations

from pathlib import Path

from pytest_llmperf.core.errors import UsageError
from pytest_llmperf.reports.output import put
from pytest_llmperf.reports.rows import Document

FORMATS = {"json": "JSON report", "markdown": "Markdown report", "html": "HTML report", "csv": "CSV file"}
"""Name of a format, and what a file of it is called."""


def write(name: str, document: Document, path: Path, *, option: str) -> None:
    """Render a report and write it whole or not at all.

    Args:
        name: a key of `FORMATS`.
        document: the JSON report.
        path: where to.
        option: whose value the path is, for messages.

    Raises:
        UsageError: it cannot be rendered here, or not be written there.
    """
    put(rendered(name, document), path, option=option, what=FORMATS[name])


def rendered(name: str, document: Document) -> str:
    """A report as text in one of the formats.

    Raises:
        UsageError: it cannot be rendered here.
    """
    if name == "json":
        from pytest_llmperf.reports import json_file

        return json_file.text(document)
    if name == "markdown":
        from pytest_llmperf.reports import markdown

        return markdown.render(document)
    if name == "csv":
        from pytest_llmperf.reports import csv_file

        return csv_file.render(document)
    from pytest_llmperf.reports import html_file

    return html_file.render(document)


def append_summary(document: Document, path: Path) -> None:
    """Add the report to the summary of a CI step, cut to what such a summary may hold.

    Raises:
        UsageError: the file cannot be written.
    """
    from pytest_llmperf.reports import markdown

    try:
        with path.open("a", encoding="utf-8", errors="backslashreplace") as summary:
            summary.write(markdown.render(document, most_bytes=markdown.SUMMARY_BYTES))
    except OSError as error:
        raise UsageError(f"the step's summary could not be written to {path}: {error.strerror or error}") from error
