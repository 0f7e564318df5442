"""Whether the client's own lateness could explain a verdict.

Time stamps are taken where the event loop comes to them, and a busy or blocked loop comes late. So a verdict on times
is decided once more with every time changed, in the verdict's disfavour, by as much as the client may have been late;
one that does not stand is withdrawn. How late it may have been each call says itself; the lag of the loop over the
whole series is held against those that do not.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

from pytest_llmperf.core import wording
from pytest_llmperf.core.finding import Finding
from pytest_llmperf.core.metrics import RATES_OF_A_CALL
from pytest_llmperf.core.objective import Objective
from pytest_llmperf.core.series import Series
from pytest_llmperf.core.verdict import Outcome

_LEAST_ERROR = 1e-9
"""Seconds. A loop that hardly ever stalls has no lag to speak of, but an error needs a sign for those calls it met."""


def doubted(series: Series, objective: Objective, decide: Callable[[float], Finding]) -> Finding:
    """Withdraw a verdict that the lateness of the client's own event loop could explain.

    *decide* judges with an error (seconds) added to the times of which nothing more exact is known.
    """
    finding = decide(0.0)
    if series.loop_lag is None or series.clock != "realtime" or finding.outcome is Outcome.INCONCLUSIVE:
        return finding
    lag = max(series.loop_lag, _LEAST_ERROR)
    fairest = -lag if (finding.outcome is Outcome.FAILED) == (objective.direction == "<=") else lag
    if objective.metric in RATES_OF_A_CALL:
        fairest = -fairest
    if decide(fairest).outcome is finding.outcome:
        return finding
    return replace(
        finding,
        outcome=Outcome.INCONCLUSIVE,
        reason=f"client-bound: {_lateness(series, objective, finding)}; {finding.reason}",
        remedy="lower the concurrency, keep slow synchronous work out of the event loop, or spread the load over "
        "processes: the client is the bottleneck",
    )


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
