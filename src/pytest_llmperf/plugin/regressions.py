"""Claims against a baseline: which sessions a test is held against, and what a reader should know of them.

Which test is meant is known when tests are collected, so that is when its sessions are looked up and a test that has
none is told. Under which conditions it runs, its calls tell; what was sampled under others is refused at the end.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from pytest_llmperf.core import wording
from pytest_llmperf.core.claims import Regression
from pytest_llmperf.core.errors import UsageError
from pytest_llmperf.plugin.claims import check_metric, written
from pytest_llmperf.plugin.options import Settings
from pytest_llmperf.plugin.workers import together
from pytest_llmperf.runner.arms import matching
from pytest_llmperf.runner.plan import Plan

if TYPE_CHECKING:
    from pytest_llmperf.baselines.document import Session, Subject
    from pytest_llmperf.core.series import Series
    from pytest_llmperf.core.together import Judgement
    from pytest_llmperf.plugin.marks import Scenario
    from pytest_llmperf.plugin.session import Run

STATISTICS = ("p50", "p90", "p95", "mean")
UNJUDGED = "is not judged: --llmperf-compare=NAME, or baseline='NAME' in the mark, says against which baseline"


def regressions(arguments: Mapping[str, Any], plan: Plan, settings: Settings) -> list[Regression]:
    """What a `regression` mark claims, one for each limit and arm; the baseline is empty where none is named.

    Raises:
        ValueError: it claims nothing, or names an arm that there is not.
    """
    mark = written("regression", arguments)
    limits = {key: arguments[key] for key in STATISTICS if key in arguments}
    if not limits:
        raise ValueError(f"{mark}: claims nothing; give at least one of {', '.join(STATISTICS)}")
    metric = arguments.get("metric", "ttft|e2e")
    check_metric(metric, mark)
    try:
        arms = matching(plan.arms, arguments["arm"]) if "arm" in arguments else plan.arms
    except ValueError as error:
        raise ValueError(f"{mark}: {error}") from None
    name = arguments.get("baseline", settings.compare or "")
    if settings.anchor and name == settings.save:
        name = ""  # what becomes the new normal is not held against the old
    common = {"confidence": plan.confidence, "slack": plan.slack, "baseline": name, "mark": mark}
    return [
        Regression(metric, statistic, allowed, arm=arm.name, **common)
        for statistic, allowed in limits.items()
        for arm in arms
    ]


@dataclass(frozen=True, slots=True)
class Held:
    """A claim on one arm, with the sessions it is held against as far as they are known beforehand."""

    regression: Regression
    known: tuple[Series, ...]
    """What the baseline knows of the test and arm since its anchor, oldest first, in sessions of the run's key."""
    key: str = ""
    """What the sessions are kept apart by, in words."""

    def claims(self) -> tuple[tuple[Regression, tuple[Series, ...]], ...]:
        """What will be claimed against which sessions, if the run is made under the conditions of the latest one."""
        from pytest_llmperf.baselines.reference import claims_against, comparable
        from pytest_llmperf.core.conditions import conditions_of

        if not self.known:
            return ()
        return claims_against(self.regression, comparable(self.known, conditions_of(self.known[-1])))

    def judgements(self, series: Series) -> list[Judgement]:
        """How the claims are decided.

        Raises:
            UsageError: no session was sampled under the conditions of this run.
        """
        from pytest_llmperf.baselines.reference import claims_against, comparable, refusal
        from pytest_llmperf.core.conditions import conditions_of
        from pytest_llmperf.core.regression import regression_judgement

        conditions, name = conditions_of(series), self.regression.baseline
        if reason := refusal(self.known, conditions, ("this run", self.regression.against)):
            raise UsageError(
                f"{self.regression.mark}: {reason}. To hold later runs against this one, accept it with "
                f"--llmperf-save={name} --llmperf-anchor"
            )
        if not self.known:
            return []
        pairs = claims_against(self.regression, comparable(self.known, conditions))
        return [regression_judgement(series, sessions, claim) for claim, sessions in pairs]

    @property
    def note(self) -> str:
        """What its reader should know; empty where there is nothing."""
        from pytest_llmperf.statistics.sessions import LEAST_SESSIONS

        claim, accepted = self.regression, len(self.known)
        if not claim.baseline:
            return f"{claim.mark} {UNJUDGED}"
        of_key = f" with {self.key}" if self.key else ""
        if not accepted:
            return f"{claim.against} does not know this test{of_key}: --llmperf-save={claim.baseline} accepts it"
        if accepted >= LEAST_SESSIONS:
            return ""
        return (
            f"{claim.against} has {wording.count(accepted, 'session')}{of_key}: until {LEAST_SESSIONS} are accepted, "
            "nobody knows how much one day differs from the next, and a bad day can look like a regression"
        )


