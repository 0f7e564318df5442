"""Whether the client's own lateness could explain a verdict.

Time stamps are taken where the event loop comes to them, and a busy or blocked loop comes late. So a verdict on times
is decided once more with every time changed, in the verdict's disfavour, by as much as the client may have been late;
one that does not stand is withdrawn. How late it may have been each call says itself; the lag of the loop over the
whole series is held against those that do not.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace

from pytest_llmperf.core import wording
from pytest_llmperf.core.finding import Finding
from pytest_llmperf.core.metrics import RATES_OF_A_CALL
from pytest_llmperf.core.objective import Objective
from pytest_llmperf.core.series import Series
from pytest_llmperf.core.verdict import Outcome

_LEAST_ERROR = 1e-9
"""Seconds. A loop that hardly ever stalls has no lag to speak of, but an error needs a sign for those calls it met."""
_LESS_LOAD = (
    "lower the concurrency, keep slow synchronous work out of the event loop, or spread the load over processes: "
    "the client is the bottleneck"
)


def lateness(series: Series) -> float:
    """How late the client's loop was, in seconds: with a loop never nothing, without one nothing at all."""
    return 0.0 if series.loop_lag is None or series.clock != "realtime" else max(series.loop_lag, _LEAST_ERROR)


def doubted(series: Series, objective: Objective, decide: Callable[[float], Finding]) -> Finding:
    """Withdraw a verdict that the lateness of the client's own event loop could explain.

    *decide* judges with an error (seconds) added to the times of which nothing more exact is known.
    """
    finding = decide(0.0)
    lag = lateness(series)
    if not lag or finding.outcome is Outcome.INCONCLUSIVE:
        return finding
    fairest = -lag if (finding.outcome is Outcome.FAILED) == (objective.direction == "<=") else lag
    if objective.metric in (*RATES_OF_A_CALL, "goodput"):
        fairest = -fairest
    if decide(fairest).outcome is finding.outcome:
        return finding
    return replace(
        finding,
        outcome=Outcome.INCONCLUSIVE,
        reason=f"client-bound: {_lateness(series, objective, finding)}; {finding.reason}",
        remedy=_LESS_LOAD,
    )


def doubted_pair(
    arm: Series, to: Series, metric: str, direction: str, decide: Callable[[tuple[float, float]], Finding]
) -> Finding:
    """The same for a verdict on how two series differ, each of which may have come late in its own way.

    *decide* judges with an error (seconds) added to the times of the one and of the other.
    """
    finding = decide((0.0, 0.0))
    lags = [lateness(arm), lateness(to)]
    if not any(lags) or finding.outcome is Outcome.INCONCLUSIVE:
        return finding
    sign = -1 if (finding.outcome is Outcome.FAILED) == (direction == "<=") else 1
    if metric in RATES_OF_A_CALL:
        sign = -sign
    if decide((sign * lags[0], -sign * lags[1])).outcome is finding.outcome:
        return finding
    return _withdrawn(finding, max(lags))


def doubted_all(every: Sequence[Series], decide: Callable[[float], Finding]) -> Finding:
    """The same for a verdict on a curve through several series.

    *decide* judges with so many times each series' lateness added to its times.
    """
    finding = decide(0.0)
    lag = max(map(lateness, every), default=0.0)
    if not lag or finding.outcome is Outcome.INCONCLUSIVE:
        return finding
    return finding if decide(-1.0).outcome is finding.outcome else _withdrawn(finding, lag)


def _withdrawn(finding: Finding, lag: float) -> Finding:
    late = wording.quantity(lag, "s")
    reason = f"client-bound: the event loop was {late} late (p99), which could explain the verdict; {finding.reason}"
    return replace(finding, outcome=Outcome.INCONCLUSIVE, reason=reason, remedy=_LESS_LOAD)


def _lateness(series: Series, objective: Objective, finding: Finding) -> str:
    """How late the client was, and what that is against the margin of the verdict it makes doubtful."""
    own = [call.late[objective.metric] for call in series.judged if objective.metric in call.late]
    late = max(own, default=series.loop_lag or 0.0)
    told = wording.quantity(late, "s")
    was = f"may have come up to {told} late to these calls" if own else f"was {told} late (p99)"
    margin = abs(finding.estimate.value - objective.bound) if finding.estimate else math.inf
    if objective.unit == "s" and late < margin < math.inf:
        return f"the event loop {was}, and the verdict hangs on calls that are nearer to the limit than that"
    against = f" against the margin of {wording.quantity(margin, objective.unit)}" if math.isfinite(margin) else ""
    return f"the event loop {was}, which is large{against}"
