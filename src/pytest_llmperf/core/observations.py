"""What a claim is judged on: the numbers of a series, in dispatch order, picked for one metric.

Picking is apart from judging, so that the judge sees numbers only and a report can show the same numbers.
"""

from __future__ import annotations

import bisect
import itertools
import math
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from pytest_llmperf.core.errors import UsageError
from pytest_llmperf.core.metrics import METRICS
from pytest_llmperf.core.series import Measurement, Series

INTERRUPTED = "the round was interrupted"

_SPANS = frozenset({"tpot", "output_tps"})
"""Metrics of a time between two stamps of one call: the clock's error can lengthen or shorten it."""
_WAITS = frozenset({"ttft", "ttfat", "e2e", "attempt_ttft", "attempt_e2e", "call", "scenario", "e2e_tps"})
"""Metrics of a time that began with us sending: a late read can only lengthen it."""


@dataclass(frozen=True, slots=True)
class Observations:
    """One number per call or round, in dispatch order; None where it is absent."""

    metric: str
    noun: str
    """What one observation is of: `call`, `round` or `attempt`."""
    values: tuple[float | None, ...]
    why_missing: str = ""

    @property
    def present(self) -> list[float]:
        """The values there are."""
        return [value for value in self.values if value is not None]

    @property
    def missing(self) -> int:
        """How many are absent."""
        return self.values.count(None)


def resolved_metric(metric: str, series: Series) -> str:
    """The metric that `ttft|e2e` stands for in this series.

    Raises:
        UsageError: some judged calls streamed and some did not, so that no one metric fits all.
    """
    streamed, _, plain = metric.partition("|")
    if not plain:
        return metric
    kinds = {measurement.streamed for measurement in series.judged}
    if len(kinds) > 1:
        raise UsageError(
            f"some of the judged calls streamed and some did not, so the claim could mean {streamed} or {plain}; "
            f'say which with metric="{streamed}" or metric="{plain}"'
        )
    return plain if kinds == {False} else streamed


def observe(series: Series, metric: str) -> Observations:
    """The judged numbers of a metric of calls or rounds, or of a name that the test recorded."""
    if metric == "cost":
        return _costs(series)
    if metric == "scenario":
        return _wall_times(series)
    if metric not in METRICS:
        values = tuple(round_.records.get(metric, round_.scores.get(metric)) for round_ in series.judged_rounds)
        return Observations(metric, "round", values, f"the body recorded no {metric!r}")
    return of_calls(series.judged, series.cut, metric)


def of_calls(calls: Sequence[Measurement], cut: frozenset[int], metric: str) -> Observations:
    """The numbers that these calls have of a metric, in their order; a call of a *cut* round may have none."""
    if cut:
        values = tuple(None if was_cut(call, cut) else call.values.get(metric) for call in calls)
    else:
        values = tuple([call.values.get(metric) for call in calls])
    return Observations(metric, "call", values, _why(metric, calls, cut) if None in values else "")


def recorded_unit(series: Series, name: str) -> str:
    """The unit the body recorded a number in; empty where it gave none."""
    return next((round_.units[name] for round_ in series.judged_rounds if round_.units.get(name)), "")


def was_cut(measurement: Measurement, cut: frozenset[int]) -> bool:
    """Whether the interruption of its round may be what ended the call, so that it is neither well nor failed."""
    return bool(measurement.failure) and measurement.round in cut


def _why(metric: str, calls: Sequence[Measurement], cut: frozenset[int]) -> str:
    """The most common reason why a metric is absent."""
    known = [call.absent[metric] for call in calls if metric in call.absent and not was_cut(call, cut)]
    reasons = Counter(known) + Counter({INTERRUPTED: sum(was_cut(call, cut) for call in calls) if cut else 0})
    return reasons.most_common(1)[0][0] if reasons else ""


def _wall_times(series: Series) -> Observations:
    """Seconds per round from when it was due; a round that a failed call brought down is endlessly slow."""
    if series.clock == "instant":
        return Observations("scenario", "round", (None,) * len(series.judged_rounds), "the instant clock does not wait")
    failed = {m.round for m in series.measurements if m.failure}
    times = tuple(
        None if r.ended is None else math.inf if r.failure and r.number in failed else r.ended - r.due
        for r in series.judged_rounds
    )
    return Observations("scenario", "round", times, INTERRUPTED)


def _costs(series: Series) -> Observations:
    """Dollars per round: the sum over its calls, absent as soon as one call's cost is, or no call was seen at all."""
    calls, cut = series.judged, series.cut
    by_round: dict[int, list[float | None]] = {
        r.number: [None] if r.number in cut else [] for r in series.judged_rounds
    }
    for call in calls:
        if call.round in by_round:
            by_round[call.round].append(call.values.get("cost"))
    sums = tuple(_sum(costs) if calls else None for costs in by_round.values())
    return Observations("cost", "round", sums, _why("cost", calls, cut) if calls else "no call was seen")


