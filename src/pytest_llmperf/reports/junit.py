"""Properties for JUnit XML: flat names, one number or word each, in an order that does not change.

A duration is in milliseconds and says so in its name, as the marks do; a number without a unit in its name is in the
base unit of its metric.
"""

from __future__ import annotations

from collections.abc import Sequence

from pytest_llmperf.core.overview import Synthesis
from pytest_llmperf.core.series import Series
from pytest_llmperf.core.summary import HEADLINE, MetricSummary, summarised
from pytest_llmperf.reports.report import TestResult

_SUFFIX = {"s": "_ms", "s/token": "_ms", "USD": "_usd", "USD/Mtok": "_usd_per_mtok"}
_MILLISECONDS = frozenset({"s", "s/token"})


def properties(result: TestResult) -> list[tuple[str, str]]:
    """The properties of one test: how it ended, its headline figures, its claimed figures, and its claims.

    Names are `llmperf.ttft.p95_ms`, and `llmperf[temperature=0].ttft.p95_ms` for an arm. No name comes twice.
    """
    found = {
        "llmperf.outcome": result.outcome,
        "llmperf.source": str(result.source),
        "llmperf.clock": result.clock,
        "llmperf.rounds": str(sum(len(series.judged_rounds) for series in result.series)),
    }
    for series in result.series:
        found |= _headline(series)
    for verdict in result.verdicts:
        name, value = f"{_prefix(verdict.arm)}.{verdict.metric}.{verdict.statistic}", verdict.estimate
        if value is not None and not verdict.to:  # a ratio or a distance is no figure of the arm
            found[name + _SUFFIX.get(verdict.unit, "")] = _number(value, verdict.unit)
    for number, verdict in enumerate(result.verdicts, 1):
        name = f"{_prefix(verdict.arm)}.claim{number}"
        found |= {name: verdict.claim, f"{name}.outcome": str(verdict.outcome)}
        if verdict.estimate is not None:
            found[f"{name}.estimate{_SUFFIX.get(verdict.unit, '')}"] = _number(verdict.estimate, verdict.unit)
    return list(found.items())


def of_run(syntheses: Sequence[Synthesis]) -> list[tuple[str, str]]:
    """The properties of the run as a whole: the figures of each test, all of its arms together, and the advice.

    Names are `llmperf.synthesis[code generation].ttft.p95_ms`, `llmperf.synthesis.source` and
    `llmperf.synthesis.advice1`; in a run of several sources or clocks `llmperf.synthesis.live.realtime` comes first.
    """
    several = len(syntheses) > 1
    return [
        named
        for one in syntheses
        for named in _of_one(one, f"llmperf.synthesis.{one.source}.{one.clock}" if several else "llmperf.synthesis")
    ]


def _of_one(synthesis: Synthesis, prefix: str) -> list[tuple[str, str]]:
    origin = {f"{prefix}.source": str(synthesis.source), f"{prefix}.clock": synthesis.clock}
    found = {
        f"{prefix}[{row.test}].{figure.metric}.{figure.statistic}{_SUFFIX.get(figure.unit, '')}": _number(
            figure.estimate, figure.unit
        )
        for row in synthesis.rows
        for figure in row.figures
        if figure.estimate is not None
    }
    advice = {f"{prefix}.advice{number}": words for number, words in enumerate(synthesis.advice, 1)}
    return list((origin | found | advice).items())


def _headline(series: Series) -> dict[str, str]:
    metrics = summarised(series).metrics
    return {
        f"{_prefix(series.arm)}.{name}.{statistic}{_SUFFIX.get(metrics[name].unit, '')}": _number(
            value, metrics[name].unit
        )
        for name, statistic in HEADLINE
        if (value := _figure(metrics[name], statistic)) is not None
    }


def _figure(metric: MetricSummary, statistic: str) -> float | None:
    value: float | None = getattr(metric, statistic)
    return value


def _prefix(arm: str) -> str:
    return f"llmperf[{legal(arm)}]" if arm else "llmperf"


def legal(name: str) -> str:
    """A name that XML can hold: pytest sees to the values, and takes the names as they are."""
    return "".join(each if each.isprintable() else each.encode("unicode_escape").decode("ascii") for each in name)


def _number(value: float, unit: str) -> str:
    """Six significant digits: more is noise, and a stable text keeps two runs comparable."""
    return f"{value * 1e3 if unit in _MILLISECONDS else value:.6g}"
