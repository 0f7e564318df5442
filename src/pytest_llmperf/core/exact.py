"""Claims on quantiles and rates: the exact binomial test, at the end or by a plan while rounds come in."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

from pytest_llmperf.core import shares, wording
from pytest_llmperf.core.finding import MEND, UNSEEN, Finding, nothing, shown, unseen, without
from pytest_llmperf.core.metrics import RATES_OF_A_CALL
from pytest_llmperf.core.objective import Objective
from pytest_llmperf.core.observations import Observations, observe, shifted, was_cut
from pytest_llmperf.core.series import Series
from pytest_llmperf.core.tally import Tally, needs, remedy, worth_of_an_attempt
from pytest_llmperf.core.verdict import Outcome
from pytest_llmperf.core.watch import Watch, first_rounds, stops, tolerated_shares, watched
from pytest_llmperf.statistics import quantiles
from pytest_llmperf.statistics.dependence import Dependence, dependence
from pytest_llmperf.statistics.estimate import Estimate

EXACT_QUANTILE = "exact binomial test of the share beyond the limit"
EXACT_RATE = "exact binomial test"
PLANNED = "exact α-spending plan, early stopping, budget"


def quantile(series: Series, objective: Objective, error: float = 0.0) -> Finding:
    """The finding on a quantile of calls or rounds, with the clock's *error* (seconds) added to every time."""
    watch = _plan_of(series, objective, error)
    if watch is not None:
        upto = first_rounds(series, watch.at or len(watch.flags), watch.per_round)
        observations = shifted(upto, observe(upto, objective.metric), error)
        if observations.present:
            return _by_plan(_quantile(observations, objective, _needs_by_plan(watch)), watch, series)
    observations = shifted(series, observe(series, objective.metric), error)
    return unseen(observations) or _quantile(observations, objective)


def rate(series: Series, objective: Objective, error: float = 0.0) -> Finding:
    """The finding on a share of calls, attempts or rounds, with the clock's *error* (seconds) added to every time."""
    decide = _counted if objective.metric in shares.COUNTED else _rate
    watch = _plan_of(series, objective, error)
    if watch is None:
        return decide(series, objective, "", error)
    upto = first_rounds(series, watch.at or len(watch.flags), watch.per_round)
    return _by_plan(decide(upto, objective, _needs_by_plan(watch), error), watch, series)


# --- at the end ------------------------------------------------------------------------------------------------------


def _quantile(observations: Observations, objective: Objective, by_plan: str = "") -> Finding:
    """The finding; *by_plan* is what the plan asks by now, where there is one, which knows of likeness by itself."""
    values, tolerated = observations.present, objective.tolerated
    tally = Tally(
        observations.noun,
        n=len(observations.values),
        bad=sum(map(objective.violated_by, values)),
        bad_with_slack=sum(objective.violated_by(value, relaxed=True) for value in values),
        tolerated=tolerated,
        tolerated_with_slack=tolerated,
        missing=observations.missing,
    )
    likeness = None if by_plan else _likeness(observations.values, tolerated)
    weighed = tally if likeness is None else tally.weighed(likeness)
    outcome = shown(weighed.p_values(tally.n), objective.levels)
    return Finding(
        outcome,
        _quantile_estimate(values, objective),
        _quantile_reason(weighed, observations, objective, by_plan) + _alike(likeness),
        EXACT_QUANTILE,
        tally.n,
        tally.missing,
        remedy(weighed, objective.levels) if outcome is Outcome.INCONCLUSIVE else "",
        evidence=weighed.evidence,
    )


def _likeness(values: Sequence[float | None], tolerated: float) -> Dependence | None:
    """How far neighbours resemble one another, if more than by chance; an absent value counts as the slowest."""
    if not 0 < tolerated < 1:
        return None
    found = dependence([math.inf if value is None else value for value in values], tolerated)
    return found if found.flagged else None


