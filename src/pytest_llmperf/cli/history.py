"""Each test's runs in the order they were made, where a lasting change lies, and when to raise an alarm.

Takes names of baselines, session files and JSON reports, any number of them. A change is told from eight runs on, four
on each side of it; what is worse in the last runs is for compare to say. Runs sampled under other conditions than the
last one are left out, and counted.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pytest_llmperf.cli.operands import add_store, sessions
from pytest_llmperf.core.errors import UsageError

if TYPE_CHECKING:
    from rich.console import Console

    from pytest_llmperf.baselines.document import Session
    from pytest_llmperf.core.alerts import Rules
    from pytest_llmperf.core.series import Series

HELP = "each test's runs, their change points, and alert thresholds"
_ENOUGH = 8


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Say what it takes."""
    parser.add_argument("runs", nargs="+", metavar="RUN", help="baseline's name, session file or JSON report")
    parser.add_argument("--metric", default="ttft|e2e", help="which metric (default: ttft, or e2e of plain calls)")
    parser.add_argument("--statistic", default="p50", metavar="QUANTILE", help="of which changes are sought (p50)")
    parser.add_argument("--test", default="", metavar="TEXT", help="only tests and arms whose name holds this")
    parser.add_argument("--last", type=int, default=20, metavar="N", help="runs to show (default: %(default)s)")
    parser.add_argument("--alert-latency", type=float, default=0.5, metavar="SHARE", help="above p95 (default: 0.5)")
    parser.add_argument("--alert-errors", type=float, default=0.02, metavar="SHARE", help="failed (default: 0.02)")
    parser.add_argument("--alert-queue", type=float, default=3.0, metavar="X", help="times normal (default: 3)")
    add_store(parser)


def run(arguments: argparse.Namespace) -> int:
    """Print the history of every test.

    Raises:
        UsageError: there is none, or the metric has no such statistic.
    """
    from rich.console import Console

    from pytest_llmperf.core.alerts import Rules

    rules = Rules(arguments.alert_latency, arguments.alert_errors, arguments.alert_queue)
    every = [one for operand in arguments.runs for one in sessions(operand, arguments.store)]
    every.sort(key=lambda session: session.started)
    found = [one for one in _histories(every, arguments) if arguments.test in one.name]
    if not found:
        raise UsageError("no test in these runs" + (f" has {arguments.test!r} in its name" if arguments.test else ""))
    console = Console(highlight=False)
    for history in found:
        _print(console, history, arguments, rules)
    return 0


@dataclass(frozen=True, slots=True)
class _Run:
    """One run of one test."""

    started: str
    series: Series
    anchor: bool


@dataclass(frozen=True, slots=True)
class _History:
    """The comparable runs of one test, oldest first."""

    name: str
    metric: str
    runs: tuple[_Run, ...]
    unlike: int
    """Runs that were sampled under other conditions."""


def _histories(every: Sequence[Session], arguments: argparse.Namespace) -> Iterator[_History]:
    from pytest_llmperf.baselines.reference import key_told
    from pytest_llmperf.core.conditions import conditions_of
    from pytest_llmperf.core.observations import resolved_metric

    for subject, key in dict.fromkeys((entry.subject, key_told(one.key)) for one in every for entry in one.entries):
        runs = [
            _Run(session.started, series, session.anchor)
            for session in every
            if key_told(session.key) == key and (series := session.series_of(subject)) is not None
        ]
        last = runs[-1].series
        alike = tuple(one for one in runs if not conditions_of(one.series).differing(conditions_of(last)))
        name = f"{subject.label}, {key}" if key else subject.label
        yield _History(name, resolved_metric(arguments.metric, last), alike, len(runs) - len(alike))


