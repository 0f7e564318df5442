"""The hooks, in the order pytest calls them.

This module is imported in every pytest run of the environment: it and what it imports load no numpy, scipy, anthropic,
vcr, httpx, httpx2, rich or cattrs. A run without a marked test patches nothing and prints nothing.
"""

from __future__ import annotations

from collections.abc import Generator
from typing import TYPE_CHECKING, Any

import pytest

from pytest_llmperf.plugin.fixtures import CurrentArm, LLMPerf, arm, llmperf
from pytest_llmperf.plugin.options import add_options, read_settings
from pytest_llmperf.plugin.session import LLMPerfWarning, Run
from pytest_llmperf.plugin.stash import COLLECTED, RESULT, RUN, SCENARIO, SETTINGS
from pytest_llmperf.plugin.workers import Places, is_worker

if TYPE_CHECKING:
    from pytest_llmperf.plugin.parts import Parts

__all__ = ["CurrentArm", "LLMPerf", "LLMPerfWarning", "arm", "llmperf"]

REPORT_KEY, PART_KEY = "llmperf", "llmperf_part"  # as in `delivery`, which is loaded when there is one
ERRORS_KEY = "llmperf_errors"
"""Where an xdist worker tells its controller what is wrong with the marks."""
STALE_KEY = "llmperf_stale"
"""Where it tells which tests a baseline knows that there are no more."""
UNTOLD_KEY = "llmperf_untold"
"""Where it tells why no more is told to OpenTelemetry."""


def pytest_addhooks(pluginmanager: pytest.PytestPluginManager) -> None:
    """Make our own hooks known."""
    from pytest_llmperf import hookspecs

    pluginmanager.add_hookspecs(hookspecs)


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options."""
    add_options(parser)


def pytest_configure(config: pytest.Config) -> None:
    """Read the options and make the marks known."""
    from pytest_llmperf.plugin.arguments import registered

    settings = config.stash[SETTINGS] = read_settings(config)
    for line in registered():
        if settings.short_marks or line.startswith("llmperf("):
            config.addinivalue_line("markers", line)


@pytest.hookimpl(tryfirst=True)
def pytest_pycollect_makeitem(collector: pytest.Collector, name: str, obj: object) -> None:
    """Give coroutine tests with our marks the asyncio mark, where they have no mark for an async plugin."""
    from pytest_llmperf.plugin.coroutines import adopt

    adopt(collector, name, obj, short_marks=collector.config.stash[SETTINGS].short_marks)


@pytest.hookimpl(tryfirst=True, specname="pytest_collection_modifyitems")
def pytest_collection_modifyitems_before_others(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Remember which tests there are, chosen or not, where a baseline may know others."""
    if config.stash[SETTINGS].compare:
        config.stash[COLLECTED] = list(items)


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Turn the marks of every selected test into its scenario, or say at once what is wrong with them."""
    from pytest_llmperf.plugin.collection import prepare

    run = Run(config, config.stash[SETTINGS])
    try:
        prepared = prepare(items, run)
    except pytest.UsageError as error:
        if not is_worker(config):
            raise
        # A worker that dies here brings the controller down without a word of it: let it say so, and run nothing.
        config.workeroutput[ERRORS_KEY] = str(error)  # type: ignore[attr-defined]
        items.clear()
        return
    if prepared:
        config.stash[RUN] = run
        if is_worker(config):
            stale = {name: list(tests) for name, tests in run.stale.items()}
            config.workeroutput[STALE_KEY] = stale  # type: ignore[attr-defined]


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item, nextitem: pytest.Item | None) -> Generator[None, object, object]:
    """Let clients be made without a key, from the set-up of a marked test to its teardown, where none is needed."""
    if SCENARIO not in item.stash:
        return (yield)
    from pytest_llmperf.plugin.keys import in_environment
    from pytest_llmperf.plugin.tapes import needs_key

    if needs_key(item, item.config.stash[SETTINGS]):
        return (yield)

    with in_environment():
        return (yield)


@pytest.hookimpl(wrapper=True, tryfirst=True, specname="pytest_runtest_protocol")
def pytest_runtest_protocol_to_be_told(
    item: pytest.Item, nextitem: pytest.Item | None
) -> Generator[None, object, object]:
    """Tell OpenTelemetry of a marked test when everything of it is over, what other plugins do around it included."""
    try:
        return (yield)
    finally:
        if SCENARIO in item.stash:
            from pytest_llmperf.plugin.telemetry import tell

            tell(item)


@pytest.hookimpl(tryfirst=True, specname="pytest_runtest_protocol")
def pytest_runtest_protocol_with_fresh_fixtures(item: pytest.Item, nextitem: pytest.Item | None) -> bool | None:
    """Run every round of a test as a test of its own where its fixtures are to be made anew.

    The name has to begin as it does: pytest looks at no other for hooks, not even for one with a `specname`.
    """
    scenario = item.stash.get(SCENARIO, None)
    if scenario is None or not scenario.plan.fresh_fixtures:
        return None
    from pytest_llmperf.plugin.fresh import run_rounds

    run_rounds(item, nextitem, scenario, item.config.stash[RUN])
    return True


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, object, object]:
    """Repeat the body of a marked test, and judge it."""
    scenario = item.stash.get(SCENARIO, None)
    if scenario is None:
        return (yield)
    from pytest_llmperf.plugin.execution import call

    yield from call(item, scenario, item.config.stash[RUN])
    return None


@pytest.hookimpl(wrapper=True, tryfirst=True)  # around pytest's own, which turns a failure into an expected one
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Put the result on the report: xdist carries it to the controller, and a crash of the worker loses no other."""
    report = yield
    if SCENARIO in item.stash and call.when != "teardown" and (RESULT in item.stash or report.failed):
        from pytest_llmperf.plugin.delivery import attach

        attach(item, report)
    return report


