"""When the rounds of an open loop are due."""

from __future__ import annotations

import itertools
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_llmperf.runner.pacing import due_times


def test_constant_arrivals_are_evenly_spaced():
    """Every interval is the minute over the rate, and the first round is due at once."""
    assert due_times(4, 600, "constant", "any") == (0, 100_000_000, 200_000_000, 300_000_000)


def test_processes_share_constant_arrivals_evenly():
    """Two of them, each at half the rate and the second put off by half an interval, make the whole rate."""
    one, other = (due_times(3, 30, "constant", "", offset=offset) for offset in (0, 0.5))
    assert sorted(one + other) == list(due_times(6, 60, "constant", ""))


@given(st.integers(1, 50), st.floats(0.1, 1e4), st.text())
def test_arrivals_are_drawn_by_the_seed(count, rate, seed):
    """The same seed gives the same times, in order and as many as asked."""
    times = due_times(count, rate, "poisson", seed)
    assert times == due_times(count, rate, "poisson", seed)
    assert len(times) == count
    assert times == tuple(sorted(times))
    assert times != due_times(count, rate, "poisson", seed + "x")


@pytest.mark.parametrize("rate", [6, 600])
def test_random_arrivals_have_the_rate_and_the_spread_of_a_poisson_process(rate):
    """Intervals are a minute over the rate on average, as spread as they are long, and a share of 1/e is longer."""
    times = due_times(20_000, rate, "poisson", "seed")
    intervals = [(later - sooner) / 6e10 * rate for sooner, later in itertools.pairwise((0, *times))]
    mean = math.fsum(intervals) / len(intervals)
    spread = math.sqrt(math.fsum((interval - mean) ** 2 for interval in intervals) / len(intervals))
    assert mean == pytest.approx(1, abs=0.03)
    assert spread == pytest.approx(1, abs=0.05)
    assert sum(interval > 1 for interval in intervals) / len(intervals) == pytest.approx(math.exp(-1), abs=0.02)
