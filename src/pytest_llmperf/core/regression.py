"""Claims that hold a run against a baseline: `p50 ttft at most 15 % worse than baseline main`.

The day is part of the noise: one system differs from session to session by more than the calls of one session tell, and
no number of calls within one session shows by how much. So there are two ways to judge.

With five earlier sessions or more, one number per session says how much sessions differ, and a t prediction test says
whether the new one is worse than that explains. Each session's number is taken from as many observations as the new run
has, where it has more.

With fewer, the run is compared with the observations of the latest session alone, and the verdict says so. Then a
regression has to be shown beyond 10 %, which is what two sessions of one system may differ by, even where less is
allowed; shown beyond a lower limit only, it is inconclusive. A pass is asked of the limit itself.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from pytest_llmperf.core import changes, wording
from pytest_llmperf.core.claims import SESSION_MARGIN, Question, Regression, levels_told
from pytest_llmperf.core.difference import Sides, told
from pytest_llmperf.core.doubt import doubted_pair
from pytest_llmperf.core.errors import UsageError
from pytest_llmperf.core.finding import Finding, nothing, shown
from pytest_llmperf.core.observations import Observations, recorded_unit
from pytest_llmperf.core.pair import Errors, Pair, centre, observed, paired, require_alike, shared_metric, tested
from pytest_llmperf.core.series import Series
from pytest_llmperf.core.together import Judgement, left_of
from pytest_llmperf.core.verdict import Outcome, Verdict
from pytest_llmperf.core.walk import Look, Walk, comparison_looks, joined, walked
from pytest_llmperf.core.watch import FAIL_FLOOR
from pytest_llmperf.statistics.estimate import Estimate, PValues
from pytest_llmperf.statistics.sessions import LEAST_SESSIONS, session_p_values, session_ratio_estimate

THIS = "this run"


def judge_regression(candidate: Series, sessions: Sequence[Series], regression: Regression) -> Verdict:
    """Decide whether a run is worse than a baseline allows.

    Args:
        candidate: the run.
        sessions: the accepted sessions of the baseline, the latest last, of the same source and clock as the run.
        regression: the claim.

    Raises:
        UsageError: the series cannot be compared, the claim does not say which metric it means, or the metric has no
            such statistic that could be compared.
    """
    metric = _metric(candidate, sessions, regression)
    unit = regression.base_unit(metric) or recorded_unit(candidate, metric)
    claim = replace(regression, metric=metric, unit=unit)
    question = claim.asked(metric)
    finding = _finding(candidate, sessions, claim)
    estimate = finding.estimate
    return Verdict(
        claim=claim.described(),
        metric=metric,
        statistic=claim.statistic,
        direction=question.direction,
        bound=question.bound,
        unit="",
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
        arm=candidate.arm,
        stops=finding.stops,
    )


def regression_judgement(candidate: Series, sessions: Sequence[Series], regression: Regression) -> Judgement:
    """How it is decided among other claims."""
    return lambda left: judge_regression(
        candidate, sessions, replace(regression, family=left_of(regression.family, left))
    )


def _metric(candidate: Series, sessions: Sequence[Series], regression: Regression) -> str:
    names = THIS, regression.against
    for session in sessions:
        require_alike(candidate, session, names)
    last = sessions[-1] if sessions else candidate
    return shared_metric(regression.metric, candidate, last, names)


def _finding(candidate: Series, sessions: Sequence[Series], claim: Regression) -> Finding:
    if not sessions:
        return nothing(
            f"{claim.against} has no session of this test",
            remedy="accept this run as its first session",
        )
    question = claim.asked(claim.metric)
    several = len(_centres(sessions, question, 0.0)) >= LEAST_SESSIONS
    judged = _by_session if several else _two_samples
    return doubted_pair(
        candidate,
        sessions[-1],
        claim.metric,
        question.direction,
        lambda errors: judged(candidate, sessions, claim, errors),
    )


# --- few sessions ----------------------------------------------------------------------------------------------------


def _two_samples(candidate: Series, sessions: Sequence[Series], claim: Regression, errors: Errors) -> Finding:
    """The run against the latest session's observations."""
    walk = walked(candidate, sessions[-1], claim.asked(claim.metric, margin=SESSION_MARGIN), errors, stored=True)
    finding = told(walk, Sides(THIS, claim.against, claim.unit), claim.confidence, candidate.ended_by)
    reason, remedy = finding.reason, finding.remedy
    if _only_just(walk, claim):
        reason += (
            f"; shown beyond {wording.percent(claim.allowed)}, but not beyond the "
            f"{wording.percent(SESSION_MARGIN - 1)} by which two sessions of one system may differ"
        )
        remedy = f"accept sessions until {LEAST_SESSIONS} are known, or run the old version again beside this one"
    k = wording.count(len(sessions), "session")
    reason += f"; between-session variation unknown ({k}; five are needed): compared with the latest session alone"
    return replace(finding, reason=reason, remedy=remedy)


def _only_just(walk: Walk, claim: Regression) -> bool:
    """Whether the limit was shown to be exceeded, though not by as much as sessions may differ."""
    if walk.pair is None or walk.look is None or walk.outcome is not Outcome.INCONCLUSIVE or walk.alike:
        return False
    return tested(walk.pair, claim.asked(claim.metric)).p_fail < walk.look.levels.to_fail


# --- five sessions and more ------------------------------------------------------------------------------------------


