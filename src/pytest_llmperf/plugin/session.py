"""What one pytest run knows: its settings, its budget, its profile, and the results gathered so far.

On an xdist worker results leave on the reports; only the controller (or the one process there is) keeps them, prints
them and writes files.
"""

from __future__ import annotations

import os
import platform
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import cached_property
from importlib import metadata
from typing import TYPE_CHECKING

import pytest

from pytest_llmperf._version import __version__
from pytest_llmperf.core.errors import LLMPerfError, UsageError
from pytest_llmperf.plugin import extensions
from pytest_llmperf.plugin.options import Settings
from pytest_llmperf.plugin.progress import Progress
from pytest_llmperf.plugin.workers import is_heir, is_worker, place, worker_count

if TYPE_CHECKING:
    from pytest_llmperf.baselines.document import Session
    from pytest_llmperf.baselines.library import Library
    from pytest_llmperf.core.environment import Environment
    from pytest_llmperf.core.pricing import PriceBook
    from pytest_llmperf.core.reference import Reference
    from pytest_llmperf.reports.report import Report, TestResult
    from pytest_llmperf.runner.budget import Budget
    from pytest_llmperf.simulator.profile import Profile
    from pytest_llmperf.wire import Protocol

_PACKAGES = (
    "pytest",
    "pytest-llmperf",
    "anthropic",
    "openai",
    "httpx2",
    "httpx",
    "pytest-asyncio",
    "anyio",
    "vcrpy",
    "numpy",
    "scipy",
)


class LLMPerfWarning(pytest.PytestWarning):
    """Something of the measurement that its reader should know."""


