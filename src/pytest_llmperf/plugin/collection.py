"""What is done once all tests are known: every mark is read, and what cannot mean anything is said before any call."""

from __future__ import annotations

import warnings

import pytest

from pytest_llmperf.core.errors import LLMPerfError
from pytest_llmperf.plugin.marks import Scenario, resolve
from pytest_llmperf.plugin.session import LLMPerfWarning, Run, is_first
from pytest_llmperf.plugin.stash import SCENARIO


def prepare(items: list[pytest.Item], run: Run) -> bool:
    """Give every marked test its scenario; whether there is any.

    Raises:
        pytest.UsageError: marks or settings that cannot mean anything, all of them named at once.
    """
    errors: list[str] = []
    for item in items:
        if not isinstance(item, pytest.Function):
            continue  # a doctest under a module's mark, say
        try:
            scenario = _scenario(item, run)
        except (ValueError, LLMPerfError) as error:
            errors.append(f"{item.nodeid}: {error}")
            continue
        if scenario is not None:
            item.stash[SCENARIO] = scenario
    prepared = any(SCENARIO in item.stash for item in items)
    if prepared and not errors:
        errors += _unusable_settings(run)
    if errors:
        raise pytest.UsageError("\n".join(dict.fromkeys(errors)))
    return prepared


def _scenario(item: pytest.Item, run: Run) -> Scenario | None:
    scenario = resolve(item, run.settings)
    if scenario is None:
        return None
    from pytest_llmperf.plugin.budgets import undecidable, unpassable

    if hopeless := undecidable(scenario):
        raise ValueError("\n".join(hopeless))
    for text in unpassable(scenario):
        _warn(item, text)
    return scenario


def _warn(item: pytest.Item, text: str) -> None:
    try:
        with warnings.catch_warnings(record=not is_first(item.config)):  # of several processes one says it
            item.warn(LLMPerfWarning(text))
    except LLMPerfWarning as warning:  # warnings are errors in this run
        raise ValueError(str(warning)) from None


def _unusable_settings(run: Run) -> list[str]:
    """Settings that no marked test could run with."""
    try:
        _ = run.prices
        if run.settings.backend == "simulate":
            _ = run.profile
    except LLMPerfError as error:
        return [str(error)]
    return []
