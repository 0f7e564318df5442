"""The figures a series comes down to."""

import math
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from factories import calls, failed_measurement, measurement, rounds, series
from pytest_llmperf.core.generation import Usage
from pytest_llmperf.core.metrics import METRICS
from pytest_llmperf.core.objective import Objective
from pytest_llmperf.core.observations import INTERRUPTED, observe
from pytest_llmperf.core.series import Round
from pytest_llmperf.core.summary import LEVELS, MetricSummary, summarised


class TestCounts:
    def test_warm_ups_are_counted_and_not_judged(self):
        """Calls, attempts and sums are of judged rounds alone."""
        summary = summarised(series([measurement(0, ttft=9.0), measurement(1), measurement(2, attempts=3)], warmup=1))
        assert (summary.judged_rounds, summary.warmup_rounds, summary.calls, summary.attempts) == (2, 1, 2, 4)
        assert summary.metrics["ttft"].max == 1.0
        assert summary.usage == Usage(2000, 802, 0, 0, 0)
        assert summary.cost == pytest.approx(0.1)

    def test_rounds_whose_body_raised_are_counted(self):
        """A failing assertion in the body is seen, warm-ups left out."""
        ran = [replace(round_, failure="AssertionError") for round_ in rounds(2, 1)]
        assert summarised(series(rounds_=ran)).failed_rounds == 2

    def test_failures_are_counted_by_reason(self):
        """The most common reason comes first."""
        failed = [failed_measurement(0, failure="slow"), *(failed_measurement(n, failure="busy") for n in (1, 2))]
        assert list(summarised(series(failed)).failures.items()) == [("busy", 2), ("slow", 1)]

    def test_sums_are_of_the_calls_that_said(self):
        """An absent count adds nothing, and a sum of nothing is absent."""
        silent = replace(measurement(0, absent={"cost": "no price"}), usage=Usage(output_tokens=7))
        summary = summarised(series([silent, silent]))
        assert (summary.usage, summary.cost) == (Usage(output_tokens=14), None)


class TestMetrics:
    def test_every_metric_of_the_table_is_there(self):
        """A reader finds each name, had or not, in the table's order and with its unit."""
        metrics = summarised(series()).metrics
        assert {name: metric.unit for name, metric in metrics.items()} == {
            name: row.unit for name, row in METRICS.items()
        }

    def test_figures_of_known_values(self):
        """Quantiles are nearest-rank: of 0.801 … 0.900 the p95 is the 95th."""
        ttft = summarised(series(calls(100))).metrics["ttft"]
        shown = (ttft.min, ttft.p50, ttft.p90, ttft.p95, ttft.p99, ttft.max)
        assert shown == pytest.approx((0.800, 0.849, 0.889, 0.894, 0.898, 0.899))
        assert (ttft.n, ttft.missing, ttft.missing_reason) == (100, 0, "")
        assert ttft.mean == pytest.approx(0.8495)

    def test_a_failed_call_is_infinitely_slow(self):
        """It pulls the tail and the mean, and is never dropped."""
        ttft = summarised(series([*calls(9), failed_measurement(9)])).metrics["ttft"]
        assert (ttft.n, ttft.p90, ttft.p95, ttft.mean) == (10, 0.808, math.inf, math.inf)

    def test_an_absent_metric_says_why_most_often(self):
        """Absent is not zero: no figures, and the most common reason."""
        made = [measurement(n, absent={"cost": "no price" if n else "cut"}) for n in range(3)]
        assert summarised(series(made)).metrics["cost"] == MetricSummary("USD", 0, 3, "no price")

    def test_gaps_are_pooled_over_calls(self):
        """Each gap counts once; a call without one is missing for its reason."""
        made = [measurement(0, gaps=(0.1, 0.2)), measurement(1, gaps=(0.6,)), measurement(2, streamed=False)]
        gaps = summarised(series(made)).metrics["event_gap"]
        assert (gaps.n, gaps.p50, gaps.mean) == (3, 0.2, pytest.approx(0.3))
        assert (gaps.missing, gaps.missing_reason) == (1, "the call did not stream")

    def test_shares_of_the_series(self):
        """Errors are counted among calls, throttling among attempts."""
        made = [
            measurement(0, attempts=2, throttled=1),
            measurement(1),
            measurement(2),
            failed_measurement(3, attempts=1),
        ]
        metrics = summarised(series(made)).metrics
        assert metrics["error_rate"] == MetricSummary("share", 4, mean=0.25)
        assert metrics["throttle_rate"] == MetricSummary("share", 5, mean=0.2)

    def test_totals_run_from_the_first_request_to_the_last_content(self):
        """Two calls of 400 tokens within 20 s are 40 tokens/s and 6 calls a minute."""
        made = [
            measurement(0, at=5.0, e2e=10.0, output_tokens=400),
            measurement(1, at=15.0, e2e=10.0, output_tokens=400),
        ]
        metrics = summarised(series(made)).metrics
        assert metrics["total_tps"] == MetricSummary("tokens/s", 2, mean=pytest.approx(40.0))
        assert metrics["rpm"].mean == pytest.approx(6.0)

    def test_the_instant_clock_has_no_totals(self):
        """Nothing waits, so a series has no span and a round no length."""
        metrics = summarised(series([measurement(0)], clock="instant")).metrics
        assert metrics["total_tps"].mean is None
        assert metrics["total_tps"].missing == 1
        assert metrics["scenario"].missing_reason == "the instant clock does not wait"

    def test_a_total_of_nothing_is_absent(self):
        """Calls whose tokens nobody told have a span and no throughput: not one of zero."""
        told = summarised(series([measurement(n, absent={"output_tokens": "not said"}) for n in range(3)])).metrics
        assert (told["total_tps"].n, told["total_tps"].mean, told["total_tps"].missing) == (0, None, 3)

    def test_what_the_body_recorded_is_listed_by_round(self):
        """Scores and records keep their own names and units, and do not take a metric's name."""
        made = [replace(round_, scores={"accuracy": 1.0}, records={"ttft": 9.0}) for round_ in rounds(3)]
        made[2] = replace(made[2], scores={}, records={"size": 7.0}, units={"size": "kB"})
        summary = summarised(series([measurement(0)], rounds_=made))
        assert summary.metrics["accuracy"].n == 2
        assert summary.metrics["size"].unit == "kB"
        assert summary.values["size"] == (None, None, 7.0)
        assert (summary.metrics["ttft"].max, summary.metrics["ttft"].unit) == (1.0, "s")

    def test_no_reason_is_given_where_nothing_is_missing(self):
        """Every round has its length, so there is nothing to explain."""
        scenario = summarised(series([measurement(0)])).metrics["scenario"]
        assert (scenario.n, scenario.missing, scenario.missing_reason) == (1, 0, "")

    @given(st.lists(st.one_of(st.floats(0, 1e6), st.just(math.inf)), min_size=1, max_size=40))
    def test_figures_are_in_order(self, ttfts):
        """Quantiles rise with their level and stay between the least and the largest value."""
        found = summarised(
            series([replace(measurement(n), values={"ttft": ttft, "attempts": 1.0}) for n, ttft in enumerate(ttfts)])
        )
        ttft = found.metrics["ttft"]
        shown = [ttft.min, *(getattr(ttft, level) for level in LEVELS), ttft.max]
        assert shown == sorted(shown)
        assert set(shown) <= set(ttfts)


