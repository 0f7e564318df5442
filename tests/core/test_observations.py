"""What a claim is judged on: the numbers picked from a series, and the same numbers a little later or sooner."""

import math
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from factories import failed_measurement, measurement, rounds, series
from pytest_llmperf.core.errors import UsageError
from pytest_llmperf.core.generation import Usage
from pytest_llmperf.core.observations import (
    INTERRUPTED,
    Observations,
    completions,
    gaps_by_call,
    observe,
    recorded_unit,
    resolved_metric,
    shifted,
    total_tokens,
)
from pytest_llmperf.core.series import Round

INF = math.inf


def a_round(number, **fields):
    return Round(number, **({"warmup": False, "started": 12.0 * number, "ended": 12.0 * number + 11.5} | fields))


class TestWhichMetric:
    def test_streamed_calls_are_judged_by_their_first_token(self):
        """When every judged call streamed, the first of the two is meant."""
        assert resolved_metric("ttft|e2e", series([measurement(0), failed_measurement(1)])) == "ttft"

    def test_answers_in_one_piece_are_judged_by_their_end(self):
        """When none streamed, the second is."""
        assert resolved_metric("output_tps|e2e_tps", series([measurement(0, streamed=False)])) == "e2e_tps"

    def test_a_mixture_must_be_settled_by_the_author(self):
        """No one metric fits all, and the error says how to choose."""
        with pytest.raises(UsageError, match='say which with metric="ttft" or metric="e2e"'):
            resolved_metric("ttft|e2e", series([measurement(0), measurement(1, streamed=False)]))

    def test_warm_ups_have_no_say(self):
        """Only judged calls count."""
        found = series([measurement(0, streamed=False), measurement(1)], warmup=1)
        assert resolved_metric("ttft|e2e", found) == "ttft"

    def test_a_plain_name_is_itself(self):
        """Whatever the calls were."""
        assert resolved_metric("e2e", series([measurement(0)])) == "e2e"

    def test_without_calls_the_first_is_taken(self):
        """There is nothing to judge either way."""
        assert resolved_metric("ttft|e2e", series()) == "ttft"


class TestCalls:
    def test_one_value_per_judged_call_in_dispatch_order(self):
        """Failed calls are among them as infinitely slow ones, warm-ups are not."""
        found = series([measurement(0), measurement(1, ttft=2.0), failed_measurement(2)], warmup=1)
        assert observe(found, "ttft") == Observations("ttft", "call", (2.0, INF))

    def test_what_is_absent_is_none_with_its_most_common_reason(self):
        """Never left out and never zero."""
        absent = [measurement(n, absent={"tpot": reason}) for n, reason in enumerate(["rare", "common", "common"])]
        found = observe(series([*absent, measurement(3)]), "tpot")
        assert found == Observations("tpot", "call", (None, None, None, 0.025), "common")
        assert (found.present, found.missing) == ([0.025], 3)

    def test_a_call_that_was_cut_is_absent(self):
        """Whether it would have been slow, nobody knows."""
        rounds = [a_round(0), a_round(1, ended=None)]
        found = observe(series([measurement(0), failed_measurement(1)], rounds_=rounds), "ttft")
        assert found == Observations("ttft", "call", (1.0, None), INTERRUPTED)


