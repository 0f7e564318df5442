"""Means, ratios of totals, and extremes.

Means and ratios of totals use Hall's t, which takes the skewness out of t; values that resemble their neighbours count
for fewer. A claim on the largest or smallest value is a fact about the calls that were seen.
"""

from __future__ import annotations

import math

from pytest_llmperf.core import wording
from pytest_llmperf.core.errors import UsageError
from pytest_llmperf.core.finding import MEND, Finding, nothing, ratio, spread, unseen, weighed, without
from pytest_llmperf.core.gaps import judged_gaps
from pytest_llmperf.core.objective import TOTALS, Objective
from pytest_llmperf.core.observations import (
    Observations,
    completions,
    gaps_by_call,
    observe,
    shifted,
    total_tokens,
    was_cut,
)
from pytest_llmperf.core.series import Series
from pytest_llmperf.core.verdict import Outcome
from pytest_llmperf.statistics import means
from pytest_llmperf.statistics.dependence import dependence, mean_design_effect
from pytest_llmperf.statistics.estimate import Estimate, PValues

AVERAGES = frozenset({"mean", "per_mtok", "total"})
OBSERVED = "observed extreme; nothing is inferred beyond these calls"


def is_average(objective: Objective) -> bool:
    """Whether the claim is on a mean or a ratio of totals; the gaps of a call are alike, so theirs always is."""
    gaps = objective.metric == "event_gap" and objective.level is not None
    return gaps or objective.metric in TOTALS or objective.statistic in AVERAGES


def decide(series: Series, objective: Objective, error: float = 0.0) -> Finding:
    """The finding on a mean or a ratio of totals, with the clock's *error* (seconds) added to every time."""
    if objective.metric in TOTALS:
        return throughput(series, objective)
    if objective.metric == "cost" and objective.statistic == "per_mtok":
        return price_per_token(series, objective)
    if objective.metric == "event_gap":
        return judged_gaps(gaps_by_call(series, error), objective.level, objective)
    observations = shifted(series, observe(series, objective.metric), error)
    return unseen(observations) or mean(observations, objective)


def mean(observations: Observations, objective: Objective) -> Finding:
    """The finding on a mean; values that resemble their neighbours are worth fewer."""
    values = observations.present
    likeness = dependence(values, 0.5)
    worth = 1 / mean_design_effect(likeness.lag1) if likeness.flagged else 1.0
    estimate = means.mean_estimate(values, objective.confidence, worth=worth)
    if estimate.method == means.NO_SPREAD:
        return _without_spread(observations, objective, estimate)
    at_least = objective.direction == ">="
    p_values = PValues(
        means.mean_p_values(values, objective.relaxed_bound, at_least=at_least, worth=worth).p_pass,
        means.mean_p_values(values, objective.bound, at_least=at_least, worth=worth).p_fail,
    )
    if math.isfinite(estimate.value):
        needed = means.least_n_for_mean(means.skewness(values))
        reason = spread(estimate, objective, observations.noun)
    else:
        needed = means.LEAST_N
        failed = sum(map(math.isinf, values))
        reason = f"the mean is infinite: {failed} of {wording.count(len(values), observations.noun)} failed"
    if worth < 1:
        alike, fewer = wording.quantity(likeness.lag1, ""), wording.quantity(len(values) * worth, "")
        reason += (
            f"; neighbours are alike (lag-1 correlation {alike}): {len(values)} are worth {fewer} independent ones"
        )
    return weighed(p_values, estimate, objective, reason, needed=needed, observations=observations)


def _without_spread(observations: Observations, objective: Objective, estimate: Estimate) -> Finding:
    """Values that are all equal show no spread, but not that there is none: a rare other value may be yet to come.

    They are judged as if one more had been twice as large, or nothing, whichever speaks against the verdict; of how
    large a value would be that no zero shows anything.
    """
    values, at_least = observations.present, objective.direction == ">="
    larger, smaller = [*values, 2 * values[0]], [*values, 0.0]
    reason = spread(estimate, objective, observations.noun)
    if values[0] == 0:
        told = f"{reason}; that all are 0 does not show how large one would be that is not"
        return Finding(
            Outcome.INCONCLUSIVE,
            estimate,
            told,
            estimate.method,
            estimate.n,
            observations.missing,
            "say with cap how large it can be, or claim a quantile",
        )
    p_values = PValues(
        means.mean_p_values(smaller if at_least else larger, objective.relaxed_bound, at_least=at_least).p_pass,
        means.mean_p_values(larger if at_least else smaller, objective.bound, at_least=at_least).p_fail,
    )
    return weighed(p_values, estimate, objective, reason, needed=means.LEAST_N, observations=observations)


def throughput(series: Series, objective: Objective) -> Finding:
    """Tokens or calls of the whole series over its span, as a ratio of totals.

    Raises:
        UsageError: it has none, being of several tests.
    """
    if series.of_several:
        raise UsageError(
            f"{objective.metric} is a total over the time that a test took, and several tests were put together that "
            "did not run at the same time: ask it of one test"
        )
    if series.clock == "instant":
        return nothing("the instant clock does not wait: a series has no span")
    amounts, gaps, unknown = completions(series, objective.metric)
    why = "its end or its tokens were not seen"
    observations = Observations(objective.metric, "call", (*amounts, *[None] * unknown), why)
    return ratio(amounts, gaps, objective, observations)


def price_per_token(series: Series, objective: Objective) -> Finding:
    """Dollars over tokens; a failed call that was not billed has part in neither."""
    cut = series.cut
    calls = [m for m in series.judged if was_cut(m, cut) or not (m.failure and m.values.get("cost") == 0)]
    pairs = [(m.values.get("cost"), total_tokens(m)) for m in calls if not was_cut(m, cut)]
    known = [(cost, tokens / 1e6) for cost, tokens in pairs if cost is not None and tokens is not None]
    why = next((m.absent["cost"] for m in calls if "cost" in m.absent), "the answer carried no usage")
    unknown = [None] * (len(calls) - len(known))
    observations = Observations("cost", "call", (*(cost for cost, _ in known), *unknown), why)
    return ratio([cost for cost, _ in known], [tokens for _, tokens in known], objective, observations)


def extreme(observations: Observations, objective: Objective) -> Finding:
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