@pytest.hookimpl(trylast=True)
def pytest_llmperf_protocols() -> Any:
    """Our own, asked after those of other plugins."""
    from pytest_llmperf.wire import PROTOCOLS

    return PROTOCOLS


@pytest.hookimpl(trylast=True)
def pytest_llmperf_profiles() -> Any:
    """The shipped ones; a name that another plugin gives goes before ours."""
    from pytest_llmperf.simulator.profile import shipped_files

    return shipped_files()


@pytest.hookimpl(trylast=True)
def pytest_llmperf_gate(config: pytest.Config, verdict: Any) -> Any:
    """What a verdict does to its test, where no other plugin has a word for it."""
    from pytest_llmperf.plugin.extensions import own_gate

    return own_gate(verdict, config.stash[SETTINGS].inconclusive)


def pytest_sessionstart(session: pytest.Session) -> None:
    """Know the metrics of other plugins; on the controller, gather results as the reports come in."""
    if session.config.hook.pytest_llmperf_metrics.get_hookimpls():
        from pytest_llmperf.plugin.extensions import add_metrics

        add_metrics(session.config)
    if not is_worker(session.config):
        session.config.pluginmanager.register(_Controller(session.config), "llmperf-controller")


def pytest_report_teststatus(report: pytest.TestReport, config: pytest.Config) -> Any:
    """Show the deciding line beside the test in `-v`, and inconclusive tests as such."""
    if hasattr(report, PART_KEY):
        from pytest_llmperf.plugin.delivery import status_of_part

        return status_of_part(report)
    if not hasattr(report, REPORT_KEY):
        return None
    from pytest_llmperf.plugin.delivery import status

    return status(report, config.stash[SETTINGS].inconclusive)


@pytest.hookimpl(optionalhook=True)
def pytest_recording_configure(config: pytest.Config, vcr: Any) -> None:
    """Let the cassettes of pytest-recording be timed ones: its tests record and replay as before, and with timing."""
    from pytest_llmperf.plugin.tapes import upgrade

    upgrade(vcr, config.stash[SETTINGS])


class _Controller:
    """Keeps, prints and writes the results, in the one process that may."""

    def __init__(self, config: pytest.Config) -> None:
        self._config = config
        self._usage_errors: dict[str, None] = {}
        self._parts: Parts | None = None
        self._places = Places(each=config.getoption("dist", "no") == "each")

    @property
    def _run(self) -> Run:
        """The run; under xdist the controller collects nothing, so it is made with the first result."""
        return self._config.stash.setdefault(RUN, Run(self._config, self._config.stash[SETTINGS]))

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        data = getattr(report, REPORT_KEY, None)
        if data is not None:
            from pytest_llmperf.plugin.delivery import received

            self._run.keep(received(data))
        if (part := getattr(report, PART_KEY, None)) is not None:
            from pytest_llmperf.plugin.parts import Parts

            self._parts = self._parts or Parts(self._run, {})
            self._parts.take(part, report)

    @pytest.hookimpl(wrapper=True)
    def pytest_runtestloop(self) -> Generator[None, object, object]:
        """Judge what several processes measured together, whatever ended the run, as tests of their own."""
        try:
            return (yield)
        finally:
            for report in self._parts.judged() if self._parts is not None else ():
                self._config.hook.pytest_runtest_logreport(report=report)

    @pytest.hookimpl(optionalhook=True)
    def pytest_configure_node(self, node: Any) -> None:
        """Tell an xdist worker which one it is."""
        self._places.give(node)

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: Any, error: object | None) -> None:
        """Keep what an xdist worker found wrong with the marks, and free its place."""
        self._places.free(node, crashed=error is not None)
        output = getattr(node, "workeroutput", {})
        if (untold := output.get(UNTOLD_KEY, "")) and untold not in self._run.troubles:
            self._run.troubles.append(untold)
        for line in output.get(ERRORS_KEY, "").splitlines():
            self._usage_errors.setdefault(line)
        for name, tests in output.get(STALE_KEY, {}).items():
            self._run.stale.setdefault(name, tuple(tests))

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        if self._usage_errors:
            session.exitstatus = pytest.ExitCode.USAGE_ERROR
        if RUN in self._config.stash and self._run.results:
            from pytest_llmperf.plugin.delivery import write_files

            write_files(self._run, session)

    def pytest_terminal_summary(self, terminalreporter: Any) -> None:
        for error in self._usage_errors:
            terminalreporter.write_line(f"ERROR: {error}", red=True)
        if RUN in self._config.stash and self._run.results:
            from pytest_llmperf.plugin.delivery import print_summary

            print_summary(self._run, terminalreporter)
