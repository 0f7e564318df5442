"""Thresholds for whoever watches the service in production, from what tests showed to be normal."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from pytest_llmperf.core.metrics import METRICS
from pytest_llmperf.core.observations import observe, resolved_metric
from pytest_llmperf.core.series import Series


@dataclass(frozen=True, slots=True)
class Alert:
    """When to raise an alarm over one figure."""

    figure: str
    unit: str
    normal: float | None
    """None where nothing was measured."""
    threshold: float | None
    """None where the normal is 0, so that no multiple of it is a threshold."""
    rule: str
    """How the one comes from the other."""


@dataclass(frozen=True, slots=True)
class Rules:
    """How far from normal is too far."""

    latency: float = 0.5
    """Share above the normal p95."""
    errors: float = 0.02
    """Share of calls that may fail."""
    queue: float = 3.0
    """Times the normal p95 of the wait for a connection."""


def alerts(sessions: Sequence[Series], metric: str, rules: Rules) -> tuple[Alert, ...]:
    """The thresholds that follow from all judged calls of these sessions together.

    Args:
        sessions: of one test, under the same conditions.
        metric: a latency; for another metric `ttft` or `e2e` takes its place.
        rules: how far from normal is too far.

    Raises:
        UsageError: the metric is one of two, and the calls do not tell which.
    """
    row = METRICS.get(metric)
    timed = row is not None and row.unit == "s"
    name = resolved_metric(metric if timed else "ttft|e2e", sessions[-1])
    p95, queue = _p95(sessions, name), _p95(sessions, "queue")
    calls = sum(len(one.judged) for one in sessions)
    failed = sum(bool(call.failure) for one in sessions for call in one.judged)
    return (
        Alert(f"p95 {name}", "s", p95, _times(p95, 1 + rules.latency), f"normal + {rules.latency * 100:g} %"),
        Alert("error_rate", "share", failed / calls if calls else None, rules.errors, "as given"),
        Alert("p95 queue", "s", queue, _times(queue, rules.queue), f"{rules.queue:g} × normal"),
    )


def _p95(sessions: Sequence[Series], metric: str) -> float | None:
    from pytest_llmperf.statistics.quantiles import quantile

    values = [value for one in sessions for value in observe(one, metric).present]
    return quantile(values, 0.95) if values else None


def _times(normal: float | None, factor: float) -> float | None:
    return None if not normal or math.isinf(normal) else normal * factor
