"""What a series comes down to: a row of figures for each metric, and the sum of what was billed.

Describes and never judges: no limit is known here. Quantiles are the nearest-rank ones the verdicts rest on; failed
calls are in them as infinitely slow ones, and what is absent is counted with its reason.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields
from typing import TypeVar

from pytest_llmperf.core.generation import Usage
from pytest_llmperf.core.metrics import METRICS, Metric
from pytest_llmperf.core.objective import SHARES, TOTALS
from pytest_llmperf.core.observations import (
    INTERRUPTED,
    Observations,
    completions,
    gaps_by_call,
    observe,
    of_calls,
    recorded_unit,
    was_cut,
)
from pytest_llmperf.core.series import Measurement, Series

_Number = TypeVar("_Number", int, float)
LEVELS = {"p50": 0.5, "p90": 0.9, "p95": 0.95, "p99": 0.99}
"""The quantiles a summary holds."""
HEADLINE = (
    ("ttft", "p50"),
    ("ttft", "p95"),
    ("e2e", "p50"),
    ("e2e", "p95"),
    ("output_tps", "p50"),
    ("cost", "mean"),
)
"""Metric and statistic of the figures that say most: given for every test that has them, claimed or not."""


@dataclass(frozen=True, slots=True)
class MetricSummary:
    """Figures of one metric in its unit; None where there is nothing to have them from.

    A metric of the whole series (a rate, a total) has a mean only: its value. Its `n` says how many calls or attempts
    it was taken over.
    """

    unit: str
    n: int
    missing: int = 0
    missing_reason: str = ""
    """The most common one."""
    mean: float | None = None
    min: float | None = None
    p50: float | None = None
    p90: float | None = None
    p95: float | None = None
    p99: float | None = None
    max: float | None = None


@dataclass(frozen=True, slots=True)
class Summary:
    """The judged part of one series; warm-ups are counted and otherwise left out."""

    judged_rounds: int
    warmup_rounds: int
    failed_rounds: int
    """Judged rounds whose body raised."""
    calls: int
    attempts: int
    failures: dict[str, int]
    """How many calls failed in the end, by reason, most common first."""
    metrics: dict[str, MetricSummary]
    """Every metric of the table, then what the body recorded or scored."""
    usage: Usage
    """Sums over the calls that said; None where none did."""
    cost: float | None
    """Dollars, summed likewise."""
    values: dict[str, tuple[float | None, ...]]
    """One per call (per round for `scenario` and recorded names) in dispatch order, of each metric that has any."""


def summarised(series: Series) -> Summary:
    """The figures of the judged rounds of a series."""
    calls, rounds, cut = series.judged, series.judged_rounds, series.cut
    listed = {observed.metric: observed for observed in _listed(series, calls, cut)}
    return Summary(
        judged_rounds=len(rounds),
        warmup_rounds=sum(round_.warmup for round_ in series.rounds),
        failed_rounds=sum(bool(round_.failure) for round_ in rounds),
        calls=len(calls),
        attempts=sum(call.attempts for call in calls),
        failures=dict(Counter(call.failure for call in calls if call.failure and not was_cut(call, cut)).most_common()),
        metrics={
            **{name: _metric(series, row, listed) for name, row in METRICS.items()},
            **{name: _figures(listed[name], recorded_unit(series, name)) for name in _recorded(series)},
        },
        usage=_usage([call.usage for call in calls]),
        cost=_sum(call.values.get("cost") for call in calls),
        values={name: observed.values for name, observed in listed.items() if observed.present},
    )


def _listed(series: Series, calls: Sequence[Measurement], cut: frozenset[int]) -> list[Observations]:
    """Everything that has one value per call or round."""
    # By call, cost too, where a claim on it adds up its round.
    tabled = [of_calls(calls, cut, name) for name, row in METRICS.items() if row.per == "call"]
    return [*tabled, *(observe(series, name) for name in ("scenario", *_recorded(series)))]


def _recorded(series: Series) -> list[str]:
    """Names of what the body recorded or scored, in the order it first did; a metric's own name stays the metric's."""
    names = [name for round_ in series.judged_rounds for name in (*round_.scores, *round_.records)]
    return [name for name in dict.fromkeys(names) if name not in METRICS]


def _metric(series: Series, row: Metric, listed: dict[str, Observations]) -> MetricSummary:
    if row.name in listed:
        return _figures(listed[row.name], row.unit)
    if row.name in SHARES:
        return _share(series, row)
    if row.name in TOTALS:
        return _total(series, row)
    gaps = gaps_by_call(series)
    return _described(gaps.pooled, row.unit, gaps.missing, gaps.why_missing)


def _figures(observed: Observations, unit: str) -> MetricSummary:
    return _described(observed.present, unit, observed.missing, observed.why_missing)


def _described(values: Sequence[float], unit: str, missing: int, reason: str) -> MetricSummary:
    reason = reason if missing else ""
    if not values:
        return MetricSummary(unit, 0, missing, reason)
    from pytest_llmperf.statistics.quantiles import order_statistics

    n = len(values)
    smallest, *quantiles, largest = order_statistics(values, LEVELS.values())
    return MetricSummary(
        unit,
        n,
        missing,
        reason,
        mean=math.fsum(values) / n,
        min=smallest,
        max=largest,
        **dict(zip(LEVELS, quantiles, strict=True)),
    )


def _share(series: Series, row: Metric) -> MetricSummary:
    """Errors among calls, of which a cut one is neither; answers of 429 among attempts."""
    calls, cut = series.judged, series.cut
    if row.name == "goodput":
        return MetricSummary(row.unit, 0, len(calls), "only a claim has limits to meet" if calls else "")
    if row.name == "throttle_rate":
        n, hits, missing = sum(call.attempts for call in calls), sum(call.throttled for call in calls), 0
    else:
        missing = sum(was_cut(call, cut) for call in calls)
        n, hits = len(calls) - missing, sum(bool(call.failure) for call in calls) - missing
    return MetricSummary(row.unit, n, missing, INTERRUPTED if missing else "", hits / n if n else None)


def _total(series: Series, row: Metric) -> MetricSummary:
    """Amounts of all calls over the span of the series, the ratio a claim on it is judged by."""
    n = len(series.judged)
    if series.clock == "instant":
        return MetricSummary(row.unit, 0, n, "the instant clock does not wait: a series has no span")
    amounts, seconds, unknown = completions(series, row.name)
    reason = "its end or its tokens were not seen" if unknown else ""
    mean = math.fsum(amounts) / math.fsum(seconds) if n > unknown and any(seconds) else None
    return MetricSummary(row.unit, n - unknown, unknown, reason, mean)


def _usage(usages: Sequence[Usage]) -> Usage:
    sums: dict[str, int | None] = {
        field.name: _sum(getattr(usage, field.name) for usage in usages) for field in fields(Usage)
    }
    return Usage(**sums)


def _sum(amounts: Iterable[_Number | None]) -> _Number | None:
    known = [amount for amount in amounts if amount is not None]
    return sum(known) if known else None
