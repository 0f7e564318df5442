"""Render a JSON report again, in any of the other formats.

What `--llmperf-html`, `--llmperf-markdown` and `--llmperf-csv` write when tests run, this writes from the numbers that
`--llmperf-json` kept.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from pytest_llmperf.core.errors import UsageError

HELP = "render a JSON report as HTML, Markdown or CSV"
_FORMATS = {"html": "one page that opens offline", "markdown": "tables for GitHub", "csv": "a line for each call"}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Say what it takes."""
    parser.add_argument("report", type=Path, metavar="REPORT", help="JSON report of a run")
    for name, what in _FORMATS.items():
        parser.add_argument(f"--{name}", type=Path, metavar="PATH", help=what)


def run(arguments: argparse.Namespace) -> int:
    """Write every format that is asked for.

    Raises:
        UsageError: none is asked for, the report cannot be read, or a file cannot be written.
    """
    from pytest_llmperf.reports import files
    from pytest_llmperf.reports.reading import read

    asked = {name: path for name in _FORMATS if (path := getattr(arguments, name)) is not None}
    if not asked:
        raise UsageError(f"say what to write: {', '.join(f'--{name} PATH' for name in _FORMATS)}")
    document = read(arguments.report)
    for name, path in asked.items():
        files.write(name, document, path, option=f"--{name}")
    return 0
