"""Rounds with fixtures of their own: each round is a run of the whole test protocol, and one set of reports is logged.

Re-running the setup state alone breaks fixtures that read reports (`tmp_path`), so the rounds go through pytest's own
`runtestprotocol`, as pytest-rerunfailures does; a shallow copy of the item as the next one keeps wider fixtures alive.
"""

from __future__ import annotations

import copy

import pytest
from _pytest.runner import runtestprotocol  # there is no public way to run a test without logging it

from pytest_llmperf.core.errors import LLMPerfError, UsageError
from pytest_llmperf.plugin.execution import FRESH, Execution, plainly, refusal
from pytest_llmperf.plugin.marks import Scenario
from pytest_llmperf.plugin.session import Run


def run_rounds(item: pytest.Item, nextitem: pytest.Item | None, scenario: Scenario, run: Run) -> None:
    """Run all rounds and log one set-up, one call and one teardown."""
    item.ihook.pytest_runtest_logstart(nodeid=item.nodeid, location=item.location)
    reports = _rounds(item, nextitem, scenario, run)
    for report in reports:
        item.ihook.pytest_runtest_logreport(report=report)
    item.ihook.pytest_runtest_logfinish(nodeid=item.nodeid, location=item.location)


def _rounds(item: pytest.Item, nextitem: pytest.Item | None, scenario: Scenario, run: Run) -> list[pytest.TestReport]:
    try:
        if reason := refusal(item):
            raise UsageError(f"llmperf cannot repeat this test: {reason}. Use one or the other")
        assert isinstance(item, pytest.Function)
        execution = item.stash[FRESH] = Execution(item, scenario, run)
    except LLMPerfError as error:
        return [_called(item, error)]
    reports: list[pytest.TestReport] = []
    sibling = copy.copy(item)
    for number in range(scenario.plan.total_rounds):
        last = number == scenario.plan.total_rounds - 1
        reports = runtestprotocol(item, log=False, nextitem=nextitem if last else sibling)
        if execution.finished or any(not report.passed for report in reports):
            if not last:
                item.ihook.pytest_runtest_teardown(item=item, nextitem=nextitem)
            break
    del item.stash[FRESH]
    if all(report.passed for report in reports):
        reports = [_called(item, execution) if report.when == "call" else report for report in reports]
    return reports


def _called(item: pytest.Item, concluding: Execution | LLMPerfError) -> pytest.TestReport:
    """The report of the call phase as a whole: the verdict's."""

    def conclude() -> None:
        if isinstance(concluding, LLMPerfError):
            raise plainly(concluding)
        try:
            concluding.conclude()
        except LLMPerfError as error:
            raise plainly(error) from None

    outcome = pytest.CallInfo.from_call(conclude, when="call")
    report: pytest.TestReport = item.ihook.pytest_runtest_makereport(item=item, call=outcome)
    return report
