"""The span of one test: its rounds within it, their calls within them, and the verdicts as its events.

The rule of its times: a span begins at the Unix time at which the first round began, plus what passed since by the
clock of the run. In real time that is when it was. In virtual time, and in what a cassette plays, spans last as long as
they did for the test, so they may end in the future, and `llmperf.clock` and `llmperf.source` say so. The instant clock
has no time between calls: there a round is as long as its calls.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from pytest_llmperf.core.verdict import Outcome
from pytest_llmperf.telemetry.call import call_span, span_of
from pytest_llmperf.telemetry.conventions import error_type
from pytest_llmperf.telemetry.particulars import Particulars
from pytest_llmperf.telemetry.span import Attributes, Event, Span, known

if TYPE_CHECKING:
    from pytest_llmperf.core.series import Measurement, Round, Series
    from pytest_llmperf.core.verdict import Verdict
    from pytest_llmperf.reports.report import TestResult

_UNKNOWN = Particulars()


def result_span(
    result: TestResult,
    particulars: Mapping[int, Sequence[Particulars]],
    *,
    began_ns: int,
    beside: Mapping[str, Any],
) -> Span:
    """One test with everything that was measured in it.

    Args:
        result: of the test.
        particulars: of the calls of each round, by its number, in any order.
        began_ns: Unix time of the start of its series.
        beside: more attributes of the test alone.
    """
    common = {"test.case.name": result.nodeid, "llmperf.source": result.source.value, "llmperf.clock": result.clock}
    rounds = [span for series in result.series for span in _round_spans(series, particulars, began_ns, common)]
    rounds.sort(key=lambda span: span.start_ns)
    start_ns = min([began_ns, *(span.start_ns for span in rounds)])
    end_ns = max([began_ns, *(part.end_ns for span in rounds for part in (span, *span.children))])
    return Span(
        name=f"llmperf {result.nodeid}",
        start_ns=start_ns,
        end_ns=end_ns,
        attributes=known({**common, **_of_test(result), **beside}),
        error=error_type(result.error) or ("failed" if result.outcome == Outcome.FAILED else ""),
        events=tuple(Event("llmperf.verdict", end_ns, _told(verdict)) for verdict in result.verdicts),
        children=tuple(rounds),
    )


def _of_test(result: TestResult) -> Attributes:
    file, line = result.location or (None, None)
    return known(
        {
            "llmperf.outcome": result.outcome,
            "llmperf.rounds": sum(len(series.judged_rounds) for series in result.series),
            "llmperf.warmup_rounds": sum(round_.warmup for series in result.series for round_ in series.rounds),
            "llmperf.calls": sum(len(series.judged) for series in result.series),
            "llmperf.ended_by": result.series[0].ended_by if result.series else "",
            "llmperf.interrupted": result.interrupted or None,
            "error.type": error_type(result.error),
            "code.file.path": file,
            "code.line.number": line,
        }
    )


def _told(verdict: Verdict) -> Attributes:
    fields = ("claim", "arm", "to", "metric", "statistic", "direction", "bound", "unit", "slack")
    found = ("estimate", "low", "high", "confidence", "n", "missing", "method", "reason")
    values = {f"llmperf.verdict.{name}": getattr(verdict, name) for name in (*fields, *found)}
    return known({**values, "llmperf.verdict.outcome": verdict.outcome.value})


def _round_spans(
    series: Series, particulars: Mapping[int, Sequence[Particulars]], began_ns: int, common: Attributes
) -> Iterable[Span]:
    calls: dict[int, list[Measurement]] = {round_.number: [] for round_ in series.rounds}
    for call in series.measurements:
        calls.setdefault(call.round, []).append(call)
    judged = {round_.number for round_ in series.judged_rounds}
    for round_ in series.rounds:
        labels = {**common, **known({"llmperf.arm": series.arm}), "llmperf.warmup": round_.warmup}
        own = sorted(calls[round_.number], key=lambda call: call.dispatched)
        said = sorted(particulars.get(round_.number, ()), key=lambda one: one.dispatched_ns)
        named = said if len(said) == len(own) else [_UNKNOWN] * len(own)
        start, end = _span_of_round(round_, own, instant=series.clock == "instant")
        yield Span(
            name="llmperf warm-up" if round_.warmup else "llmperf round",
            start_ns=began_ns + round(start * 1e9),
            end_ns=began_ns + round(end * 1e9),
            attributes=known({**labels, **_of_round(round_, series, judged=round_.number in judged)}),
            error=error_type(round_.failure),
            children=tuple(
                call_span(call, names, zero_ns=began_ns, round_ended=round_.ended, common=labels)
                for call, names in zip(own, named, strict=True)
            ),
        )


def _span_of_round(round_: Round, calls: Sequence[Measurement], *, instant: bool) -> tuple[float, float]:
    """When it began and ended, in seconds of its series; one that was cut off ends with its calls."""
    spans = [span_of(call) for call in calls]
    if instant and spans:
        start, ended = min(began for began, _ in spans), None
    else:
        start, ended = round_.started, round_.ended
    known_ends = [end for _, end in spans if end is not None]
    return start, max(start, max(known_ends, default=start) if ended is None else ended)


def _of_round(round_: Round, series: Series, *, judged: bool) -> Attributes:
    return known(
        {
            "llmperf.round": round_.number,
            "llmperf.judged": judged,
            "llmperf.late": None if round_.intended is None else round_.started - round_.intended,
            "error.type": error_type(round_.failure),
            **{f"llmperf.factor.{name}": value for name, value in series.factors.items()},
            **{f"llmperf.score.{name}": value for name, value in round_.scores.items()},
            **{f"llmperf.record.{name}": value for name, value in round_.records.items()},
        }
    )
