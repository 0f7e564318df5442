"""A history as the values that its page is made of: each run's figure with its interval, changes, and limits.

The limits are what the latest JSON report among the runs claims of the metric, and the threshold for alarms.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pytest_llmperf.cli.history import ENOUGH, History, Run, change_told, figure, found_changes, unit
from pytest_llmperf.core import wording
from pytest_llmperf.reports.past import Past, PastChange, PastLimit, PastRun

if TYPE_CHECKING:
    from pytest_llmperf.core.alerts import Rules
    from pytest_llmperf.statistics.history import Change

Limit = tuple[str, str, float, str]
"""Metric, statistic, bound and claim."""


def past_of(history: History, statistic: str, rules: Rules, claimed: Iterable[Limit]) -> Past:
    """What a page shows of a history."""
    known, changes = found_changes(history, statistic)
    return Past(
        name=history.name,
        metric=history.metric,
        unit=unit(history.metric),
        statistic=statistic,
        runs=tuple(_run(one, history.metric, statistic) for one in history.runs),
        changes=tuple(
            PastChange(change.index, change.before, change.after, change_told(history, statistic, change))
            for change in changes
        ),
        limits=(*_claims(claimed, history.metric, statistic), *_thresholds(history, rules)),
        remarks=(*_unchanged(known, changes), *_left_out(history)),
    )


def _unchanged(known: int, changes: Sequence[Change]) -> list[str]:
    """Why no change is drawn: none was found, or none could be."""
    if known < ENOUGH:
        return [f"changes: {ENOUGH} runs are the fewest that show one, and here are {known}"]
    return [] if changes else [f"changes: none shown in {known} runs"]


def _run(one: Run, metric: str, statistic: str) -> PastRun:
    from pytest_llmperf.core.objective import quantile_level
    from pytest_llmperf.core.observations import observe
    from pytest_llmperf.statistics.quantiles import quantile_estimate

    level, values = quantile_level(statistic), observe(one.series, metric).present
    found = quantile_estimate(values, level, 0.95) if level is not None and values else None
    calls = one.series.judged
    return PastRun(
        started=one.started,
        n=len(calls),
        value=figure(one.series, metric, statistic),
        low=found.low if found else None,
        high=found.high if found else None,
        p95=figure(one.series, metric, "p95"),
        errors=sum(bool(call.failure) for call in calls) / len(calls) if calls else None,
        anchor=one.anchor,
    )


def _claims(claimed: Iterable[Limit], metric: str, statistic: str) -> Iterator[PastLimit]:
    for of, which, bound, claim in claimed:
        if of == metric and which in (statistic, "p95"):
            yield PastLimit(bound, f"claimed: {claim}")


def _thresholds(history: History, rules: Rules) -> Iterator[PastLimit]:
    from pytest_llmperf.core.alerts import alerts

    for alert in alerts(history.current, history.metric, rules):
        if alert.figure == f"p95 {history.metric}" and alert.threshold is not None:
            words = wording.quantity(alert.threshold, alert.unit)
            yield PastLimit(alert.threshold, f"alarm: {alert.figure} above {words}")


def _left_out(history: History) -> tuple[str, ...]:
    few = wording.count(history.unlike, "run")
    return (f"left out: {few} under other conditions than the last",) if history.unlike else ()


def limits_of(operands: Sequence[str]) -> dict[str, list[Limit]]:
    """What the latest of the JSON reports among the operands claims, by the name of a test and arm."""
    from pytest_llmperf.cli.operands import is_report
    from pytest_llmperf.reports.reading import read

    paths = [path for operand in operands if (path := Path(operand)).is_file() and is_report(path)]
    found: dict[str, list[Limit]] = {}
    for document in sorted(map(read, paths), key=lambda document: str(document["started"])):
        found |= {name: limits for test in document["tests"] for name, limits in _of_test(test)}
    return found


def _of_test(test: dict[str, Any]) -> Iterator[tuple[str, list[Limit]]]:
    from pytest_llmperf.baselines.document import Subject

    parameters = test.get("parameters")
    for arm in test["arms"]:
        subject = Subject.of(test["nodeid"], None if parameters is None else tuple(parameters), arm["name"])
        own = [one for one in test["verdicts"] if one["arm"] == arm["name"] and not one["to"]]
        yield subject.label, [(one["metric"], one["statistic"], float(one["bound"]), one["claim"]) for one in own]
