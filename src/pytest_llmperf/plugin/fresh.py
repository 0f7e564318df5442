"""Rounds with fixtures of their own: each round is a run of the whole test protocol, and one set of reports is logged.

Re-running the setup state alone breaks fixtures that read reports (`tmp_path`), so the rounds go through pytest's own
`runtestprotocol`, as pytest-rerunfailures does. Its next item is a shallow copy of this one, so that wider fixtures
live until all rounds are over; only then is torn down what the true next item does not need.
"""

from __future__ import annotations

import copy

import pytest
from _pytest.runner import runtestprotocol  # there is no public way to run a test without logging it

from pytest_llmperf.core.errors import LLMPerfError, UsageError
from pytest_llmperf.plugin import conclusion
from pytest_llmperf.plugin.delivery import attach
from pytest_llmperf.plugin.execution import Execution, plainly, refusal
from pytest_llmperf.plugin.marks import Scenario
from pytest_llmperf.plugin.session import Run
from pytest_llmperf.plugin.stash import FRESH


def run_rounds(item: pytest.Item, nextitem: pytest.Item | None, scenario: Scenario, run: Run) -> None:
    """Run all rounds and log one set-up, one call and one teardown."""
    item.ihook.pytest_runtest_logstart(nodeid=item.nodeid, location=item.location)
    for report in _reports(item, nextitem, scenario, run):
        item.ihook.pytest_runtest_logreport(report=report)
    item.ihook.pytest_runtest_logfinish(nodeid=item.nodeid, location=item.location)


def _reports(item: pytest.Item, nextitem: pytest.Item | None, scenario: Scenario, run: Run) -> list[pytest.TestReport]:
    try:
        if reason := refusal(item):
            raise UsageError(f"llmperf cannot repeat this test: {reason}. Use one or the other")
        assert isinstance(item, pytest.Function)
        execution = item.stash[FRESH] = Execution(item, scenario, run)
    except LLMPerfError as error:
        return [_set_up(item), _report(item, "call", error)]
    try:
        reports = _rounds(item, execution)
    finally:
        del item.stash[FRESH]
    return [*reports, *_torn_down(item, nextitem)]


def _rounds(item: pytest.Item, execution: Execution) -> list[pytest.TestReport]:
    """Run rounds until none is left or one was broken; the reports of the last one, with the verdict in its call."""
    sibling, seconds = copy.copy(item), 0.0
    while True:
        entered = execution.entered
        _forget_instance(item)
        reports = runtestprotocol(item, log=False, nextitem=sibling)
        seconds += sum(report.duration for report in reports if report.when == "call")
        if execution.escaped is not None:
            return reports
        if any(not report.passed for report in reports if report.when != "call"):
            return _broken(item, execution, reports)
        stopped = item.session.shouldstop or item.session.shouldfail
        if execution.sampling.over or stopped or execution.entered == entered:
            return _judged(item, execution, reports, seconds)


def _judged(
    item: pytest.Item, execution: Execution, reports: list[pytest.TestReport], seconds: float
) -> list[pytest.TestReport]:
    """The reports of the last round, with the verdict's in place of its call's: an xfail mark is for the verdict."""
    called = _report(item, "call", execution)
    called.duration += seconds
    for report in reports:
        report.user_properties = called.user_properties
    return [called if report.when == "call" else report for report in reports]


def _broken(item: pytest.Item, execution: Execution, reports: list[pytest.TestReport]) -> list[pytest.TestReport]:
    """A set-up or teardown that did not pass; one that skips is an error once rounds were run."""
    number = len(execution.sampling.rounds)
    if number == 0:
        return reports
    name = execution.sampling.round_name(number if reports[0].failed or reports[0].skipped else number - 1)
    broken = next(report for report in reports if not report.passed and report.when != "call")
    if broken.skipped:
        said = broken.longrepr[2] if isinstance(broken.longrepr, tuple) else str(broken.longrepr)
        error = UsageError(f"{name} was skipped ({said}) after others had run: the measurement is not whole")
        reports = [_report(item, "setup", error) if report is broken else report for report in reports]
        broken = reports[0]
    broken.sections.append(("llmperf", f"in {name}"))
    conclusion.broke_off(execution, UsageError(f"{name}: its {broken.when} did not pass"))
    attach(item, broken)
    return reports


def _report(item: pytest.Item, when: str, concluding: Execution | LLMPerfError) -> pytest.TestReport:
    """The report of a phase in which this is concluded."""

    def conclude() -> None:
        if isinstance(concluding, LLMPerfError):
            raise plainly(concluding)
        try:
            conclusion.conclude(concluding)
        except LLMPerfError as error:
            raise plainly(error) from None

    outcome = pytest.CallInfo.from_call(conclude, when=when)  # type: ignore[arg-type]
    report: pytest.TestReport = item.ihook.pytest_runtest_makereport(item=item, call=outcome)
    return report


def _set_up(item: pytest.Item) -> pytest.TestReport:
    """The report of a set-up with nothing in it: other plugins expect the phases of a test in their order."""
    outcome = pytest.CallInfo.from_call(lambda: None, when="setup")
    report: pytest.TestReport = item.ihook.pytest_runtest_makereport(item=item, call=outcome)
    return report


def _torn_down(item: pytest.Item, nextitem: pytest.Item | None) -> list[pytest.TestReport]:
    """Tear down what the next item does not need; a report of it if that fails."""
    session = item.session
    needed = None if session.shouldstop or session.shouldfail else nextitem
    outcome = pytest.CallInfo.from_call(lambda: session._setupstate.teardown_exact(needed), when="teardown")
    if outcome.excinfo is None:
        return []
    report: pytest.TestReport = item.ihook.pytest_runtest_makereport(item=item, call=outcome)
    return [report]


def _forget_instance(item: pytest.Item) -> None:
    """Let the next round have an instance of its class of its own, as any test does."""
    for name in ("_instance", "_obj"):
        vars(item).pop(name, None)