class TestRounds:
    def test_wall_time_is_from_start_to_end(self):
        """In seconds, one per round."""
        found = observe(series([measurement(0)], rounds_=[a_round(0), a_round(1, ended=20.0)]), "scenario")
        assert (found.noun, found.values) == ("round", (11.5, 8.0))

    def test_a_round_that_a_failed_call_brought_down_is_no_quick_one(self):
        """It ended after 40 ms with an exception: it took for ever. One that survived its failed call took its time."""
        rounds = [a_round(0, ended=0.04, failure="APIError: x"), a_round(1), a_round(2, failure="AssertionError: x")]
        found = series([failed_measurement(0), failed_measurement(1), measurement(2)], rounds_=rounds)
        assert observe(found, "scenario").values == (INF, 11.5, 11.5)

    def test_the_instant_clock_has_no_wall_time(self):
        """Nothing waited."""
        found = observe(series([measurement(0)], clock="instant"), "scenario")
        assert (found.values, found.why_missing) == ((None,), "the instant clock does not wait")

    def test_costs_add_up_over_the_calls_of_a_round(self):
        """Two calls in one round, one in the next."""
        found = series([measurement(0, cost=0.1), measurement(0, cost=0.2), measurement(1, cost=0.4)])
        assert observe(found, "cost").values == pytest.approx((0.3, 0.4))

    def test_one_absent_cost_hides_the_rounds(self):
        """A part of a sum is not the sum."""
        found = series([measurement(0), measurement(0, absent={"cost": "no price"}), measurement(1, cost=0.4)])
        assert observe(found, "cost") == Observations("cost", "round", (None, 0.4), "no price")

    def test_a_round_without_calls_cost_nothing(self):
        """The application had the answer already."""
        found = series([measurement(0, cost=0.4)], rounds_=[a_round(0), a_round(1)])
        assert observe(found, "cost").values == (0.4, 0.0)

    def test_a_test_whose_calls_nobody_saw_was_not_free(self):
        """Calls made in another process, say: absent is never zero."""
        found = observe(series(rounds_=[a_round(0), a_round(1)]), "cost")
        assert (found.values, found.why_missing) == ((None, None), "no call was seen")

    def test_a_cut_round_has_no_cost(self):
        """What it would have come to is not what it came to."""
        rounds = [a_round(0), a_round(1, ended=None)]
        found = series([measurement(0), measurement(1), failed_measurement(1)], rounds_=rounds)
        assert observe(found, "cost") == Observations("cost", "round", (0.05, None), INTERRUPTED)

    def test_recorded_numbers_and_scores_are_found_by_name(self):
        """A round that recorded none is absent, with that reason; the unit is the recorded one."""
        rounds = [a_round(0, records={"size": 3.0}, units={"size": "kB"}), a_round(1, scores={"size": 4.0}), a_round(2)]
        found = series(rounds_=rounds)
        assert observe(found, "size") == Observations("size", "round", (3.0, 4.0, None), "the body recorded no 'size'")
        assert (recorded_unit(found, "size"), recorded_unit(found, "weight")) == ("kB", "")


class TestGaps:
    def test_they_stay_with_their_calls(self):
        """Warm-ups are left out."""
        found = gaps_by_call(series([measurement(n, gaps=(0.1 * n, 0.2)) for n in (0, 1, 2)], warmup=1))
        assert (found.calls, found.missing) == (((0.1, 0.2), (0.2, 0.2)), 0)
        assert found.pooled == [0.1, 0.2, 0.2, 0.2]

    def test_a_failed_call_weighs_as_much_as_any(self):
        """As many infinite gaps as the others have on average, or as it has itself."""
        ordinary = [measurement(0, gaps=(0.1,) * 10), measurement(1, gaps=(0.1,) * 30)]
        assert gaps_by_call(series([*ordinary, failed_measurement(2)])).calls[-1] == (INF,) * 20

    def test_with_nothing_to_compare_a_failed_call_has_one(self):
        """It is never forgotten."""
        assert gaps_by_call(series([failed_measurement(0)])).calls == ((INF,),)
        assert gaps_by_call(series([measurement(0, gaps=()), failed_measurement(1)])).calls == ((INF,),)

    def test_a_call_without_gaps_says_nothing_and_one_with_unknown_gaps_is_missing(self):
        """One delta has no gap; an answer in one piece could have had any."""
        found = gaps_by_call(series([measurement(0, gaps=()), measurement(1, streamed=False), measurement(2)]))
        assert (len(found.calls), found.missing, found.why_missing) == (1, 1, "the call did not stream")

    def test_an_error_of_the_clock_moves_each_of_them(self):
        """Both ways, and never below nothing."""
        found = series([measurement(0, gaps=(0.010, 0.5))])
        assert gaps_by_call(found, 0.020).calls == (pytest.approx((0.030, 0.520)),)
        assert gaps_by_call(found, -0.020).calls == (pytest.approx((0.0, 0.480)),)


