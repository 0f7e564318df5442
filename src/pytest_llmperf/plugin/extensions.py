"""What other plugins add, gathered from their hooks and checked: an answer that cannot be used names hook and value.

Our own protocols, profiles and gate are the last answers to the same hooks, and metrics of others stand in the table of
our own. Two things are not asked by their hooks: our prices, since a price that is not known has a reason, which the
hook's answer cannot say; and our facts of the environment, which have fields of their own in the report.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from pytest_llmperf.core.errors import UsageError
from pytest_llmperf.hookspecs import CallMetric, Gate

if TYPE_CHECKING:
    from pytest_llmperf.core.pricing import PriceBook
    from pytest_llmperf.core.verdict import Verdict
    from pytest_llmperf.reports.report import Report
    from pytest_llmperf.wire import Protocol

_GATES = ("pass", "warn", "fail")


def add_metrics(config: pytest.Config) -> None:
    """Put the metrics of other plugins into the table, until the end of the session.

    Raises:
        pytest.UsageError: one cannot be used.
    """
    found = list(_each(config.hook.pytest_llmperf_metrics(config=config), "pytest_llmperf_metrics", CallMetric))
    if not found:
        return
    from pytest_llmperf.core.metrics import Metric, added

    stack = ExitStack()
    config.add_cleanup(stack.close)
    try:
        for one in found:
            row = Metric(one.name, one.unit, one.better, "call", one.definition, "another plugin")
            stack.enter_context(added(row, one.value, one.failed))
    except ValueError as error:
        raise pytest.UsageError(f"pytest_llmperf_metrics: {error}") from None


def protocols(config: pytest.Config) -> Sequence[Protocol]:
    """Those of other plugins, then our own.

    Raises:
        UsageError: one lacks what a protocol has.
    """
    found: list[Any] = list(_each(config.hook.pytest_llmperf_protocols(config=config), "pytest_llmperf_protocols"))
    for one in found:
        lacking = [name for name in ("NAME", "INPUT_HOLDS_CACHED", "recognises", "decode") if not hasattr(one, name)]
        if lacking:
            raise UsageError(f"pytest_llmperf_protocols: {one!r} has no {lacking[0]}")
    return tuple(found)


def prices(config: pytest.Config, lines: Sequence[str]) -> PriceBook:
    """What answers cost: by other plugins, by the ini file's *lines*, by the table of the library, which is read here.

    Raises:
        UsageError: a line cannot be read.
    """
    from pytest_llmperf.core.pricing import PriceBook, load_table, parse_prices

    load_table()
    ask, own = config.hook.pytest_llmperf_price, parse_prices(list(lines))
    if not ask.get_hookimpls():
        return PriceBook(own)
    return PriceBook(own, ask=lambda generation: ask(config=config, generation=generation))


def profile_file(config: pytest.Config, name: str) -> str | Path:
    """The file that a profile's name stands for, else the name itself, which may be a path."""
    found = _texts(config.hook.pytest_llmperf_profiles(config=config), "pytest_llmperf_profiles")
    return Path(found[name]) if name in found else name


def facts(config: pytest.Config) -> dict[str, str]:
    """What other plugins say of where the run is made."""
    return _texts(config.hook.pytest_llmperf_environment(config=config), "pytest_llmperf_environment")


def baseline_key(config: pytest.Config) -> dict[str, str]:
    """What other plugins keep the sessions of a baseline apart by.

    Raises:
        UsageError: an answer is no mapping.
    """
    return _texts(config.hook.pytest_llmperf_baseline_key(config=config), "pytest_llmperf_baseline_key")


def sections(config: pytest.Config, report: Report) -> tuple[tuple[str, tuple[str, ...]], ...]:
    """Titles and lines that other plugins add to the report.

    Raises:
        UsageError: one of them fails, or says something else: by then there is a report that must not be lost.
    """
    name = "pytest_llmperf_report_section"
    try:
        said = config.hook.pytest_llmperf_report_section(config=config, report=report)
    except Exception as error:
        raise UsageError(f"{name} failed with {type(error).__name__}: {error}") from error
    return tuple(_section(name, one) for one in said)


def _section(name: str, said: Any) -> tuple[str, tuple[str, ...]]:
    if isinstance(said, tuple | list) and len(said) == 2 and not isinstance(said[1], str):
        return str(said[0]), tuple(map(str, said[1]))
    raise UsageError(f"{name}: {said!r} is no title with its lines")


def gate(
    verdict: Verdict, config: pytest.Config, nodeid: str, keywords: Collection[str], item: pytest.Item | None = None
) -> Gate:
    """What a verdict does to its test, which only the process that ran it has as an *item*.

    Raises:
        UsageError: a plugin says something else.
    """
    hooks = config.hook if item is None else item.ihook
    said: Gate = hooks.pytest_llmperf_gate(config=config, item=item, nodeid=nodeid, keywords=keywords, verdict=verdict)
    if said not in _GATES:
        raise UsageError(f"pytest_llmperf_gate: {said!r} is none of {', '.join(_GATES)}")
    return said


def own_gate(verdict: Verdict, inconclusive: str) -> Gate:
    """A failed claim fails the test, an undecided one does what the option says."""
    by_outcome: Mapping[str, Any] = {"passed": "pass", "failed": "fail", "inconclusive": inconclusive}
    answer: Gate = by_outcome[verdict.outcome]
    return answer


def _each(answers: Sequence[Any], hook: str, kind: type = object) -> Iterator[Any]:
    for answer in answers:
        if isinstance(answer, str) or not isinstance(answer, Sequence):
            raise pytest.UsageError(f"{hook}: {answer!r} is no list")
        for one in answer:
            if not isinstance(one, kind):
                raise pytest.UsageError(f"{hook}: {one!r} is no {kind.__name__}")
            yield one


def _texts(answers: Sequence[Any], hook: str) -> dict[str, str]:
    """The answers as one; of two that name the same, the one that was asked first counts, as for other hooks."""
    found: dict[str, str] = {}
    for said in reversed(answers):
        found |= {str(name): str(value) for name, value in _mapping(said, hook).items()}
    return dict(sorted(found.items()))


def _mapping(answer: Any, hook: str) -> Mapping[str, Any]:
    if not isinstance(answer, Mapping):
        raise UsageError(f"{hook}: {answer!r} is no mapping")
    return answer
