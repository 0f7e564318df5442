"""Each test's runs in the order they were made, where a lasting change lies, and when to raise an alarm.

Takes names of baselines, session files and JSON reports, any number of them. A change is told from eight runs on, four
on each side of it; what is worse in the last runs is for compare to say. Runs sampled under other conditions than the
last one are left out, and counted.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from pytest_llmperf.cli.operands import add_store, sessions
from pytest_llmperf.core.errors import UsageError

if TYPE_CHECKING:
    from rich.console import Console

    from pytest_llmperf.baselines.document import Session
    from pytest_llmperf.core.alerts import Rules
    from pytest_llmperf.core.series import Series
    from pytest_llmperf.statistics.history import Change

HELP = "each test's runs, their change points, and alert thresholds"
ENOUGH = 8
"""Runs, to tell a change: four on each side."""
_NORMAL = 10
"""The latest runs that tell what is normal."""


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
    parser.add_argument("--html", type=Path, metavar="PATH", help="write it as a page that opens offline, too")
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
    if arguments.html is not None:
        _write_page(found, arguments, rules)
    return 0


def _write_page(found: Sequence[History], arguments: argparse.Namespace, rules: Rules) -> None:
    from pytest_llmperf.cli.pasts import limits_of, past_of
    from pytest_llmperf.reports import past
    from pytest_llmperf.reports.output import put

    claimed = limits_of(arguments.runs)
    pages = [past_of(history, arguments.statistic, rules, claimed.get(history.subject, ())) for history in found]
    put(past.render(pages), arguments.html, option="--html", what="history")


@dataclass(frozen=True, slots=True)
class Run:
    """One run of one test."""

    started: str
    series: Series
    anchor: bool


@dataclass(frozen=True, slots=True)
class History:
    """The comparable runs of one test, oldest first."""

    name: str
    metric: str
    runs: tuple[Run, ...]
    unlike: int
    """Runs that were sampled under other conditions."""
    subject: str
    """Test and arm, without what keeps sessions apart."""

    @property
    def current(self) -> list[Series]:
        """The latest runs since it began anew: what is normal now."""
        begun = [number for number, one in enumerate(self.runs) if one.anchor]
        return [one.series for one in self.runs[begun[-1] if begun else 0 :]][-_NORMAL:]


def _histories(every: Sequence[Session], arguments: argparse.Namespace) -> Iterator[History]:
    from pytest_llmperf.baselines.reference import key_told
    from pytest_llmperf.core.conditions import conditions_of
    from pytest_llmperf.core.observations import resolved_metric

    for subject, key in dict.fromkeys((entry.subject, key_told(one.key)) for one in every for entry in one.entries):
        runs = [
            Run(session.started, series, session.anchor)
            for session in every
            if key_told(session.key) == key and (series := session.series_of(subject)) is not None
        ]
        last = runs[-1].series
        alike = tuple(one for one in runs if not conditions_of(one.series).differing(conditions_of(last)))
        name, metric = f"{subject.label}, {key}" if key else subject.label, resolved_metric(arguments.metric, last)
        yield History(name, metric, alike, len(runs) - len(alike), subject.label)


def _print(console: Console, history: History, arguments: argparse.Namespace, rules: Rules) -> None:
    from rich.markup import escape

    from pytest_llmperf.core.wording import count

    console.print(escape(history.name), style="bold")
    _print_runs(console, history, arguments)
    _print_changes(console, history, arguments.statistic)
    _print_alerts(console, history, rules)
    if history.unlike:
        console.print(f"  left out: {count(history.unlike, 'run')} under other conditions than the last")
    console.print()


def _print_runs(console: Console, history: History, arguments: argparse.Namespace) -> None:
    from rich.table import Table

    from pytest_llmperf.core.wording import quantity

    statistics = tuple(dict.fromkeys((arguments.statistic, "p95")))
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for heading in ("  run", "n", *(f"{name} {history.metric}" for name in statistics), "errors", ""):
        table.add_column(heading, justify="left" if heading.strip() in ("run", "") else "right", no_wrap=True)
    for one in history.runs[-arguments.last :]:
        calls = one.series.judged
        figures = [figure(one.series, history.metric, name) for name in statistics]
        shown = ["–" if value is None else quantity(value, unit(history.metric)) for value in figures]
        errors = f"{100 * sum(bool(call.failure) for call in calls) / len(calls):.1f} %" if calls else "–"
        moment = one.started[:16].replace("T", " ")
        table.add_row(f"  {moment}", str(len(calls)), *shown, errors, "anchor" if one.anchor else "")
    console.print(table)


def _print_changes(console: Console, history: History, statistic: str) -> None:
    from pytest_llmperf.core.wording import count

    known, changes = found_changes(history, statistic)
    if known < ENOUGH:
        console.print(f"  changes: {ENOUGH} runs are the fewest that show one, and here are {known}")
        return
    for change in changes:
        console.print(f"  change: {change_told(history, statistic, change)}", style="yellow")
    if not changes:
        console.print(f"  changes: none shown in {count(known, 'run')}")


def found_changes(history: History, statistic: str) -> tuple[int, list[Change]]:
    """How many runs have a value, and the changes among them, whose index is that of the first run after it."""
    import math

    from pytest_llmperf.statistics.history import find_changes

    told = [(place, figure(one.series, history.metric, statistic)) for place, one in enumerate(history.runs)]
    known = [(place, value) for place, value in told if value is not None and 0 < value < math.inf]
    if len(known) < ENOUGH:
        return len(known), []
    changes = find_changes([value for _, value in known])
    return len(known), [replace(change, index=known[change.index][0]) for change in changes]


def change_told(history: History, statistic: str, change: Change) -> str:
    """From what to what, since when, and how sure that is."""
    from pytest_llmperf.core.wording import quantity

    before, after = (quantity(value, unit(history.metric)) for value in (change.before, change.after))
    moment = history.runs[change.index].started[:16].replace("T", " ")
    return (
        f"{statistic} {history.metric} {before} → {after} ({100 * (change.ratio - 1):+.0f} %) since {moment}, "
        f"p = {change.p_value:.3f}"
    )


def _print_alerts(console: Console, history: History, rules: Rules) -> None:
    from pytest_llmperf.core.alerts import alerts
    from pytest_llmperf.core.wording import quantity

    for alert in alerts(history.current, history.metric, rules):
        if alert.normal is None:
            console.print(f"  alert: {alert.figure} was not measured")
        elif alert.threshold is None:
            console.print(
                f"  alert: {alert.figure} is {quantity(alert.normal, alert.unit)}; no multiple of it is a limit"
            )
        else:
            normal, limit = (quantity(value, alert.unit) for value in (alert.normal, alert.threshold))
            console.print(f"  alert: {alert.figure} above {limit} ({alert.rule}; normal {normal})")


def figure(series: Series, metric: str, statistic: str) -> float | None:
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


def unit(metric: str) -> str:
    """The metric's unit; empty where no table knows it."""
    from pytest_llmperf.core.metrics import METRICS

    return METRICS[metric].unit if metric in METRICS else ""