def _sum(values: list[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return math.fsum(known) if len(known) == len(values) else None


@dataclass(frozen=True, slots=True)
class CallGaps:
    """The gaps between the content deltas of each call that has any, and how many calls' gaps are not known."""

    calls: tuple[tuple[float, ...], ...]
    missing: int = 0
    why_missing: str = ""

    @property
    def pooled(self) -> list[float]:
        """The gaps of all calls."""
        return list(itertools.chain.from_iterable(self.calls))


def gaps_by_call(series: Series, error: float = 0.0) -> CallGaps:
    """Seconds between content deltas, with the clock's *error* (seconds) added to each.

    A failed call weighs as much as any: its gaps are infinite, as many as a call has on average.
    """
    judged, cut = series.judged, series.cut
    known = [m for m in judged if "event_gap" not in m.absent and not was_cut(m, cut)]
    sizes = [len(m.event_gaps) for m in known if not m.failure]
    usual = round(sum(sizes) / len(sizes)) if sizes else 1
    calls = tuple(
        (math.inf,) * max(usual, len(m.event_gaps), 1)
        if m.failure
        else tuple(max(gap + error, 0.0) for gap in m.event_gaps)
        for m in known
    )
    why = _why("event_gap", judged, cut)
    return CallGaps(tuple(gaps for gaps in calls if gaps), len(judged) - len(known), why)


def total_tokens(measurement: Measurement) -> float | None:
    """All tokens a call is billed for: input, cache writes and reads, output."""
    names = ("input_tokens", "cache_write_tokens", "cache_read_tokens", "output_tokens")
    if "input_tokens" not in measurement.values or "output_tokens" not in measurement.values:
        return None
    return math.fsum(measurement.values.get(name, 0.0) for name in names)


def completions(series: Series, metric: str) -> tuple[list[float], list[float], int]:
    """Output of each completed call and the seconds since the completion before it, and how many calls have no time.

    The seconds add up to the span from the first request to the last content, so that the ratio of the two totals is
    the throughput of the series, and the pairs carry its spread: exactly for calls one after the other, and more than
    it for overlapping ones, which only makes a verdict rarer. Failed calls bring nothing and take their time. Of an
    arm the span is what its own rounds took: the rounds of other arms between them are none of its time.
    """
    calls, cut, own = series.judged, series.cut, _own_time(series)
    times = [own(m.finished if m.finished is not None else m.dispatched) for m in calls]
    made = [0.0 if m.failure else 1.0 if metric == "rpm" else m.values.get("output_tokens") for m in calls]
    unknown = sum(
        was_cut(m, cut) or amount is None or (m.finished is None and not m.failure)
        for m, amount in zip(calls, made, strict=True)
    )
    amounts = [amount or 0.0 for amount in made]
    if not calls:
        return [], [], unknown
    ordered = sorted(zip(times, amounts, strict=True))
    start = min(own(m.dispatched) for m in calls)
    gaps = [ordered[0][0] - start, *(later[0] - sooner[0] for sooner, later in itertools.pairwise(ordered))]
    scale = 60.0 if metric == "rpm" else 1.0
    return [amount * scale for _, amount in ordered], [max(gap, 0.0) for gap in gaps], unknown


def _own_time(series: Series) -> Callable[[float], float]:
    """From seconds of the run to seconds of an arm's own rounds, those that overlap counted once."""
    if not series.arm:
        return lambda moment: moment
    spans: list[tuple[float, float]] = []
    for began, ended in sorted((r.started, r.started if r.ended is None else r.ended) for r in series.judged_rounds):
        if spans and began <= spans[-1][1]:
            spans[-1] = (spans[-1][0], max(spans[-1][1], ended))
        else:
            spans.append((began, ended))
    starts = [began for began, _ in spans]
    before = list(itertools.accumulate((ended - began for began, ended in spans), initial=0.0))

    def own(moment: float) -> float:
        number = bisect.bisect_right(starts, moment) - 1
        return before[number] + moment - starts[number] if number >= 0 else 0.0

    return own


def shifted(series: Series, observations: Observations, error: float) -> Observations:
    """The same numbers with the clock's *error* (seconds; positive or negative) added to every time they rest on.

    A call of which it is known how late the client may have come to it has that for its error, with the same sign.
    A late read can only have lengthened a wait, so waits never grow; the time between two stamps can be off both ways.
    """
    name = observations.metric
    if error == 0 or name not in _SPANS | _WAITS or (name in _WAITS and error > 0):
        return observations
    if observations.noun != "call":
        values = [_shift(name, value, error, None) for value in observations.values]
    else:
        values = [
            _shift(name, value, math.copysign(call.late.get(name, abs(error)), error), _streamed_tokens(call, name))
            for value, call in zip(observations.values, series.judged, strict=True)
        ]
    return Observations(name, observations.noun, tuple(values), observations.why_missing)


def _shift(name: str, value: float | None, error: float, tokens: float | None) -> float | None:
    if value is None or math.isinf(value) or value == 0:
        return value
    if name == "tpot":
        return max(value + error / _intervals(tokens), 1e-12)
    if name == "output_tps":
        return 1 / max(1 / value + error / _intervals(tokens), 1e-12)
    if name == "e2e_tps":
        return value if tokens is None else tokens / max(tokens / value + error, 1e-12)
    return max(value + error, 0.0)


def _streamed_tokens(measurement: Measurement, name: str) -> float | None:
    """Output tokens. Of a time per token the thinking ones, which may have been withheld, do not soften the error."""
    tokens = measurement.values.get("output_tokens")
    return tokens if tokens is None or name not in _SPANS else tokens - (measurement.usage.thinking_tokens or 0)


def _intervals(tokens: float | None) -> float:
    return max((tokens or 2) - 1, 1)
