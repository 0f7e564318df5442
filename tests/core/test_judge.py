"""The one place that decides: literal cases of the exact tests, the three rules, and how often a verdict is wrong."""

import heapq
import json
import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from factories import calls, failed_measurement, measurement, rounds, scattered, series
from pytest_llmperf.core.errors import UsageError
from pytest_llmperf.core.judge import judge, judge_all
from pytest_llmperf.core.objective import Objective
from pytest_llmperf.core.plain import from_plain, to_plain
from pytest_llmperf.core.series import Round
from pytest_llmperf.core.verdict import Outcome, Verdict

INF = math.inf
PASSED, FAILED, INCONCLUSIVE = Outcome.PASSED, Outcome.FAILED, Outcome.INCONCLUSIVE
P95 = Objective("ttft", "p95", "<=", 2.34)
LATE = {"clock": "realtime", "loop_lag": 0.050}


def claim(metric="ttft", statistic="p95", direction="<=", bound=2.34, **fields):
    return Objective(metric, statistic, direction, bound, **fields)


def failures(n, *, first=0, **fields):
    return [failed_measurement(first + number, **fields) for number in range(n)]


def with_values(values, metric="ttft"):
    """One call for each value, not in their order; None where it is absent."""
    made = [
        measurement(number, **({metric: value} if value is not None else {"absent": {metric: "it was not seen"}}))
        for number, value in enumerate(values)
    ]
    return series(scattered(made))


def with_costs(*costs):
    return series([measurement(number, cost=cost) for number, cost in enumerate(costs)])


def recorded(*values, name="size", unit="kB"):
    return series(
        rounds_=[
            Round(number, warmup=False, started=0.0, ended=1.0, records={name: value}, units={name: unit})
            for number, value in enumerate(values)
        ]
    )


def outcome(found, objective=P95):
    return judge(found, objective).outcome


# --- quantiles -------------------------------------------------------------------------------------------------------


class TestQuantiles:
    @pytest.mark.parametrize(
        ("statistic", "too_few", "enough"), [("p50", 4, 5), ("p90", 28, 29), ("p95", 58, 59), ("p99", 298, 299)]
    )
    def test_clean_calls_pass_from_the_least_number_that_can(self, statistic, too_few, enough):
        """58 clean calls never pass a p95, 59 do (Wilks 1941)."""
        assert outcome(series(calls(too_few)), claim(statistic=statistic)) is INCONCLUSIVE
        assert outcome(series(calls(enough)), claim(statistic=statistic)) is PASSED

    @pytest.mark.parametrize(("n", "least"), [(20, 4), (30, 5), (50, 6), (100, 10), (200, 16)])
    def test_so_many_bad_calls_fail_a_p95(self, n, least):
        """4 of 20 do, 3 of 20 do not."""
        assert outcome(series(calls(n, slow=least))) is FAILED
        assert outcome(series(calls(n, slow=least - 1))) is INCONCLUSIVE

    @pytest.mark.parametrize(("n", "most"), [(93, 1), (124, 2), (153, 3), (181, 4)])
    def test_so_many_bad_calls_still_pass_a_p95(self, n, most):
        """One bad call needs 93, two need 124."""
        assert outcome(series(calls(n, slow=most))) is PASSED
        assert outcome(series(calls(n - 1, slow=most))) is INCONCLUSIVE

    def test_the_limit_itself_is_within(self):
        """A call that took exactly 2340 ms is no slow one."""
        assert outcome(with_values([2.34] * 59)) is PASSED
        assert outcome(with_values([math.nextafter(2.34, 3)] * 59)) is FAILED

    def test_the_ground_is_told_in_calls(self):
        """What was seen, and what either verdict needs."""
        verdict = judge(series(calls(143, slow=7)), P95)
        assert verdict.reason == "7 of 143 calls above 2340 ms; a pass needs at most 2, a fail at least 13"
        assert (verdict.claim, verdict.n, verdict.missing) == ("p95 ttft <= 2340 ms", 143, 0)

    def test_too_few_calls_say_how_many_are_needed(self):
        """Twenty calls can fail a p95 but never pass it."""
        verdict = judge(series(calls(20)), P95)
        assert verdict.reason == "0 of 20 calls above 2340 ms; a pass is out of reach, a fail needs at least 4"
        assert verdict.remedy == "raise rounds: 59 clean calls are the fewest that can pass"
        assert judge(series(calls(1)), P95).reason.endswith("neither a pass nor a fail is within reach")

    def test_a_share_off_the_limit_says_how_many_calls_would_settle_it(self):
        """4 of 143 is 2.8 %: twice as many calls would show it."""
        assert judge(series(calls(143, slow=4)), P95).remedy == (
            "about 286 calls would settle it, if the share stays as it is"
        )

    def test_too_few_calls_with_bad_ones_are_not_promised_a_clean_pass(self):
        """3 of 20 slow: ten more calls of that kind would fail the claim."""
        assert judge(series(calls(20, slow=3)), P95).remedy == (
            "about 30 calls would settle it, if the share stays as it is"
        )

    def test_a_share_at_the_limit_is_not_settled_by_more_calls(self):
        """5 of 100 is what a p95 tolerates: slack or another limit is what helps."""
        assert judge(series(calls(100, slow=5)), P95).remedy.endswith("allow slack, or move the limit")

    @pytest.mark.parametrize("found", [series(calls(59)), series(calls(100, slow=10))])
    def test_a_settled_claim_needs_no_remedy(self, found):
        """Passed or failed, there is nothing to settle."""
        assert judge(found, P95).remedy == ""

    def test_the_estimate_is_an_order_statistic_with_its_interval(self):
        """The 95th of 100 calls; the interval's upper end is one of the five slow ones."""
        verdict = judge(series(calls(100, slow=5)), P95)
        assert (verdict.estimate, verdict.low, verdict.high) == pytest.approx((0.894, 0.889, 3.0))
        assert verdict.method == "exact binomial test of the share beyond the limit"

    def test_an_interval_that_has_no_end_says_so(self):
        """59 calls bound a p95 from below only, at 95 % on two sides."""
        assert judge(series(calls(59)), P95).high == INF

    def test_warm_ups_are_not_judged(self):
        """However slow they were."""
        slow = [measurement(0, ttft=9.0), *calls(59, first=1)]
        assert outcome(series(slow, warmup=1)) is PASSED

    def test_the_confidence_is_the_claims(self):
        """99 % needs 90 clean calls, 90 % needs 45."""
        for n, confidence in ((90, 0.99), (45, 0.9)):
            assert outcome(series(calls(n)), claim(confidence=confidence)) is PASSED
            assert outcome(series(calls(n - 1)), claim(confidence=confidence)) is INCONCLUSIVE

    def test_marks_and_arms_are_carried_over(self):
        """A verdict knows what it answers."""
        verdict = judge(series(calls(59), arm="cold"), claim("ttft|e2e", mark="latency(p95_ms=2340)"))
        assert (verdict.mark, verdict.arm, verdict.metric, verdict.unit) == (
            "latency(p95_ms=2340)",
            "cold",
            "ttft",
            "s",
        )
        assert (verdict.claim, verdict.statistic, verdict.bound) == ("p95 ttft <= 2340 ms", "p95", 2.34)

    def test_a_mixture_of_streams_and_others_is_the_authors_to_settle(self):
        """No verdict is guessed."""
        with pytest.raises(UsageError, match="say which"):
            judge(series([measurement(0), measurement(1, streamed=False)]), claim("ttft|e2e"))


