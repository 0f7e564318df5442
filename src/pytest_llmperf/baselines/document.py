"""What the file of one accepted session holds, as a value and as text.

A session is all that one run measured, with the environment it was made in. The text is JSON with sorted keys, a line
for each fact, calls in columns: small, and the same for the same session, so that it can be committed. The gaps between
the events of a call are left out: they are most of the numbers, and no claim compares them.

History of the schema:

1   The first.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from typing import Any

from pytest_llmperf.baselines.columns import from_columns, to_columns
from pytest_llmperf.baselines.errors import BaselineError
from pytest_llmperf.core.environment import Environment
from pytest_llmperf.core.plain import from_plain, laid_out, tidied, to_plain
from pytest_llmperf.core.series import Series

SCHEMA = 1
GAPS = "a baseline does not keep the gaps between events"
"""Why a stored call has no `event_gap`."""


@dataclass(frozen=True, slots=True)
class Subject:
    """Which test and arm a series is of, whatever the order of its parameters and whichever machine it ran on."""

    file: str
    """Relative to the root directory, with `/` between its parts."""
    test: str
    """Class and function, `TestGreeting::test_short`."""
    parameters: tuple[str, ...] = ()
    """`name=id`, in alphabetical order."""
    arm: str = ""

    @classmethod
    def of(cls, nodeid: str, parameters: tuple[str, ...] | None = None, arm: str = "") -> Subject:
        """The subject of a test by its node id; without *parameters* what stands in its brackets is the one."""
        file, _, rest = nodeid.partition("::")
        test, bracket, ids = rest.partition("[")
        if parameters is None:
            parameters = (ids.removesuffix("]"),) if bracket else ()
        return cls(file, test, tuple(sorted(parameters)), arm)

    @property
    def label(self) -> str:
        """As a reader knows it, nearly a node id."""
        parameters = f"[{', '.join(self.parameters)}]" if self.parameters else ""
        return f"{self.file}::{self.test}{parameters}" + (f" ({self.arm})" if self.arm else "")


@dataclass(frozen=True, slots=True)
class Entry:
    """What one test, in one arm, showed."""

    subject: Subject
    series: Series


@dataclass(frozen=True, slots=True)
class Session:
    """What one run showed, accepted as a reference."""

    started: str
    """ISO 8601, with its offset from UTC."""
    version: str
    """Of this package."""
    environment: Environment
    entries: tuple[Entry, ...]
    anchor: bool = False
    """Whether it begins anew: its tests are held against no session before it."""
    name: str = field(default="", compare=False)
    """Of its file, without the ending."""

    @property
    def key(self) -> dict[str, str]:
        """What it is kept apart by from other sessions of its baseline, by name; empty as a rule."""
        return self.environment.baseline_key

    def series_of(self, subject: Subject) -> Series | None:
        """What a test showed in this session; None where it was not run."""
        return next((entry.series for entry in self.entries if entry.subject == subject), None)


def to_text(session: Session) -> str:
    """The content of the session's file."""
    entries = sorted(session.entries, key=lambda entry: (entry.subject.label, entry.subject.arm))
    plain = {
        "schema": SCHEMA,
        "started": session.started,
        "version": session.version,
        "anchor": session.anchor,
        "environment": to_plain(session.environment),
        "tests": [{"subject": to_plain(entry.subject), "series": _packed(entry.series)} for entry in entries],
    }
    return laid_out(_sorted(tidied(plain))) + "\n"


def from_text(text: str, where: str) -> Session:
    """The session a file holds.

    Args:
        text: its content.
        where: the file, as a message names it.

    Raises:
        BaselineError: the text is damaged, or of a newer schema.
    """
    damaged = f"{where} is damaged"
    restore = "restore it (from version control, say) or delete it; it was left as it is"
    try:
        plain = json.loads(text)
        schema = plain["schema"]
    except (ValueError, KeyError, TypeError) as error:
        raise BaselineError(f"{damaged}: it is no session of a baseline ({_told(error)}); {restore}") from error
    if not isinstance(schema, int) or schema > SCHEMA:
        raise BaselineError(
            f"{where} has schema {schema}, and this version reads up to {SCHEMA}: upgrade pytest-llmperf; "
            "the file was left as it is"
        )
    try:
        return _session(plain)
    except Exception as error:  # whatever is wrong with it, cattrs tells it in classes of its own
        raise BaselineError(f"{damaged}: {_told(error)}; {restore}") from error


def _session(plain: dict[str, Any]) -> Session:
    return Session(
        started=str(plain["started"]),
        version=str(plain["version"]),
        environment=from_plain(Environment, plain["environment"]),
        entries=tuple(
            Entry(from_plain(Subject, test["subject"]), from_plain(Series, _unpacked(test["series"])))
            for test in plain["tests"]
        ),
        anchor=bool(plain["anchor"]),
    )


def _packed(series: Series) -> dict[str, Any]:
    without = replace(series, measurements=tuple(replace(call, event_gaps=()) for call in series.measurements))
    plain: dict[str, Any] = to_plain(without)
    for call in plain["measurements"]:
        call["absent"].setdefault("event_gap", GAPS)
    for name in ("rounds", "measurements"):
        rows = tidied(plain[name])
        plain[name] = {"count": len(rows), "columns": to_columns(rows)}
    return plain


def _unpacked(packed: dict[str, Any]) -> dict[str, Any]:
    tables = {name: from_columns(packed[name]["columns"], packed[name]["count"]) for name in ("rounds", "measurements")}
    return packed | tables


def _sorted(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _sorted(value[key]) for key in sorted(value)}
    return [_sorted(item) for item in value] if isinstance(value, list) else value


def _told(error: Exception) -> str:
    return f"{type(error).__name__}: {error}".partition("\n")[0]