def hold(item: pytest.Function, scenario: Scenario, run: Run) -> Scenario:
    """The scenario with the sessions its claims are held against.

    Where several processes measure a test together it has none: the one that judges them looks them up, in its store.

    Raises:
        ValueError: the run is strict, and there are none.
        BaselineError: a file of the baseline is damaged, newer than this version, or cannot be read.
    """
    if together(run.config):
        return scenario
    return replace(scenario, held=held_against(scenario.regressions, subject_of(item), run))


def held_against(claims: Sequence[Regression], test: Subject, run: Run) -> tuple[Held, ...]:
    """Claims with the sessions that they are held against.

    Args:
        claims: of one test.
        test: it, of whatever arm.
        run: which has the store.

    Raises:
        ValueError: the run is strict, and there are none.
        BaselineError: a file of the baseline is damaged, newer than this version, or cannot be read.
    """
    from pytest_llmperf.baselines.reference import key_told, known, of_key

    held = []
    for claim in claims:
        sessions = of_key(run.sessions(claim.baseline), run.baseline_key) if claim.baseline else ()
        held.append(Held(claim, known(sessions, replace(test, arm=claim.arm or "")), key_told(run.baseline_key)))
        if run.settings.strict_baseline and not held[-1].known:
            raise ValueError(held[-1].note)
    return tuple(held)


def notes_on(held: Sequence[Held]) -> tuple[str, ...]:
    """What their reader should know, each note once, however many claims and arms it is about."""
    return tuple(dict.fromkeys(one.note for one in held if one.note))


# --- which test it is ------------------------------------------------------------------------------------------------


def subject_of(item: pytest.Function, arm: str = "") -> Subject:
    """The test and arm, by what stays the same when parameters are ordered anew."""
    from pytest_llmperf.baselines.document import Subject
    from pytest_llmperf.plugin.session import plain_nodeid

    return Subject.of(plain_nodeid(item.nodeid), parameters_of(item), arm)


def parameters_of(item: pytest.Function) -> tuple[str, ...] | None:
    """Its parameters as `name=id`, in alphabetical order; None where the ids do not tell which parameter is which.

    Values are not written: they may be large, or secret.
    """
    callspec = getattr(item, "callspec", None)
    if callspec is None:
        return ()
    names, ids = list(callspec.params), list(getattr(callspec, "_idlist", ()))
    groups = [[name] for name in names] if len(names) == len(ids) else _parametrized(item)
    if len(groups) != len(ids) or sorted(name for group in groups for name in group) != sorted(names):
        return None
    return tuple(sorted(f"{','.join(sorted(group))}={one}" for group, one in zip(groups, ids, strict=True)))


def _parametrized(item: pytest.Function) -> list[list[str]]:
    """The names of each mark that gives parameters, in the order in which pytest puts their ids."""
    groups = []
    for mark in item.iter_markers("parametrize"):
        names = mark.args[0] if mark.args else mark.kwargs.get("argnames", "")
        groups.append([name.strip() for name in names.split(",")] if isinstance(names, str) else list(names))
    return groups


# --- entries that no test has any more -------------------------------------------------------------------------------


def stale(run: Run, there: Sequence[pytest.Item]) -> dict[str, tuple[str, ...]]:
    """Tests that a baseline knows and the suite has no more, by the name of the baseline.

    Args:
        run: which has looked its baselines up.
        there: all tests that were collected, chosen or not. A file of which single tests were asked for is left out.
    """
    tests = [item for item in there if isinstance(item, pytest.Function)]
    asked = [argument.partition("::") for argument in run.config.args]
    root, folder = run.config.rootpath, run.config.invocation_params.dir
    partly = {_relative(folder / path, root) for path, single, _ in asked if single}
    return {name: _stale(run.sessions(name), tests, partly, root) for name in run.compared}


def _relative(path: Path, root: Path) -> str:
    return Path(os.path.relpath(path, root)).as_posix()


def _stale(
    sessions: Sequence[Session], there: Sequence[pytest.Function], partly: Collection[str], root: Path
) -> tuple[str, ...]:
    subjects = {replace(subject_of(item), arm="") for item in there}
    whole = {subject.file for subject in subjects} - set(partly)
    latest = {entry.subject.file: session for session in sessions for entry in session.entries}
    gone = [
        subject
        for file, session in latest.items()
        for subject in (entry.subject for entry in session.entries)
        if subject.file == file
        and replace(subject, arm="") not in subjects
        and (subject.file in whole or not (root / subject.file).exists())
    ]
    return tuple(dict.fromkeys(replace(subject, arm="").label for subject in gone))
