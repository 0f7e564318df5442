"""The hooks, in the order pytest calls them.

This module is imported in every pytest run of the environment: it and what it imports load no numpy, scipy, anthropic,
vcr, httpx, httpx2, rich or cattrs. A run without a marked test patches nothing and prints nothing.
"""

from __future__ import annotations

import os
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from pytest_llmperf.plugin.fixtures import LLMPerf, llmperf
from pytest_llmperf.plugin.options import Settings, add_options, read_settings
from pytest_llmperf.plugin.session import LLMPerfWarning, Run, is_worker

__all__ = ["LLMPerf", "LLMPerfWarning", "llmperf"]

SETTINGS = pytest.StashKey[Settings]()
RUN = pytest.StashKey[Run]()
REPORT_KEY = "llmperf"
"""Attribute of a test report under which a result travels, as plain types."""
OFFLINE_KEY = "sk-llmperf-offline"
"""What `Anthropic()` gets where no key is needed and none is set."""


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options."""
    add_options(parser)


def pytest_configure(config: pytest.Config) -> None:
    """Read the options and make the marks known."""
    from pytest_llmperf.plugin.marks import registered

    settings = config.stash[SETTINGS] = read_settings(config)
    for line in registered():
        if settings.short_marks or line.startswith("llmperf("):
            config.addinivalue_line("markers", line)


@pytest.hookimpl(tryfirst=True)
def pytest_pycollect_makeitem(collector: pytest.Collector, name: str, obj: object) -> None:
    """Give coroutine tests with our marks the asyncio mark, where they have no mark for an async plugin."""
    from pytest_llmperf.plugin.coroutines import adopt

    adopt(collector, name, obj, short_marks=collector.config.stash[SETTINGS].short_marks)


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Turn the marks of every selected test into its scenario, or say at once what is wrong with them."""
    from pytest_llmperf.plugin.collection import prepare

    run = Run(config, config.stash[SETTINGS])
    if prepare(items, run):
        config.stash[RUN] = run


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item, nextitem: pytest.Item | None) -> Generator[None, object, object]:
    """Let clients be made without a key, from the set-up of a marked test to its teardown, where none is needed."""
    with _offline_key(item):
        return (yield)


@pytest.hookimpl(tryfirst=True, specname="pytest_runtest_protocol")
def run_with_fresh_fixtures(item: pytest.Item, nextitem: pytest.Item | None) -> bool | None:
    """Run every round of a test as a test of its own where its fixtures are to be made anew."""
    from pytest_llmperf.plugin.execution import SCENARIO

    scenario = item.stash.get(SCENARIO, None)
    if scenario is None or not scenario.plan.fresh_fixtures:
        return None
    from pytest_llmperf.plugin.fresh import run_rounds

    run_rounds(item, nextitem, scenario, item.config.stash[RUN])
    return True


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, object, object]:
    """Repeat the body of a marked test, and judge it."""
    from pytest_llmperf.plugin.execution import SCENARIO, call

    scenario = item.stash.get(SCENARIO, None)
    if scenario is None:
        return (yield)
    yield from call(item, scenario, item.config.stash[RUN])
    return None


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Put the result on the report: xdist carries it to the controller, and a crash of the worker loses no other."""
    report = yield
    if call.when == "call":
        from pytest_llmperf.plugin.delivery import attach

        attach(item, report)
    return report


def pytest_sessionstart(session: pytest.Session) -> None:
    """On the controller, gather results as the reports come in."""
    if not is_worker(session.config):
        session.config.pluginmanager.register(_Controller(session.config), "llmperf-controller")


def pytest_report_teststatus(report: pytest.TestReport, config: pytest.Config) -> Any:
    """Show the deciding line beside the test in `-v`, and inconclusive tests as such."""
    if not hasattr(report, REPORT_KEY):
        return None
    from pytest_llmperf.plugin.delivery import status

    return status(report, config.stash[SETTINGS].inconclusive)


class _Controller:
    """Keeps, prints and writes the results, in the one process that may."""

    def __init__(self, config: pytest.Config) -> None:
        self._config = config

    @property
    def _run(self) -> Run:
        """The run; under xdist the controller collects nothing, so it is made with the first result."""
        return self._config.stash.setdefault(RUN, Run(self._config, self._config.stash[SETTINGS]))

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        data = getattr(report, REPORT_KEY, None)
        if data is not None:
            from pytest_llmperf.plugin.delivery import received

            self._run.keep(received(data))

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        if RUN in self._config.stash and self._run.results:
            from pytest_llmperf.plugin.delivery import write_files

            write_files(self._run, session)

    def pytest_terminal_summary(self, terminalreporter: Any) -> None:
        if RUN in self._config.stash and self._run.results:
            from pytest_llmperf.plugin.delivery import print_summary

            print_summary(self._run, terminalreporter)


@contextmanager
def _offline_key(item: pytest.Item) -> Iterator[None]:
    from pytest_llmperf.plugin.execution import SCENARIO

    names = ("ANTHROPIC_API_KEY", "ANTHROPIC_AUTH_TOKEN")
    offline = SCENARIO in item.stash and item.config.stash[SETTINGS].backend != "live"
    if not offline or any(os.environ.get(name) for name in names):
        yield
        return
    os.environ[names[0]] = OFFLINE_KEY
    try:
        yield
    finally:
        os.environ.pop(names[0], None)