class TestTotals:
    def test_all_billed_tokens_count(self):
        """Input, cache writes and reads, output."""
        one = measurement(input_tokens=10, output_tokens=20, cache_write_tokens=300.0, cache_read_tokens=4000.0)
        assert total_tokens(one) == 4330.0

    @pytest.mark.parametrize("name", ["input_tokens", "output_tokens"])
    def test_without_either_count_there_is_no_total(self, name):
        """A part of a sum is not the sum."""
        assert total_tokens(measurement(absent={name: "cut"})) is None


class TestCompletions:
    overlapping = (
        measurement(0, at=1.0, e2e=10.0, output_tokens=100),
        measurement(1, at=2.0, e2e=4.0, output_tokens=200),
        measurement(2, at=7.0, e2e=5.0, output_tokens=300),
    )

    def test_tokens_and_the_time_since_the_completion_before(self):
        """Completed at 6, 11 and 12 s, after a start at 1 s."""
        assert completions(series(self.overlapping), "total_tps") == ([200.0, 100.0, 300.0], [5.0, 5.0, 1.0], 0)

    def test_calls_per_minute(self):
        """One call, in calls a minute: 60 for each second."""
        assert completions(series(self.overlapping), "rpm") == ([60.0, 60.0, 60.0], [5.0, 5.0, 1.0], 0)

    def test_a_failed_call_brings_nothing_and_takes_its_time(self):
        """It failed 30 s after the last answer: the series lasted that long."""
        failed = replace(measurement(3, at=12.0, e2e=30.0), failure="ReadTimeout: ")
        for metric in ("total_tps", "rpm"):
            amounts, gaps, unknown = completions(series([*self.overlapping, failed]), metric)
            assert (amounts[-1], gaps[-1], unknown) == (0.0, 30.0, 0)

    def test_calls_without_an_end_or_a_count_are_told(self):
        """An answer that was left early brought some tokens: not none."""
        left = measurement(3, at=12.0, absent={"output_tokens": "the application stopped reading"})
        assert completions(series([*self.overlapping, left]), "total_tps")[2] == 1
        assert completions(series([*self.overlapping, left]), "rpm")[2] == 0

    def test_a_call_that_was_cut_leaves_the_total_open(self):
        """How many tokens it would have brought, and when, nobody knows."""
        rounds = [a_round(0), a_round(1), a_round(2), a_round(3, ended=None)]
        found = series([*self.overlapping, failed_measurement(3)], rounds_=rounds)
        assert [completions(found, metric)[2] for metric in ("total_tps", "rpm")] == [1, 1]

    def test_no_calls_make_no_totals(self):
        """Nothing over nothing."""
        assert completions(series(), "rpm") == ([], [], 0)

    @given(st.lists(st.tuples(st.floats(0, 100), st.floats(0.1, 50), st.integers(2, 500)), min_size=1, max_size=30))
    def test_the_times_add_up_to_the_span(self, found):
        """From the first request to the last content, however the calls overlap."""
        made = [
            measurement(n, at=at, ttft=0.0, e2e=e2e, output_tokens=tokens) for n, (at, e2e, tokens) in enumerate(found)
        ]
        amounts, gaps, _ = completions(series(made), "total_tps")
        first, last = min(at for at, _, _ in found), max(at + e2e for at, e2e, _ in found)
        assert math.fsum(gaps) == pytest.approx(last - first)
        assert sum(amounts) == sum(tokens for _, _, tokens in found)


