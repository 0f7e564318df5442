"""How late an open loop began its rounds: the client's own part in what they waited.

Describes and never judges; the waits already hold it (`metrics`).
"""

from __future__ import annotations

from dataclasses import dataclass

from pytest_llmperf.core.series import Series


@dataclass(frozen=True, slots=True)
class SendingLag:
    """Seconds between when rounds were due and when they began, over the judged rounds. Quantiles are nearest-rank."""

    p50: float
    p99: float
    max: float


def sending_lag(series: Series) -> SendingLag | None:
    """The lag of a series; None in a closed loop, where a round is due when it begins."""
    lags = [max(r.started - r.intended, 0.0) for r in series.judged_rounds if r.intended is not None]
    if not lags:
        return None
    from pytest_llmperf.statistics.quantiles import order_statistics

    return SendingLag(*order_statistics(lags, (0.5, 0.99, 1.0))[1:-1])
