"""Accepting a run as a session of a baseline, and what is said of baselines at the end.

Works in the one process that writes files, with the results that the others sent.
"""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from pytest_llmperf.core import wording
from pytest_llmperf.core.errors import LLMPerfError
from pytest_llmperf.core.verdict import Outcome

if TYPE_CHECKING:
    from pytest_llmperf.baselines.document import Entry
    from pytest_llmperf.plugin.session import Run

_OURS = ("--llmperf-save", "--llmperf-compare", "--llmperf-anchor", "--llmperf-strict-baseline")
_LISTED = 5


def accept(run: Run, session: pytest.Session) -> None:
    """Save the run if that is asked for, and if it is whole and did not fail; say so, or why not."""
    name = run.settings.save
    if run.settings.withheld:
        run.remarks.append(
            f"nothing was saved to baseline {run.settings.withheld}: in CI a run is accepted only where --llmperf-save "
            "stands on the command line"
        )
    if name is None:
        return
    if reason := _unfit(run, session):
        run.remarks.append(f"nothing was saved to baseline {name}: {reason}")
        return
    from pytest_llmperf._version import __version__
    from pytest_llmperf.baselines.document import Session

    report = run.report()
    entries = tuple(_entries(run))
    accepted = Session(report.started, __version__, report.environment, entries, anchor=run.settings.anchor)
    try:
        path = run.library.save(name, accepted)
        number = len(list(path.parent.glob("*.json")))
    except LLMPerfError as error:
        run.troubles.append(str(error))
        session.exitstatus = pytest.ExitCode.USAGE_ERROR
        return
    tests = wording.count(len({entry.subject for entry in entries}), "series", "series")
    as_anchor = ", as its anchor" if run.settings.anchor else ""
    run.remarks.append(f"saved {tests} to baseline {name}, session {number}{as_anchor}: {_shown(run, path)}")


def _unfit(run: Run, session: pytest.Session) -> str:
    if any(result.interrupted for result in run.results):
        return "the run was interrupted"
    if session.exitstatus != pytest.ExitCode.OK:
        return "the run did not pass"
    return "" if any(True for _ in _entries(run)) else "no test was measured"


def _entries(run: Run) -> Iterator[Entry]:
    from pytest_llmperf.baselines.document import Entry, Subject

    for result in run.report().tests:
        for series in result.series if result.outcome != "error" else ():
            if series.judged_rounds:
                yield Entry(Subject.of(result.nodeid, result.parameters, series.arm), series)


def _shown(run: Run, path: object) -> str:
    text = str(path)
    root = f"{run.config.invocation_params.dir}/"
    return text.removeprefix(root)


def remarks(run: Run) -> Iterator[str]:
    """The lines on baselines at the end of the summary."""
    yield from run.remarks
    for name in dict.fromkeys(run.compared):
        if told := _differences(run, name):
            yield f"since the latest session of baseline {name}: {told}"
    for name, tests in run.stale.items():
        if tests:
            more = f", and {len(tests) - _LISTED} more" if len(tests) > _LISTED else ""
            known = wording.count(len(tests), "test")
            yield f"baseline {name} knows {known} that the suite has no more: {', '.join(tests[:_LISTED])}{more}"
    if command := _accepting(run):
        yield f"if the change is meant, this accepts it: {command}"


def _differences(run: Run, name: str) -> str:
    """What of the environment changed, of what may change and can matter."""
    from pytest_llmperf.baselines.reference import key_told, of_key

    try:
        every = run.sessions(name)
    except LLMPerfError:
        return ""  # said already
    sessions = of_key(every, run.baseline_key)
    if every and not sessions:
        there = "; ".join(dict.fromkeys(key_told(session.key) or "no key" for session in every))
        return f"there is none with {key_told(run.baseline_key) or 'no key'} (there: {there})"
    if not sessions:
        there = ", ".join(run.library.names) or "none yet"
        return f"there is none (baselines in {_shown(run, run.library.store)}: {there})"
    then, now = sessions[-1].environment, run.report().environment
    pairs = {"profile": (then.profile, now.profile), "xdist workers": (then.workers, now.workers)}
    pairs |= {name: (then.packages.get(name, ""), version) for name, version in now.packages.items() if name in _FELT}
    changed = {what: pair for what, pair in pairs.items() if pair[0] != pair[1]}
    return ", ".join(f"{what} {one or 'none'} → {other or 'none'}" for what, (one, other) in changed.items())


_FELT = ("anthropic", "httpx", "httpx2")
"""Packages that stand between a test and the wire."""


def _accepting(run: Run) -> str:
    """The command that accepts what failed against a baseline; empty where nothing did."""
    failed = {
        result.nodeid: verdict.mark
        for result in run.report().tests
        for verdict in (result.verdicts if result.outcome != "xfailed" else ())
        if verdict.outcome is Outcome.FAILED and verdict.mark.startswith("regression(")
    }
    if not failed:
        return ""
    tests = [_from_here(run, nodeid) for nodeid in failed]
    asked = [f"--llmperf-save={_baseline_of(next(iter(failed.values()))) or run.settings.compare}", "--llmperf-anchor"]
    return shlex.join(["pytest", *tests, *_others(run), *asked])


def _from_here(run: Run, nodeid: str) -> str:
    """The node id as it is given where pytest was started, which need not be the root directory."""
    file, colons, test = nodeid.partition("::")
    path = os.path.relpath(run.config.rootpath / file, run.config.invocation_params.dir)
    return f"{Path(path).as_posix()}{colons}{test}"


def _baseline_of(mark: str) -> str:
    found = re.search(r"baseline='([^']+)'", mark)
    return found[1] if found else ""


def _others(run: Run) -> Iterator[str]:
    """What the run was asked for, but for the tests and for what concerns baselines."""
    skip = False
    for argument in run.config.invocation_params.args:
        text = str(argument)
        if skip:
            skip = False
        elif text in ("--llmperf-save", "--llmperf-compare"):
            skip = True
        elif text not in run.config.args and not text.startswith(_OURS):
            yield text
