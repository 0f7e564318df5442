"""Reads a JSON report back, for the commands and the renderers that go on from one.

What another version added is left alone; what a newer schema changed is not guessed.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import fields, replace
from pathlib import Path
from typing import Any, TypeVar

from pytest_llmperf.core.curves import Curve, FittedShape, LevelSeen
from pytest_llmperf.core.environment import Source
from pytest_llmperf.core.errors import UsageError
from pytest_llmperf.core.metrics import METRICS
from pytest_llmperf.core.series import Measurement, Round, Series
from pytest_llmperf.core.verdict import Outcome, Verdict
from pytest_llmperf.reports.json_file import SCHEMA

T = TypeVar("T")


def read(path: Path) -> dict[str, Any]:
    """The document of one report.

    Raises:
        UsageError: the file cannot be read, is no report, or is of a newer schema.
    """
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror or error}") from error
    except ValueError as error:
        raise UsageError(f"{path} is no JSON: {error}") from error
    if not isinstance(found, dict) or "tests" not in found or not isinstance(found.get("schema"), int):
        raise UsageError(f"{path} is no report of pytest-llmperf: --llmperf-json writes one")
    if found["schema"] > SCHEMA:
        raise UsageError(
            f"{path} has schema {found['schema']}, and this version reads up to {SCHEMA}: upgrade pytest-llmperf"
        )
    return found


def number(value: float | str | None) -> float | None:
    """A figure of a report; infinities stand there as texts."""
    return None if value is None else float(value)


def verdict(found: Mapping[str, Any]) -> Verdict:
    """The answer to a claim as it was before it was written; what an older version did not write is as if not said."""
    known = {field.name: found[field.name] for field in fields(Verdict) if field.name in found}
    evidence = found.get("evidence")
    return Verdict(
        **known
        | {name: number(found[name]) for name in ("bound", "estimate", "low", "high")}
        | {"outcome": Outcome(found["outcome"])}
        | {"evidence": None if evidence is None else (number(evidence["to_pass"]), number(evidence["to_fail"]))}
    )


def curves(test: Mapping[str, Any]) -> list[Curve]:
    """What the test's claims on scaling saw; none in a report of a version that did not write it."""
    return [_curve(found) for found in test.get("curves", [])]


def _curve(found: Mapping[str, Any]) -> Curve:
    levels = tuple(_known(LevelSeen, one, "at", "median", "low", "high") for one in found["levels"])
    fits = tuple(_known(FittedShape, one) for one in found["fits"])
    return replace(_known(Curve, found), levels=levels, fits=fits)


def _known(kind: type[T], found: Mapping[str, Any], *figures: str) -> T:
    """A value of this kind from what a report says of it and this version knows; *figures* may be infinite there."""
    known = {field.name: found[field.name] for field in fields(kind) if field.name in found}  # type: ignore[arg-type]
    return kind(**known | {name: number(known[name]) for name in figures})


def series_of(test: dict[str, Any]) -> tuple[Series, ...]:
    """The judged part of each arm of one test of a report, as far as a report tells it.

    It does not tell when calls were sent, nor the gaps between their events. A report that does not tell which round a
    call belongs to has them spread evenly.

    Raises:
        UsageError: the test's numbers do not fit together.
    """
    try:
        return tuple(_series(test, arm) for arm in test["arms"])
    except (KeyError, TypeError, ValueError, IndexError) as error:
        what = f"{test.get('nodeid', 'a test')} do not fit together: {type(error).__name__} {error}"
        raise UsageError(f"the report's numbers of {what}") from error


def _series(test: dict[str, Any], arm: dict[str, Any]) -> Series:
    columns = {name: [number(value) for value in values] for name, values in arm["series"].items()}
    return Series(
        scenario=test["nodeid"],
        source=Source(test["source"]),
        clock=test["clock"],
        arm=arm["name"],
        factors=arm["factors"],
        rounds=tuple(_rounds(arm, columns)),
        measurements=tuple(_calls(arm, columns)),
        loop_lag=arm.get("loop_lag"),
        ended_by=arm.get("ended_by", ""),
    )


def _rounds(arm: dict[str, Any], columns: dict[str, list[float | None]]) -> Iterator[Round]:
    judged = arm["rounds"]["judged"]
    seconds = columns.get("scenario", [None] * judged)
    recorded = {name: values for name, values in columns.items() if name not in METRICS and len(values) == judged}
    units = {name: arm["metrics"][name]["unit"] for name in recorded}
    for place in range(judged):
        took = seconds[place]
        failed = took == math.inf
        yield Round(
            number=place,
            warmup=False,
            started=0.0,
            ended=0.0 if took is None or failed else took,
            failure="failed" if failed else "",
            records={name: value for name, values in recorded.items() if (value := values[place]) is not None},
            units=units,
        )


def _calls(arm: dict[str, Any], columns: dict[str, list[float | None]]) -> Iterator[Measurement]:
    count, judged = arm["calls"], arm["rounds"]["judged"]
    places = arm.get("call_rounds") or [place * judged // count for place in range(count)]
    values = {name: column for name, column in columns.items() if name in METRICS and METRICS[name].per == "call"}
    reasons = {name: arm["metrics"][name]["missing_reason"] for name in values}
    for index in range(count):
        of_call = {name: value for name, column in values.items() if (value := column[index]) is not None}
        yield Measurement(
            round=places[index],
            dispatched=0.0,
            finished=None,
            streamed="ttft" in of_call,
            values=of_call,
            absent={name: reasons[name] for name in values if name not in of_call},
            failure="failed" if of_call.get("e2e") == math.inf else "",
            model=arm.get("model", ""),
            endpoint=arm.get("endpoint", ""),
        )
