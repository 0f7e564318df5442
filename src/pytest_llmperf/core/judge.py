"""The one place that decides.

`judge` turns a series and a claim into a verdict. A claim about a quantile or a rate is a yes-or-no question about the
share of bad observations, answered with the exact binomial test in both directions at the full error probability
(`exact`): *passed* when the share is shown to be within, *failed* when it is shown to be beyond, else *inconclusive*.
No distribution is assumed. Means and ratios of totals use Hall's t (`averages`), or bets where a cap is known (`bets`).

Three rules hold everywhere: a failed call is a slow call; an absent value never helps a verdict, so it counts as bad
for a pass and as good for a fail; and a verdict that the client's own lateness could explain is inconclusive,
*client-bound*.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from pytest_llmperf.core import averages, bets, exact, shares, wording
from pytest_llmperf.core.doubt import doubted
from pytest_llmperf.core.errors import UsageError
from pytest_llmperf.core.finding import Finding, unseen
from pytest_llmperf.core.looks import LookWatch, looked
from pytest_llmperf.core.objective import SHARES, Objective
from pytest_llmperf.core.observations import (
    Observations,
    gaps_by_call,
    observe,
    recorded_unit,
    resolved_metric,
    shifted,
)
from pytest_llmperf.core.series import Series
from pytest_llmperf.core.together import Judgement, decided, left_of
from pytest_llmperf.core.verdict import Verdict
from pytest_llmperf.core.watch import Watch, Watching


def judge_all(series: Series, objectives: Sequence[Objective]) -> tuple[Verdict, ...]:
    """Decide several claims on one series together."""
    return decided([judgement(series, objective) for objective in objectives], series.stop)


def judgement(series: Series, objective: Objective) -> Judgement:
    """How one claim is decided among others."""
    return lambda left: judge(series, replace(objective, family=left_of(objective.family, left)))


def judge(series: Series, objective: Objective) -> Verdict:
    """Decide one claim on the judged calls or rounds of one series.

    Raises:
        UsageError: the claim does not say which metric it means, and the series does not settle it; or its statistic
            is none of the metric's.
    """
    metric = resolved_metric(objective.metric, series)
    unit = objective.base_unit(metric) or recorded_unit(series, metric)
    claim = replace(objective, metric=metric, unit=unit)
    if metric == "accuracy" and shares.graded(series):
        claim = replace(claim, statistic="mean")
    finding = _finding(series, claim)
    estimate = finding.estimate
    return Verdict(
        claim=claim.described(),
        metric=metric,
        statistic=claim.statistic,
        direction=objective.direction,
        bound=objective.bound,
        unit=unit,
        outcome=finding.outcome,
        reason=finding.reason,
        confidence=objective.confidence,
        method=finding.method + _levels_told(objective),
        n=finding.n,
        estimate=estimate.value if estimate else None,
        low=estimate.low if estimate else None,
        high=estimate.high if estimate else None,
        missing=finding.missing,
        remedy=finding.remedy,
        slack=objective.slack,
        mark=objective.mark,
        arm=series.arm,
        stops=finding.stops,
        evidence=finding.evidence,
    )


def watching(objective: Objective, rounds: int) -> Watching:
    """Watches a claim while its rounds come in, for as many as *rounds*, and comes to the answer `judge` will give."""
    if bets.is_capped(objective):
        return bets.BetWatch(objective)
    if averages.is_average(objective):
        return LookWatch(objective, rounds, averages.decide)
    return Watch(objective, rounds)


def _finding(series: Series, objective: Objective) -> Finding:
    if objective.metric == "goodput":
        return doubted(series, objective, lambda error: exact.rate(series, objective, error))
    if objective.metric in SHARES and objective.statistic != "mean":
        return exact.rate(series, objective)
    if bets.is_capped(objective):
        return bets.decide(series, objective)
    if averages.is_average(objective):
        return doubted(
            series,
            objective,
            lambda error: looked(series, objective, lambda one, claim: averages.decide(one, claim, error)),
        )
    if objective.metric == "event_gap":
        return doubted(series, objective, lambda error: _largest_gap(series, objective, error))
    return doubted(series, objective, lambda error: _observed(series, objective, error))


def _observed(series: Series, objective: Objective, error: float) -> Finding:
    """A claim on single calls or rounds."""
    if objective.level is not None:
        return exact.quantile(series, objective, error)
    return _extreme(shifted(series, observe(series, objective.metric), error), objective)


def _largest_gap(series: Series, objective: Objective, error: float) -> Finding:
    gaps = gaps_by_call(series, error)
    values = (*gaps.pooled, *[None] * gaps.missing)
    return _extreme(Observations("event_gap", "gap", values, gaps.why_missing), objective)


def _extreme(observations: Observations, objective: Objective) -> Finding:
    if objective.statistic not in ("max", "min"):
        raise UsageError(
            f"{objective.metric} has no statistic {objective.statistic!r}; a quantile, mean, max and min it has"
        )
    return unseen(observations) or averages.extreme(observations, objective)


def _levels_told(objective: Objective) -> str:
    """What the verdict was held to, where that is not just its confidence."""
    told = ""
    if objective.attempt:
        told += f"; try {objective.attempt}: errs with at most {wording.percent(objective.levels.to_pass)}"
    if objective.family > 1:
        share = wording.percent(objective.levels.to_fail)
        told += f"; 1 of {objective.family:g} claims: fails wrongly with at most {share}"
    return told
