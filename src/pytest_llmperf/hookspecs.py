"""The hooks by which other plugins and conftest files add to this one, or change what it does with a verdict.

A hook is a function of this name in a plugin or in the conftest file of the root directory, with any of the arguments
below. It is asked only in runs with a marked test, apart from `pytest_llmperf_metrics`, which is asked when the session
starts so that marks may name what it adds. Importing this module imports nothing but pluggy.

The types named here, such as `Call`, `Verdict` and `Report`, are in `pytest_llmperf.testing`, with what makes some of
them by hand.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import pluggy

if TYPE_CHECKING:
    import pytest

    from pytest_llmperf.core.call import Call
    from pytest_llmperf.core.generation import Generation
    from pytest_llmperf.core.verdict import Verdict
    from pytest_llmperf.reports.report import Report
    from pytest_llmperf.wire import Protocol

__all__ = [
    "CallMetric",
    "Gate",
    "pytest_llmperf_baseline_key",
    "pytest_llmperf_environment",
    "pytest_llmperf_gate",
    "pytest_llmperf_metrics",
    "pytest_llmperf_price",
    "pytest_llmperf_profiles",
    "pytest_llmperf_protocols",
    "pytest_llmperf_report_section",
]

Gate = Literal["pass", "warn", "fail"]
"""What a verdict does to its test: nothing, a warning, or a failure."""

hookspec = pluggy.HookspecMarker("pytest")


@dataclass(frozen=True, slots=True)
class CallMetric:
    """A number of each LLM call, beside those of the table."""

    name: str
    """As marks and reports say it: an identifier that no other metric has."""
    unit: str
    """`s`, `tokens`, `USD`, …; empty for a plain number."""
    better: Literal["lower", "higher", ""]
    """Empty where neither is."""
    definition: str
    """The formula, in words."""
    value: Callable[[Call], float | str]
    """The number, or in words why this call has none. What it raises is such a reason too."""
    failed: float | None = None
    """The number of a call that failed, such as infinity for a time: a failed call is a slow call. Where it is None,
    a failed call has none."""


@hookspec
def pytest_llmperf_protocols(config: pytest.Config) -> Sequence[Protocol]:  # type: ignore[empty-body]
    """Wire protocols that are known beside our own; they are asked before ours.

    A protocol is a module or an object with `NAME`, `INPUT_HOLDS_CACHED`, `recognises(exchange)` and
    `decode(exchange)`, as `pytest_llmperf.wire.Protocol` says it. Calls that it recognises are measured live, recorded
    and replayed; the simulated API does not speak it, and under `--llmperf-backend=simulate` refuses them, which fails
    the test.

    Example::

        def pytest_llmperf_protocols(config):
            return [our_gateway]
    """


@hookspec
def pytest_llmperf_metrics(config: pytest.Config) -> Sequence[CallMetric]:  # type: ignore[empty-body]
    """Metrics of calls that a `claim` may name and that reports show.

    Example::

        def pytest_llmperf_metrics(config):
            def words(call):
                return len(call.last.generation.text.split())

            return [CallMetric("words", "words", "", "words of the answer", words)]
    """


@hookspec(firstresult=True)
def pytest_llmperf_price(config: pytest.Config, generation: Generation) -> float | None:
    """Dollars that an answer cost; the first that is not None counts, then `llmperf_prices`, then genai-prices.

    Example::

        def pytest_llmperf_price(generation):
            return 0.0 if generation.model == "our-own-model" else None
    """


@hookspec
def pytest_llmperf_profiles(config: pytest.Config) -> Mapping[str, str | Path]:  # type: ignore[empty-body]
    """Profiles of the simulated API for `--llmperf-profile`: names, and the TOML files they stand for.

    Example::

        def pytest_llmperf_profiles(config):
            return {"staging": config.rootpath / "staging.toml"}
    """


@hookspec
def pytest_llmperf_environment(config: pytest.Config) -> Mapping[str, str]:  # type: ignore[empty-body]
    """Facts of where the run was made, for the reports.

    Example::

        def pytest_llmperf_environment(config):
            return {"region": os.environ["REGION"]}
    """


@hookspec
def pytest_llmperf_baseline_key(config: pytest.Config) -> Mapping[str, str]:  # type: ignore[empty-body]
    """Parts of the key by which the sessions of a baseline are kept apart: a run is held against its own key's only.

    Each key has its own history and its own anchor under the baseline's name. `llmperf compare` refuses two runs of
    different keys and names the parts (`--across region` compares them all the same).

    Example::

        def pytest_llmperf_baseline_key(config):
            return {"region": os.environ["REGION"], "build": "release"}
    """


@hookspec
def pytest_llmperf_report_section(config: pytest.Config, report: Report) -> tuple[str, Sequence[str]] | None:
    """A section below the table in the terminal, and in the JSON, Markdown and HTML reports: its title and its lines.

    `llmperf report` renders it again from the JSON report, where the plugin is no more. A CSV file has calls only.

    Example::

        def pytest_llmperf_report_section(report):
            return "failed", [test.nodeid for test in report.tests if test.outcome == "failed"]
    """


@hookspec(firstresult=True)
def pytest_llmperf_gate(
    config: pytest.Config, item: pytest.Item | None, nodeid: str, keywords: Collection[str], verdict: Verdict
) -> Gate | None:
    """What a verdict does to its test; the first that is not None counts. The verdict itself stays what was shown.

    Without a word from here a failed claim fails the test, an undecided one does what `--llmperf-inconclusive` says.
    *keywords* are the names that `-k` knows the test by, those of its marks among them. *item* is None where several
    processes measured the test together (`--dist=each`): the one that judges has collected nothing.

    Example::

        def pytest_llmperf_gate(keywords, verdict):
            return "warn" if "trial" in keywords and verdict.outcome != "passed" else None
    """
