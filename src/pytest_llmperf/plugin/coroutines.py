"""Coroutine tests that carry our marks need no other: they get pytest-asyncio's, unless another plugin runs them."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Iterable, Iterator
from typing import Any

import pytest

from pytest_llmperf.plugin.arguments import ARGUMENTS

_ASYNC_MARKS = frozenset({"asyncio", "anyio", "trio", "twisted", "tornado"})


def adopt(collector: pytest.Collector, name: str, test: object, *, short_marks: bool) -> None:
    """Mark a coroutine test function for pytest-asyncio where it has a mark of ours and none of an async plugin."""
    if not inspect.iscoroutinefunction(test) or not _is_test(collector, name, test):
        return
    ours = set(ARGUMENTS) if short_marks else {"llmperf"}
    names = {mark.name for mark in _marks(test, collector)}
    if names & ours and not names & _ASYNC_MARKS and not _is_anyios(collector, test):
        pytest.mark.asyncio(test)


def _marks(test: Any, collector: pytest.Collector) -> Iterator[Any]:
    """The marks a test will have, those of its parameters included."""
    own: Iterable[pytest.Mark] = getattr(test, "pytestmark", ())
    yield from collector.iter_markers()
    for mark in own:
        yield mark
        sets = mark.kwargs.get("argvalues", mark.args[1] if len(mark.args) > 1 else ())
        if mark.name == "parametrize" and isinstance(sets, list | tuple):  # an iterator is not ours to use up
            yield from (inner for one in sets for inner in getattr(one, "marks", ()))


def _is_test(collector: pytest.Collector, name: str, test: object) -> bool:
    chooses = getattr(collector, "istestfunction", None)
    return chooses is not None and chooses(test, name) and collector.config.pluginmanager.hasplugin("asyncio")


def _is_anyios(collector: pytest.Collector, test: object) -> bool:
    """Whether anyio will run it without a mark of its own."""
    try:
        automatic = collector.config.getini("anyio_mode") == "auto"
    except ValueError:
        automatic = False
    return automatic or "anyio_backend" in inspect.signature(test).parameters  # type: ignore[arg-type]


def is_async(function: Any) -> bool:
    """Whether a test's function is a coroutine function, beneath its decorators or with them."""
    return inspect.iscoroutinefunction(inspect.unwrap(function)) or inspect.iscoroutinefunction(function)


def on_asyncio() -> bool:
    """Whether this runs in an event loop of asyncio."""
    asyncio = sys.modules.get("asyncio")
    if asyncio is None:
        return False
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True
