"""How results leave: on the report to the controller, from there to the terminal and to files."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pytest_llmperf.core.errors import LLMPerfError
from pytest_llmperf.core.plain import from_plain, to_plain
from pytest_llmperf.plugin import telemetry
from pytest_llmperf.plugin.conclusion import unmeasured
from pytest_llmperf.plugin.session import Run
from pytest_llmperf.plugin.stash import RESULT, SCENARIO, SETTINGS
from pytest_llmperf.plugin.workers import is_worker, together
from pytest_llmperf.reports.report import TestResult

REPORT_KEY = "llmperf"
"""Attribute of a test report under which a result travels, as plain types."""
PART_KEY = "llmperf_part"
"""The same for what one of several processes measured, which is not judged yet."""
_PROPERTY = "llmperf."


def attach(item: pytest.Item, report: pytest.TestReport) -> None:
    """Put a finished test's result on its report, and its headline numbers among the report's properties.

    A test that came to none, because its set-up failed or it was refused, is an error in every report.
    """
    result = item.stash.get(RESULT, None)
    if result is None:
        if not item.stash[SCENARIO].plan.off:
            setattr(report, REPORT_KEY, to_plain(unmeasured(item, report)))
        return
    telemetry.keep(item, result)
    del item.stash[RESULT]  # a rerun makes its own
    if report.skipped and hasattr(report, "wasxfail"):
        result = replace(result, outcome="xfailed")
    if workers := together(item.config):
        from pytest_llmperf.plugin.parts import as_plain
        from pytest_llmperf.plugin.xfail import without_xpass

        setattr(report, PART_KEY, as_plain(item, result, workers))
        if not result.error:
            without_xpass(report)
        return
    setattr(report, REPORT_KEY, to_plain(result))
    # A body that ran n times recorded the same n times; a rerun finds the properties of the run before.
    own = [entry for entry in item.user_properties if not entry[0].startswith(_PROPERTY)]
    item.user_properties[:] = [entry for number, entry in enumerate(own) if entry not in own[:number]]
    item.user_properties.extend(named(result, item.config))
    report.user_properties = list(item.user_properties)


def named(result: TestResult, config: pytest.Config) -> list[tuple[str, Any]]:
    """Its headline numbers as a report's properties, where they are wanted there."""
    if _junit(config) != "testcase":
        return []
    from pytest_llmperf.reports.junit import properties

    return list(properties(result))


def received(data: Any) -> TestResult:
    """The result that came on a report."""
    return from_plain(TestResult, data)


def status(report: pytest.TestReport, policy: str) -> Any:
    """Category, letter and words for pytest's own display; None where pytest's are right."""
    rerun = str(report.outcome) == "rerun"  # pytest-rerunfailures: it will be tried again
    if report.when != "call" or report.skipped or rerun or hasattr(report, "wasxfail"):
        return None
    from pytest_llmperf.reports.failure import deciding_line

    result = received(report.llmperf)
    if result.outcome == "error":
        return None
    line = deciding_line(result)
    if report.failed:
        return "failed", "F", (f"FAILED ({line})", {"red": True})
    if result.outcome == "failed":
        return "passed", ".", (f"PASSED, although a claim does not hold ({line})", {"yellow": True})
    if result.outcome == "inconclusive" and policy != "pass":
        return "inconclusive", "?", (f"INCONCLUSIVE ({line})", {"yellow": True})
    return "passed", ".", (f"PASSED ({line})", {"green": True})


def status_of_part(report: pytest.TestReport) -> Any:
    """The same for what one of several processes measured; the verdict on all of them is a report of its own."""
    if report.when != "call" or not report.passed:
        return None
    return "parts", ",", ("PART (judged together with the others)", {"cyan": True})


def print_summary(run: Run, terminal: Any) -> None:
    """The table at the end."""
    from pytest_llmperf.plugin.acceptance import remarks
    from pytest_llmperf.reports.terminal import render

    writer = run.config.get_terminal_writer()
    terminal.ensure_newline()
    text = render(
        run.whole_report,
        console_width=writer.fullwidth,
        color=bool(writer.hasmarkup),
        verbosity=run.config.get_verbosity(),
    )
    terminal.write(text.rstrip("\n") + "\n")
    for title, lines in run.whole_report.sections:
        terminal.write("\n".join([f"llmperf: {title}", *(f"  {line}" for line in lines)]) + "\n")
    for remark in remarks(run):
        terminal.write(f"llmperf: {remark}\n")
    for trouble in run.troubles:
        terminal.write(f"llmperf: {trouble}\n", red=True)
    print_annotations(run, terminal)


def write_files(run: Run, session: pytest.Session) -> None:
    """Write what the options ask for. A file that cannot be written fails the run, and loses nothing else of it."""
    if is_worker(run.config):
        return
    from pytest_llmperf.plugin.acceptance import accept
    from pytest_llmperf.reports import files, json_file

    settings, summary = run.settings, os.environ.get("GITHUB_STEP_SUMMARY")
    asked = {name: getattr(settings, name) for name in files.FORMATS if getattr(settings, name) is not None}
    document = json_file.document(run.whole_report) if asked or summary else {}
    for name, path in asked.items():
        try:
            files.write(name, document, run.config.invocation_params.dir / path, option=f"--llmperf-{name}")
        except LLMPerfError as error:
            run.troubles.append(str(error))
            session.exitstatus = pytest.ExitCode.USAGE_ERROR
    if summary:
        try:
            files.append_summary(document, Path(summary))
        except LLMPerfError as error:  # nobody asked for it by an option
            run.troubles.append(str(error))
    accept(run, session)
    if settings.junit != "off":
        _write_suite_properties(run)


def print_annotations(run: Run, terminal: Any) -> None:
    """On GitHub, what did not pass, for the lines of the tests; unless another plugin already does so."""
    annotated = run.config.pluginmanager.has_plugin("pytest_github_actions_annotate_failures")
    if os.environ.get("GITHUB_ACTIONS") != "true" or annotated:
        return
    from pytest_llmperf.reports import annotations, json_file

    policy = run.settings.inconclusive
    inconclusive = {"fail": "error", "warn": "warning"}.get(policy, "")
    for line in annotations.commands(
        json_file.document(run.report()), folder=_folder(run.config.rootpath), inconclusive=inconclusive
    ):
        terminal.write_line(line)


def _folder(root: Path) -> str:
    """Pytest's root directory, as seen from that of the repository."""
    workspace = Path(os.environ.get("GITHUB_WORKSPACE", root))
    inside = root.is_relative_to(workspace) and root != workspace
    return f"{root.relative_to(workspace).as_posix()}/" if inside else ""


def _write_suite_properties(run: Run) -> None:
    """What belongs to the run as a whole; in mode `suite` what belongs to its tests as well."""
    from _pytest.junitxml import xml_key  # there is no public way to a suite's properties outside of a fixture

    xml = run.config.stash.get(xml_key, None)
    if xml is None:
        return
    from pytest_llmperf.reports.junit import legal, of_run, properties

    report = run.whole_report
    for result in report.tests if run.settings.junit == "suite" else ():
        for name, value in properties(result):
            xml.add_global_property(f"{legal(result.nodeid)} {name}", value)
    for name, value in of_run(report.syntheses):
        xml.add_global_property(legal(name), value)


def _junit(config: pytest.Config) -> str:
    return config.stash[SETTINGS].junit
