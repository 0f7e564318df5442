"""Reads a JSON report back, for the commands and the renderers that go on from one.

What another version added is left alone; what a newer schema changed is not guessed.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

from pytest_llmperf.core.errors import UsageError
from pytest_llmperf.core.verdict import Outcome, Verdict
from pytest_llmperf.reports.json_file import SCHEMA


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
