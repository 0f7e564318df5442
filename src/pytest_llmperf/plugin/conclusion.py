"""What the gathered rounds say, and how the test ends accordingly.

A failed claim is raised in the call phase, as an exception that pytest takes for a failing test of its own.
"""

from __future__ import annotations

import unittest
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from pytest_llmperf.core import wording
from pytest_llmperf.core.environment import Source
from pytest_llmperf.core.errors import LLMPerfError, UsageError
from pytest_llmperf.core.exchange import Provenance
from pytest_llmperf.core.metrics import METRICS
from pytest_llmperf.core.verdict import Outcome
from pytest_llmperf.plugin.extensions import gate
from pytest_llmperf.plugin.regressions import notes_on, parameters_of
from pytest_llmperf.plugin.session import LLMPerfWarning, plain_nodeid
from pytest_llmperf.plugin.stash import RESULT, SETTINGS

if TYPE_CHECKING:
    from pytest_llmperf.core.ceiling import Ceiling
    from pytest_llmperf.core.claims import Contrast, Scaling
    from pytest_llmperf.core.objective import Objective
    from pytest_llmperf.core.series import Measurement, Series
    from pytest_llmperf.core.verdict import Verdict
    from pytest_llmperf.plugin.execution import Execution
    from pytest_llmperf.plugin.options import Settings
    from pytest_llmperf.plugin.regressions import Held
    from pytest_llmperf.reports.report import TestResult

_Failed: Any = pytest.fail.Exception
_SKIPS: Any = (pytest.skip.Exception, unittest.SkipTest)


class ClaimFailed(_Failed):  # type: ignore[misc]
    """A claim was shown not to hold."""

    __module__ = "builtins"  # pytest writes the module before the name, in front of the line that should stand alone


class ClaimInconclusive(ClaimFailed):
    """A claim was shown neither way, and the run asks for that to fail."""

    __module__ = "builtins"


def conclude(execution: Execution) -> None:
    """Judge the finished series and let the test end accordingly.

    Raises:
        ClaimFailed: a claim was shown not to hold.
        UsageError: there is nothing that could be judged.
    """
    tape_error = _finish_tape(execution, complete=True)
    series = _series(execution)
    try:
        if tape_error is not None:
            raise tape_error
        _check_cassette(execution, series)
        _check_simulated(execution, series)
        _check_count(execution)
        result = _result(execution, series)
        if not execution.is_part:
            scenario = execution.scenario
            claims = (scenario.objectives, scenario.contrasts, scenario.scalings)
            result = judged(result, *claims, confidence=scenario.plan.confidence, held=scenario.held)
    except LLMPerfError as error:
        execution.item.stash[RESULT] = _result(execution, series, error=str(error))
        raise
    execution.item.stash[RESULT] = result
    if not execution.is_part:
        _end_as(execution, result)


def judged(
    result: TestResult,
    objectives: Sequence[Objective],
    contrasts: Sequence[Contrast],
    scalings: Sequence[Scaling],
    *,
    confidence: float,
    held: Sequence[Held] = (),
) -> TestResult:
    """The same with the answers to what is claimed of its series.

    Raises:
        UsageError: there is nothing that could be judged.
    """
    from pytest_llmperf.core.curves import curves
    from pytest_llmperf.core.verdict import combined

    compared = [one.regression for one in held if one.known]
    _check_calls((*objectives, *contrasts, *scalings, *compared), result.series)
    verdicts = _verdicts(objectives, contrasts, scalings, held, result.series)
    return replace(
        result,
        outcome=combined([verdict.outcome for verdict in verdicts]).value,
        verdicts=verdicts,
        ceiling=_ceiling(objectives, result.series, confidence),
        curves=curves(result.series, scalings),
    )


def broke_off(execution: Execution, error: BaseException) -> None:
    """Keep what was gathered when the body raised, with the round it raised in; a skipped test gathered nothing."""
    _finish_tape(execution, complete=False)
    if isinstance(error, _SKIPS):
        return
    interrupted = isinstance(error, KeyboardInterrupt | SystemExit | pytest.exit.Exception)
    where = execution.sampling.raised_in
    text = f"{type(error).__name__}: {error}" if not isinstance(error, LLMPerfError) else str(error)
    told = text if interrupted or not where else f"{where}: {text}"
    result = _result(execution, _series(execution), error=told, interrupted=interrupted)
    execution.item.stash[RESULT] = result
    if interrupted:  # there will be no report of this test
        execution.run.keep(result)


