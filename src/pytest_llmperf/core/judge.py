"""The one place that decides.

`judge` turns a series and a claim into a verdict. A claim about a quantile or a rate is a yes-or-no question about the
share of bad observations, answered with the exact binomial test in both directions at the full error probability:
*passed* when the share is shown to be within, *failed* when it is shown to be beyond, else *inconclusive*. No
distribution is assumed. Means and ratios of totals use Hall's t.

Three rules hold everywhere: a failed call is a slow call; an absent value never helps a verdict, so it counts as bad
for a pass and as good for a fail; and a verdict that the client's own lateness could explain is inconclusive,
*client-bound*.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from pytest_llmperf.core import wording
from pytest_llmperf.core.doubt import doubted
from pytest_llmperf.core.errors import UsageError
from pytest_llmperf.core.finding import MEND, Finding, nothing, ratio, shown, spread, weighed, without
from pytest_llmperf.core.gaps import judged_gaps
from pytest_llmperf.core.metrics import RATES_OF_A_CALL
from pytest_llmperf.core.objective import SHARES, TOTALS, Objective
from pytest_llmperf.core.observations import (
    Observations,
    completions,
    gaps_by_call,
    observe,
    recorded_unit,
    resolved_metric,
    shifted,
    total_tokens,
    was_cut,
)
from pytest_llmperf.core.series import Measurement, Series
from pytest_llmperf.core.verdict import Outcome, Verdict
from pytest_llmperf.core.watch import Watch, first_rounds, watched
from pytest_llmperf.statistics import means, quantiles
from pytest_llmperf.statistics.estimate import Estimate, PValues

OBSERVED = "observed extreme; nothing is inferred beyond these calls"
EXACT_QUANTILE = "exact binomial test of the share beyond the limit"
EXACT_RATE = "exact binomial test"
PLANNED = "exact α-spending plan, early stopping, budget"
UNSEEN = "see that the test comes to its LLM calls, and that its client is one that is observed"


def judge(series: Series, objective: Objective) -> Verdict:
    """Decide one claim on the judged calls or rounds of one series.

    Raises:
        UsageError: the claim does not say which metric it means, and the series does not settle it; or its statistic
            is none of the metric's.
    """
    metric = resolved_metric(objective.metric, series)
    unit = objective.base_unit(metric) or recorded_unit(series, metric)
    claim = replace(objective, metric=metric, unit=unit)
    finding = _finding(series, claim)
    estimate = finding.estimate
    return Verdict(
        claim=claim.described(),
        metric=metric,
        statistic=objective.statistic,
        direction=objective.direction,
        bound=objective.bound,
        unit=unit,
        outcome=finding.outcome,
        reason=finding.reason,
        confidence=objective.confidence,
        method=finding.method,
        n=finding.n,
        estimate=estimate.value if estimate else None,
        low=estimate.low if estimate else None,
        high=estimate.high if estimate else None,
        missing=finding.missing,
        remedy=finding.remedy,
        slack=objective.slack,
        mark=objective.mark,
        arm=series.arm,
    )


def _finding(series: Series, objective: Objective) -> Finding:
    if objective.metric in SHARES:
        if (watch := _plan_of(series, objective)) is None:
            return _rate(series, objective)
        upto = first_rounds(series, watch.at or len(watch.flags), watch.per_round)
        return _by_plan(_rate(upto, objective, _needs_by_plan(watch)), watch, series)
    if objective.metric in TOTALS:
        return _throughput(series, objective)
    if objective.metric == "cost" and objective.statistic == "per_mtok":
        return _price_per_token(series, objective)
    if objective.metric == "event_gap":
        return doubted(series, objective, lambda error: _gaps(series, objective, error))
    return doubted(series, objective, lambda error: _observed(series, objective, error))


def _observed(series: Series, objective: Objective, error: float) -> Finding:
    """A claim on calls or rounds: by the plan for the budget where there is one, else once and for all."""
    if (watch := _plan_of(series, objective, error)) is not None:
        upto = first_rounds(series, watch.at or len(watch.flags), watch.per_round)
        observations = shifted(upto, observe(upto, objective.metric), error)
        if observations.present:
            return _by_plan(_decide(observations, objective, _needs_by_plan(watch)), watch, series)
    return _decide(shifted(series, observe(series, objective.metric), error), objective)


def _decide(observations: Observations, objective: Objective, needs: str = "") -> Finding:
    if not observations.values:
        return nothing(f"no {observations.noun} was judged", remedy=UNSEEN)
    if not observations.present:
        why = f": {observations.why_missing}" if observations.why_missing else ""
        reason = f"no judged {observations.noun} has {wording.a(objective.metric)}{why}"
        return nothing(reason, missing=observations.missing)
    if objective.level is not None:
        return _quantile(observations, objective, needs)
    if objective.statistic == "mean":
        return _mean(observations, objective)
    if objective.statistic in ("max", "min"):
        return _extreme(observations, objective)
    raise UsageError(
        f"{objective.metric} has no statistic {objective.statistic!r}; a quantile, mean, max and min it has"
    )


# --- quantiles and rates ---------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Share:
    """How many of *n* observations are bad, and which share of bad ones the claim tolerates.

    A pass is asked of the limit with its slack, a fail of the limit itself; what is missing counts against both.
    """

    noun: str
    n: int
    bad: int
    bad_with_slack: int
    tolerated: float
    tolerated_with_slack: float
    missing: int = 0
    worth: float = 1.0
    """How many independent observations one of them is worth, where several belong to one call."""

    def p_values(self, n: int) -> PValues:
        """The exact tests, or what they would be at another *n*, were the shares to stay as they were seen."""
        size = n * self.worth
        to_pass, to_fail = (min(bad * size / self.n, size) for bad in (self.bad_with_slack + self.missing, self.bad))
        return PValues(
            quantiles.binomial_p_values(to_pass, size, self.tolerated_with_slack).p_pass,
            quantiles.binomial_p_values(to_fail, size, self.tolerated).p_fail,
        )


def _quantile(observations: Observations, objective: Objective, needs: str) -> Finding:
    values, tolerated = observations.present, objective.tolerated
    bad = sum(map(objective.violated_by, values))
    with_slack = sum(objective.violated_by(value, relaxed=True) for value in values)
    share = _Share(
        observations.noun, len(observations.values), bad, with_slack, tolerated, tolerated, observations.missing
    )
    outcome = shown(share.p_values(share.n), objective.alpha)
    return Finding(
        outcome,
        _quantile_estimate(values, objective),
        _quantile_reason(share, observations, objective, needs),
        EXACT_QUANTILE,
        share.n,
        share.missing,
        _remedy(share, objective.alpha) if outcome is Outcome.INCONCLUSIVE else "",
    )


def _quantile_estimate(values: list[float], objective: Objective) -> Estimate:
    """The estimate that agrees with the verdict; for a lower limit that is the quantile counted from above."""
    level = round(1 - objective.tolerated, 12)
    if objective.direction == "<=":
        return quantiles.quantile_estimate(values, level, objective.confidence)
    mirrored = quantiles.quantile_estimate([-value for value in values], level, objective.confidence)
    return replace(mirrored, value=-mirrored.value, low=-mirrored.high, high=-mirrored.low)


def _quantile_reason(share: _Share, observations: Observations, objective: Objective, needs: str) -> str:
    side = "above" if objective.direction == "<=" else "below"
    limit, relaxed = (
        f" {side} {wording.quantity(bound, objective.unit)}" for bound in (objective.bound, objective.relaxed_bound)
    )
    seen = f"{share.bad} of {wording.count(share.n, share.noun)}{limit}"
    if objective.slack:
        seen += f", {share.bad_with_slack}{relaxed} (with slack)"
        seen += f"; {needs or _needs(share, objective.alpha, relaxed, limit)}"
    else:
        seen += f"; {needs or _needs(share, objective.alpha)}"
    if failed := _failures(observations, objective):
        seen += f"; {failed} of them failed and {'counts' if failed == 1 else 'count'} as slow"
    return seen + without(observations.metric, share.missing, observations.why_missing)


def _failures(observations: Observations, objective: Objective) -> int:
    """How many of the bad values are those of failed calls or rounds."""
    if objective.direction == "<=":
        return observations.present.count(math.inf)
    return observations.present.count(0.0) if observations.metric in RATES_OF_A_CALL else 0


def _needs(share: _Share, alpha: float, of_pass: str = "", of_fail: str = "") -> str:
    most = quantiles.most_bad_to_pass(share.n, share.tolerated_with_slack, alpha)
    least = quantiles.least_bad_to_fail(share.n, share.tolerated, alpha)
    if most is None and least is None:
        return "neither a pass nor a fail is within reach"
    if most is None:
        return f"a pass is out of reach, a fail needs at least {least}{of_fail}"
    passing = f"a pass needs at most {most}{of_pass}"
    return f"{passing}, a fail at least {least}{of_fail}" if least is not None else f"{passing}, a fail is out of reach"


_SETTLING_FACTORS = (1.5, 2, 3, 5, 10)


def _remedy(share: _Share, alpha: float) -> str:
    """How many observations would settle it, were the share of bad ones to stay as seen."""
    if share.missing and share.missing < share.n:
        seen = replace(share, n=share.n - share.missing, missing=0)
        if shown(seen.p_values(seen.n), alpha) is not Outcome.INCONCLUSIVE:
            return MEND
    least = quantiles.least_n_to_pass(share.tolerated_with_slack, alpha)
    clean = share.bad_with_slack + share.missing == 0
    if least is None:
        reached = wording.percent(math.ceil((1 - quantiles.highest_passable_level(share.n, alpha)) * 1e4) / 1e4)
        return f"no number of {share.noun}s shows that it never happens; {share.n} clean ones show less than {reached}"
    if share.n < least and clean:
        return f"raise rounds: {least} clean {share.noun}s are the fewest that can pass"
    for factor in _SETTLING_FACTORS:
        more = math.ceil(share.n * factor)
        if shown(share.p_values(more), alpha) is not Outcome.INCONCLUSIVE:
            return f"about {more} {share.noun}s would settle it, if the share stays as it is"
    return "the share is too near what is tolerated for sampling to tell: allow slack, or move the limit"


def _rate(series: Series, objective: Objective, needs: str = "") -> Finding:
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
    tolerated, with_slack = (
        round(min(max(limit if upper else 1 - limit, 0.0), 1.0), 12)
        for limit in (objective.bound, objective.relaxed_bound)
    )
    worth = _worth_of_an_attempt(calls) if noun == "attempt" else 1.0
    share = _Share(noun, n, bad, bad, tolerated, with_slack, unknown, worth)
    outcome = shown(share.p_values(n), objective.alpha)
    reason = f"{hits} of {wording.count(n, noun)} {seen}"
    if upper:
        reason += f"; {needs or _needs(share, objective.alpha)}"
    if worth < 1:
        reason += f"; attempts of one call are alike: {n} are worth {wording.quantity(n * worth, '')} independent ones"
    if unknown:
        reason += f"; {unknown} more {'was' if unknown == 1 else 'were'} cut by an interruption"
    estimate = quantiles.rate_estimate(hits, n - unknown, objective.confidence)
    remedy = _remedy(share, objective.alpha) if outcome is Outcome.INCONCLUSIVE else ""
    return Finding(outcome, estimate, reason, EXACT_RATE, n, unknown, remedy)


def _worth_of_an_attempt(calls: Sequence[Measurement]) -> float:
    """What one attempt is worth, 0 to 1: the variance of independent ones over theirs (Korn & Graubard 1998).

    The share of attempts answered 429 is a ratio of totals over calls, whose variance is that of its residuals.
    """
    attempts, hits, n = sum(m.attempts for m in calls), sum(m.throttled for m in calls), len(calls)
    if not 0 < hits < attempts or n < 2:
        return 1.0
    share = hits / attempts
    residuals = sum((m.throttled - share * m.attempts) ** 2 for m in calls)
    variance = n / (n - 1) * residuals / attempts**2
    return min(1.0, share * (1 - share) / variance / attempts) if variance else 1.0


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
    budget = watch.to_pass.budget
    reason = finding.reason
    ended_by_plan = not series.ended_by and len(series.judged_rounds) < series.budget
    if watch.futile and not watch.settled and ended_by_plan:
        reason += f"; that a verdict comes within {budget} has become improbable, so sampling was ended"
    if watch.likeness is not None:
        alike, worth = wording.quantity(watch.likeness.lag1, ""), wording.quantity(watch.likeness.n_eff, "")
        reason += (
            f"; neighbours are alike (lag-1 correlation {alike}): {watch.likeness.n} are worth {worth} independent ones"
        )
    decided = watch.outcome is not Outcome.INCONCLUSIVE
    remedy = "" if decided else finding.remedy or "raise rounds, or allow slack"
    if series.ended_by and not decided:
        remedy = "raise the cap that ended sampling"
    return replace(finding, outcome=watch.outcome, reason=reason, method=f"{PLANNED} {budget}", remedy=remedy)


# --- means, totals, extremes -----------------------------------------------------------------------------------------


def _mean(observations: Observations, objective: Objective) -> Finding:
    values = observations.present
    estimate = means.mean_estimate(values, objective.confidence)
    at_least = objective.direction == ">="
    p_values = PValues(
        means.mean_p_values(values, objective.relaxed_bound, at_least=at_least).p_pass,
        means.mean_p_values(values, objective.bound, at_least=at_least).p_fail,
    )
    if math.isfinite(estimate.value):
        needed = means.least_n_for_mean(means.skewness(values))
        reason = spread(estimate, objective, observations.noun)
    else:
        needed = means.LEAST_N
        failed = sum(map(math.isinf, values))
        reason = f"the mean is infinite: {failed} of {wording.count(len(values), observations.noun)} failed"
    return weighed(p_values, estimate, objective, reason, needed=needed, observations=observations)


def _throughput(series: Series, objective: Objective) -> Finding:
    """Tokens or calls of the whole series over its span, as a ratio of totals."""
    if series.clock == "instant":
        return nothing("the instant clock does not wait: a series has no span")
    amounts, gaps, unknown = completions(series, objective.metric)
    why = "its end or its tokens were not seen"
    observations = Observations(objective.metric, "call", (*amounts, *[None] * unknown), why)
    return ratio(amounts, gaps, objective, observations)


def _price_per_token(series: Series, objective: Objective) -> Finding:
    """Dollars over tokens; a failed call that was not billed has part in neither."""
    cut = series.cut
    calls = [m for m in series.judged if was_cut(m, cut) or not (m.failure and m.values.get("cost") == 0)]
    pairs = [(m.values.get("cost"), total_tokens(m)) for m in calls if not was_cut(m, cut)]
    known = [(cost, tokens / 1e6) for cost, tokens in pairs if cost is not None and tokens is not None]
    why = next((m.absent["cost"] for m in calls if "cost" in m.absent), "the answer carried no usage")
    unknown = [None] * (len(calls) - len(known))
    observations = Observations("cost", "call", (*(cost for cost, _ in known), *unknown), why)
    return ratio([cost for cost, _ in known], [tokens for _, tokens in known], objective, observations)


def _gaps(series: Series, objective: Objective, error: float) -> Finding:
    gaps = gaps_by_call(series, error)
    if objective.statistic in ("max", "min"):
        values = (*gaps.pooled, *[None] * gaps.missing)
        return _decide(Observations("event_gap", "gap", values, gaps.why_missing), objective)
    return judged_gaps(gaps, objective.level, objective)


def _extreme(observations: Observations, objective: Objective) -> Finding:
    """A claim on the largest or smallest observation is a fact about these calls, and is settled by them."""
    values, missing = observations.present, observations.missing
    largest = objective.statistic == "max"
    seen = max(values) if largest else min(values)
    outcome = Outcome.FAILED if objective.violated_by(seen, relaxed=True) else Outcome.PASSED
    says_all = largest == (objective.direction == "<=")
    if missing and (outcome is Outcome.PASSED) == says_all:
        outcome = Outcome.INCONCLUSIVE  # one of the absent values could turn it
    reason = (
        f"the {'largest' if largest else 'smallest'} of {wording.count(len(values), observations.noun)} is "
        f"{wording.quantity(seen, objective.unit)}{without(observations.metric, missing, observations.why_missing)}"
    )
    estimate = Estimate(seen, seen, seen, objective.confidence, OBSERVED, len(values))
    remedy = MEND if outcome is Outcome.INCONCLUSIVE else ""
    return Finding(outcome, estimate, reason, OBSERVED, len(observations.values), missing, remedy)
