"""Yes-or-no observations that are a matter of what the claim asks: good calls, and rounds answered right.

Counted here, decided in `judge` and `watch` by the exact binomial test, as any share. A call is good when it is shown
to meet every limit: a failed one does not, and one that lacks a metric is good for no verdict. A round is right when
its score is 1 and wrong when it is 0; scores between have no share, and are judged by their mean.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pytest_llmperf.core.objective import Objective
from pytest_llmperf.core.observations import observe, shifted, was_cut
from pytest_llmperf.core.series import Series

COUNTED = frozenset({"goodput", "accuracy"})
"""The shares that are counted here."""
_NOUNS = {"goodput": "call", "accuracy": "round"}


@dataclass(frozen=True, slots=True)
class Counted:
    """How many observations there are, how many are shown to be good, how many to be not, and what the latter did."""

    noun: str
    n: int
    good: int
    missed: int
    words: str
    """What became of the bad ones, such as `missed (ttft 5, tpot 2)`."""

    @property
    def unknown(self) -> int:
        """Observations of which nobody knows."""
        return self.n - self.good - self.missed


def counted(series: Series, objective: Objective, error: float = 0.0) -> Counted:
    """The judged observations of a series, with the clock's *error* (seconds) added to its times."""
    flags = goods(series, objective, error)
    good, missed = flags.count(True), flags.count(False)
    return Counted(_NOUNS[objective.metric], len(flags), good, missed, _words(series, objective, error))


def goods(series: Series, objective: Objective, error: float = 0.0) -> list[bool | None]:
    """Whether each judged call or round is good, in dispatch order; None where that is not known."""
    if objective.metric == "accuracy":
        return [None if score is None else score == 1 for score in observe(series, "accuracy").values]
    met = [_met(series, metric, limit, error) for metric, limit in objective.limits]
    failed = [False if call.failure and not was_cut(call, series.cut) else None for call in series.judged]
    return [_all(answers) for answers in zip(failed, *met, strict=True)]


def graded(series: Series) -> bool:
    """Whether rounds have scores between wrong and right, of which there is a mean and no share."""
    return any(0 < score < 1 for score in observe(series, "accuracy").present)


def _met(series: Series, metric: str, limit: float, error: float) -> list[bool | None]:
    values = shifted(series, observe(series, metric), error).values
    return [None if value is None else value <= limit for value in values]


def _all(answers: Sequence[bool | None]) -> bool | None:
    """Whether one call meets everything; the first answer is False where it failed, else None."""
    failed, *met = answers
    if failed is False or False in met:
        return False
    return None if None in met else True


def _words(series: Series, objective: Objective, error: float) -> str:
    if objective.metric == "accuracy":
        return "answered wrong"
    failed = sum(bool(call.failure) and not was_cut(call, series.cut) for call in series.judged)
    missed = [(metric, _met(series, metric, limit, error).count(False)) for metric, limit in objective.limits]
    each = [f"{count} in {metric}" for metric, count in missed if count]
    each += [f"{failed} failed"] if failed else []
    return "missed a limit" + (f" ({', '.join(each)})" if each else "")
