"""What a comparison showed, put into words: how far apart two samples are, on what ground, what would settle it.

Nothing is decided here; `walk` has decided.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from pytest_llmperf.core import changes, wording
from pytest_llmperf.core.claims import Question
from pytest_llmperf.core.finding import MEND, Finding, nothing, shown
from pytest_llmperf.core.metrics import LATENCIES, RATES_OF_A_CALL
from pytest_llmperf.core.observations import Observations
from pytest_llmperf.core.pair import Pair, attainable, centre, comparable, estimated, least_of_a_mean, tested
from pytest_llmperf.core.verdict import Outcome
from pytest_llmperf.core.walk import Walk
from pytest_llmperf.statistics.planning import growth_to_settle

_FARTHEST = 10.0
"""Growth of the samples up to which it is said how many would settle it."""
_MOST = 100_000


@dataclass(frozen=True, slots=True)
class Sides:
    """What a reader calls the two samples, and the unit of both."""

    arm: str
    to: str
    unit: str


def told(walk: Walk, sides: Sides, confidence: float, ended_by: str = "") -> Finding:
    """The finding of a comparison that was looked at."""
    pair, question, look = walk.pair, walk.question, walk.look
    assert pair is not None
    assert look is not None
    if why := _lacking(pair, question, sides):
        return nothing(why, n=pair.n, missing=pair.missing, remedy=MEND if pair.missing else "")
    estimate = estimated(pair, question, confidence)
    change = (changes.relative if question.kind == "ratio" else changes.absolute)(estimate, sides.unit)
    reason = f"{sides.arm} is {change}: {_centre(pair.arm, walk, sides)} against {_centre(pair.to, walk, sides)}"
    reason += _failures(pair, sides) + _absent(pair, sides) + _likeness(walk)
    remedy = ""
    if walk.outcome is Outcome.INCONCLUSIVE:
        more, remedy = _unsettled(walk, ended_by)
        reason += more
    method = estimate.method if look.planned < 2 else f"{estimate.method}, look {look.number} of {look.planned}"
    return Finding(walk.outcome, estimate, reason, method, pair.n, pair.missing, remedy, walk.stops)


def _lacking(pair: Pair, question: Question, sides: Sides) -> str:
    """Why there is nothing to compare; empty where there is."""
    for sample, name in ((pair.arm, sides.arm), (pair.to, sides.to)):
        if not sample.values:
            return f"no {sample.noun} of {name} was judged"
        if not sample.present:
            return f"no judged {sample.noun} of {name} has {wording.a(question.metric)}{_why(sample)}"
    if question.statistic == "mean" and min(len(pair.arm.present), len(pair.to.present)) < 2:
        return f"a mean of one {pair.arm.noun} has no interval; {least_of_a_mean(pair)} on each side are the fewest"
    if comparable(pair, question):
        return ""
    value = wording.quantity(centre(pair.to, question), sides.unit)
    what = "ratio" if question.kind == "ratio" else "distance"
    failed = _failed(pair.to)
    because = f", {failed} of its {wording.count(len(pair.to.values), pair.to.noun)} failed" if failed else ""
    return f"the {question.statistic} {question.metric} of {sides.to} is {value}{because}: there is no {what} to it"


def _centre(sample: Observations, walk: Walk, sides: Sides) -> str:
    value = wording.quantity(centre(sample, walk.question), sides.unit)
    return f"{value} over {wording.count(len(sample.values), sample.noun)}"


def _failed(sample: Observations) -> int:
    """How many values are those of failed calls or rounds."""
    if sample.metric in RATES_OF_A_CALL:
        return sample.present.count(0.0)
    return sample.present.count(math.inf) if sample.metric in LATENCIES or sample.metric == "scenario" else 0


def _failures(pair: Pair, sides: Sides) -> str:
    counts = [(_failed(pair.arm), sides.arm), (_failed(pair.to), sides.to)]
    failed = [f"{wording.count(count, pair.arm.noun)} of {name}" for count, name in counts if count]
    return f"; {' and '.join(failed)} failed and count as endlessly slow" if failed else ""


def _absent(pair: Pair, sides: Sides) -> str:
    text = ""
    for sample, name in ((pair.arm, sides.arm), (pair.to, sides.to)):
        if sample.missing:
            few = f"{wording.count(sample.missing, sample.noun)} of {name}"
            text += f"; {few} without {wording.a(sample.metric)}{_why(sample)}"
    return text


def _why(sample: Observations) -> str:
    return f": {sample.why_missing}" if sample.why_missing else ""


def _likeness(walk: Walk) -> str:
    """The warning that the samples say less than their size."""
    assert walk.pair is not None
    if not (walk.alike or walk.pair.alike):
        return ""
    withheld = "; the fail they would show is withheld" if _withheld(walk) else ""
    return f"; neighbouring {walk.pair.arm.noun}s are alike, so the interval is narrower than it should be{withheld}"


def _withheld(walk: Walk) -> bool:
    assert walk.look is not None
    return walk.alike and walk.outcome is Outcome.INCONCLUSIVE and walk.p_values.p_fail < walk.look.levels.to_fail


def _unsettled(walk: Walk, ended_by: str) -> tuple[str, str]:
    """What more is to be said of a comparison that shows nothing, and what would settle it."""
    pair, question, look = walk.pair, walk.question, walk.look
    assert pair is not None
    assert look is not None
    known = _without_absent(pair)
    if pair.missing and shown(tested(known, question), question.levels) is not Outcome.INCONCLUSIVE:
        return "", MEND
    if question.statistic == "mean" and pair.missing:
        return "", MEND
    if question.statistic == "mean" and pair.fewest < (needed := least_of_a_mean(pair)):
        return f"; {needed} on each side are the fewest that a mean is judged on", f"raise rounds to {needed}"
    if ended_by:
        return "", "raise the cap that ended sampling"
    if _withheld(walk):
        return "", "spread the calls over more time, and look for what drifts"
    return "", _settling(walk)


def _without_absent(pair: Pair) -> Pair:
    return Pair(*(replace(sample, values=tuple(sample.present)) for sample in (pair.arm, pair.to)))


def _settling(walk: Walk) -> str:
    """How many observations would settle it, were the difference to stay as it is."""
    pair, question, look = walk.pair, walk.question, walk.look
    assert pair is not None
    assert look is not None
    noun = pair.arm.noun
    if attainable(pair, question).p_pass >= look.levels.to_pass:
        least = _least_to_pass(pair, question, look.levels.to_pass)
        return f"raise rounds: {least} {noun}s on each side are the fewest that can pass"
    growth = min(growth_to_settle(p, level) for p, level in zip(walk.p_values, look.levels, strict=True))
    if growth > _FARTHEST:
        return "the difference is too near the limit for sampling to tell: allow slack, or move the limit"
    more = math.ceil(pair.fewest * max(growth, 1.1))
    return f"about {more} {noun}s on each side would settle it, if the difference stays as it is"


def _least_to_pass(pair: Pair, question: Question, level: float) -> int:
    """The fewest observations on each side that can pass at all."""
    least, most = 0, 1
    while most < _MOST and attainable(pair, question, most).p_pass >= level:
        least, most = most, 2 * most
    while most - least > 1:
        middle = (least + most) // 2
        least, most = (middle, most) if attainable(pair, question, middle).p_pass >= level else (least, middle)
    return most
