"""What is done once all tests are known: every mark is read, and what cannot mean anything is said before any call."""

from __future__ import annotations

import warnings

import pytest

from pytest_llmperf.core.errors import LLMPerfError
from pytest_llmperf.plugin.marks import Scenario, resolve
from pytest_llmperf.plugin.regressions import hold, stale
from pytest_llmperf.plugin.session import LLMPerfWarning, Run
from pytest_llmperf.plugin.stash import COLLECTED, SCENARIO
from pytest_llmperf.plugin.workers import each, is_first


def prepare(items: list[pytest.Item], run: Run) -> bool:
    """Give every marked test its scenario; whether there is any.

    Raises:
        pytest.UsageError: marks or settings that cannot mean anything, all of them named at once.
    """
    errors: list[str] = []
    found: dict[pytest.Function, Scenario] = {}
    for item in items:
        if not isinstance(item, pytest.Function):
            continue  # a doctest under a module's mark, say
        try:
            scenario = resolve(item, run.settings)
            if scenario is not None and scenario.regressions:
                scenario = hold(item, scenario, run)
        except (ValueError, LLMPerfError) as error:
            errors.append(f"{item.nodeid}: {error}")
            continue
        if scenario is not None:
            found[item] = scenario
    family = sum(scenario.verdicts for scenario in found.values()) if run.settings.multiplicity == "holm" else 1
    for item, scenario in found.items():
        item.stash[SCENARIO] = scenario.one_of(family)
        try:
            _check_budget(item, item.stash[SCENARIO])
        except (ValueError, LLMPerfError) as error:
            errors.append(f"{item.nodeid}: {error}")
    prepared = bool(found)
    if prepared and not errors:
        errors += _unusable_settings(run)
        errors += _unreadable_baselines(items, run)
    if errors:
        raise pytest.UsageError("\n".join(dict.fromkeys(errors)))
    return prepared


def _unreadable_baselines(items: list[pytest.Item], run: Run) -> list[str]:
    """Look for tests that a baseline knows and the suite has no more; a baseline that cannot be read is an error."""
    there = run.config.stash.get(COLLECTED, items)
    try:
        run.stale = stale(run, there) if is_first(run.config) else {}
    except LLMPerfError as error:
        return [str(error)]
    return []


def _check_budget(item: pytest.Function, scenario: Scenario) -> None:
    from pytest_llmperf.plugin.budgets import undecidable, unpassable

    if hopeless := undecidable(scenario):
        raise ValueError("\n".join(hopeless))
    for text in unpassable(scenario):
        _warn(item, text)
    if unread := _unread(item, scenario):
        _warn(item, unread)


def _unread(item: pytest.Function, scenario: Scenario) -> str:
    """What to say of arms that the test's body cannot tell apart; empty where it can, or where they are ours to set."""
    factors = {factor for arm in scenario.plan.arms for factor in arm.factors} - {"concurrency", "rate_per_minute"}
    if not factors or {"arm", "llmperf"} & set(item.fixturenames):
        return ""
    return f"arms({', '.join(sorted(factors))}): the test asks for no fixture arm, so that its arms are all the same"


def _warn(item: pytest.Item, text: str) -> None:
    try:
        with warnings.catch_warnings(record=not is_first(item.config)):  # of several processes one says it
            item.warn(LLMPerfWarning(text))
    except LLMPerfWarning as warning:  # warnings are errors in this run
        raise ValueError(str(warning)) from None


def _unusable_settings(run: Run) -> list[str]:
    """Settings that no marked test could run with."""
    if run.settings.anchor and run.settings.save is None and not run.settings.withheld:
        return ["--llmperf-anchor is said of a session that is saved: add --llmperf-save=NAME"]
    if run.settings.backend == "record" and (processes := each(run.config)):
        told = f"--llmperf-backend=record with --dist=each: {processes} processes would write the same cassettes"
        return [f"{told}; record in one process (-n0), or with another --dist, such as load"]
    try:
        _ = run.prices, run.protocols, run.facts, run.baseline_key, run.reference
        if run.settings.backend == "simulate":
            _ = run.profile
        if run.settings.html is not None:
            from pytest_llmperf.reports.html_file import require

            require()
    except LLMPerfError as error:
        return [str(error)]
    return []
