"""Two samples of one metric, and what they say of the distance between them.

A quantile is compared through the confidence distributions of both samples, a mean by Welch's and Hall's t, a share
through its exact test. What is absent is as bad as it can be for either verdict: it never helps. Tokens per second are
compared as seconds per token, of which a failed call takes infinitely many.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from pytest_llmperf.core.claims import Question
from pytest_llmperf.core.errors import UsageError
from pytest_llmperf.core.objective import TOTALS
from pytest_llmperf.core.observations import Observations, observe, resolved_metric, shifted, was_cut
from pytest_llmperf.core.series import Series
from pytest_llmperf.statistics import comparison, means, quantiles, shares
from pytest_llmperf.statistics.dependence import is_flagged, lag1, unbiased
from pytest_llmperf.statistics.estimate import Estimate, PValues

Errors = tuple[float, float]
"""Of the clocks of both samples, in seconds."""


@dataclass(frozen=True, slots=True)
class Pair:
    """Both samples, each in dispatch order."""

    arm: Observations
    to: Observations

    @property
    def n(self) -> int:
        """Observations on both sides."""
        return len(self.arm.values) + len(self.to.values)

    @property
    def fewest(self) -> int:
        """Observations on the side that has fewer."""
        return min(len(self.arm.values), len(self.to.values))

    @property
    def missing(self) -> int:
        """Absent values on both sides."""
        return self.arm.missing + self.to.missing

    @property
    def alike(self) -> bool:
        """Whether in either sample neighbours resemble each other more than chance allows."""
        samples = (self.arm.present, self.to.present)
        return any(is_flagged(unbiased(lag1(values), len(values)), len(values)) for values in samples)


def require_alike(arm: Series, to: Series, names: tuple[str, str]) -> None:
    """Refuse to compare numbers that do not come from the same place.

    Raises:
        UsageError: they differ in source or clock.
    """
    for what, one, other in (("source", arm.source, to.source), ("clock", arm.clock, to.clock)):
        if one != other:
            raise UsageError(
                f"{what} of {names[0]} is {one!s}, of {names[1]} {other!s}: numbers of different {what}s are not "
                "compared; sample both the same way"
            )


def shared_metric(metric: str, arm: Series, to: Series, names: tuple[str, str]) -> str:
    """The one metric that `ttft|e2e` stands for in both series.

    Raises:
        UsageError: the calls of one streamed and those of the other did not, or some of one did.
    """
    found = {resolved_metric(metric, series) for series in (arm, to) if series.judged}
    if len(found) > 1:
        streamed, _, plain = metric.partition("|")
        raise UsageError(
            f"the calls of {names[0]} and of {names[1]} did not both stream, so the claim could mean {streamed} or "
            f'{plain}; say which with metric="{plain}", which both have'
        )
    return found.pop() if found else metric.partition("|")[0]


def paired(arm: Series, to: Series, question: Question, errors: Errors = (0.0, 0.0)) -> Pair:
    """The numbers of both series, with the error of each one's clock (seconds) added to the times they rest on.

    Raises:
        UsageError: the metric has no such statistic that could be compared, or values of which a ratio means nothing.
    """
    one, other = (observed(series, question, error) for series, error in zip((arm, to), errors, strict=True))
    if question.kind == "ratio" and any(value < 0 for value in (*one.present, *other.present)):
        raise UsageError(f"{question.metric} has negative values, of which a ratio means nothing: claim what is added")
    return Pair(one, other)


def observed(series: Series, question: Question, error: float) -> Observations:
    """The numbers of one series, with the error of its clock (seconds) added to the times they rest on.

    Raises:
        UsageError: the metric has no such statistic that could be compared.
    """
    metric = question.metric
    if metric in TOTALS or metric == "throttle_rate":
        raise UsageError(
            f"{metric} is a number of a whole series, and there is no comparison of two of them: "
            f"compare {'error_rate' if metric == 'throttle_rate' else 'e2e_tps or e2e'}, or claim {metric} of each arm"
        )
    if metric == "event_gap":
        raise UsageError("gaps of one call are alike, so they cannot be compared one by one: compare tpot")
    if question.statistic != "rate":
        if question.level is None and question.statistic != "mean":
            raise UsageError(f"no comparison of {question.statistic!r}: a quantile, mean and rate there are")
        return shifted(series, observe(series, metric), error)
    if metric == "error_rate":
        return _failures(series)
    flags = observe(series, metric)
    if set(flags.present) - {0.0, 1.0}:
        raise UsageError(f"{metric} is no share: it has other values than 0 and 1; compare its mean")
    return flags


def _failures(series: Series) -> Observations:
    """1 for a call that failed in the end, 0 for one that did not; nobody knows of one that was cut."""
    cut = series.cut
    flags = tuple(None if was_cut(m, cut) else float(bool(m.failure)) for m in series.judged)
    return Observations("error_rate", "call", flags, "the round was interrupted")


def tested(pair: Pair, question: Question) -> PValues:
    """Both directions of the claim; a value that is absent helps neither."""
    if question.statistic == "mean" and (pair.missing or pair.fewest < least_of_a_mean(pair)):
        return PValues(1.0, 1.0)
    relaxed = _p_values(pair, question, question.relaxed_bound)
    strict = relaxed if question.bound == question.relaxed_bound else _p_values(pair, question, question.bound)
    if question.direction == ">=":
        return PValues(relaxed.p_fail, strict.p_pass)
    return PValues(relaxed.p_pass, strict.p_fail)


def least_of_a_mean(pair: Pair) -> int:
    """How many values a comparison of means needs on either side, by their skewness."""
    finite = (values for one in (pair.arm, pair.to) if all(map(math.isfinite, values := one.present)))
    return max((means.least_n_for_mean(means.skewness(values)) for values in finite), default=means.LEAST_N)


def _p_values(pair: Pair, question: Question, bound: float) -> PValues:
    """Test "the arm's is at most *bound* times, or above, the other's" in both directions."""
    low, high = _extremes(question)
    worst = _tested(_filled(pair.arm, high), _filled(pair.to, low), question, bound)
    if not pair.missing:
        return worst
    return PValues(worst.p_pass, _tested(_filled(pair.arm, low), _filled(pair.to, high), question, bound).p_fail)


def _extremes(question: Question) -> tuple[float, float]:
    """The least and the largest value an absent one could have had."""
    if question.statistic == "rate":
        return 0.0, 1.0
    return (0.0 if question.kind == "ratio" else -math.inf), math.inf


def _filled(sample: Observations, value: float) -> list[float]:
    return [value if one is None else one for one in sample.values]


def _tested(arm: Sequence[float], to: Sequence[float], question: Question, bound: float) -> PValues:
    level = question.level
    if question.statistic == "rate":
        return shares.share_shift_p_values(int(sum(to)), len(to), int(sum(arm)), len(arm), bound)
    if level is None:
        test = means.mean_ratio_p_values if question.kind == "ratio" else means.mean_shift_p_values
        return test(to, arm, bound)
    if question.inverse:
        turned = comparison.quantile_ratio_p_values(_inverted(to), _inverted(arm), _mirrored(level), 1 / bound)
        return PValues(turned.p_fail, turned.p_pass)
    if question.kind == "ratio":
        return comparison.quantile_ratio_p_values(to, arm, level, bound)
    return comparison.quantile_shift_p_values(to, arm, level, bound)


def estimated(pair: Pair, question: Question, confidence: float) -> Estimate:
    """The ratio or the distance with its interval, from the values there are.

    Raises:
        ValueError: there are none, or they are not `comparable`.
    """
    arm, to, level = pair.arm.present, pair.to.present, question.level
    if question.statistic == "rate":
        return shares.share_shift_estimate(int(sum(to)), len(to), int(sum(arm)), len(arm), confidence)
    if level is None:
        test = means.mean_ratio_estimate if question.kind == "ratio" else means.mean_shift_estimate
        return test(to, arm, confidence)
    if question.inverse:
        return _reciprocal(
            comparison.quantile_ratio_estimate(_inverted(to), _inverted(arm), _mirrored(level), confidence)
        )
    if question.kind == "ratio":
        return comparison.quantile_ratio_estimate(to, arm, level, confidence)
    return comparison.quantile_shift_estimate(to, arm, level, confidence)


def comparable(pair: Pair, question: Question) -> bool:
    """Whether both have values, and the other's statistic is neither infinite nor, for a ratio, 0."""
    if not (pair.arm.present and pair.to.present):
        return False
    reference = centre(pair.to, question)
    return math.isfinite(reference) and (reference > 0 or question.kind == "added")


