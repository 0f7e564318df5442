"""Claims that compare two arms of one test: `p50 ttft: warm / cold <= 0.9`.

Both arms were sampled in one session, interleaved, so that what drifts hits both. `judge_contrast` decides whether the
ratio or the distance is shown to lie on one side of the limit, and always tells how large it is, with an interval. The
rules of `judge` hold: a failed call is a slow call, an absent value never helps, and what the client's own lateness
could explain is inconclusive.

The interval is of two sides at the confidence of the claim, the verdict of one: so a verdict may be given whose
interval just covers the limit.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from pytest_llmperf.core.claims import Contrast, levels_told
from pytest_llmperf.core.difference import Sides, told
from pytest_llmperf.core.doubt import doubted_pair
from pytest_llmperf.core.errors import UsageError
from pytest_llmperf.core.finding import Finding
from pytest_llmperf.core.observations import recorded_unit
from pytest_llmperf.core.pair import Errors, paired, require_alike, shared_metric
from pytest_llmperf.core.series import Series
from pytest_llmperf.core.together import Judgement, left_of
from pytest_llmperf.core.verdict import Outcome, Verdict
from pytest_llmperf.core.walk import Look, Walk, comparison_looks, joined, walked
from pytest_llmperf.core.watch import FAIL_FLOOR


def judge_contrast(arm: Series, to: Series, contrast: Contrast) -> Verdict:
    """Decide one claim on how two arms differ.

    Args:
        arm: the series the claim is about.
        to: the series it is held against, of the same source and clock.
        contrast: the claim.

    Raises:
        UsageError: the two cannot be compared, the claim does not say which metric it means, or the metric has no such
            statistic that could be compared.
    """
    require_alike(arm, to, (contrast.arm, contrast.to))
    metric = shared_metric(contrast.metric, arm, to, (contrast.arm, contrast.to))
    unit = contrast.base_unit(metric) or recorded_unit(arm, metric) or recorded_unit(to, metric)
    claim = replace(contrast, metric=metric, unit=unit)
    finding = doubted_pair(arm, to, metric, contrast.direction, lambda errors: _finding(arm, to, claim, errors))
    estimate = finding.estimate
    return Verdict(
        claim=claim.described(),
        metric=metric,
        statistic=claim.statistic,
        direction=claim.direction,
        bound=claim.bound,
        unit="" if claim.kind == "ratio" else unit,
        outcome=finding.outcome,
        reason=finding.reason,
        confidence=claim.confidence,
        method=finding.method + levels_told(claim),
        n=finding.n,
        estimate=estimate.value if estimate else None,
        low=estimate.low if estimate else None,
        high=estimate.high if estimate else None,
        missing=finding.missing,
        remedy=finding.remedy,
        slack=claim.slack,
        mark=claim.mark,
        arm=claim.arm,
        stops=finding.stops,
        to=claim.to,
    )


def contrast_judgement(arm: Series, to: Series, contrast: Contrast) -> Judgement:
    """How it is decided among other claims."""
    return lambda left: judge_contrast(arm, to, replace(contrast, family=left_of(contrast.family, left)))


def _finding(arm: Series, to: Series, claim: Contrast, errors: Errors) -> Finding:
    question = claim.asked(claim.metric)
    walk = walked(arm, to, question, errors)
    return told(walk, Sides(claim.arm, claim.to, claim.unit), claim.confidence, arm.ended_by or to.ended_by)


@dataclass(slots=True)
class ContrastWatch:
    """A contrast under way. `add_block` takes the blocks of both arms' rounds in dispatch order."""

    contrast: Contrast
    rounds: int
    """The budget: the most rounds of each arm that will be judged."""
    _arm: list[Series] = field(default_factory=list)
    _to: list[Series] = field(default_factory=list)
    _walk: Walk | None = None
    _unclear: bool = False

    def add_block(self, arm: Series, to: Series) -> None:
        """Take the next round of each of the two arms, given as series of their own."""
        if self.done:
            return
        self._arm.append(arm)
        self._to.append(to)
        looks = comparison_looks(self.rounds, self.contrast.statistic, self.contrast.levels)
        for look in looks:
            if look.rounds == len(self._arm) and not self._unclear:
                self._take(look)

    def _take(self, look: Look) -> None:
        arm, to = joined(self._arm), joined(self._to)
        try:
            question = self.contrast.asked(
                shared_metric(self.contrast.metric, arm, to, (self.contrast.arm, self.contrast.to))
            )
            pair = paired(arm, to, question)
            self._walk = self._walk or Walk(question, min(FAIL_FLOOR, self.rounds))
            self._walk.take(look, pair)
        except UsageError:  # the claim is not one of these series: the judge will tell
            self._unclear = True

    @property
    def outcome(self) -> Outcome:
        """What the looks say so far."""
        return self._walk.outcome if self._walk is not None else Outcome.INCONCLUSIVE

    @property
    def done(self) -> bool:
        """Whether it needs no more rounds."""
        return (self._walk is not None and self._walk.settled) or len(self._arm) >= self.rounds