def _alike(likeness: Dependence | None) -> str:
    """The clause that tells of it, or an empty text."""
    if likeness is None:
        return ""
    alike, worth = wording.quantity(likeness.lag1, ""), wording.quantity(likeness.n_eff, "")
    return f"; neighbours are alike (lag-1 correlation {alike}): {likeness.n} are worth {worth} independent ones"


def _quantile_estimate(values: list[float], objective: Objective) -> Estimate:
    """The estimate that agrees with the verdict; for a lower limit that is the quantile counted from above."""
    level = round(1 - objective.tolerated, 12)
    if objective.direction == "<=":
        return quantiles.quantile_estimate(values, level, objective.confidence)
    mirrored = quantiles.quantile_estimate([-value for value in values], level, objective.confidence)
    return replace(mirrored, value=-mirrored.value, low=-mirrored.high, high=-mirrored.low)


def _quantile_reason(tally: Tally, observations: Observations, objective: Objective, by_plan: str) -> str:
    side = "above" if objective.direction == "<=" else "below"
    limit, relaxed = (
        f" {side} {wording.quantity(bound, objective.unit)}" for bound in (objective.bound, objective.relaxed_bound)
    )
    seen = f"{tally.bad} of {wording.count(tally.n, tally.noun)}{limit}"
    if objective.slack:
        seen += f", {tally.bad_with_slack}{relaxed} (with slack)"
        seen += f"; {by_plan or needs(tally, objective.levels, relaxed, limit)}"
    else:
        seen += f"; {by_plan or needs(tally, objective.levels)}"
    if failed := _failures(observations, objective):
        seen += f"; {failed} of them failed and {'counts' if failed == 1 else 'count'} as slow"
    return seen + without(observations.metric, tally.missing, observations.why_missing)


def _failures(observations: Observations, objective: Objective) -> int:
    """How many of the bad values are those of failed calls or rounds."""
    if objective.direction == "<=":
        return observations.present.count(math.inf)
    return observations.present.count(0.0) if observations.metric in RATES_OF_A_CALL else 0


def _counted(series: Series, objective: Objective, by_plan: str, error: float) -> Finding:
    """The share of good calls, or of rounds answered right; what is bad is counted for the reader."""
    seen = shares.counted(series, objective, error)
    if seen.n == seen.unknown:
        why, mend = ("is known to be good or not", MEND) if seen.n else ("was judged", UNSEEN)
        return nothing(f"no {seen.noun} {why}", missing=seen.unknown, remedy=mend)
    bad = seen.missed if objective.direction == ">=" else seen.good
    tally = Tally(seen.noun, seen.n, bad, bad, *tolerated_shares(objective), seen.unknown)
    flags = [float(good is False) for good in shares.goods(series, objective, error) if good is not None]
    likeness = None if by_plan else _likeness(flags, tally.tolerated)
    if likeness is not None:
        tally = tally.weighed(likeness)
    outcome = shown(tally.p_values(seen.n), objective.levels)
    reason = f"{seen.missed} of {wording.count(seen.n, seen.noun)} {seen.words}"
    if objective.direction == ">=":
        reason += f"; {by_plan or needs(tally, objective.levels)}"
    reason += _alike(likeness) + (f"; of {seen.unknown} more it is not known" if seen.unknown else "")
    estimate = quantiles.rate_estimate(seen.good, seen.good + seen.missed, objective.confidence)
    left = remedy(tally, objective.levels) if outcome is Outcome.INCONCLUSIVE else ""
    return Finding(outcome, estimate, reason, EXACT_RATE, seen.n, seen.unknown, left, evidence=tally.evidence)


