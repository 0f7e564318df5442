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
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from pytest_llmperf.baselines.document import Subject
from pytest_llmperf.core.claims import Contrast, Regression, Scaling
from pytest_llmperf.core.errors import LLMPerfError
from pytest_llmperf.core.merging import Share, merged
from pytest_llmperf.core.objective import Objective
from pytest_llmperf.core.plain import from_plain, to_plain
from pytest_llmperf.plugin import conclusion
from pytest_llmperf.plugin.delivery import REPORT_KEY, named
from pytest_llmperf.plugin.extensions import gate
from pytest_llmperf.plugin.marks import Scenario
from pytest_llmperf.plugin.regressions import Held, held_against, notes_on
from pytest_llmperf.plugin.session import LLMPerfWarning, Run
from pytest_llmperf.plugin.stash import SAMPLING, SCENARIO, SETTINGS
from pytest_llmperf.plugin.workers import place
from pytest_llmperf.plugin.xfail import Expected, expected_of
from pytest_llmperf.reports.report import TestResult
from pytest_llmperf.runner.arms import Arm
from pytest_llmperf.runner.plan import Plan


@dataclass(frozen=True, slots=True)
class TestPart:
    """What one process measured of a test, and what the test claims."""

    __test__ = False  # not a test class, whatever its name says to pytest

    result: TestResult
    place: int
    """Which process."""
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
    regressions: tuple[Regression, ...]
    expected: Expected | None
    """The xfail mark that it has in this process."""


def as_plain(item: pytest.Item, result: TestResult, workers: int) -> Any:
    """The part that this process has of a test, as plain types."""
    scenario, sampling = item.stash[SCENARIO], item.stash[SAMPLING]
    part = TestPart(
        result,
        place(item.config),
        0.0 if sampling.clock.name == "virtual" else sampling.began,
        sampling.plan.part.of,
        workers,
        scenario.plan.confidence,
        scenario.objectives,
        scenario.contrasts,
        scenario.scalings,
        scenario.regressions,
        expected_of(item),
    )
    return to_plain(part)


@dataclass(frozen=True, slots=True)
class Gathered:
    """The parts of one test, of each process the last, with its report."""

    by_place: dict[int, tuple[TestPart, pytest.TestReport]] = field(default_factory=dict)

    @property
    def parts(self) -> list[TestPart]:
        """By place."""
        return [part for _, (part, _) in sorted(self.by_place.items())]

    @property
    def report(self) -> pytest.TestReport:
        """One of theirs."""
        return next(iter(self.by_place.values()))[1]

    def is_meant(self, expected: Expected) -> bool:
        """Whether what the test fails by is what its xfail mark means; of a part's own error, pytest said so."""
        broken = [part.result.outcome for part in self.parts if part.result.error]
        return set(broken) == {"xfailed"} if broken else expected.claims


@dataclass(slots=True)
class Parts:
    """The parts that came in, on the controller."""

    run: Run
    _by_test: dict[str, Gathered]

    def take(self, data: Any, report: pytest.TestReport) -> None:
        """Keep what came on a worker's report; a rerun's replaces that of the run before."""
        part = from_plain(TestPart, data)
        self._by_test.setdefault(part.result.nodeid, Gathered()).by_place[part.place] = part, report

    def judged(self) -> Iterator[pytest.TestReport]:
        """The reports of each test: set-up and teardown, by which others know its whole, around its verdict."""
        by_test, self._by_test = self._by_test, {}
        wholes = [_Whole(gathered.parts, self.run) for gathered in by_test.values()]
        every = sum(whole.scenario.verdicts for whole in wholes) if self.run.settings.multiplicity == "holm" else 1
        for whole, gathered in zip(wholes, by_test.values(), strict=True):
            yield from self._reports(*whole.judged(every), gathered)

    def _gates(self, result: TestResult, one: pytest.TestReport) -> set[str]:
        return {gate(verdict, self.run.config, one.nodeid, frozenset(one.keywords)) for verdict in result.verdicts}

    def _reports(self, result: TestResult, error: str, gathered: Gathered) -> Iterator[pytest.TestReport]:
        nodeid, location = gathered.report.nodeid, gathered.report.location
        yield pytest.TestReport(nodeid, location, {}, "passed", None, "setup")
        yield self._verdict(result, error, gathered)
        properties = named(result, self.run.config)  # pytest writes those of the last report to its JUnit file
        yield pytest.TestReport(nodeid, location, {}, "passed", None, "teardown", user_properties=properties)

    def _verdict(self, result: TestResult, error: str, gathered: Gathered) -> pytest.TestReport:
        one = gathered.report
        try:
            gates = self._gates(result, one)
        except Exception as trouble:  # noqa: BLE001 - a hook of others, which may have asked for the item
            error = f"pytest_llmperf_gate, asked for no item since several processes measured it: {trouble!r}"
            result, gates = replace(result, outcome="error", error=error), set()
        settings, failing = self.run.settings, "fail" in gates or result.outcome == "error"
        if "warn" in gates and not failing:
            _warn(self.run.config, result)
        report = pytest.TestReport(
            nodeid=one.nodeid,
            location=one.location,
            keywords={},
            outcome="failed" if failing else "passed",
            longrepr=(error or conclusion.told(result, settings)) if failing else None,
            when="call",
        )
        if (expected := gathered.parts[0].expected) is not None:
            expected.apply(report, meant=gathered.is_meant(expected))
            result = replace(result, outcome="xfailed") if report.skipped else result
        setattr(report, REPORT_KEY, to_plain(result))
        report.user_properties = named(result, self.run.config)
        return report


class _Whole:
    """One test, of all that its processes brought."""

    def __init__(self, parts: list[TestPart], run: Run) -> None:
        """Put the parts together, and look up what the test is held against."""
        first, self._ran = parts[0], [part for part in parts if any(one.rounds for one in part.result.series)]
        errors = [part.result.error for part in parts if part.result.error]
        held: tuple[Held, ...] = ()
        self._unfit = "a part of it could not be measured: " if errors else ""
        try:
            test = Subject.of(first.result.nodeid, first.result.parameters)
            held = held_against(first.regressions, test, run)
        except (ValueError, LLMPerfError) as error:
            errors.append(str(error))
        notes = [*(note for part in parts for note in part.result.notes), *_missing(parts, self._ran), *notes_on(held)]
        self._result = replace(
            first.result,
            series=merged([Share(part.began, part.result.series) for part in self._ran or parts[:1]]),
            notes=tuple(dict.fromkeys(notes)),
            error="; ".join(dict.fromkeys(errors)),
        )
        arms = tuple(Arm(one.arm, one.factors) for one in self._result.series)
        claimed = (first.objectives, first.contrasts, first.scalings, first.regressions, held)
        self.scenario = Scenario(Plan(confidence=first.confidence, arms=arms), *claimed)

    def judged(self, family: int) -> tuple[TestResult, str]:
        """Its result, and why it could not be judged.

        Args:
            family: how many claims of the run share the probability of a wrong fail.
        """
        whole, claimed = self._result, self.scenario.one_of(family)
        if whole.error:
            return replace(whole, outcome="error"), f"{self._unfit}{whole.error}"
        if len({part.result.clock for part in self._ran}) > 1:
            return replace(whole, outcome="error", error=(text := "its parts were measured on different clocks")), text
        claims = (claimed.objectives, claimed.contrasts, claimed.scalings)
        try:
            return conclusion.judged(whole, *claims, confidence=claimed.plan.confidence, held=claimed.held), ""
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
