"""Numbers as a reader sees them."""

import math

import pytest

from pytest_llmperf.core import wording


@pytest.mark.parametrize(
    ("value", "unit", "words"),
    [
        (2.34, "s", "2340 ms"),
        (0.8472, "s", "847.2 ms"),
        (0.0000123, "s", "0.0123 ms"),
        (12.3, "s", "12.3 s"),
        (0.0234, "s/token", "23.4 ms/token"),
        (38.3, "tokens/s", "38.3 tokens/s"),
        (450, "tokens", "450 tokens"),
        (0.02, "share", "2 %"),
        (0, "share", "0 %"),
        (0.0517, "USD", "$0.0517"),
        (0.5, "USD", "$0.50"),
        (12.345, "USD", "$12.35"),
        (1.999, "USD", "$2.00"),
        (850.4, "USD", "$850"),
        (15, "USD/Mtok", "$15 per million tokens"),
        (0.87, "", "0.87"),
        (math.inf, "s", "infinite"),
        (math.nan, "s", "undefined"),
    ],
)
def test_quantities(value, unit, words):
    """A value in its base unit reads in the unit people say, without needless digits."""
    assert wording.quantity(value, unit) == words


@pytest.mark.parametrize(
    ("low", "high", "unit", "words"),
    [
        (0.78, 0.94, "s", "780 … 940 ms"),
        (9.8, 10.2, "s", "9800 ms … 10.2 s"),
        (0.0511, 0.0523, "USD", "$0.0511 … $0.0523"),
        (12, 14, "USD/Mtok", "$12 … $14 per million tokens"),
        (0.01, 0.02, "share", "1 … 2 %"),
        (0.5, 0.75, "", "0.5 … 0.75"),
        (0.78, 0.78, "s", "780 ms"),
        (0.78, math.inf, "s", "above 780 ms"),
        (-math.inf, 0.78, "s", "below 780 ms"),
        (-math.inf, math.inf, "s", "unbounded"),
        (math.inf, math.inf, "s", "infinite"),
    ],
)
def test_intervals(low, high, unit, words):
    """An interval names its unit once, and says in words which end is open."""
    assert wording.interval(low, high, unit) == words


@pytest.mark.parametrize(
    ("seconds", "words"), [(0.2, "0 s"), (59.4, "59 s"), (59.6, "1 min 0 s"), (200, "3 min 20 s"), (7500, "2 h 5 min")]
)
def test_spans(seconds, words):
    """Waiting time is told in the units people wait in."""
    assert wording.span(seconds) == words


def test_counts_and_percentages():
    """Nouns agree with their numbers."""
    assert [wording.count(n, "call") for n in (0, 1, 2)] == ["0 calls", "1 call", "2 calls"]
    assert wording.count(2, "analysis", "analyses") == "2 analyses"
    assert [wording.percent(share) for share in (0.95, 0.999, 0.5)] == ["95 %", "99.9 %", "50 %"]


def test_articles_agree_with_their_names():
    """Metrics are named in sentences."""
    assert [wording.a(name) for name in ("ttft", "e2e", "event_gap")] == ["a ttft", "an e2e", "an event_gap"]


def test_a_limit_is_not_rounded_as_a_measurement_is():
    """What the author wrote is what the claim says, its slack included."""
    assert wording.limit(0.05175, "USD") == "$0.05175"
    assert wording.limit(2.34, "s") == "2340 ms"
    assert wording.limit(0.5, "USD") == "$0.50"
    assert wording.limit(0.892, "s", slack=0.25) == "892 ms + 25 %"
    assert wording.limit(42.7, "tokens/s", slack=0.1, direction=">=") == "42.7 tokens/s − 10 %"
