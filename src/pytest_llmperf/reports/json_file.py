"""The JSON report, schema 1, published beside this module as `schema-1.json`.

Base units everywhere: seconds, dollars, shares of one. What is absent is null, an infinite number is the text "inf" or
"-inf", and there is no NaN. Tests stand in order of node id, so that two runs of a shuffled or distributed suite can be
compared line by line. Additions keep the number of the schema; a changed meaning raises it.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from pytest_llmperf.core.ceiling import Ceiling
from pytest_llmperf.core.errors import UsageError
from pytest_llmperf.core.lag import sending_lag
from pytest_llmperf.core.plain import number_to_plain, to_plain
from pytest_llmperf.core.series import Series
from pytest_llmperf.core.summary import summarised
from pytest_llmperf.core.verdict import Verdict
from pytest_llmperf.reports.report import Report, TestResult

SCHEMA = 1
_SIGNIFICANT_DIGITS = 9
"""A nanosecond in a second; more would only show how a float is stored."""


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
    tidied: dict[str, Any] = _tidied(whole)
    return tidied


def write(report: Report, path: Path) -> None:
    """Write the report whole or not at all; folders on the way are made.

    Raises:
        UsageError: the file cannot be written there.
    """
    text = _laid_out(document(report), "") + "\n"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _put(text.encode("utf-8", "backslashreplace"), path)  # a lone surrogate becomes the escape that JSON has for it
    except OSError as error:
        reason = error.strerror or str(error)
        raise UsageError(
            f"the JSON report could not be written to {path}: {reason}; "
            "give --llmperf-json the path of a file in a folder that can be written to"
        ) from error


def _put(content: bytes, path: Path) -> None:
    """Through a file beside it, so that a reader never sees half; a pipe or device is written as it is."""
    if path.exists() and not path.is_file():
        path.write_bytes(content)
        return
    target = path.resolve()  # a link stays one
    unfinished = target.with_name(f".{target.name}.{os.getpid()}.tmp")
    try:
        unfinished.write_bytes(content)
        unfinished.replace(target)
    finally:
        unfinished.unlink(missing_ok=True)


def _test(result: TestResult) -> dict[str, Any]:
    return {
        "nodeid": result.nodeid,
        "outcome": result.outcome,
        "source": str(result.source),
        "clock": result.clock,
        "location": None if result.location is None else {"file": result.location[0], "line": result.location[1]},
        "interrupted": result.interrupted,
        "error": result.error,
        "notes": list(result.notes),
        "arms": [_arm(series) for series in result.series],
        "verdicts": [_verdict(verdict) for verdict in result.verdicts],
        "ceiling": None if result.ceiling is None else _ceiling(result.ceiling),
    }


def _arm(series: Series) -> dict[str, Any]:
    summary = summarised(series)
    usage = summary.usage
    return {
        "name": series.arm,
        "factors": series.factors,
        "rounds": {
            "judged": summary.judged_rounds,
            "warmup": summary.warmup_rounds,
            "failed": summary.failed_rounds,
        },
        "calls": summary.calls,
        "attempts": summary.attempts,
        "failures": summary.failures,
        "unattributed": series.unattributed,
        "loop_lag": series.loop_lag,
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


def _tidied(value: Any) -> Any:
    """The same with every float rounded to what is meant, and what JSON has no number for as text or null."""
    if isinstance(value, dict):
        return {key: _tidied(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_tidied(item) for item in value]
    if isinstance(value, float):
        return None if math.isnan(value) else number_to_plain(float(f"{value:.{_SIGNIFICANT_DIGITS}g}"))
    return value


def _laid_out(value: Any, indent: str) -> str:
    """JSON with a key or an object on each line, and lists of plain values on one: a thousand calls stay readable."""
    deeper = indent + "  "
    if isinstance(value, dict) and value:
        items = [f"{json.dumps(key, ensure_ascii=False)}: {_laid_out(item, deeper)}" for key, item in value.items()]
        return _between("{", items, "}", indent)
    if isinstance(value, list) and any(isinstance(item, dict) for item in value):
        return _between("[", [_laid_out(item, deeper) for item in value], "]", indent)
    return json.dumps(value, ensure_ascii=False, allow_nan=False)


def _between(opening: str, items: Sequence[str], closing: str, indent: str) -> str:
    lines = f",\n{indent}  ".join(items)
    return f"{opening}\n{indent}  {lines}\n{indent}{closing}"