class TestLowerLimits:
    def test_a_median_speed_passes_when_most_calls_are_fast_enough(self):
        """41 of 100 may be slower than the limit of a median, 59 are too many."""
        found = [[20.0] * slow + [40.0] * (100 - slow) for slow in (41, 42, 58, 59)]
        speed = claim("output_tps", "p50", ">=", 30)
        assert [outcome(with_values(values, "output_tps"), speed) for values in found] == [
            PASSED,
            INCONCLUSIVE,
            INCONCLUSIVE,
            FAILED,
        ]

    def test_a_low_quantile_is_the_strict_one(self):
        """At least 30 tokens a second in 95 % of calls: 59 clean calls, as for a p95 from above."""
        p5 = claim("output_tps", "p5", ">=", 30)
        assert outcome(with_values([30.0] * 59, "output_tps"), p5) is PASSED
        assert outcome(with_values([30.0] * 58, "output_tps"), p5) is INCONCLUSIVE
        assert outcome(with_values([29.9] * 4 + [30.0] * 16, "output_tps"), p5) is FAILED

    def test_the_estimate_is_counted_from_above(self):
        """Of 1 … 100 at least half are 51 or more."""
        verdict = judge(
            with_values([float(v) for v in range(1, 101)], "output_tps"), claim("output_tps", "p50", ">=", 30)
        )
        assert (verdict.estimate, verdict.low, verdict.high) == (51.0, 40.0, 61.0)
        assert verdict.reason == "29 of 100 calls below 30 tokens/s; a pass needs at most 41, a fail at least 59"

    def test_failed_calls_have_no_speed(self):
        """60 % of calls failed: no median speed at all."""
        verdict = judge(series(scattered([*calls(40), *failures(60, first=40)])), claim("output_tps", "p50", ">=", 30))
        assert (verdict.outcome, verdict.estimate) == (FAILED, 0.0)
        assert verdict.reason.endswith("60 of them failed and count as slow")


class TestSlack:
    def test_a_pass_is_asked_of_the_wider_limit(self):
        """Every call 5 % above the limit: with 10 % slack that passes."""
        assert outcome(with_values([1.05] * 59), claim(bound=1.0)) is FAILED
        assert outcome(with_values([1.05] * 59), claim(bound=1.0, slack=0.1)) is PASSED

    def test_a_fail_is_asked_of_the_limit_itself(self):
        """Slack saves no system whose slow calls are beyond it too."""
        assert outcome(with_values([1.5] * 20), claim(bound=1.0, slack=0.1)) is FAILED

    def test_both_counts_are_told(self):
        """And which of them either verdict is about."""
        verdict = judge(with_values([1.5] * 3 + [1.05] * 4 + [0.5] * 93), claim(bound=1.0, slack=0.1))
        assert verdict.outcome is INCONCLUSIVE
        assert verdict.reason == (
            "7 of 100 calls above 1000 ms, 3 above 1100 ms (with slack); "
            "a pass needs at most 1 above 1100 ms, a fail at least 10 above 1000 ms"
        )

    def test_it_widens_lower_limits_downwards(self):
        """28 tokens a second are enough for 30 with 10 % slack."""
        assert outcome(with_values([28.0] * 20, "output_tps"), claim("output_tps", "p50", ">=", 30)) is FAILED
        assert (
            outcome(with_values([28.0] * 20, "output_tps"), claim("output_tps", "p50", ">=", 30, slack=0.1)) is PASSED
        )

    def test_it_widens_rates_means_and_extremes_alike(self):
        """One rule for all."""
        found = series(scattered([*calls(197), *failures(3, first=197)]))
        assert outcome(found, claim("error_rate", "rate", "<=", 0.02)) is INCONCLUSIVE
        assert outcome(found, claim("error_rate", "rate", "<=", 0.02, slack=1.5)) is PASSED
        costs = [0.052 + (number % 7 - 3) / 10_000 for number in range(30)]
        assert outcome(with_costs(*costs), claim("cost", "mean", "<=", 0.05)) is FAILED
        assert outcome(with_costs(*costs), claim("cost", "mean", "<=", 0.05, slack=0.1)) is PASSED
        assert outcome(series(calls(100)), claim("total_tps", "total", ">=", 34)) is FAILED
        assert outcome(series(calls(100)), claim("total_tps", "total", ">=", 34, slack=0.1)) is PASSED
        assert outcome(with_values([1.05]), claim(statistic="max", bound=1.0)) is FAILED
        assert outcome(with_values([1.05]), claim(statistic="max", bound=1.0, slack=0.1)) is PASSED


# --- the three rules -------------------------------------------------------------------------------------------------


class TestFailedCallsAreSlowCalls:
    @pytest.mark.parametrize("n", [100, 200, 400])
    def test_eight_percent_errors_never_pass_a_p95(self, n):
        """However quick the other calls were."""
        failed = n * 8 // 100
        assert outcome(series(scattered([*calls(n - failed), *failures(failed, first=n - failed)]))) is not PASSED

    def test_they_are_told_apart_in_the_reason(self):
        """The p95 is infinite, and why."""
        verdict = judge(series(scattered([*calls(92), *failures(8, first=92)])), P95)
        assert verdict.estimate == INF
        assert verdict.reason == (
            "8 of 100 calls above 2340 ms; a pass needs at most 1, a fail at least 10; "
            "8 of them failed and count as slow"
        )

    @pytest.mark.parametrize("metric", ["ttft", "ttfat", "e2e", "tpot", "attempt_ttft", "attempt_e2e"])
    def test_so_it_is_for_every_latency(self, metric):
        """Ten of a hundred failed."""
        assert outcome(series(scattered([*calls(90), *failures(10, first=90)])), claim(metric, bound=1000.0)) is FAILED

    def test_a_mean_does_not_survive_one(self):
        """The mean of waiting times that hold an endless one is endless."""
        verdict = judge(series(scattered([*calls(99), *failures(1, first=99)])), claim(statistic="mean", bound=100.0))
        assert (verdict.outcome, verdict.estimate) == (FAILED, INF)
        assert verdict.reason == "the mean is infinite: 1 of 100 calls failed"