def _print(console: Console, history: _History, arguments: argparse.Namespace, rules: Rules) -> None:
    from rich.markup import escape

    from pytest_llmperf.core.wording import count

    console.print(escape(history.name), style="bold")
    _print_runs(console, history, arguments)
    _print_changes(console, history, arguments.statistic)
    _print_alerts(console, history, rules)
    if history.unlike:
        console.print(f"  left out: {count(history.unlike, 'run')} under other conditions than the last")
    console.print()


def _print_runs(console: Console, history: _History, arguments: argparse.Namespace) -> None:
    from rich.table import Table

    from pytest_llmperf.core.wording import quantity

    statistics = tuple(dict.fromkeys((arguments.statistic, "p95")))
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for heading in ("  run", "n", *(f"{name} {history.metric}" for name in statistics), "errors", ""):
        table.add_column(heading, justify="left" if heading.strip() in ("run", "") else "right", no_wrap=True)
    for one in history.runs[-arguments.last :]:
        calls = one.series.judged
        figures = [_figure(one.series, history.metric, name) for name in statistics]
        shown = ["–" if figure is None else quantity(figure, _unit(history.metric)) for figure in figures]
        errors = f"{100 * sum(bool(call.failure) for call in calls) / len(calls):.1f} %" if calls else "–"
        moment = one.started[:16].replace("T", " ")
        table.add_row(f"  {moment}", str(len(calls)), *shown, errors, "anchor" if one.anchor else "")
    console.print(table)


def _print_changes(console: Console, history: _History, statistic: str) -> None:
    import math

    from pytest_llmperf.core.wording import count, quantity
    from pytest_llmperf.statistics.history import find_changes

    told = [(one, _figure(one.series, history.metric, statistic)) for one in history.runs]
    known = [(one, figure) for one, figure in told if figure is not None and 0 < figure < math.inf]
    if len(known) < _ENOUGH:
        console.print(f"  changes: {_ENOUGH} runs are the fewest that show one, and here are {len(known)}")
        return
    unit = _unit(history.metric)
    changes = find_changes([figure for _, figure in known])
    for change in changes:
        moment = known[change.index][0].started[:16].replace("T", " ")
        console.print(
            f"  change: {statistic} {history.metric} {quantity(change.before, unit)} → {quantity(change.after, unit)} "
            f"({100 * (change.ratio - 1):+.0f} %) since {moment}, p = {change.p_value:.3f}",
            style="yellow",
        )
    if not changes:
        console.print(f"  changes: none shown in {count(len(known), 'run')}")


def _print_alerts(console: Console, history: _History, rules: Rules) -> None:
    from pytest_llmperf.core.alerts import alerts
    from pytest_llmperf.core.wording import quantity

    begun = [number for number, one in enumerate(history.runs) if one.anchor]
    current = [one.series for one in history.runs[begun[-1] if begun else 0 :]][-10:]
    for alert in alerts(current, history.metric, rules):
        if alert.normal is None:
            console.print(f"  alert: {alert.figure} was not measured")
        elif alert.threshold is None:
            console.print(
                f"  alert: {alert.figure} is {quantity(alert.normal, alert.unit)}; no multiple of it is a limit"
            )
        else:
            normal, limit = (quantity(value, alert.unit) for value in (alert.normal, alert.threshold))
            console.print(f"  alert: {alert.figure} above {limit} ({alert.rule}; normal {normal})")


def _figure(series: Series, metric: str, statistic: str) -> float | None:
    """The statistic of the values there are."""
    import math

    from pytest_llmperf.core.objective import quantile_level
    from pytest_llmperf.core.observations import observe
    from pytest_llmperf.statistics.quantiles import quantile

    level, values = quantile_level(statistic), observe(series, metric).present
    if level is None and statistic != "mean":
        raise UsageError(f"{statistic!r} is no statistic of single calls: a quantile such as p95, or mean")
    if not values:
        return None
    return math.fsum(values) / len(values) if level is None else quantile(values, level)


def _unit(metric: str) -> str:
    from pytest_llmperf.core.metrics import METRICS

    return METRICS[metric].unit if metric in METRICS else ""
