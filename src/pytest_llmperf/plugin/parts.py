"""One scenario in several processes: each brings its part, and the controller judges all of them together.

Under pytest-xdist's `--dist=each` every worker runs every test. Of a marked one each runs its share of rounds,
concurrency and rate, with a seed of its own, and judges nothing: by its own part it could only say less. What it
measured travels on its report; once all tests have run, the controller puts the parts of a test together by the time
their rounds were sent, and logs one more report of it, which passes or fails like any test's. A worker that crashed
fails as xdist says, and the others' parts are judged without it.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import pytest

from pytest_llmperf.core.claims import Contrast, Scaling
from pytest_llmperf.core.errors import LLMPerfError
from pytest_llmperf.core.merging import Share, merged
from pytest_llmperf.core.objective import Objective
from pytest_llmperf.core.plain import from_plain, to_plain
from pytest_llmperf.plugin import conclusion
from pytest_llmperf.plugin.delivery import REPORT_KEY, named
from pytest_llmperf.plugin.session import LLMPerfWarning, Run
from pytest_llmperf.plugin.stash import SAMPLING, SCENARIO, SETTINGS
from pytest_llmperf.reports.report import TestResult

_NO_BASELINE = "what several processes measured together is not held against a baseline"


@dataclass(frozen=True, slots=True)
class TestPart:
    """What one process measured of a test, and what the test claims."""

    __test__ = False  # not a test class, whatever its name says to pytest

    result: TestResult
    began: float
    """Unix time at which its series began; 0 in virtual time, which begins anew in every process."""
    of: int
    """How many processes have rounds to run."""
    workers: int
    """How many processes there are."""
    confidence: float
    objectives: tuple[Objective, ...]
    contrasts: tuple[Contrast, ...]
    scalings: tuple[Scaling, ...]


def as_plain(item: pytest.Item, result: TestResult, workers: int) -> Any:
    """The part that this process has of a test, as plain types."""
    scenario, sampling = item.stash[SCENARIO], item.stash[SAMPLING]
    if scenario.held:
        result = replace(result, notes=(*result.notes, _NO_BASELINE))
    part = TestPart(
        result,
        0.0 if sampling.clock.name == "virtual" else sampling.began,
        sampling.plan.part.of,
        workers,
        scenario.plan.confidence,
        scenario.objectives,
        scenario.contrasts,
        scenario.scalings,
    )
    return to_plain(part)


@dataclass(slots=True)
class Parts:
    """The parts that came in, on the controller."""

    run: Run
    _by_test: dict[str, list[tuple[TestPart, pytest.TestReport]]]

    def take(self, data: Any, report: pytest.TestReport) -> None:
        """Keep what came on a worker's report."""
        part = from_plain(TestPart, data)
        self._by_test.setdefault(part.result.nodeid, []).append((part, report))

    def judged(self) -> Iterator[pytest.TestReport]:
        """A report of each test with the verdict on all its parts."""
        while self._by_test:
            found = self._by_test.pop(next(iter(self._by_test)))
            result, text = _judged([part for part, _ in found])
            yield self._report(result, text, found[0][1])

    def _report(self, result: TestResult, error: str, one: pytest.TestReport) -> pytest.TestReport:
        settings = self.run.settings
        if result.outcome == "inconclusive" and settings.inconclusive == "warn":
            _warn(self.run.config, result)
        failing = result.outcome in ("failed", "error", *(["inconclusive"] if settings.inconclusive == "fail" else []))
        report = pytest.TestReport(
            nodeid=one.nodeid,
            location=one.location,
            keywords={},
            outcome="failed" if failing else "passed",
            longrepr=(error or conclusion.told(result, settings)) if failing else None,
            when="call",
        )
        setattr(report, REPORT_KEY, to_plain(result))
        report.user_properties = named(result, self.run.config)
        return report


def _judged(parts: list[TestPart]) -> tuple[TestResult, str]:
    """What all parts show together, and why they could not be judged."""
    first, ran = parts[0], [part for part in parts if any(one.rounds for one in part.result.series)]
    shares = [Share(part.began, part.result.series) for part in ran or parts[:1]]
    whole = replace(
        first.result,
        series=merged(shares),
        notes=tuple(dict.fromkeys([*(note for part in parts for note in part.result.notes), *_missing(parts, ran)])),
        error="; ".join(dict.fromkeys(part.result.error for part in parts if part.result.error)),
    )
    if whole.error:
        return replace(whole, outcome="error"), f"a part of it could not be measured: {whole.error}"
    if len({part.result.clock for part in ran}) > 1:
        return replace(whole, outcome="error", error=(text := "its parts were measured on different clocks")), text
    claims = (first.objectives, first.contrasts, first.scalings)
    try:
        return conclusion.judged(whole, *claims, confidence=first.confidence), ""
    except LLMPerfError as error:
        return replace(whole, outcome="error", error=str(error)), str(error)


def _missing(parts: list[TestPart], ran: list[TestPart]) -> Iterator[str]:
    first = parts[0]
    if first.of < first.workers:
        yield (
            f"{first.of} of {first.workers} processes had rounds to run: a closed loop is shared by as many as it has "
            "rounds in flight (concurrency)"
        )
    if len(ran) < first.of:
        yield f"{len(ran)} of {first.of} processes brought what they measured: the others' rounds are missing"


def _warn(config: pytest.Config, result: TestResult) -> None:
    """Say it as a warning of the test: the process that ran it is gone."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        warnings.warn(conclusion.told(result, config.stash[SETTINGS]), LLMPerfWarning, stacklevel=1)
    config.hook.pytest_warning_recorded.call_historic(
        kwargs={"warning_message": caught[0], "nodeid": result.nodeid, "when": "runtest", "location": None}
    )