def _by_session(candidate: Series, sessions: Sequence[Series], claim: Regression, errors: Errors) -> Finding:
    """The run's number against those of the sessions."""
    question = claim.asked(claim.metric)
    sample = observed(candidate, question, errors[0])
    if not sample.present:
        return told(_whole(sample, sessions[-1], question), Sides(THIS, claim.against, claim.unit), claim.confidence)
    earlier = _centres(sessions, question, errors[1], len(sample.values))
    outcome = shown(_session_tests(earlier, sample, question), claim.levels)
    new = centre(sample, question)
    estimate = _session_estimate(earlier, new, question, claim.confidence)
    typical = math.exp(math.fsum(map(math.log, earlier)) / len(earlier))
    reason = (
        f"{THIS} is {changes.relative(estimate, claim.unit)}: {wording.quantity(new, claim.unit)} over "
        f"{wording.count(len(sample.values), sample.noun)} against {wording.quantity(typical, claim.unit)} over "
        f"{wording.count(len(earlier), 'session')} of {claim.against}"
    )
    if sample.missing:
        why = f": {sample.why_missing}" if sample.why_missing else ""
        reason += f"; {wording.count(sample.missing, sample.noun)} without {wording.a(sample.metric)}{why}"
    remedy = "accept more sessions, with more rounds in each" if outcome is Outcome.INCONCLUSIVE else ""
    n = len(sample.values)
    return Finding(outcome, estimate, reason, estimate.method, n, sample.missing, remedy)


def _whole(sample: Observations, session: Series, question: Question) -> Walk:
    """A comparison that has nothing to compare, to be told why."""
    walk = Walk(question)
    walk.take(Look(1, 0, question.levels, last=True), Pair(sample, observed(session, question, 0.0)))
    return walk


def _centres(sessions: Sequence[Series], question: Question, error: float, most: int = 0) -> list[float]:
    """One number per session that has one which is neither 0 nor infinite, from its first *most* observations."""
    samples = (observed(session, question, error) for session in sessions)
    cut = [replace(sample, values=sample.values[: most or None]) for sample in samples]
    found = [centre(sample, question) for sample in cut if sample.present]
    return [value for value in found if 0 < value < math.inf]


def _session_tests(earlier: Sequence[float], sample: Observations, question: Question) -> PValues:
    """Both directions; an absent value is as large as can be for the one and as small for the other."""
    if question.statistic == "mean" and sample.missing:
        return PValues(1.0, 1.0)
    high, low = (centre(_filled(sample, value), question) for value in (math.inf, 0.0))
    if question.direction == ">=":
        turned = [1 / value for value in earlier]
        return _session_p_values(turned, _over(low), _over(high), 1 / question.relaxed_bound, 1 / question.bound)
    return _session_p_values(earlier, high, low, question.relaxed_bound, question.bound)


def _session_p_values(earlier: Sequence[float], worst: float, best: float, relaxed: float, strict: float) -> PValues:
    p_pass = session_p_values(earlier, worst, relaxed).p_pass
    return PValues(p_pass, session_p_values(earlier, best, strict).p_fail if best > 0 else 1.0)


def _session_estimate(earlier: Sequence[float], new: float, question: Question, confidence: float) -> Estimate:
    if new > 0:
        return session_ratio_estimate(earlier, new, confidence)
    turned = session_ratio_estimate([1 / value for value in earlier], math.inf, confidence)
    return replace(turned, value=0.0, low=0.0, high=0.0)


def _filled(sample: Observations, value: float) -> Observations:
    return replace(sample, values=tuple(value if one is None else one for one in sample.values))


def _over(value: float) -> float:
    return math.inf if value == 0 else 1 / value


# --- looks -----------------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class RegressionWatch:
    """A regression under way. `add_round` takes the rounds in dispatch order.

    Only a comparison with one session is looked at before its end: against several, a part of a run says little.
    """

    regression: Regression
    sessions: Sequence[Series]
    rounds: int
    """The budget: the most rounds that will be judged."""
    _seen: list[Series] = field(default_factory=list)
    _walk: Walk | None = None
    _unclear: bool = False

    def add_round(self, one: Series) -> None:
        """Take the next round, given as a series of its own."""
        if self.done:
            return
        self._seen.append(one)
        if self._unclear or not self.sessions:
            return
        claim, size = self.regression, len(self.sessions[-1].judged_rounds)
        for look in comparison_looks(self.rounds, claim.statistic, claim.levels, stored=size):
            if look.rounds == len(self._seen):
                self._take(look)

    def _take(self, look: Look) -> None:
        seen, latest = joined(self._seen), self.sessions[-1]
        try:
            question = self.regression.asked(_metric(seen, self.sessions, self.regression), margin=SESSION_MARGIN)
            self._unclear = len(_centres(self.sessions, question, 0.0)) >= LEAST_SESSIONS
            pair = paired(seen, latest, question)
        except UsageError:  # the claim is not one of these series: the judge will tell
            self._unclear = True
        if not self._unclear:
            self._walk = self._walk or Walk(question, min(FAIL_FLOOR, self.rounds))
            self._walk.take(look, pair)

    @property
    def outcome(self) -> Outcome:
        """What the looks say so far."""
        return self._walk.outcome if self._walk is not None else Outcome.INCONCLUSIVE

    @property
    def done(self) -> bool:
        """Whether it needs no more rounds."""
        return (self._walk is not None and self._walk.settled) or len(self._seen) >= self.rounds