class TestValues:
    def test_values_are_in_dispatch_order_with_holes(self):
        """One value for each judged call, absent ones kept as None."""
        made = [measurement(0, ttft=2.0), measurement(1, absent={"ttft": "cut"}), measurement(2), failed_measurement(3)]
        assert summarised(series(made)).values["ttft"] == (2.0, None, 1.0, math.inf)

    def test_rounds_have_one_value_each(self):
        """A round with two calls counts once in `scenario` and twice in `e2e`."""
        values = summarised(series([measurement(0), measurement(0)])).values
        assert (values["scenario"], values["e2e"]) == ((11.5,), (11.0, 11.0))

    def test_a_metric_nobody_has_is_not_listed(self):
        """A test that does not stream has no list of empty TTFTs."""
        assert "ttft" not in summarised(series([measurement(0, streamed=False)])).values

    def test_cost_is_listed_by_call(self):
        """A claim on cost adds up a round; the list is of calls, as all others."""
        assert summarised(series([measurement(0, cost=0.1), measurement(0, cost=0.2)])).values["cost"] == (0.1, 0.2)


class TestInterruption:
    """The last round was interrupted while its call was in flight."""

    ran = (*rounds(2), Round(2, warmup=False, started=24.0, ended=None))
    found = summarised(series([measurement(0), failed_measurement(1), failed_measurement(2)], rounds_=ran))

    def test_a_cut_call_has_no_latency(self):
        """It is neither fast nor failed, but absent with that reason."""
        assert self.found.values["ttft"] == (1.0, math.inf, None)
        assert (self.found.metrics["ttft"].missing, self.found.metrics["ttft"].missing_reason) == (1, INTERRUPTED)

    def test_a_cut_call_is_no_error(self):
        """One of the two calls whose end is known failed."""
        assert self.found.metrics["error_rate"] == MetricSummary("share", 2, 1, INTERRUPTED, 0.5)
        assert list(self.found.failures.values()) == [1]

    def test_an_interrupted_round_is_no_warm_up(self):
        """Rounds that neither count nor warmed up are simply not counted."""
        assert summarised(series([measurement(0)], rounds_=self.ran)).warmup_rounds == 0


@given(st.lists(st.integers(0, 3), min_size=1, max_size=8), st.sampled_from(["virtual", "instant"]))
def test_the_summary_shows_what_is_judged(kinds, clock):
    """Each metric's values and reasons are those the judge observes; only cost is by call here and by round there."""
    kind = {
        0: measurement,
        1: failed_measurement,
        2: lambda n: measurement(n, streamed=False),
        3: lambda n: measurement(n, absent={"ttft": "cut", "e2e": "cut"}),
    }
    made = series([kind[number](n) for n, number in enumerate(kinds)], clock=clock)
    made = replace(made, rounds=(*made.rounds[:-1], replace(made.rounds[-1], ended=None)))
    found = summarised(made)
    for name, row in METRICS.items():
        if row.per in ("call", "round") and name != "cost":
            observed, shown = observe(made, name), found.metrics[name]
            assert found.values.get(name, (None,) * len(observed.values)) == observed.values
            assert (shown.n, shown.missing) == (len(observed.present), observed.missing)
            assert shown.missing_reason == (observed.why_missing if observed.missing else "")


def test_the_summary_agrees_with_the_judge():
    """Both say the same p95: a report never contradicts a verdict."""
    from pytest_llmperf.core.judge import judge

    measured = series(calls(120, slow=4))
    claim = Objective("ttft", "p95", "<=", 2.34)
    assert summarised(measured).metrics["ttft"].p95 == judge(measured, claim).estimate