@dataclass
class Run:
    """The state of one pytest run, made when the first marked test is found."""

    config: pytest.Config
    settings: Settings
    results: list[TestResult] = field(default_factory=list)
    troubles: list[str] = field(default_factory=list)
    """What went wrong outside of any test, for the end of the summary."""
    remarks: list[str] = field(default_factory=list)
    """What is said of baselines at the end of the summary."""
    untold: str = ""
    """Why no more is told to OpenTelemetry; empty while it is."""
    stale: dict[str, tuple[str, ...]] = field(default_factory=dict)
    """Tests that a baseline knows and the suite has no more, by its name."""
    started: str = field(default_factory=lambda: datetime.now(UTC).isoformat(timespec="seconds"))

    @cached_property
    def progress(self) -> Progress:
        """The live line of the terminal."""
        return Progress(self.config)

    @cached_property
    def budget(self) -> Budget:
        """The caps of the whole run; under xdist each worker has its share."""
        from pytest_llmperf.runner.budget import Budget

        calls, usd = self.settings.max_calls, self.settings.max_usd
        own = Budget(calls, usd, self.settings.max_seconds, label="--llmperf: ")
        if is_heir(self.config):
            return own.spent_before("a worker that replaces a crashed one")
        return own.shared(place(self.config), worker_count(self.config)) if is_worker(self.config) else own

    @cached_property
    def prices(self) -> PriceBook:
        """Own prices of the ini file, and the library's."""
        return extensions.prices(self.config, self.settings.prices)

    @cached_property
    def protocols(self) -> Sequence[Protocol]:
        """The wire protocols whose calls are measured."""
        return extensions.protocols(self.config)

    @cached_property
    def profile(self) -> Profile:
        """The simulated API's profile."""
        from pytest_llmperf.simulator.profile import load

        return load(extensions.profile_file(self.config, self.settings.profile))

    @cached_property
    def reference(self) -> Reference | None:
        """Published figures to stand beside what is measured.

        Raises:
            UsageError: the file cannot be read.
        """
        if self.settings.reference is None:
            return None
        from pytest_llmperf.core.reference import parse

        path = self.config.invocation_params.dir / self.settings.reference
        try:
            return parse(path.read_text("utf-8"), str(self.settings.reference))
        except (OSError, UnicodeDecodeError) as problem:
            raise UsageError(f"--llmperf-reference={self.settings.reference} cannot be read: {problem}") from None

    @cached_property
    def library(self) -> Library:
        """The baselines."""
        from pytest_llmperf.baselines.library import Library

        return Library(self.config.rootpath / self.settings.store)

    @cached_property
    def facts(self) -> dict[str, str]:
        """What other plugins say of where the run is made."""
        return extensions.facts(self.config)

    @cached_property
    def baseline_key(self) -> dict[str, str]:
        """What other plugins keep sessions apart by."""
        return extensions.baseline_key(self.config)

    @cached_property
    def _sessions(self) -> dict[str, tuple[Session, ...]]:
        return {}

    @property
    def compared(self) -> tuple[str, ...]:
        """Names of the baselines that tests are held against, as far as this process knows."""
        names = [self.settings.compare] if self.settings.compare else []
        return tuple(dict.fromkeys([*names, *self._sessions]))

    def sessions(self, name: str) -> tuple[Session, ...]:
        """The sessions of a baseline, of whichever key, read once.

        Raises:
            BaselineError: a file of it is damaged, newer than this version, or cannot be read.
        """
        if name not in self._sessions:
            self._sessions[name] = self.library.sessions(name)
        return self._sessions[name]

    def keep(self, result: TestResult) -> None:
        """Add a result; one that was there for the same test (a rerun's) is replaced."""
        self.results = [other for other in self.results if other.nodeid != result.nodeid]
        self.results.append(result)

    def report(self) -> Report:
        """All verdicts of the run, in the order of files and names, however they were distributed."""
        from pytest_llmperf.reports.report import Report

        ordered = tuple(sorted(self.results, key=lambda result: result.nodeid))
        return Report(__version__, self.started, self._environment(ordered), ordered)

    @cached_property
    def whole_report(self) -> Report:
        """The report at the end of the run, with what other plugins add to it."""
        report = self.report()
        try:
            report = replace(report, sections=extensions.sections(self.config, report))
        except LLMPerfError as error:
            self.troubles.append(f"no sections of other plugins: {error}")
        return self._brought_together(report)

    def _brought_together(self, report: Report) -> Report:
        """The same with the run brought together, as far as that is asked for."""
        every = tuple(series for result in report.tests for series in result.series)
        if self.settings.synthesis:
            from pytest_llmperf.core.synthesis import syntheses

            try:
                report = replace(report, syntheses=syntheses(every))
            except LLMPerfError as error:
                self.troubles.append(f"no synthesis: {error}")
        if self.reference is not None:
            from pytest_llmperf.core.beside import beside

            report = replace(report, beside=beside(every, self.reference))
        return report

    def _environment(self, results: tuple[TestResult, ...]) -> Environment:
        from pytest_llmperf.core.environment import Environment

        simulated = self.settings.backend == "simulate"
        clocks = sorted({result.clock for result in results})
        return Environment(
            python=platform.python_version(),
            platform=f"{platform.system()} {platform.machine()}",
            processors=os.cpu_count() or 1,
            packages={name: version for name in _PACKAGES if (version := _version(name))},
            backend=self.settings.backend,
            clock=", ".join(clocks),
            profile=self.settings.profile if simulated else "",
            seed=self.settings.seed if simulated else None,
            # Workers share the processors, which matters where time is real and nowhere else.
            workers=worker_count(self.config) if "realtime" in clocks else 0,
            prices=self.prices.source,
            facts=self.facts,
            baseline_key=self.baseline_key,
            ci="GitHub Actions" if os.environ.get("GITHUB_ACTIONS") else "yes" if os.environ.get("CI") else "",
        )


def _version(name: str) -> str:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return ""


def plain_nodeid(nodeid: str) -> str:
    """The node id without the group that pytest-xdist may append to a name."""
    name = nodeid.rpartition("::")[2].rpartition("]")[2]
    return nodeid[: -len(name) + name.index("@")] if "@" in name else nodeid
