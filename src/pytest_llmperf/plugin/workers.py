"""Which of several processes this one is: what pytest-xdist says of it, and what the controller told it beside that.

The controller gives every worker a place among those that are at work, and says whether each of them runs every test
(`--dist=each`). It says so over xdist's own channel: nothing here needs a file that two of them see.
"""

from __future__ import annotations

import itertools
from typing import Any

import pytest

from pytest_llmperf.plugin.stash import SETTINGS

_PLACE, _EACH, _HEIR = "llmperf_place", "llmperf_each", "llmperf_heir"


class Places:
    """The places of the workers that live, on the controller; one that replaces another has the other's."""

    def __init__(self, *, each: bool) -> None:
        self._each = each
        self._taken: dict[Any, int] = {}
        self._lost: set[int] = set()

    def give(self, node: Any) -> None:
        """Tell a worker that is to be started which one it is."""
        place = next(place for place in itertools.count() if place not in self._taken.values())
        self._taken[node] = place
        node.workerinput |= {_PLACE: place, _EACH: self._each, _HEIR: place in self._lost}

    def free(self, node: Any, *, crashed: bool) -> None:
        """Take note that a worker is gone."""
        place = self._taken.pop(node, None)
        if crashed and place is not None:
            self._lost.add(place)


def is_worker(config: pytest.Config) -> bool:
    """Whether this process is an xdist worker."""
    return hasattr(config, "workerinput")


def place(config: pytest.Config) -> int:
    """Which of the xdist workers this process is, from 0; 0 without xdist."""
    return int(_told(config).get(_PLACE, 0))


def is_heir(config: pytest.Config) -> bool:
    """Whether this worker replaces one that crashed."""
    return bool(_told(config).get(_HEIR, False))


def is_first(config: pytest.Config) -> bool:
    """Whether this process may say what all of them find."""
    return place(config) == 0


def together(config: pytest.Config) -> int:
    """How many processes run every test together with this one; 0 where each test runs in one of them."""
    if config.stash[SETTINGS].backend not in ("live", "simulate"):
        return 0  # all of them replay the same recording, which counts once
    return each(config)


def each(config: pytest.Config) -> int:
    """How many processes run every test (`--dist=each`), as a worker knows it; 0 where each test runs in one."""
    told = _told(config)
    count = int(told["workercount"]) if told.get(_EACH, False) else 0
    return count if count > 1 else 0


def worker_count(config: pytest.Config) -> int:
    """Workers of this run; 0 without xdist."""
    if told := _told(config):
        return int(told["workercount"])
    tx = config.getoption("tx", None) or []
    return sum(map(_times, tx)) if config.getoption("dist", "no") != "no" else 0


def _times(tx: str) -> int:
    """How many workers one `--tx` asks for: `3*popen` is three."""
    times, star, _ = tx.partition("*")
    return int(times) if star and times.isdecimal() else 1


def _told(config: pytest.Config) -> dict[str, Any]:
    found: dict[str, Any] = getattr(config, "workerinput", {})
    return found
