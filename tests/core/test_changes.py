"""Differences in words."""

import math

import pytest

from pytest_llmperf.core.changes import absolute, relative
from pytest_llmperf.statistics.estimate import Estimate

INF = math.inf


def estimate(value, low, high):
    return Estimate(value, low, high, 0.95, "", 200)


@pytest.mark.parametrize(
    ("value", "low", "high", "words"),
    [
        (0.82, 0.77, 0.88, "18 % faster, 95 % CI 12 to 23 %"),
        (1.22, 1.105, 1.31, "22 % slower, 95 % CI 10 to 31 %"),
        (0.97, 0.88, 1.07, "3 % faster, 95 % CI 12 % faster to 7 % slower"),
        (1.0, 0.95, 1.05, "no different, 95 % CI 5 % faster to 5 % slower"),
        (1.0, 1.0, 1.0, "no different, 95 % CI 0 %"),
        (1.004, 1.002, 1.006, "0.4 % slower, 95 % CI 0.2 to 0.6 %"),
        (1.5, 1.5, 1.5, "50 % slower, 95 % CI 50 %"),
        (2.4, 2.1, 2.8, "140 % slower, 95 % CI 110 to 180 %"),
        (INF, 1.2, INF, "infinitely slower, 95 % CI at least 20 % slower"),
        (INF, INF, INF, "infinitely slower, 95 % CI infinite"),
        (1.2, 0.9, INF, "20 % slower, 95 % CI at most 10 % faster"),
        (0.5, 0.0, 0.8, "50 % faster, 95 % CI at least 20 % faster"),
        (0.5, 0.0, 1.1, "50 % faster, 95 % CI at most 10 % slower"),
        (0.9, 0.0, INF, "10 % faster, 95 % CI unbounded"),
        (1.1, 0.7, 0.9, "10 % slower, 95 % CI 30 % faster to 10 % faster"),
    ],
)
def test_a_ratio_of_times(value, low, high, words):
    """The direction once where it is one; an end that does not exist is never a number."""
    assert relative(estimate(value, low, high), "s") == words


def test_what_is_no_time_is_lower_or_higher():
    """Cost and tokens are not fast."""
    assert relative(estimate(0.5, 0.4, 0.6), "USD") == "50 % lower, 95 % CI 40 to 60 %"
    assert relative(estimate(1.5, 1.4, 1.6), "tokens/s") == "50 % higher, 95 % CI 40 to 60 %"
    assert relative(estimate(0.5, 0.4, 0.6), "s/token") == "50 % faster, 95 % CI 40 to 60 %"


@pytest.mark.parametrize(
    ("value", "low", "high", "unit", "words"),
    [
        (-0.18, -0.24, -0.12, "s", "180 ms faster, 95 % CI 120 to 240 ms"),
        (0.032, -0.012, 0.052, "s", "32 ms slower, 95 % CI 12 ms faster to 52 ms slower"),
        (0.04, 0.01, 0.07, "share", "4 points higher, 95 % CI 1 to 7 points"),
        (-0.01, -0.03, -0.002, "USD", "$0.01 lower, 95 % CI $0.002 to $0.03"),
        (INF, 1.0, INF, "s", "infinitely slower, 95 % CI at least 1000 ms slower"),
        (0.0, -INF, INF, "s", "no different, 95 % CI unbounded"),
        (3.0, -INF, 4.0, "", "3 higher, 95 % CI at most 4 higher"),
    ],
)
def test_a_distance_in_its_unit(value, low, high, unit, words):
    """Shares differ by points, all else by its own unit."""
    assert absolute(estimate(value, low, high), unit) == words