class TestMissingValuesHelpNobody:
    def test_they_are_bad_for_a_pass(self):
        """59 clean calls pass; one more call without the metric takes that away, until 93 clean ones outweigh it."""
        assert outcome(with_values([0.5] * 59 + [None])) is INCONCLUSIVE
        assert outcome(with_values([0.5] * 92 + [None])) is PASSED

    def test_they_are_good_for_a_fail(self):
        """4 of 20 bad calls fail; 4 of 20 with 10 more unknown ones do not, 5 do."""
        assert outcome(with_values([3.0] * 4 + [0.5] * 16 + [None] * 10)) is INCONCLUSIVE
        assert outcome(with_values([3.0] * 5 + [0.5] * 15 + [None] * 10)) is FAILED

    def test_they_are_told_with_their_reason(self):
        """And with what to do, when it is they that stand in the way."""
        verdict = judge(with_values([0.5] * 59 + [None]), P95)
        assert verdict.missing == 1
        assert verdict.reason == (
            "0 of 60 calls above 2340 ms; a pass needs at most 0, a fail at least 7; 1 without a ttft: it was not seen"
        )
        assert verdict.remedy == "an absent value could be anything: mend what makes it absent"

    def test_a_metric_that_no_call_has_shows_nothing(self):
        """With the reason they all share."""
        verdict = judge(series([measurement(n, streamed=False) for n in range(100)]), P95)
        assert (verdict.outcome, verdict.estimate, verdict.missing) == (INCONCLUSIVE, None, 100)
        assert verdict.reason == "no judged call has a ttft: the call did not stream"

    @pytest.mark.parametrize("objective", [P95, claim("error_rate", "rate", "<=", 0.02)])
    def test_no_calls_show_nothing(self, objective):
        """And say where to look."""
        verdict = judge(series(), objective)
        assert (verdict.outcome, verdict.reason) == (INCONCLUSIVE, "no call was judged")
        assert "client" in verdict.remedy

    def test_a_mean_needs_all_of_its_values(self):
        """The absent one could be anything."""
        verdict = judge(
            series([*calls(99), measurement(99, absent={"cost": "no price is known for 'm'"})]),
            claim("cost", "mean", "<=", 100.0),
        )
        assert verdict.outcome is INCONCLUSIVE
        assert verdict.reason.endswith("1 without a cost: no price is known for 'm'")
        assert verdict.remedy.startswith("an absent value could be anything")

    def test_calls_that_were_cut_by_a_cap_are_missing(self):
        """Hanging when the cap came: 59 clean calls do not pass beside them, and they do not fail the claim either."""
        hanging = series(
            [*calls(59), *failures(20, first=59)],
            rounds_=[
                Round(n, warmup=False, started=12.0 * n, ended=12.0 * n + 11.5 if n < 59 else None) for n in range(79)
            ],
        )
        for objective in (P95, claim("error_rate", "rate", "<=", 0.05), claim("event_gap")):
            verdict = judge(hanging, objective)
            assert (verdict.outcome, verdict.missing) == (INCONCLUSIVE, 20)
        assert judge(hanging, claim("error_rate", "rate", "<=", 0.05)).reason == (
            "0 of 79 calls failed; a pass needs at most 0, a fail at least 8; 20 more were cut by an interruption"
        )