def _series(execution: Execution) -> tuple[Series, ...]:
    """One for each arm."""
    lag = execution.lag.quantile(0.99) if execution.lag is not None else None
    scenario = execution.scenario.plan.name or plain_nodeid(execution.item.nodeid)
    series = execution.sampling.series_by_arm(scenario, execution.source, loop_lag=lag)
    if execution.tape is not None and execution.sampling.settled:
        return tuple(replace(one, budget=execution.tape.asked.rounds) for one in series)
    return series


def _finish_tape(execution: Execution, *, complete: bool) -> LLMPerfError | None:
    try:
        if execution.tape is not None:
            execution.tape.finish(execution.sampling, complete=complete)
    except LLMPerfError as error:
        return error
    return None


def _check_cassette(execution: Execution, series: tuple[Series, ...]) -> None:
    """A body may keep a miss to itself; and what came past the cassette was not replayed."""
    tape = execution.tape
    if tape is None:
        return
    if tape.deck.misses:
        raise UsageError(tape.deck.misses[0])
    past = execution.sampling.recorder.past
    if past and not tape.records:
        raise UsageError(
            f"{wording.count(past, 'call')} went past the cassette {tape.path}: the SDK was answered, and no request"
            " was seen. Something replaces its HTTP client; let it use httpx, or use --llmperf-backend=live"
        )
    served = {Provenance.REPLAYED, Provenance.SUBSTITUTED, Provenance.UNTIMED}
    seen = [m for one in series for m in one.measurements]
    passed = [m for m in seen if m.provenance not in served]
    if passed and not tape.records:
        raise UsageError(
            f"{wording.count(len(passed), 'call')} of {len(seen)} went past the cassette {tape.path}, to"
            f" {passed[0].endpoint}: something else serves this client, so nothing was replayed. Let it use httpx's"
            " ordinary transports, or run the test with --llmperf-backend=live"
        )


def _check_simulated(execution: Execution, series: tuple[Series, ...]) -> None:
    """A body may keep a refusal to itself; and what came past the simulated API is not simulated."""
    if execution.simulator is None:
        return
    if execution.simulator.refused:
        raise UsageError(execution.simulator.refused[0])
    past = execution.sampling.recorder.past
    if past:
        raise UsageError(
            f"{wording.count(past, 'call')} went past the simulated API: the SDK was answered, and no request was seen."
            " Something replaces its HTTP client; let it use httpx, or use --llmperf-backend=live"
        )
    passed = _passed(execution, series)
    if passed:
        raise UsageError(
            f"{wording.count(len(passed), 'call')} went past the simulated API, to {passed[0].endpoint}: something else"
            " serves this client, so nothing was simulated. Let it use httpx's ordinary transports, or run the test"
            " with --llmperf-backend=live"
        )


def _passed(execution: Execution, series: tuple[Series, ...]) -> list[Measurement]:
    """Calls of a simulated test that something else answered."""
    if execution.source is not Source.SIMULATED:
        return []
    return [m for one in series for m in one.measurements if m.provenance != Provenance.SUBSTITUTED]


def _verdicts(
    objectives: Sequence[Objective],
    contrasts: Sequence[Contrast],
    scalings: Sequence[Scaling],
    held: Sequence[Held],
    series: tuple[Series, ...],
) -> tuple[Verdict, ...]:
    """Claim by claim, each for the arms that it is about; then what compares arms."""
    from pytest_llmperf.core.contrast import contrast_judgement
    from pytest_llmperf.core.judge import judgement
    from pytest_llmperf.core.scaling import judge_scaling
    from pytest_llmperf.core.together import decided

    by_name = {one.arm: one for one in series}
    of_one = [judgement(one, claim) for claim in objectives for one in series if claim.applies_to(one.arm)]
    of_two = [contrast_judgement(by_name[one.arm], by_name[one.to], one) for one in contrasts]
    of_baselines = [one for each in held for one in each.judgements(by_name[each.regression.arm or ""])]
    curves = [verdict for scaling in scalings for verdict in judge_scaling(series, scaling)]
    return (*decided([*of_one, *of_two, *of_baselines], series[0].stop), *curves)


def _result(
    execution: Execution,
    series: tuple[Series, ...],
    *,
    error: str = "",
    interrupted: bool = False,
) -> TestResult:
    from pytest_llmperf.reports.report import TestResult

    file, line, _ = execution.item.location
    return TestResult(
        nodeid=plain_nodeid(execution.item.nodeid),
        outcome="error" if error or interrupted else "passed",
        source=execution.source,
        clock=series[0].clock,
        series=() if _passed(execution, series) else series,  # not even beside an error is such a call simulated
        verdicts=(),
        notes=(*execution.notes, *execution.sampling.recorder.warnings, *notes_on(execution.scenario.held)),
        error=error,
        interrupted=interrupted,
        location=None if line is None else (file, line + 1),
        parameters=parameters_of(execution.item),
    )


