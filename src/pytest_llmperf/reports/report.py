"""The values every renderer starts from: what each test showed, and where the run was made.

A report holds verdicts that were reached elsewhere and the series they rest on. It knows nothing of how it is shown,
and turns into plain types and back (`core.plain`), so that a worker process can hand its part to another.
"""

from __future__ import annotations

from dataclasses import dataclass

from pytest_llmperf.core.ceiling import Ceiling
from pytest_llmperf.core.curves import Curve
from pytest_llmperf.core.environment import Environment, Source
from pytest_llmperf.core.overview import Beside, Synthesis
from pytest_llmperf.core.series import Series
from pytest_llmperf.core.verdict import Verdict


@dataclass(frozen=True, slots=True)
class TestResult:
    """One test: its series, one for each arm, and the answers to its claims."""

    __test__ = False  # not a test class, whatever its name says to pytest

    nodeid: str
    outcome: str
    """`passed`, `failed`, `inconclusive`, `error` when it could not be judged at all, or `xfailed` when it failed as
    its mark says it would."""
    source: Source
    clock: str
    series: tuple[Series, ...]
    verdicts: tuple[Verdict, ...]
    notes: tuple[str, ...] = ()
    """What a reader should know before trusting the numbers."""
    error: str = ""
    """What the body or the plugin raised, as text."""
    interrupted: bool = False
    """Sampling was cut short from outside: the series are partial."""
    ceiling: Ceiling | None = None
    """Of arms over a rate, what they show of the service's limit."""
    curves: tuple[Curve, ...] = ()
    """What its claims on scaling saw."""
    location: tuple[str, int] | None = None
    """File, relative to the root directory, and line (from 1) of the test."""
    parameters: tuple[str, ...] | None = None
    """Its parameters as `name=id`, in alphabetical order; None where they are known by the node id only."""


@dataclass(frozen=True, slots=True)
class Report:
    """All tests of one run."""

    version: str
    """Of this package."""
    started: str
    """ISO 8601, with its offset from UTC."""
    environment: Environment
    tests: tuple[TestResult, ...]
    sections: tuple[tuple[str, tuple[str, ...]], ...] = ()
    """What other plugins add: titles and lines."""
    syntheses: tuple[Synthesis, ...] = ()
    """The run in one table for each source and clock, where that is asked for."""
    beside: Beside | None = None
    """What was measured beside published figures, where there are any."""
