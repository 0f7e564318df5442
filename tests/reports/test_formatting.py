"""Phrases shared by the renderers."""

import math

import pytest

from factories import calls, failed_measurement, measurement, result, rounds, series, verdict
from pytest_llmperf.core.environment import Source
from pytest_llmperf.core.series import Round
from pytest_llmperf.reports import formatting

RATE = {"direction": ">=", "bound": 40.0, "unit": "tokens/s", "claim": "p50 output_tps >= 40 tokens/s"}


@pytest.mark.parametrize(
    ("made", "words"),
    [
        (verdict(), "2100 (1980 … 2210) ms"),
        (verdict(low=-math.inf, high=math.inf), "2100 ms (unbounded)"),
        (verdict(high=math.inf), "2100 (above 1980) ms"),
        (verdict(estimate=math.inf, low=1.98, high=math.inf), "infinite (above 1980 ms)"),
        (verdict(estimate=9.8, low=9.5, high=10.2), "9800 ms (9500 ms … 10.2 s)"),
        (verdict(estimate=10.1, low=9.5, high=10.2), "10.1 s (9500 ms … 10.2 s)"),
        (verdict(estimate=2.1, low=2.1, high=2.1), "2100 ms"),
        (verdict(estimate=None, low=None, high=None), "nothing"),
        (verdict(**RATE, estimate=42.7, low=41.9, high=43.5), "42.7 (41.9 … 43.5) tokens/s"),
        (verdict(unit="USD", estimate=0.0517, low=0.0511, high=0.0523), "$0.0517 ($0.0511 … $0.0523)"),
    ],
)
def test_a_measurement_names_its_unit_once(made, words):
    """Estimate and interval share their unit, unless one of them reads in another."""
    assert formatting.measured(made) == words


@pytest.mark.parametrize(
    ("made", "words"),
    [
        (verdict("passed"), "p95 ttft 2100 ms <= 2340 ms"),
        (verdict("failed", estimate=2.5), "p95 ttft 2500 ms > 2340 ms"),
        (verdict("failed", **RATE, estimate=31.0), "p50 output_tps 31 tokens/s < 40 tokens/s"),
        (verdict("inconclusive"), "p95 ttft 2100 ms, at most 2340 ms not shown"),
        (verdict("inconclusive", estimate=None), "p95 ttft nothing, at most 2340 ms not shown"),
        (verdict(arm="concurrency=10"), "p95 ttft [concurrency=10] 2100 ms <= 2340 ms"),
    ],
)
def test_the_relation_to_the_limit_is_read_from_the_outcome(made, words):
    """The phrase is true whatever was shown, and says when nothing was."""
    assert formatting.against_limit(made) == words


class TestCircumstances:
    def test_an_ordinary_test_has_none(self):
        """Nothing is said where nothing happened."""
        assert formatting.circumstances(result()) == []

    def test_failed_calls_are_counted_with_their_reasons(self):
        """The three most common reasons are named, the rest counted."""
        reasons = ["busy", "busy", "cut", "late", "odd"]
        made = [*calls(5), *(failed_measurement(5 + n, failure=reason) for n, reason in enumerate(reasons))]
        shown = formatting.circumstances(result(series_=[series(made)]))
        assert shown == ["5 of 10 calls failed: busy (2); cut (1); late (1); 1 more reason"]

    def test_a_failed_warm_up_is_not_counted(self):
        """What is not judged does not alarm."""
        assert (
            formatting.circumstances(result(series_=[series([failed_measurement(0), measurement(1)], warmup=1)])) == []
        )

    def test_a_call_cut_by_an_interruption_has_not_failed(self):
        """Nobody knows how it would have ended."""
        ran = (*rounds(1), Round(1, warmup=False, started=12.0, ended=None))
        cut = series([measurement(0), failed_measurement(1)], rounds_=ran)
        assert formatting.circumstances(result(series_=[cut])) == []

    def test_what_cut_the_sampling_short_is_said_for_each_arm(self):
        """Interruption, caps and calls that belong to no one round."""
        arms = [
            series(calls(2), arm="a", ended_by="the cap of $2 was reached"),
            series(calls(2), arm="b", unattributed=1),
        ]
        assert formatting.circumstances(result(series_=arms, interrupted=True, source=Source.LIVE)) == [
            "partial: interrupted before all rounds were run",
            "sampling ended early: the cap of $2 was reached",
            "1 call left out [b]: it is not certain which round made them",
        ]


@pytest.mark.parametrize(("clock", "lines"), [("realtime", 1), ("virtual", 0)])
def test_the_error_bar_is_shown_in_real_time_only(clock, lines):
    """Virtual time has no late stamps, and a series without a loop has no error bar."""
    shown = formatting.error_bars(result(series_=[series(calls(3), clock=clock, loop_lag=0.0031)]))
    assert shown == ["error bar of every time: 3.1 ms, the event loop's lateness (p99)"] * lines
    assert formatting.error_bars(result(series_=[series(calls(3), clock=clock)])) == []


def test_the_error_bar_tells_how_busy_the_client_was():
    """The processor time of its process, as a share of one core."""
    (shown,) = formatting.error_bars(
        result(series_=[series(calls(3), clock="realtime", loop_lag=0.01, cpu_share=0.544)])
    )
    assert shown == "error bar of every time: 10 ms, the event loop's lateness (p99); the client took 54 % of a core"
