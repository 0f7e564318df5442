"""What a measured test needs in production."""

import math
from dataclasses import replace

import pytest

from factories import calls, failed_measurement, measurement, rounds, series
from pytest_llmperf.core.capacity import Demand, break_even, load, monthly, saving, sized
from pytest_llmperf.core.errors import UsageError

TEN_SECONDS = series(calls(20, cost=0.05), rounds_=rounds(20, seconds=10.0))


class TestLoad:
    def test_a_request_is_a_round(self):
        """Its wall time, calls, tokens and cost."""
        one = load(TEN_SECONDS)
        assert (one.n, one.failed, one.seconds, one.p95, one.calls, one.tokens) == (20, 0, 10.0, 10.0, 1.0, 401.0)
        assert one.usd == pytest.approx(0.05)

    def test_failed_rounds_are_counted_and_have_no_time(self):
        """Their cost is in the mean."""
        made = [*rounds(2, seconds=8.0)]
        made[1] = replace(made[1], failure="OverloadedError")
        one = load(series([measurement(0, cost=0.04), failed_measurement(1)], rounds_=made))
        assert (one.n, one.failed, one.seconds, one.usd) == (2, 1, 8.0, 0.02)

    def test_what_is_not_known_of_every_call_is_not_guessed(self):
        """A cost that is absent once is absent."""
        one = load(series([measurement(0), measurement(1, absent={"cost": "no price", "output_tokens": "cut"})]))
        assert (one.usd, one.tokens) == (None, None)

    def test_without_time_there_is_nothing_to_reckon_from(self):
        """As on the instant clock."""
        with pytest.raises(UsageError, match="no round of it has a time"):
            load(series(calls(3), clock="instant"))


class TestSized:
    def test_littles_law(self):
        """50,000 a day at 10 s each are 5.8 in flight; at most 10 in 95 % of moments, and 20 % more are 12 workers."""
        found = sized(load(TEN_SECONDS), Demand(50_000, peak_factor=1.0))
        assert found.busy == pytest.approx(5.787, abs=1e-3)
        assert (found.busy_p95, found.workers) == (10, 12)
        assert (found.scale_out, found.scale_in) == (8, 6)
        assert found.calls_per_minute == pytest.approx(34.72, abs=0.01)

    def test_many_workers_are_bound_by_how_busy_they_may_be(self):
        """The more there are, the less the moments differ: 579 in flight need 827 workers that are 70 % busy."""
        found = sized(load(TEN_SECONDS), Demand(5_000_000, peak_factor=1.0))
        assert found.workers == math.ceil(found.busy / 0.7) == 827

    def test_there_is_at_least_one_worker(self):
        """However seldom it works."""
        assert sized(load(TEN_SECONDS), Demand(1)).workers >= 1

    def test_busy_hours_are_that_much_busier(self):
        """The cost of the month does not know of them."""
        calm, busy = (sized(load(TEN_SECONDS), Demand(50_000, peak_factor=factor)) for factor in (1.0, 3.0))
        assert busy.busy == pytest.approx(3 * calm.busy)
        assert busy.usd_per_month == calm.usd_per_month == pytest.approx(0.05 * 50_000 * 30.4)


class TestMoney:
    def test_a_saving_is_a_share_of_the_other_cost(self):
        """None where one is not known."""
        assert saving([6_100, None, 8_500], 8_500) == [pytest.approx(0.28235, abs=1e-5), None, 0.0]
        assert saving([1.0], None) == [None]

    def test_break_even_is_where_the_saving_pays_for_the_rest(self):
        """Never, where nothing is saved."""
        volume = break_even(0.0198, 0.0142, 1_500)
        assert monthly(0.0198, volume) == pytest.approx(monthly(0.0142, volume) + 1_500)
        assert break_even(0.01, 0.02, 1_500) is None