class TestShifted:
    def picked(self, metric, one=None, error=0.1):
        found = series([one or measurement(0)])
        return shifted(found, observe(found, metric), error).values[0]

    @pytest.mark.parametrize("metric", ["ttft", "ttfat", "e2e", "attempt_ttft", "attempt_e2e"])
    def test_a_late_read_can_only_have_lengthened_a_wait(self, metric):
        """The wait may have been shorter by the error, never longer."""
        seen = self.picked(metric, error=0.0)
        assert self.picked(metric, error=-0.1) == pytest.approx(seen - 0.1)
        assert self.picked(metric, error=0.1) == seen

    def test_the_time_between_two_reads_can_be_off_both_ways(self):
        """400 gaps of 25 ms: 100 ms more or less are 0.25 ms a token."""
        assert self.picked("tpot", error=0.1) == pytest.approx(0.02525)
        assert self.picked("tpot", error=-0.1) == pytest.approx(0.02475)
        assert self.picked("output_tps", error=-0.1) == pytest.approx(1 / 0.02475)

    def test_a_call_that_knows_how_late_the_client_was_has_that_for_its_error(self):
        """The others have the error of all."""
        own = replace(measurement(1), late={"ttft": 0.4, "tpot": 0.2})
        found = series([measurement(0), own])
        assert shifted(found, observe(found, "ttft"), -0.1).values == pytest.approx((0.9, 0.6))
        assert shifted(found, observe(found, "ttft"), 0.1).values == (1.0, 1.0)
        assert shifted(found, observe(found, "tpot"), 0.1).values == pytest.approx((0.02525, 0.0255))
        assert shifted(found, observe(found, "e2e"), -0.1).values == pytest.approx((10.9, 10.9))

    def test_tokens_that_took_no_part_do_not_soften_the_error(self):
        """Of 401 tokens 390 were thought, perhaps unseen: ten gaps may have held all of the error."""
        thought = replace(measurement(0), usage=Usage(1000, 401, thinking_tokens=390))
        assert self.picked("tpot", thought, error=0.1) == pytest.approx(0.035)

    def test_speed_over_the_whole_time_can_only_have_been_higher(self):
        """401 tokens in 11 s, or in 10.9."""
        assert self.picked("e2e_tps", error=-0.1) == pytest.approx(401 / 10.9)
        assert self.picked("e2e_tps", error=0.1) == pytest.approx(401 / 11)

    def test_failures_and_absences_stay(self):
        """No error of the clock heals them."""
        found = series([failed_measurement(0), measurement(1, absent={"ttft": "x", "output_tps": "x"})])
        for metric in ("ttft", "output_tps"):
            assert shifted(found, observe(found, metric), -0.1) == observe(found, metric)

    def test_wall_times_of_rounds_are_waits_too(self):
        """They have no tokens to look at."""
        found = series([measurement(0)])
        assert shifted(found, observe(found, "scenario"), -0.5).values == (11.0,)

    @pytest.mark.parametrize("metric", ["cost", "output_tokens", "attempts"])
    def test_what_is_no_time_does_not_move(self, metric):
        """Tokens and dollars have no clock."""
        assert self.picked(metric, error=-0.1) == self.picked(metric, error=0.0)

    @given(st.floats(0.001, 1000), st.floats(0, 10))
    def test_nothing_is_turned_below_nothing(self, e2e, error):
        """However late the client was."""
        for metric in ("e2e", "tpot", "e2e_tps", "output_tps"):
            assert self.picked(metric, measurement(0, ttft=0.0, e2e=e2e), -error) >= 0


class TestOwnTime:
    """Totals of an arm whose rounds alternate with those of another."""

    def test_rounds_of_other_arms_are_none_of_its_time(self):
        """Three rounds of 11.5 s, 24 s apart: 3 calls in the 34 s that are its own until the last content."""
        made = [rounds(5)[number] for number in (0, 2, 4)]
        whole = series([measurement(number) for number in (0, 2, 4)], rounds_=made)
        arm = replace(whole, arm="warm")
        (_, alone, _), (_, own, _) = completions(whole, "rpm"), completions(arm, "rpm")
        assert (sum(alone), sum(own)) == (59.0, 34.0)

    def test_rounds_that_overlap_are_counted_once(self):
        """Two at once take the time of both together."""
        made = [replace(one, started=number * 5.0, ended=number * 5.0 + 11.5) for number, one in enumerate(rounds(2))]
        arm = series([measurement(0, at=0.0), measurement(1, at=5.0)], rounds_=made, arm="warm")
        assert sum(completions(arm, "rpm")[1]) == 16.0