def _rate(series: Series, objective: Objective, by_plan: str, _: float) -> Finding:
    """The share of failed calls, or of attempts answered 429; nobody knows of a call that was cut how it would end."""
    calls, cut = series.judged, series.cut
    if objective.metric == "throttle_rate":
        noun, seen, unknown = "attempt", "answered 429", 0
        n, hits = sum(m.attempts for m in calls), sum(m.throttled for m in calls)
    else:
        noun, seen, unknown = "call", "failed", sum(was_cut(m, cut) for m in calls)
        n, hits = len(calls), sum(bool(m.failure) for m in calls) - unknown
    if n == unknown:
        return nothing("no call was judged", missing=unknown, remedy=UNSEEN)
    upper = objective.direction == "<="
    bad = hits if upper else n - hits - unknown
    tolerated, with_slack = tolerated_shares(objective)
    worth = worth_of_an_attempt(calls) if noun == "attempt" else 1.0
    tally = Tally(noun, n, bad, bad, tolerated, with_slack, unknown, worth)
    whole = [m for m in calls if not was_cut(m, cut)]
    flags = [float(m.throttled if noun == "attempt" else bool(m.failure)) for m in whole]
    likeness = None if by_plan else _likeness(flags, tolerated)
    if likeness is not None:
        tally = tally.weighed(likeness)
    outcome = shown(tally.p_values(n), objective.levels)
    reason = f"{hits} of {wording.count(n, noun)} {seen}"
    if upper:
        reason += f"; {by_plan or needs(tally, objective.levels)}"
    if worth < 1:
        reason += f"; attempts of one call are alike: {n} are worth {wording.quantity(n * worth, '')} independent ones"
    reason += _alike(likeness)
    if unknown:
        reason += f"; {unknown} more {'was' if unknown == 1 else 'were'} cut by an interruption"
    estimate = quantiles.rate_estimate(hits, n - unknown, objective.confidence)
    left = remedy(tally, objective.levels) if outcome is Outcome.INCONCLUSIVE else ""
    return Finding(outcome, estimate, reason, EXACT_RATE, n, unknown, left, evidence=tally.evidence)


# --- early stopping --------------------------------------------------------------------------------------------------


def _plan_of(series: Series, objective: Objective, error: float = 0.0) -> Watch | None:
    """The claim as it was watched while its rounds came in; None where it is judged once, at the end."""
    if series.stop != "early" or not series.budget:
        return None
    watch = watched(series, objective, error)
    return watch if watch.watchable and watch.flags else None


def _needs_by_plan(watch: Watch) -> str:
    """What the plan asks after as many observations as were judged."""
    assert watch.to_pass is not None
    assert watch.to_fail is not None
    n = watch.at or len(watch.flags)
    most, least = watch.to_pass.pass_at[n - 1], watch.to_fail.fail_at[n - 1]
    if most < 0 and (n < watch.to_fail.fail_floor or least > n):
        return "neither a pass nor a fail is possible yet"
    passing = f"a pass needs at most {most} by now" if most >= 0 else "a pass is not possible yet"
    failing = (
        f"a fail at least {least}" if n >= watch.to_fail.fail_floor and least <= n else "a fail is not possible yet"
    )
    return f"{passing}, {failing}"


def _by_plan(finding: Finding, watch: Watch, series: Series) -> Finding:
    """The finding on the rounds up to the one that settled it, with the plan's answer."""
    assert watch.to_pass is not None
    assert watch.to_fail is not None
    budget = watch.to_pass.budget
    reason = finding.reason
    ended_by_plan = not series.ended_by and len(series.judged_rounds) < series.budget
    if watch.futile and not watch.settled and ended_by_plan:
        reason += f"; that a verdict comes within {budget} has become improbable, so sampling was ended"
    reason += _alike(watch.likeness)
    decided = watch.outcome is not Outcome.INCONCLUSIVE
    left = "" if decided else finding.remedy or "raise rounds, or allow slack"
    if series.ended_by and not decided:
        left = "raise the cap that ended sampling"
    return replace(
        finding,
        outcome=watch.outcome,
        reason=reason,
        method=f"{PLANNED} {budget}",
        remedy=left,
        stops=stops(watch.to_pass, watch.to_fail),
        evidence=None if watch.likeness is not None else finding.evidence,
    )
