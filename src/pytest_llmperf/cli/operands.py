"""What a command is given to work on: a JSON report, a session's file, or a baseline by its name, all as sessions."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pytest_llmperf.core.errors import UsageError

if TYPE_CHECKING:
    from pytest_llmperf.baselines.document import Session

STORE = Path(".llmperf")


def add_store(parser: argparse.ArgumentParser) -> None:
    """Let the user say where baselines live."""
    parser.add_argument(
        "--store", type=Path, default=STORE, metavar="DIR", help="where baselines live (default: %(default)s)"
    )


def sessions(operand: str, store: Path) -> tuple[Session, ...]:
    """The sessions that an operand names, oldest first.

    Raises:
        UsageError: it names nothing, or a file that is neither a report nor a session.
        BaselineError: a session's file is damaged or newer than this version.
    """
    from pytest_llmperf.baselines.library import Library

    path, library = Path(operand), Library(store)
    if path.is_file():
        return (_of_file(path),)
    if operand in library.names:
        return library.sessions(operand)
    there_are = ", ".join(library.names) or "none"
    raise UsageError(f"{operand} is no file, and no baseline of {store} either (there: {there_are})")


def _of_file(path: Path) -> Session:
    from pytest_llmperf.baselines import library
    from pytest_llmperf.reports.reading import read

    if is_report(path):
        return _of_report(read(path), path.stem)
    return library.read(path)


def is_report(path: Path) -> bool:
    """By what only a report has; a damaged file is told by whoever reads it as one."""
    try:
        found = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return path.parent.parent.name != "baselines"
    return not (isinstance(found, dict) and "anchor" in found)


def _of_report(document: dict[str, Any], name: str) -> Session:
    from pytest_llmperf.baselines.document import Session
    from pytest_llmperf.core.environment import Environment
    from pytest_llmperf.core.plain import from_plain

    known = {key: value for key, value in document["environment"].items() if key in Environment.__dataclass_fields__}
    return Session(
        started=document["started"],
        version=document["plugin"]["version"],
        environment=from_plain(Environment, known),
        entries=tuple(_entries(document)),
        name=name,
    )


def _entries(document: dict[str, Any]) -> Iterator[Any]:
    from pytest_llmperf.baselines.document import Entry, Subject
    from pytest_llmperf.reports.reading import series_of

    for test in document["tests"]:
        parameters = test.get("parameters")
        for series in series_of(test):
            subject = Subject.of(test["nodeid"], None if parameters is None else tuple(parameters), series.arm)
            if series.judged_rounds:
                yield Entry(subject, series)