def attainable(pair: Pair, question: Question, n: int = 0) -> PValues:
    """The smallest p-values that samples of these sizes, or of *n* each, can give; (0, 0) for what is no quantile."""
    arm, to = (n, n) if n else (len(pair.arm.values), len(pair.to.values))
    if question.level is None:
        return PValues(0.0, 0.0)
    level = _mirrored(question.level) if question.inverse else question.level
    least = comparison.attainable_p_values(to, arm, level)
    return PValues(least.p_fail, least.p_pass) if (question.direction == ">=") != question.inverse else least


def centre(sample: Observations, question: Question) -> float:
    """The statistic of one sample, from the values there are."""
    if question.level is None:
        return math.fsum(sample.present) / len(sample.present)
    if question.inverse:
        inverse = quantiles.quantile(_inverted(sample.present), _mirrored(question.level))
        return _over(1.0, inverse)
    return quantiles.quantile(sample.present, question.level)


def _inverted(values: Sequence[float]) -> list[float]:
    return [_over(1.0, value) for value in values]


def _mirrored(level: float) -> float:
    return round(1 - level, 12)


def _reciprocal(estimate: Estimate) -> Estimate:
    low, value, high = (_over(1.0, end) for end in (estimate.high, estimate.value, estimate.low))
    return Estimate(value, low, high, estimate.confidence, estimate.method, estimate.n)


def _over(above: float, below: float) -> float:
    return math.inf if below == 0 else above / below