class TestClientBound:
    """A verdict that the client's own lateness could explain is withdrawn."""

    def test_a_fail_that_lies_within_the_lag_is_withdrawn(self):
        """All calls 20 ms above the limit, read up to 50 ms late."""
        made = [measurement(n, ttft=1.02) for n in range(20)]
        verdict = judge(series(made, **LATE), claim(bound=1.0))
        assert verdict.outcome is INCONCLUSIVE
        assert verdict.reason == (
            "client-bound: the event loop was 50 ms late (p99), which is large against the margin of 20 ms; "
            "20 of 20 calls above 1000 ms; a pass is out of reach, a fail needs at least 4"
        )
        assert "the client is the bottleneck" in verdict.remedy

    def test_a_call_is_doubted_by_its_own_lateness(self):
        """The loop hardly ever stalled, but it did when these calls' first tokens came."""
        made = [replace(measurement(n, ttft=1.3), late={"ttft": 0.4}) for n in range(20)]
        verdict = judge(series(made, clock="realtime", loop_lag=0.0), claim(bound=1.0))
        assert verdict.outcome is INCONCLUSIVE
        assert verdict.reason.startswith(
            "client-bound: the event loop may have come up to 400 ms late to these calls, which is large against the "
            "margin of 300 ms; 20 of 20 calls above 1000 ms"
        )

    def test_a_lag_that_no_call_met_excuses_nothing(self):
        """The loop was blocked for long, but never when something came."""
        made = [replace(measurement(n, ttft=1.02), late={"ttft": 0.001}) for n in range(20)]
        assert outcome(series(made, **LATE), claim(bound=1.0)) is FAILED

    def test_a_verdict_that_hangs_on_few_calls_says_so(self):
        """Far from the limit are most, but whether it fails depends on one that is as near as the client was late."""
        made = [replace(measurement(n, ttft=0.9), late={"ttft": 0.005}) for n in range(16)]
        slow = [
            replace(measurement(16 + n, ttft=ttft), late={"ttft": 0.005}) for n, ttft in enumerate((1.001, 3, 3, 3))
        ]
        verdict = judge(series(scattered([*made, *slow]), clock="realtime", loop_lag=0.0), claim(bound=1.0))
        assert verdict.outcome is INCONCLUSIVE
        assert verdict.reason.startswith(
            "client-bound: the event loop may have come up to 5 ms late to these calls, and the verdict hangs on calls "
            "that are nearer to the limit than that; 4 of 20 calls above 1000 ms"
        )

    def test_a_fail_beyond_the_lag_stands(self):
        """60 ms above the limit cannot be the client's doing."""
        assert outcome(series([measurement(n, ttft=1.06) for n in range(20)], **LATE), claim(bound=1.0)) is FAILED

    def test_a_pass_of_a_wait_stands(self):
        """A late read only makes a wait look longer: what was within the limit was."""
        assert outcome(series([measurement(n, ttft=0.99) for n in range(59)], **LATE), claim(bound=1.0)) is PASSED

    def test_a_pass_of_a_time_between_two_reads_is_withdrawn(self):
        """A late first read shortens it: 25 ms a token over 400 gaps may have been 25.125."""
        made = [measurement(n) for n in range(59)]
        assert outcome(series(made, **LATE), claim("tpot", bound=0.0251)) is INCONCLUSIVE
        assert outcome(series(made, **LATE), claim("tpot", bound=0.0252)) is PASSED

    def test_a_fail_of_a_time_between_two_reads_is_withdrawn_too(self):
        """A late last read lengthens it."""
        made = [measurement(n) for n in range(59)]
        assert outcome(series(made, **LATE), claim("tpot", bound=0.0249)) is INCONCLUSIVE
        assert outcome(series(made, **LATE), claim("tpot", bound=0.0248)) is FAILED

    @pytest.mark.parametrize(
        ("metric", "bound", "found"),
        [
            ("e2e_tps", 36.5, INCONCLUSIVE),  # 401 tokens in 11 s are 36.45, in 10.95 s 36.62
            ("e2e_tps", 36.7, FAILED),
            ("e2e_tps", 36.4, PASSED),
            ("output_tps", 40.1, INCONCLUSIVE),  # 400 gaps in 10 s are 40 a second, in 9.95 s 40.2
            ("output_tps", 40.3, FAILED),
            ("output_tps", 39.9, INCONCLUSIVE),  # in 10.05 s 39.8
            ("output_tps", 39.7, PASSED),
        ],
    )
    def test_speeds_are_doubted_the_other_way_round(self, metric, bound, found):
        """Lateness makes a call look slower; between two reads it can look faster as well."""
        made = [measurement(n) for n in range(59)]
        assert outcome(series(made, **LATE), claim(metric, "p50", ">=", bound)) is found

    @pytest.mark.parametrize(
        ("bound", "found"), [(0.170, PASSED), (0.130, INCONCLUSIVE), (0.070, INCONCLUSIVE), (0.040, FAILED)]
    )
    def test_gaps_are_doubted_both_ways(self, bound, found):
        """A gap of 100 ms between reads may have been one of 50 or of 150 ms."""
        made = [measurement(n, gaps=(0.1, 0.1)) for n in range(59)]
        assert outcome(series(made, **LATE), claim("event_gap", bound=bound)) is found

    def test_extremes_are_doubted_too(self):
        """The one slow call may have been the client's."""
        made = [measurement(0, ttft=1.02), measurement(1)]
        assert outcome(series(made, **LATE), claim(statistic="max", bound=1.01)) is INCONCLUSIVE

    @pytest.mark.parametrize("clock", ["virtual", "instant", "manual"])
    def test_only_real_time_can_be_late(self, clock):
        """Elsewhere the lag has no part in the stamps."""
        made = [measurement(n, ttft=1.02) for n in range(20)]
        assert outcome(series(made, clock=clock, loop_lag=0.05), claim(bound=1.0)) is FAILED

    @pytest.mark.parametrize("lag", [None, 0.0])
    def test_without_a_lag_there_is_no_doubt(self, lag):
        """Plain synchronous code has no event loop."""
        made = [measurement(n, ttft=1.02) for n in range(20)]
        assert outcome(series(made, clock="realtime", loop_lag=lag), claim(bound=1.0)) is FAILED

    def test_failed_calls_are_no_lateness(self):
        """No error bar makes them answers."""
        found = series([*calls(16), *failures(4, first=16)], **LATE)
        assert outcome(found, claim(bound=100.0)) is FAILED

    def test_dollars_are_not_doubted(self):
        """Cost has no clock."""
        assert outcome(series(calls(30), **LATE), claim("cost", "mean", "<=", 0.02)) is FAILED


class TestTheInstantClock:
    @pytest.mark.parametrize(
        ("objective", "reason"),
        [
            (claim("total_tps", "total", ">=", 1), "the instant clock does not wait: a series has no span"),
            (claim("rpm", "total", ">=", 1), "the instant clock does not wait: a series has no span"),
            (claim("scenario", "p50"), "no judged round has a scenario: the instant clock does not wait"),
        ],
    )
    def test_it_is_refused_what_it_cannot_tell(self, objective, reason):
        """Inconclusive, with the reason; never a made-up span."""
        verdict = judge(series(calls(100), clock="instant"), objective)
        assert (verdict.outcome, verdict.estimate, verdict.reason) == (INCONCLUSIVE, None, reason)

    def test_times_inside_a_call_are_judged(self):
        """They stand on the timeline that was served."""
        assert outcome(series(calls(59), clock="instant")) is PASSED


# --- rates -----------------------------------------------------------------------------------------------------------


