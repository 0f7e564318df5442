"""The seeds of a test, so that a simulated run comes out the same every time, whatever ran before it or beside it."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from pytest_llmperf.plugin.session import plain_nodeid
from pytest_llmperf.plugin.workers import place


def of_test(item: pytest.Item, run_seed: int | None, *, part: bool) -> int:
    """The seed of a test is its own, so that the order of tests and xdist's distribution change nothing.

    Args:
        item: the test.
        run_seed: of the run.
        part: other processes run the same test, each of which has to draw answers of its own.
    """
    words = f" part {place(item.config)}" if part else ""
    return random.Random(f"{run_seed} {plain_nodeid(item.nodeid)}{words}").getrandbits(32)


@contextmanager
def same_random_numbers(seed: str) -> Iterator[None]:
    """Python's own random numbers, by which the SDK jitters its back-off, are part of a simulated run's seed."""
    before = random.getstate()
    random.seed(seed)
    try:
        yield
    finally:
        random.setstate(before)