_SOURCES = {
    "simulate": (Source.SIMULATED, "virtual"),
    "live": (Source.LIVE, "realtime"),
    "record": (Source.RECORDED, "realtime"),
    "replay": (Source.REPLAYED, "instant"),
}
"""Where numbers would have come from, by the backend, and the clock they usually have."""


def unmeasured(item: pytest.Item, report: pytest.TestReport) -> TestResult:
    """The result of a test that failed before it measured anything."""
    from pytest_llmperf.reports.report import TestResult

    settings = item.config.stash[SETTINGS]
    source, clock = _SOURCES[settings.backend]
    file, line, _ = item.location
    return TestResult(
        nodeid=plain_nodeid(item.nodeid),
        outcome="error",
        source=source,
        clock=clock if settings.clock == "auto" else settings.clock,
        series=(),
        verdicts=(),
        error=("its set-up failed: " if report.when == "setup" else "") + _message(report),
        location=None if line is None else (file, line + 1),
        parameters=parameters_of(item) if isinstance(item, pytest.Function) else None,
    )


def _message(report: pytest.TestReport) -> str:
    """What pytest says of a failure, without its traceback."""
    crash = getattr(report.longrepr, "reprcrash", None)
    if crash is not None:
        return str(crash.message).removeprefix("Failed: ")
    text = report.longreprtext
    marked = [line[1:].strip() for line in text.splitlines() if line.startswith("E ")]
    return marked[0] if marked else text


def _ceiling(objectives: Sequence[Objective], series: tuple[Series, ...], confidence: float) -> Ceiling | None:
    """The service's limit, where the arms differ in their rate and in nothing else."""
    from pytest_llmperf.core.ceiling import FACTOR, rate_ceiling

    if len(series) < 2 or any(list(one.factors) != [FACTOR] for one in series):
        return None
    if any(len(one.judged) != len(one.judged_rounds) for one in series):
        return None  # the rate is that of rounds, and a ceiling one of calls
    most = [one for one in objectives if one.metric == "throttle_rate" and one.direction == "<="]
    tolerated = min((one.bound for one in most if 0 < one.bound < 1), default=0.05)
    return rate_ceiling(series, tolerated, confidence)


def _check_count(execution: Execution) -> None:
    """A body that whoever ran the test called once, or never, is the worst silent mistake there could be."""
    ran, asked = len(execution.sampling.rounds), execution.sampling.plan.total_rounds
    if ran != asked and not execution.sampling.ended_by and not execution.sampling.settled:
        raise UsageError(f"{ran} rounds were run where {asked} were asked: another plugin ran the test in its own way")


def _check_calls(claims: Sequence[Any], series: tuple[Series, ...]) -> None:
    """Claims on calls need calls; a claim on what the body records does not."""
    of_calls = [o for o in claims if o.metric.partition("|")[0] in METRICS.keys() - {"scenario"}]
    if of_calls and not any(one.judged or one.ended_by for one in series):
        seen = sum(len(one.rounds) for one in series)
        raise UsageError(
            f"{of_calls[0].mark}: no LLM call was seen in {wording.count(seen, 'round')}: the call must "
            "be made in this process through httpx or httpx2 (the anthropic SDK does), inside the test body"
        )


def told(result: TestResult, settings: Settings) -> str:
    """What a test that did not pass says."""
    from pytest_llmperf.reports.failure import failure_text

    return failure_text(result, profile=settings.profile if result.source is Source.SIMULATED else "")


def _end_as(execution: Execution, result: TestResult) -> None:
    item, gates = execution.item, {verdict.outcome: set[str]() for verdict in result.verdicts}
    for verdict in result.verdicts:
        gates[verdict.outcome].add(gate(verdict, item.config, item.nodeid, frozenset(item.keywords), item))
    if "fail" in gates.get(Outcome.FAILED, ()):
        raise ClaimFailed(told(result, execution.run.settings), pytrace=False)
    asked = set().union(*gates.values())
    if "fail" in asked:
        raise ClaimInconclusive(told(result, execution.run.settings), pytrace=False)
    if "warn" in asked:
        execution.item.warn(LLMPerfWarning(told(result, execution.run.settings)))