class TestRates:
    def rate(self, n, failed, limit, **fields):
        found = series(scattered([*calls(n - failed), *failures(failed, first=n - failed)]))
        return judge(found, claim("error_rate", "rate", "<=", limit, **fields))

    def test_clean_calls_pass_from_the_least_number_that_can(self):
        """149 for 2 %, 299 for 1 %."""
        assert self.rate(149, 0, 0.02).outcome is PASSED
        assert self.rate(148, 0, 0.02).outcome is INCONCLUSIVE
        assert self.rate(148, 0, 0.02).remedy == "raise rounds: 149 clean calls are the fewest that can pass"
        assert self.rate(299, 0, 0.01).outcome is PASSED
        assert self.rate(298, 0, 0.01).outcome is INCONCLUSIVE

    def test_failures_are_counted_against_the_limit(self):
        """6 of 100 refute 2 %, 5 do not; one of 236 is still shown to be below."""
        assert self.rate(100, 6, 0.02).outcome is FAILED
        assert self.rate(100, 5, 0.02).outcome is INCONCLUSIVE
        assert self.rate(236, 1, 0.02).outcome is PASSED
        assert self.rate(235, 1, 0.02).outcome is INCONCLUSIVE

    def test_the_ground_is_told(self):
        """With the share and its exact interval (Clopper & Pearson 1934)."""
        verdict = self.rate(100, 10, 0.05)
        assert verdict.reason == "10 of 100 calls failed; a pass needs at most 1, a fail at least 10"
        assert (verdict.estimate, verdict.low, verdict.high) == pytest.approx((0.1, 0.0490047, 0.1762226))
        assert (verdict.claim, verdict.unit, verdict.method) == ("error_rate <= 5 %", "share", "exact binomial test")

    def test_a_limit_of_zero_fails_on_the_first_error_and_never_passes(self):
        """No number of calls shows that something cannot happen; what they do show is offered instead."""
        assert self.rate(100, 1, 0.0).outcome is FAILED
        clean = self.rate(100, 0, 0.0)
        assert clean.outcome is INCONCLUSIVE
        assert clean.reason == "0 of 100 calls failed; a pass is out of reach, a fail needs at least 1"
        assert clean.remedy == "no number of calls shows that it never happens; 100 clean ones show less than 2.96 %"
        assert self.rate(100, 0, 0.0296).outcome is PASSED

    def test_throttling_is_a_share_of_attempts(self):
        """Ten calls that were answered 429 twice each before they succeeded: 20 of 30."""
        verdict = judge(
            series([measurement(n, attempts=3, throttled=2) for n in range(10)]),
            claim("throttle_rate", "rate", "<=", 0.4),
        )
        assert (verdict.outcome, verdict.n) == (FAILED, 30)
        assert verdict.reason == "20 of 30 attempts answered 429; a pass needs at most 7, a fail at least 17"

    def test_a_retried_call_is_no_failed_one(self):
        """What the application got in the end counts."""
        found = series([measurement(n, attempts=3, throttled=2) for n in range(149)])
        assert outcome(found, claim("error_rate", "rate", "<=", 0.02)) is PASSED

    def test_a_lower_limit_is_the_mirror_image(self):
        """A fault drill: at least 20 % of calls must fail."""
        found = series(scattered([*calls(70), *failures(30, first=70)]))
        assert outcome(found, claim("error_rate", "rate", ">=", 0.2)) is PASSED
        assert outcome(found, claim("error_rate", "rate", ">=", 0.3)) is INCONCLUSIVE
        assert outcome(found, claim("error_rate", "rate", ">=", 0.4)) is FAILED


# --- means, totals, extremes -----------------------------------------------------------------------------------------


