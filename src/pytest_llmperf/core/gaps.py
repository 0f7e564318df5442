"""Claims on the gaps between the content deltas of a stream.

Gaps of one call are alike, so that the calls are the observations: a share of gaps, or their mean, is a ratio of totals
over calls.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from pytest_llmperf.core import wording
from pytest_llmperf.core.finding import Finding, least_n, nothing, ratio, weighed, without
from pytest_llmperf.core.objective import Objective
from pytest_llmperf.core.observations import CallGaps, Observations
from pytest_llmperf.statistics import means, quantiles
from pytest_llmperf.statistics.estimate import Estimate, PValues

SHARE_OVER_CALLS = "Hall's t over calls, on the share of gaps beyond the limit"


def judged_gaps(gaps: CallGaps, level: float | None, objective: Objective) -> Finding:
    """The finding on a quantile of the pooled gaps (of that *level*), or on their mean."""
    n = len(gaps.calls)
    absent = Observations("event_gap", "call", (0.0,) * n + (None,) * gaps.missing, gaps.why_missing)
    if n < 2:
        few = f"{wording.count(n, 'judged call')} {'has' if n == 1 else 'have'} gaps between events; 2 are the fewest"
        return nothing(few + without("event_gap", gaps.missing, gaps.why_missing), n=n, missing=gaps.missing)
    if level is not None:
        return _quantile(gaps, level, objective, absent)
    sums = [math.fsum(call) if math.isfinite(call[-1]) else math.inf for call in gaps.calls]
    if not all(map(math.isfinite, sums)):
        estimate = means.mean_estimate(sums, objective.confidence)
        p_values = means.mean_p_values(sums, objective.bound, at_least=objective.direction == ">=")
        failed = f"the mean is infinite: {sums.count(math.inf)} of {wording.count(n, 'call')} failed"
        return weighed(p_values, estimate, objective, failed, needed=means.LEAST_N, observations=absent)
    return ratio(sums, [float(len(call)) for call in gaps.calls], objective, absent)


def _quantile(gaps: CallGaps, level: float, objective: Objective, absent: Observations) -> Finding:
    """The share of gaps beyond the limit against the tolerated one.

    A pass needs as many calls as any quantile of the calls themselves would: few calls without a single bad gap show
    no spread, and so nothing of how often a call goes bad as a whole.
    """
    tolerated = objective.tolerated
    sizes = [float(len(call)) for call in gaps.calls]
    bad = [float(sum(map(objective.violated_by, call))) for call in gaps.calls]
    relaxed = [float(sum(objective.violated_by(gap, relaxed=True) for gap in call)) for call in gaps.calls]
    p_pass = means.total_ratio_p_values(relaxed, sizes, tolerated).p_pass
    fewest = quantiles.least_n_to_pass(tolerated, objective.levels.to_pass) or 0
    p_values = PValues(
        p_pass if len(sizes) >= fewest else 1.0, means.total_ratio_p_values(bad, sizes, tolerated).p_fail
    )
    failed = sum(math.isinf(call[-1]) for call in gaps.calls)
    side = "above" if objective.direction == "<=" else "below"
    reason = (
        f"{int(sum(bad))} of {wording.count(int(sum(sizes)), 'gap')} in {wording.count(len(sizes), 'call')} {side} "
        f"{wording.quantity(objective.bound, objective.unit)}; {wording.percent(tolerated)} are tolerated"
    )
    if failed:
        reason += f"; {wording.count(failed, 'call')} failed and {'counts' if failed == 1 else 'count'} as slow"
    if len(sizes) < fewest:
        reason += f"; a pass needs at least {fewest} calls"
    return weighed(
        p_values,
        _woodruff(gaps, level, objective.confidence),
        objective,
        reason,
        needed=least_n(bad, sizes, tolerated),
        observations=absent,
    )


def _woodruff(gaps: CallGaps, level: float, confidence: float) -> Estimate:
    """The pooled quantile; its interval is the share's, read off the pooled distribution (Woodruff 1952)."""
    pooled = gaps.pooled
    value = quantiles.quantile(pooled, level)
    sizes = [float(len(call)) for call in gaps.calls]
    share = means.total_ratio_estimate(_above(gaps.calls, value), sizes, confidence)
    lower, upper = level - (share.high - share.value), level + (share.value - share.low)
    low = quantiles.quantile(pooled, lower) if 0 < lower < 1 else -math.inf
    high = quantiles.quantile(pooled, upper) if 0 < upper < 1 else math.inf
    return Estimate(value, low, high, confidence, SHARE_OVER_CALLS, len(sizes))


def _above(calls: Sequence[Sequence[float]], value: float) -> list[float]:
    return [float(sum(gap > value for gap in call)) for call in calls]
