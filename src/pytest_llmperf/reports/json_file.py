"""The JSON report, schema 1, published beside this module as `schema-1.json`.

Base units everywhere: seconds, dollars, shares of one. What is absent is null, an infinite number is the text "inf" or
"-inf", and there is no NaN. Tests stand in order of node id, so that two runs of a shuffled or distributed suite can be
compared line by line. Additions keep the number of the schema; a changed meaning raises it.
"""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

from pytest_llmperf.core.ceiling import Ceiling
from pytest_llmperf.core.conditions import conditions_of
from pytest_llmperf.core.lag import sending_lag
from pytest_llmperf.core.plain import laid_out, tidied, to_plain
from pytest_llmperf.core.series import Series
from pytest_llmperf.core.summary import summarised
from pytest_llmperf.core.verdict import Verdict
from pytest_llmperf.reports import formatting
from pytest_llmperf.reports.report import Report, TestResult
from pytest_llmperf.reports.timeline import timeline, unjudged, waterfall, waterfalls

SCHEMA = 1


def schema() -> dict[str, Any]:
    """The published JSON Schema (draft 2020-12) of the document."""
    found: dict[str, Any] = json.loads(Path(__file__).with_name(f"schema-{SCHEMA}.json").read_text(encoding="utf-8"))
    return found


def document(report: Report) -> dict[str, Any]:
    """The report as plain types that JSON can hold."""
    whole = {
        "schema": SCHEMA,
        "plugin": {"name": "pytest-llmperf", "version": report.version},
        "started": report.started,
        "environment": to_plain(report.environment),
        "tests": [_test(result) for result in sorted(report.tests, key=lambda result: result.nodeid)],
    }
    if report.sections:
        whole["sections"] = [{"title": title, "lines": list(lines)} for title, lines in report.sections]
    whole |= overviews(report)
    found: dict[str, Any] = tidied(whole)
    return found


def overviews(report: Report) -> dict[str, Any]:
    """What brings the run together, as far as it was asked for, as plain types."""
    first, *more = report.syntheses or (None,)
    found = {"synthesis": first, "more_syntheses": more or None, "beside": report.beside}
    return {name: to_plain(value) for name, value in found.items() if value is not None}


def text(found: dict[str, Any]) -> str:
    """A document as it stands in its file."""
    return laid_out(found) + "\n"


def _test(result: TestResult) -> dict[str, Any]:
    return {
        "nodeid": result.nodeid,
        "outcome": result.outcome,
        "source": str(result.source),
        "clock": result.clock,
        "location": None if result.location is None else {"file": result.location[0], "line": result.location[1]},
        "parameters": None if result.parameters is None else list(result.parameters),
        "interrupted": result.interrupted,
        "error": result.error,
        "notes": list(result.notes),
        "remarks": [*formatting.circumstances(result), *formatting.ceilings(result), *formatting.error_bars(result)],
        "arms": [_arm(series) for series in result.series],
        "verdicts": [_verdict(verdict) for verdict in result.verdicts],
        "ceiling": None if result.ceiling is None else _ceiling(result.ceiling),
        "curves": [asdict(curve) for curve in result.curves],
    }


def _arm(series: Series) -> dict[str, Any]:
    summary = summarised(series)
    usage, conditions = summary.usage, conditions_of(series)
    places = {round_.number: place for place, round_ in enumerate(series.judged_rounds)}
    return {
        "name": series.arm,
        "factors": series.factors,
        "rounds": {
            "judged": summary.judged_rounds,
            "warmup": summary.warmup_rounds,
            "failed": summary.failed_rounds,
        },
        "model": conditions.model,
        "endpoint": conditions.endpoint,
        "streaming": conditions.streaming,
        "calls": summary.calls,
        "call_rounds": [places[call.round] for call in series.judged],
        "attempts": summary.attempts,
        "failures": summary.failures,
        "unattributed": series.unattributed,
        "loop_lag": series.loop_lag,
        "cpu_share": series.cpu_share,
        "ended_by": series.ended_by,
        "rate_per_minute": series.rate_per_minute,
        "arrival": series.arrival,
        "sending_lag": None if (lag := sending_lag(series)) is None else asdict(lag),
        "metrics": {name: asdict(metric) for name, metric in summary.metrics.items()},
        "usage": {
            "input_tokens": usage.input_tokens,
            "output_tokens": usage.output_tokens,
            "cache_creation_input_tokens": usage.cache_creation_input_tokens,
            "cache_read_input_tokens": usage.cache_read_input_tokens,
            "cost_usd": summary.cost,
        },
        "series": summary.values,
        "unjudged": unjudged(series),
        "timeline": timeline(series),
        "waterfall": waterfall(series),
        "waterfalls": waterfalls(series),
    }


def _ceiling(ceiling: Ceiling) -> dict[str, Any]:
    sustained = ceiling.sustained
    return {
        "share": ceiling.share,
        "confidence": ceiling.confidence,
        "good": ceiling.good,
        "bad": ceiling.bad,
        "sustained": None
        if sustained is None
        else {"value": sustained.value, "low": sustained.low, "high": sustained.high, "n": sustained.n},
        "levels": [asdict(level) for level in ceiling.levels],
    }


def _verdict(verdict: Verdict) -> dict[str, Any]:
    return {
        "claim": verdict.claim,
        "mark": verdict.mark,
        "slack": verdict.slack,
        "arm": verdict.arm,
        "to": verdict.to,
        "metric": verdict.metric,
        "statistic": verdict.statistic,
        "unit": verdict.unit,
        "bound": verdict.bound,
        "direction": verdict.direction,
        "estimate": verdict.estimate,
        "low": verdict.low,
        "high": verdict.high,
        "confidence": verdict.confidence,
        "outcome": str(verdict.outcome),
        "method": verdict.method,
        "n": verdict.n,
        "missing": verdict.missing,
        "reason": verdict.reason,
        "remedy": verdict.remedy,
        "stops": verdict.stops,
        "evidence": None
        if verdict.evidence is None
        else dict(zip(("to_pass", "to_fail"), verdict.evidence, strict=True)),
    }
