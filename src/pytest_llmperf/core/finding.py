"""What a test showed, before it is worded as a verdict; and the rules that means and ratios of totals share."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pytest_llmperf.core import wording
from pytest_llmperf.core.objective import Levels, Objective
from pytest_llmperf.core.observations import Observations
from pytest_llmperf.core.verdict import Outcome
from pytest_llmperf.statistics import means
from pytest_llmperf.statistics.estimate import Estimate, PValues

UNSEEN = "see that the test comes to its LLM calls, and that its client is one that is observed"
MEND = "an absent value could be anything: mend what makes it absent"


@dataclass(frozen=True, slots=True)
class Finding:
    """An outcome, what it rests on, and what would settle it."""

    outcome: Outcome
    estimate: Estimate | None
    reason: str
    method: str
    n: int
    missing: int = 0
    remedy: str = ""
    stops: str = ""
    """When sampling may end, in words."""
    evidence: tuple[float, float] | None = None
    """Natural logarithms of the e-values for a pass and for a fail."""


def nothing(reason: str, *, n: int = 0, missing: int = 0, remedy: str = "") -> Finding:
    """There is nothing to estimate from, hence nothing shown."""
    return Finding(Outcome.INCONCLUSIVE, None, reason, "none", n, missing, remedy)


def unseen(observations: Observations) -> Finding | None:
    """The finding where there is nothing to judge; None where there is something."""
    if not observations.values:
        return nothing(f"no {observations.noun} was judged", remedy=UNSEEN)
    if not observations.present:
        why = f": {observations.why_missing}" if observations.why_missing else ""
        reason = f"no judged {observations.noun} has {wording.a(observations.metric)}{why}"
        return nothing(reason, missing=observations.missing)
    return None


def shown(p_values: PValues, levels: Levels) -> Outcome:
    """Neither direction takes from the other's error probability: for any one truth only one of them can be wrong.

    With slack the pass is asked of a wider limit than the fail, so both can be shown; then the slack was meant.
    """
    if p_values.p_pass < levels.to_pass:
        return Outcome.PASSED
    return Outcome.FAILED if p_values.p_fail < levels.to_fail else Outcome.INCONCLUSIVE


def without(metric: str, missing: int, why: str) -> str:
    """The clause that tells of absent values, or an empty text."""
    return f"; {missing} without {wording.a(metric)}" + (f": {why}" if why else "") if missing else ""


def weighed(
    p_values: PValues,
    estimate: Estimate,
    objective: Objective,
    reason: str,
    *,
    needed: int,
    observations: Observations,
) -> Finding:
    """The finding of a mean or ratio: it needs a least number of values (*needed*), and all of them."""
    n, missing = estimate.n, observations.missing
    if missing:
        reason += without(observations.metric, missing, observations.why_missing)
        return Finding(Outcome.INCONCLUSIVE, estimate, reason, estimate.method, n, missing, MEND)
    if n < needed:
        reason += f"; {needed} are the fewest that such a claim is judged on"
        return Finding(Outcome.INCONCLUSIVE, estimate, reason, estimate.method, n, 0, f"raise rounds to {needed}")
    outcome = shown(p_values, objective.levels)
    remedy = "raise rounds, or allow slack" if outcome is Outcome.INCONCLUSIVE else ""
    return Finding(outcome, estimate, reason, estimate.method, n, 0, remedy)


def ratio(above: Sequence[float], below: Sequence[float], objective: Objective, observations: Observations) -> Finding:
    """The finding on a ratio of totals Σabove / Σbelow, one pair for each observation."""
    missing, noun = observations.missing, observations.noun
    if len(above) < 2 or not any(below):
        few = f"{wording.count(len(above), noun)} {'is' if len(above) == 1 else 'are'} too few for a ratio of totals"
        why = without(observations.metric, missing, observations.why_missing)
        return nothing(few + why, n=len(above), missing=missing, remedy=MEND if missing else "raise rounds")
    at_least = objective.direction == ">="
    p_values = PValues(
        means.total_ratio_p_values(above, below, objective.relaxed_bound, at_least=at_least).p_pass,
        means.total_ratio_p_values(above, below, objective.bound, at_least=at_least).p_fail,
    )
    estimate = means.total_ratio_estimate(above, below, objective.confidence)
    reason = spread(estimate, objective, noun)
    return weighed(
        p_values, estimate, objective, reason, needed=least_n(above, below, objective.bound), observations=observations
    )


def spread(estimate: Estimate, objective: Objective, noun: str) -> str:
    """`the mean over 100 calls is 850 ms, 95 % interval 844 … 855 ms`; `100 calls came to 38.3 tokens/s, …`."""
    many = wording.count(estimate.n, noun)
    subject = f"the mean over {many} is" if objective.statistic == "mean" else f"{many} came to"
    value = wording.quantity(estimate.value, objective.unit)
    interval = wording.interval(estimate.low, estimate.high, objective.unit)
    around = "without spread" if interval == value else f"{wording.percent(objective.confidence)} interval {interval}"
    return f"{subject} {value}, {around}"


def least_n(above: Sequence[float], below: Sequence[float], limit: float) -> int:
    """How many pairs a claim on a ratio of totals needs, by the skewness of what is averaged."""
    differences = [a - limit * b for a, b in zip(above, below, strict=True)]
    return means.least_n_for_mean(means.skewness(differences))