class TestMeans:
    def test_thirty_values_are_the_fewest(self):
        """Fewer are not judged, however clear they look."""
        few = judge(with_costs(*[0.04, 0.05] * 14, 0.05), claim("cost", "mean", "<=", 1.0))
        assert few.outcome is INCONCLUSIVE
        assert few.reason.endswith("; 30 are the fewest that such a claim is judged on")
        assert few.remedy == "raise rounds to 30"
        assert outcome(with_costs(*[0.04, 0.05] * 15), claim("cost", "mean", "<=", 1.0)) is PASSED

    def test_skewed_values_need_fifty(self):
        """One round in ten cost ten times as much."""
        skewed = [0.01] * 9 + [0.1]
        objective = claim("cost", "mean", "<=", 1.0)
        assert judge(with_costs(*skewed * 4), objective).remedy == "raise rounds to 50"
        assert outcome(with_costs(*skewed * 5), objective) is PASSED

    def test_equal_costs_are_told_as_such(self):
        """And judged with care: see `TestNoSpread`."""
        for limit, found in ((0.1, PASSED), (0.05, INCONCLUSIVE), (0.02, FAILED)):
            assert outcome(with_costs(*[0.05] * 30), claim("cost", "mean", "<=", limit)) is found
        verdict = judge(with_costs(*[0.05] * 30), claim("cost", "mean", "<=", 0.1))
        assert verdict.reason == "the mean over 30 rounds is $0.05, without spread"

    def test_a_mean_within_its_error_of_the_limit_is_inconclusive(self):
        """849.5 ms ± 6 ms against 850; with 840 or 860 it is settled."""
        found = series(calls(100))
        verdict = judge(found, claim(statistic="mean", bound=0.85))
        assert verdict.outcome is INCONCLUSIVE
        assert verdict.reason == "the mean over 100 calls is 849.5 ms, 95 % interval 843.7 … 855.3 ms"
        assert outcome(found, claim(statistic="mean", bound=0.86)) is PASSED
        assert outcome(found, claim(statistic="mean", bound=0.84)) is FAILED

    def test_a_lower_limit_is_the_mirror_image(self):
        """A mean speed of at least so much."""
        found = series(calls(100))
        assert outcome(found, claim("output_tps", "mean", ">=", 39.0)) is PASSED
        assert outcome(found, claim("output_tps", "mean", ">=", 40.0)) is FAILED

    def test_cost_is_a_mean_over_rounds(self):
        """Three calls of five cents in each round cost fifteen."""
        made = [measurement(n // 3, at=float(n), cost=0.05) for n in range(90)]
        verdict = judge(series(made), claim("cost", "mean", "<=", 0.3))
        assert (verdict.outcome, verdict.n, verdict.estimate) == (PASSED, 30, pytest.approx(0.15))

    def test_recorded_numbers_are_claimed_by_their_name(self):
        """In the unit they were recorded in."""
        verdict = judge(recorded(*[3.0, 5.0] * 15), claim("size", "mean", "<=", 4.5))
        assert (verdict.outcome, verdict.claim, verdict.unit) == (PASSED, "mean size <= 4.5 kB", "kB")
        assert verdict.reason == "the mean over 30 rounds is 4 kB, 95 % interval 3.62 … 4.38 kB"

    def test_a_name_that_nobody_recorded_shows_nothing(self):
        """A slip of the pen is no verdict."""
        assert judge(recorded(3.0), claim("sise", "mean")).reason == (
            "no judged round has a sise: the body recorded no 'sise'"
        )

    def test_a_statistic_that_does_not_exist_is_refused(self):
        """It is not taken for another one."""
        with pytest.raises(UsageError, match="ttft has no statistic 'rate'"):
            judge(series(calls(30)), claim(statistic="rate"))


class TestTotals:
    def test_tokens_of_the_whole_series_over_its_span(self):
        """100 calls of 401 tokens, dispatched every 12 s, the last of which ended after 1199 s."""
        found = series(calls(100))
        verdict = judge(found, claim("total_tps", "total", ">=", 30))
        assert verdict.outcome is PASSED
        assert verdict.estimate == pytest.approx(40100 / 1199)
        assert verdict.reason.startswith("100 calls came to 33.44 tokens/s, 95 % interval ")
        assert outcome(found, claim("total_tps", "total", ">=", 34)) is FAILED

    def test_calls_per_minute(self):
        """100 calls in 1199 s are 5.004 a minute."""
        found = series(calls(100))
        verdict = judge(found, claim("rpm", "total", ">=", 4.9))
        assert (verdict.outcome, verdict.estimate) == (PASSED, pytest.approx(6000 / 1199))
        assert outcome(found, claim("rpm", "total", ">=", 5.1)) is FAILED

    def test_failed_calls_are_no_throughput(self):
        """A server that refuses quickly serves nobody."""
        refused = [failed_measurement(n, at=0.1 * n) for n in range(99)]
        verdict = judge(series([*refused, measurement(99, at=10.0)]), claim("rpm", "total", ">=", 60))
        assert verdict.estimate == pytest.approx(60 / 21)
        assert verdict.outcome is not PASSED

    def test_unknown_amounts_leave_the_total_open(self):
        """Answers that were left early brought an unknown number of tokens."""
        left = [measurement(n, absent={"output_tokens": "left"}) for n in range(60, 63)]
        verdict = judge(series([*calls(60), *left]), claim("total_tps", "total", ">=", 1))
        assert (verdict.outcome, verdict.missing) == (INCONCLUSIVE, 3)
        assert verdict.reason.endswith("3 without a total_tps: its end or its tokens were not seen")

    def test_one_call_is_too_few(self):
        """A ratio of totals needs two to have a spread."""
        verdict = judge(series(calls(1)), claim("rpm", "total", ">=", 1))
        assert (verdict.outcome, verdict.reason) == (INCONCLUSIVE, "1 call is too few for a ratio of totals")


class TestPricePerToken:
    per_mtok = claim("cost", "per_mtok", "<=", 40)

    def test_dollars_over_tokens(self):
        """$0.05 for 1401 tokens each are $35.69 a million."""
        verdict = judge(series(calls(100)), self.per_mtok)
        assert (verdict.outcome, verdict.estimate) == (PASSED, pytest.approx(0.05 / 1401 * 1e6))
        assert verdict.claim == "cost <= $40 per million tokens"
        assert verdict.reason == "100 calls came to $35.69 per million tokens, without spread"
        assert outcome(series(calls(100)), replace(self.per_mtok, bound=35)) is FAILED

    def test_it_is_a_ratio_of_totals_not_a_mean_of_ratios(self):
        """Small dear calls weigh as little as they cost."""
        made = [measurement(n, cost=0.001 if n % 2 else 0.1, input_tokens=10 if n % 2 else 9000) for n in range(60)]
        expected = 30 * (0.001 + 0.1) / (30 * (10 + 9000 + 2 * 401)) * 1e6
        assert judge(series(made), self.per_mtok).estimate == pytest.approx(expected)

    def test_skewed_pairs_need_fifty(self):
        """One call in ten cost ten times as much for the same tokens."""
        made = [measurement(n, cost=0.1 if n % 10 == 0 else 0.01) for n in range(50)]
        generous = replace(self.per_mtok, bound=100)
        assert judge(series(made[:40]), generous).remedy == "raise rounds to 50"
        assert outcome(series(made), generous) is PASSED

    def test_calls_that_were_not_billed_have_no_part_in_it(self):
        """No dollars, no tokens: not missing either."""
        verdict = judge(series(scattered([*calls(60), *failures(5, first=60)])), self.per_mtok)
        assert (verdict.outcome, verdict.n, verdict.missing) == (PASSED, 60, 0)

    def test_a_model_without_a_price_says_so(self):
        """Inconclusive, with the way to set one."""
        unpriced = {"cost": "no price is known for 'm'; set one with the ini option llmperf_prices"}
        verdict = judge(series(calls(100, absent=unpriced)), self.per_mtok)
        assert (verdict.outcome, verdict.missing) == (INCONCLUSIVE, 100)
        assert "no price is known for 'm'; set one with the ini option llmperf_prices" in verdict.reason


class TestExtremes:
    def test_the_largest_settles_a_maximum(self):
        """A fact about these calls; nothing is inferred."""
        found = series(calls(10, slow=1))
        assert outcome(found, claim(statistic="max", bound=3.0)) is PASSED
        verdict = judge(found, claim(statistic="max", bound=2.9))
        assert (verdict.outcome, verdict.estimate, verdict.low, verdict.high) == (FAILED, 3.0, 3.0, 3.0)
        assert verdict.reason == "the largest of 10 calls is 3000 ms"

    def test_the_smallest_settles_a_minimum(self):
        """In the other direction."""
        found = recorded(0.8, 0.9, unit="")
        assert outcome(found, claim("size", "min", ">=", 0.8)) is PASSED
        assert outcome(found, claim("size", "min", ">=", 0.81)) is FAILED

    @pytest.mark.parametrize(
        ("statistic", "direction", "bound", "found"),
        [
            ("max", "<=", 2.0, INCONCLUSIVE),  # the absent one may be larger
            ("max", "<=", 0.9, FAILED),
            ("min", ">=", 0.9, INCONCLUSIVE),  # or smaller
            ("min", ">=", 1.5, FAILED),
            ("max", ">=", 0.9, PASSED),  # one that is large enough is there
            ("max", ">=", 1.5, INCONCLUSIVE),
            ("min", "<=", 1.5, PASSED),
            ("min", "<=", 0.9, INCONCLUSIVE),
        ],
    )
    def test_an_absent_value_turns_no_fact(self, statistic, direction, bound, found):
        """What the present ones settle is settled; what an absent one could turn is not."""
        assert outcome(with_values([1.0, 1.0, None]), claim("ttft", statistic, direction, bound)) is found

    def test_the_doubt_is_told(self):
        """With the reason of the absence."""
        verdict = judge(with_values([1.0, None]), claim(statistic="max", bound=2.0))
        assert verdict.reason == "the largest of 1 call is 1000 ms; 1 without a ttft: it was not seen"
        assert verdict.remedy.startswith("an absent value could be anything")

    def test_a_failed_call_is_the_largest(self):
        """Infinitely."""
        verdict = judge(series(scattered([*calls(5), *failures(1, first=5)])), claim(statistic="max", bound=1e9))
        assert (verdict.outcome, verdict.reason) == (FAILED, "the largest of 6 calls is infinite")


# --- properties ------------------------------------------------------------------------------------------------------

latencies = st.lists(st.one_of(st.none(), st.just(INF), st.integers(1, 40).map(lambda v: v / 8)), max_size=120)
statistics = st.sampled_from(["p50", "p90", "p95", "max", "mean"])
bounds = st.integers(1, 40).map(lambda v: v / 8)


class TestProperties:
    @given(latencies, statistics, bounds, st.sampled_from([2.0**-10, 0.5, 1024.0]), st.sampled_from([0.0, 0.25]))
    def test_the_unit_does_not_matter(self, values, statistic, bound, factor, slack):
        """Latencies and limit scaled alike give the same verdict."""
        scaled = [value if value is None else value * factor for value in values]
        assert outcome(with_values(values), claim("ttft", statistic, "<=", bound, slack=slack)) is outcome(
            with_values(scaled), claim("ttft", statistic, "<=", bound * factor, slack=slack)
        )

    @given(latencies, statistics, bounds, st.randoms(use_true_random=False))
    def test_the_order_turns_no_verdict_around(self, values, statistic, bound, random):
        """At a fixed number of calls: one in which neighbours are alike can only take a verdict away."""
        shuffled = random.sample(values, len(values))
        objective = claim("ttft", statistic, "<=", bound)
        assert {outcome(with_values(values), objective), outcome(with_values(shuffled), objective)} != {PASSED, FAILED}

    @given(latencies, statistics, bounds)
    def test_a_bad_call_never_turns_a_fail_into_a_pass(self, values, statistic, bound):
        """One more failed call makes nothing better."""
        objective = claim("ttft", statistic, "<=", bound)
        before, after = (outcome(with_values(found), objective) for found in (values, [*values, INF]))
        assert (before, after) not in {(FAILED, PASSED), (INCONCLUSIVE, PASSED)}

    @given(latencies, statistics, bounds, st.integers(0, 119))
    def test_losing_a_value_never_settles_a_claim(self, values, statistic, bound, index):
        """A value that turns absent may take a verdict away, and gives none."""
        assume(index < len(values))
        objective = claim("ttft", statistic, "<=", bound)
        lost = [*values[:index], None, *values[index + 1 :]]
        before, after = (outcome(with_values(found), objective) for found in (values, lost))
        assert after in {before, INCONCLUSIVE}

    @given(latencies, st.sampled_from(["p50", "p90", "p95"]), bounds, st.integers(0, 8))
    def test_a_wider_limit_is_never_harder(self, values, statistic, bound, wider):
        """It turns no pass into less, and nothing into a fail."""
        order = [FAILED, INCONCLUSIVE, PASSED]
        narrow, wide = (
            outcome(with_values(values), claim("ttft", statistic, "<=", limit)) for limit in (bound, bound + wider / 8)
        )
        assert order.index(wide) >= order.index(narrow)

    @given(latencies, statistics, bounds, st.sampled_from(["<=", ">="]))
    def test_a_verdict_survives_being_plain(self, values, statistic, bound, direction):
        """Strict JSON and back, infinities and all."""
        verdict = judge(with_values(values), claim("ttft", statistic, direction, bound, mark="claim(…)"))
        assert from_plain(Verdict, json.loads(json.dumps(to_plain(verdict), allow_nan=False))) == verdict

    @given(latencies, statistics, bounds, st.sampled_from(["<=", ">="]))
    def test_every_verdict_has_its_ground(self, values, statistic, bound, direction):
        """A reason always, a remedy when it is open and only then, and a number of observations."""
        verdict = judge(with_values(values), claim("ttft", statistic, direction, bound))
        assert verdict.reason
        assert verdict.missing == values.count(None)
        if verdict.outcome is not INCONCLUSIVE:
            assert verdict.remedy == ""


# --- how often a verdict is wrong ------------------------------------------------------------------------------------

RUNS = 1500
MONTE_CARLO = 3 * math.sqrt(0.05 * 0.95 / RUNS)
"""Three standard errors of a frequency of 5 %."""


def lognormal(random, n):
    """The spread of an ordinary TTFT: median 1, p95 2.09."""
    return random.lognormal(0.0, 0.4479, n)


def slow_mode(random, n):
    """Nine calls in ten near 1 s, one near 4 s."""
    return random.normal(1.0, 0.1, n) + 3.0 * (random.random(n) < 0.1)


ORDINARY = measurement(0)


def timed(ttfts):
    """One call for each TTFT, and nothing else of them."""
    made = [replace(ORDINARY, round=number, values={"ttft": ttft}) for number, ttft in enumerate(ttfts)]
    return series(made, rounds_=rounds(len(made)))


def frequencies(verdicts):
    outcomes = [verdict.outcome for verdict in verdicts]
    return outcomes.count(PASSED) / len(outcomes), outcomes.count(FAILED) / len(outcomes)


@pytest.mark.slow
class TestErrorRates:
    """At the limit both verdicts are wrong ones; of quantiles and shares `test_promises.py` tells how often."""

    def test_a_clear_truth_is_found(self):
        """With the p95 at 0.7 of the limit 100 calls mostly pass, at 1.5 times the limit they nearly always fail."""
        random = np.random.default_rng(11)
        truth = float(np.exp(0.4479 * 1.6449))

        def judged(factor):
            objective = claim("ttft", "p95", "<=", truth / factor)
            return frequencies([judge(timed(run), objective) for run in lognormal(random, (300, 100)).tolist()])

        assert judged(0.7)[0] > 0.75
        assert judged(1.5)[1] > 0.97

    @pytest.mark.parametrize("concurrency", [1, 10])
    def test_totals(self, concurrency):
        """The limit is the throughput that such runs have on average: calls that overlap make verdicts rarer only."""
        random = np.random.default_rng(13)
        runs = [overlapping(random, 60, concurrency) for _ in range(400)]
        spans = [max(m.finished for m in run) for run in runs]
        truth = sum(m.values["output_tokens"] for run in runs for m in run) / sum(spans)
        objective = claim("total_tps", "total", ">=", truth)
        passed, failed = frequencies([judge(series(run, rounds_=rounds(60)), objective) for run in runs])
        assert passed <= 0.08 + 2 * math.sqrt(0.08 * 0.92 / 400)
        assert failed <= 0.08 + 2 * math.sqrt(0.08 * 0.92 / 400)


def overlapping(random, n, concurrency):
    """A closed loop: each worker sends its next request when its last one was answered."""
    free, made = [0.0] * concurrency, []
    for number in range(n):
        at, tokens = heapq.heappop(free), round(random.lognormal(5.7, 0.5)) + 2
        e2e = random.lognormal(0.0, 0.4) + tokens / random.lognormal(3.7, 0.2)
        made.append(measurement(number, at=at, ttft=0.0, e2e=e2e, output_tokens=tokens))
        heapq.heappush(free, at + e2e)
    return made


def test_throttled_attempts_of_one_call_are_alike():
    """Thirty attempts that were refused in ten calls say less than thirty that were refused in thirty."""
    together = [measurement(n, attempts=4, throttled=3) if n % 10 == 0 else measurement(n) for n in range(100)]
    verdict = judge(series(together), Objective("throttle_rate", "rate", "<=", 0.15))
    assert verdict.reason.startswith("30 of 130 attempts answered 429")
    assert "attempts of one call are alike: 130 are worth" in verdict.reason
    assert verdict.outcome is INCONCLUSIVE
    alone = [measurement(n, attempts=1, throttled=1 if n * 4 % 13 < 3 else 0) for n in range(130)]
    assert judge(series(alone), Objective("throttle_rate", "rate", "<=", 0.15)).outcome is FAILED


class TestLikeness:
    """Calls that resemble their neighbours are worth fewer independent ones, with a fixed number of rounds too."""

    def drifting(self, n, slow):
        return series(
            [measurement(k, ttft=0.8 + k / 1000) for k in range(n - slow)]
            + [measurement(k, ttft=3.0 + k / 1000) for k in range(n - slow, n)]
        )

    def test_a_run_of_slow_calls_fails_less_easily_than_scattered_ones(self):
        """Ten of a hundred in a row may be one bad minute."""
        verdict = judge(self.drifting(100, 10), P95)
        assert verdict.outcome is INCONCLUSIVE
        assert "neighbours are alike (lag-1 correlation 0.9" in verdict.reason
        assert outcome(series(scattered(list(self.drifting(100, 10).measurements)))) is FAILED

    def test_what_is_asked_fits_what_they_are_worth(self):
        """With the number told in the reason the claim does fail, with one less it does not."""
        least = 0
        for slow in range(10, 100):
            verdict = judge(self.drifting(100, slow), P95)
            least = int(verdict.reason.partition("a fail needs at least ")[2].partition(";")[0])
            if verdict.outcome is FAILED:
                assert slow >= least
                break
            assert slow < least
        assert least

    def test_such_calls_leave_no_evidence(self):
        """An e-value supposes that they are independent."""
        assert judge(self.drifting(100, 10), P95).evidence is None
        assert judge(series(calls(100, slow=10)), P95).evidence is not None

    def test_a_mean_is_widened(self):
        """Alike costs make the interval of the mean wider than scattered ones do."""
        costs = [0.05 + number / 10_000 for number in range(60)]
        made = [measurement(number, cost=cost) for number, cost in enumerate(costs)]
        objective = claim("cost", "mean", "<=", 0.0535)
        alike, apart = judge(series(made), objective), judge(series(scattered(made)), objective)
        assert alike.estimate == pytest.approx(apart.estimate)
        assert alike.high - alike.low > 3 * (apart.high - apart.low)
        assert (alike.outcome, apart.outcome) == (INCONCLUSIVE, PASSED)


class TestManyClaims:
    """One failing claim makes a run red: they share the probability of a wrong fail."""

    def test_a_claim_of_many_fails_less_easily(self):
        """Ten slow calls of a hundred refute one p95, not one of forty; what passes passes still."""
        found = series(calls(100, slow=10))
        assert outcome(found, P95) is FAILED
        verdict = judge(found, replace(P95, family=40))
        assert verdict.outcome is INCONCLUSIVE
        assert verdict.method.endswith("; 1 of 40 claims: fails wrongly with at most 0.125 %")
        assert outcome(series(calls(59)), replace(P95, family=40)) is PASSED

    def test_claims_of_a_test_hand_on_what_they_did_not_need(self):
        """Holm's steps: what does not fail at 2.5 % beside a claim that holds, fails at 5 % beside one that fails."""
        found = series(calls(100, slow=10))  # p = 2.82 %
        weak, clear = replace(P95, family=2), replace(P95, statistic="p99", family=2)
        holds = replace(P95, bound=9.0, family=2)
        assert [v.outcome for v in judge_all(found, [weak, holds])] == [INCONCLUSIVE, PASSED]
        assert [v.outcome for v in judge_all(found, [weak, clear])] == [FAILED, FAILED]

    def test_under_early_stopping_the_shares_are_in_the_plans(self):
        """Nothing is handed on after the fact."""
        found = series(calls(100, slow=10), stop="early", budget=100)
        weak, clear = replace(P95, family=2), replace(P95, statistic="p99", family=2)
        assert judge_all(found, [weak, clear]) == (judge(found, weak), judge(found, clear))


class TestNoSpread:
    """Values that are all equal do not show that there is no other."""

    def test_a_mean_near_its_limit_is_not_decided_by_them(self):
        """One value twice as large among so many would turn it."""
        assert outcome(with_costs(*[0.05] * 50), claim("cost", "mean", "<=", 0.0505)) is INCONCLUSIVE
        assert outcome(with_costs(*[0.052] * 30), claim("cost", "mean", "<=", 0.05)) is INCONCLUSIVE

    def test_a_mean_far_from_its_limit_is(self):
        """No one value could."""
        assert outcome(with_costs(*[0.05] * 50), claim("cost", "mean", "<=", 0.1)) is PASSED
        assert outcome(with_costs(*[0.1] * 50), claim("cost", "mean", "<=", 0.05)) is FAILED
        assert outcome(with_costs(*[0.1] * 50), claim("cost", "mean", ">=", 0.05)) is PASSED

    def test_a_mean_exactly_at_its_limit_is_not(self):
        """No number of rounds shows that."""
        assert outcome(with_costs(*[0.05] * 500), claim("cost", "mean", "<=", 0.05)) is INCONCLUSIVE

    def test_zeros_say_nothing_of_what_is_not_zero(self):
        """How long a wait would be that comes once in a hundred rounds."""
        verdict = judge(recorded(*[0.0] * 100), claim("size", "mean", "<=", 1.0))
        assert verdict.outcome is INCONCLUSIVE
        assert "cap" in verdict.remedy

    @pytest.mark.slow
    def test_rare_jumps_are_seldom_missed(self):
        """One call in fifty takes two attempts: that the mean is below 1.01 passes in at most 5 % of runs."""
        random, runs = np.random.default_rng(8), 200
        objective, passed = claim("attempts", "mean", "<=", 1.01), 0
        for _ in range(runs):
            made = [measurement(n, attempts=1 + int(jump)) for n, jump in enumerate(random.random(100) < 0.02)]
            passed += outcome(series(made, stop="early", budget=100), objective) is PASSED
        assert passed <= 0.05 * runs + 3 * math.sqrt(0.05 * 0.95 * runs)
