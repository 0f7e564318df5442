"""Two arms compared: literal verdicts, the rules that hold everywhere, and the looks at which sampling may end."""

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from factories import failed_measurement, measurement, rounds, series
from pytest_llmperf.core.claims import Contrast
from pytest_llmperf.core.contrast import ContrastWatch, judge_contrast
from pytest_llmperf.core.environment import Source
from pytest_llmperf.core.errors import UsageError
from pytest_llmperf.core.series import Round
from pytest_llmperf.core.verdict import Outcome
from pytest_llmperf.core.watch import by_round

PASSED, FAILED, INCONCLUSIVE = Outcome.PASSED, Outcome.FAILED, Outcome.INCONCLUSIVE
WARM = Contrast("ttft", "p50", "warm", "cold", "ratio", "<=", 0.9)
ALPHA = 0.05


def arm(name, values, metric="ttft", **fields):
    """One call for each value, in this order; None where it is absent, infinite where the call failed."""
    made = [_call(number, metric, value) for number, value in enumerate(values)]
    return series(made, arm=name, **fields)


def _call(number, metric, value):
    if value is None:
        return measurement(number, absent={metric: "it was not seen"})
    if value == math.inf:
        return failed_measurement(number)
    return measurement(number, **{metric: value})


def spread(n, scale=1.0, seed=1):
    """Log-normal values in random order, so that neighbours are not alike."""
    return (scale * np.exp(0.3 * np.random.default_rng(seed).standard_normal(n))).tolist()


def even(n, centre=1.0):
    """Values from 0.9 to 1.1 times the centre, in an order without likeness of neighbours."""
    order = np.random.default_rng(5).permutation(n)
    return (centre * (0.9 + 0.2 * order / (n - 1))).tolist()


def judged(one, other, contrast=WARM, **fields):
    return judge_contrast(arm(contrast.arm, one, **fields), arm(contrast.to, other, **fields), contrast)


class TestQuantiles:
    def test_a_clear_gain_passes_and_says_how_large_it_is(self):
        """The ratio and its interval stand in the verdict, and in its reason in words."""
        verdict = judged(even(100, 0.82), even(100, 1.0))
        assert verdict.outcome is PASSED
        assert verdict.claim == "p50 ttft: warm / cold <= 0.9"
        assert verdict.reason == (
            "warm is 18 % faster, 95 % CI 16 to 20 %: 819.2 ms over 100 calls against 999 ms over 100 calls"
        )
        assert verdict.estimate == pytest.approx(0.82)
        assert 0.79 < verdict.low < 0.81 < 0.83 < verdict.high < 0.85
        assert (verdict.n, verdict.unit, verdict.arm, verdict.bound) == (200, "", "warm", 0.9)

    def test_a_shown_excess_fails(self):
        """An arm that is 20 % slower is not 10 % faster."""
        verdict = judged(even(60, 1.2), even(60, 1.0))
        assert verdict.outcome is FAILED
        assert verdict.reason.startswith("warm is 20 % slower, 95 % CI ")

    def test_what_is_near_the_limit_is_inconclusive_and_says_what_would_settle_it(self):
        """The number of calls is that at which the difference would be shown, were it to stay."""
        verdict = judged(spread(100, 0.85), spread(100, 1.0, seed=2))
        assert verdict.outcome is INCONCLUSIVE
        assert verdict.remedy.endswith("calls on each side would settle it, if the difference stays as it is")
        needed = int(verdict.remedy.split()[1])
        assert 100 < needed < 1000
        more = judged(spread(100, 0.85) * (needed // 100 + 1), spread(100, 1.0, seed=2) * (needed // 100 + 1))
        assert more.outcome is not INCONCLUSIVE

    def test_too_few_calls_can_never_pass(self):
        """Of a p95 five calls show nothing, whatever they are."""
        verdict = judged([0.1] * 5, [8.0] * 5, replace(WARM, statistic="p95"))
        assert verdict.outcome is INCONCLUSIVE
        assert verdict.remedy == "raise rounds: 59 calls on each side are the fewest that can pass"
        assert judged(even(58, 0.1), even(58, 8.0), replace(WARM, statistic="p95")).outcome is INCONCLUSIVE
        assert judged(even(59, 0.1), even(59, 8.0), replace(WARM, statistic="p95")).outcome is PASSED

    def test_which_side_is_too_small_depends_on_the_direction(self):
        """At most is passed by the size of the arm, at least by that of the one it is held against."""
        for direction, one, other in (("<=", 20, 100), (">=", 100, 20)):
            claim = replace(WARM, statistic="p95", direction=direction, bound=1.0)
            assert judged(even(one), even(other), claim).remedy.startswith("raise rounds: 59 calls")
            assert not judged(even(other), even(one), claim).remedy.startswith("raise rounds")

    def test_milliseconds_that_are_added(self):
        """`max_added_ms` compares by distance, in the metric's own unit."""
        claim = Contrast("e2e", "p50", "xml", "plain", "added", "<=", 0.050)
        verdict = judged(even(80, 10.0), even(80, 9.0), claim, metric="e2e")
        assert verdict.claim == "p50 e2e: xml - plain <= 50 ms"
        assert verdict.outcome is FAILED
        assert verdict.unit == "s"
        assert verdict.reason.startswith("xml is 998.7 ms slower, 95 % CI ")

    def test_at_least_is_the_mirror_of_at_most(self):
        """`min_ratio` passes where the other arm's `max_ratio` would."""
        slow, fast = spread(80, 1.3), spread(80, 1.0, seed=2)
        at_least = replace(WARM, direction=">=", bound=1.1)
        assert judged(slow, fast, at_least).outcome is PASSED
        assert judged(fast, slow, at_least).outcome is FAILED
        assert judged(slow, fast, replace(at_least, direction="<=")).outcome is FAILED

    def test_slack_widens_the_limit_of_a_pass_only(self):
        """A fail is always tested against the limit itself."""
        claim = replace(WARM, bound=1.0, slack=0.15)
        same = spread(200), spread(200, seed=2)
        assert judged(*same, replace(claim, slack=0.0)).outcome is INCONCLUSIVE
        verdict = judged(*same, claim)
        assert verdict.outcome is PASSED
        assert verdict.claim == "p50 ttft: warm / cold <= 1 + 15 %"
        assert judged(spread(200, 1.6), same[1], claim).outcome is FAILED


class TestFailedAndAbsent:
    def test_failed_calls_are_infinitely_slow(self):
        """An arm whose calls mostly fail is infinitely slower, not left out."""
        mostly_failed = [1.0 if n in {3, 4, 17, 29, 30, 41, 58, 69} else math.inf for n in range(70)]
        verdict = judged(mostly_failed, even(70, 1.0))
        assert verdict.outcome is FAILED
        assert verdict.estimate == math.inf
        assert "62 calls of warm failed and count as endlessly slow" in verdict.reason
        assert verdict.reason.startswith(
            "warm is infinitely slower, 95 % CI infinite: infinite over 70 calls against 99"
        )

    def test_failed_calls_have_no_tokens_a_second(self):
        """Tokens per second are compared as seconds per token: failures make an arm slower."""
        claim = Contrast("output_tps", "p50", "warm", "cold", "ratio", ">=", 0.9)
        fast = even(60, 40.0)
        one = arm("warm", fast, "output_tps")
        assert judge_contrast(one, arm("cold", fast, "output_tps"), claim).outcome is PASSED
        failed = series([*one.measurements[:20], *(failed_measurement(n) for n in range(20, 60))], arm="warm")
        verdict = judge_contrast(failed, arm("cold", fast, "output_tps"), claim)
        assert verdict.estimate == 0.0
        assert verdict.outcome is not PASSED

    def test_there_is_no_ratio_to_what_is_infinite(self):
        """Failures of the arm that is compared to never make the other pass."""
        verdict = judged(even(60), [math.inf] * 60)
        assert verdict.outcome is INCONCLUSIVE
        assert verdict.reason == (
            "the p50 ttft of cold is infinite, 60 of its 60 calls failed: there is no ratio to it"
        )

    def test_absent_values_help_neither_verdict(self):
        """With half of them absent, neither a gain nor a loss is shown that the rest shows."""
        gain = judged([*even(60, 0.7), *[None] * 60], even(120))
        loss = judged([*even(60, 1.3), *[None] * 60], even(120))
        assert (gain.outcome, loss.outcome) == (INCONCLUSIVE, INCONCLUSIVE)
        assert "60 calls of warm without a ttft: it was not seen" in gain.reason
        assert gain.remedy == "an absent value could be anything: mend what makes it absent"
        assert (gain.missing, gain.n) == (60, 240)

    def test_an_arm_without_the_metric_shows_nothing(self):
        """The reason says which arm and why."""
        verdict = judged([None] * 30, even(30))
        assert (verdict.outcome, verdict.estimate) == (INCONCLUSIVE, None)
        assert verdict.reason == "no judged call of warm has a ttft: it was not seen"

    def test_an_arm_without_calls_shows_nothing(self):
        """Nothing judged is nothing shown."""
        assert judged([], even(30)).reason == "no call of warm was judged"


class TestDoubt:
    def test_neighbours_that_are_alike_withhold_a_fail(self):
        """A drift makes a hundred calls worth less than a hundred."""
        drifting = [1.5 + n / 100 for n in range(100)]
        verdict = judged(drifting, even(100))
        assert verdict.outcome is INCONCLUSIVE
        assert "neighbouring calls are alike" in verdict.reason
        assert "the fail they would show is withheld" in verdict.reason
        assert verdict.remedy == "spread the calls over more time, and look for what drifts"

    def test_a_pass_of_alike_neighbours_is_warned_of(self):
        """Only a fail is withheld."""
        drifting = [0.3 + n / 1000 for n in range(100)]
        verdict = judged(drifting, even(100))
        assert verdict.outcome is PASSED
        assert verdict.reason.endswith("so the interval is narrower than it should be")

    def test_a_verdict_that_the_clients_lateness_could_explain_is_none(self):
        """30 ms of lag against a difference of 20 ms."""
        fields = {"clock": "realtime", "loop_lag": 0.030}
        claim = replace(WARM, bound=1.0)
        one, other = even(100, 0.100), even(100, 0.120)
        assert judged(one, other, claim).outcome is PASSED
        verdict = judged(one, other, claim, **fields)
        assert verdict.outcome is INCONCLUSIVE
        assert verdict.reason.startswith("client-bound: the event loop was 30 ms late (p99)")
        assert judged(other, one, claim, **fields).reason.startswith("client-bound")
        assert judged(one, other, claim, **(fields | {"loop_lag": 0.0001})).outcome is PASSED

    @pytest.mark.parametrize(
        ("fields", "word"), [({"source": Source.RECORDED}, "source"), ({"clock": "instant"}, "clock")]
    )
    def test_numbers_of_different_places_are_not_compared(self, fields, word):
        """Simulated against recorded is refused."""
        with pytest.raises(UsageError, match=f"numbers of different {word}s are not compared"):
            judge_contrast(arm("warm", even(9)), arm("cold", even(9), **fields), WARM)


class TestOtherStatistics:
    def test_a_difference_of_error_rates(self):
        """In points, from the shares of calls that failed in the end."""
        claim = Contrast("error_rate", "rate", "b", "a", "added", "<=", 0.02)
        some = series([failed_measurement(n) if n % 4 == 0 else measurement(n) for n in range(100)], arm="b")
        none = series([measurement(n) for n in range(100)], arm="a")
        verdict = judge_contrast(some, none, claim)
        assert verdict.claim == "error_rate: b - a <= 2 %"
        assert verdict.outcome is FAILED
        assert verdict.unit == "share"
        assert verdict.reason.startswith("b is 25 points higher, 95 % CI ")
        assert "25 % over 100 calls against 0 % over 100 calls" in verdict.reason
        assert judge_contrast(none, some, claim).outcome is PASSED

    def test_a_difference_of_recorded_shares(self):
        """What a body scored as 0 or 1 has a share too."""
        claim = Contrast("right", "rate", "xml", "plain", "added", ">=", -0.05)
        verdict = judge_contrast(_scored("xml", [1.0] * 100), _scored("plain", [1.0] * 100), claim)
        assert verdict.outcome is PASSED
        assert verdict.claim == "right: xml - plain >= -5 %"
        with pytest.raises(UsageError, match="compare its mean"):
            judge_contrast(_scored("xml", [0.5] * 100), _scored("plain", [1.0] * 100), claim)

    def test_a_ratio_of_means(self):
        """The cost of a round, by Welch's and Hall's t."""
        claim = Contrast("cost", "mean", "warm", "cold", "ratio", "<=", 0.5)
        verdict = judged(even(50, 0.02), even(50, 0.05), claim, metric="cost")
        assert verdict.outcome is PASSED
        assert verdict.reason.startswith("warm is 60 % lower, 95 % CI 59 to 61 %: $0.02 over 50 rounds against $0.05")

    def test_a_distance_of_means(self):
        """Cents that are added, whatever the sign."""
        claim = Contrast("cost", "mean", "warm", "cold", "added", "<=", -0.01)
        assert judged(even(50, 0.02), even(50, 0.05), claim, metric="cost").outcome is PASSED
        assert judged(even(50, 0.05), even(50, 0.02), claim, metric="cost").outcome is FAILED

    def test_a_mean_needs_thirty_values_and_all_of_them(self):
        """Fewer, or one absent, show nothing."""
        claim = Contrast("cost", "mean", "warm", "cold", "ratio", "<=", 0.5)
        few = judged(even(29, 0.02), even(29, 0.05), claim, metric="cost")
        assert (few.outcome, few.remedy) == (INCONCLUSIVE, "raise rounds to 30")
        absent = judged([*even(60, 0.02), None], even(60, 0.05), claim, metric="cost")
        assert absent.outcome is INCONCLUSIVE
        assert judged([0.02], [0.05], claim, metric="cost").reason.startswith("a mean of one round has no interval")

    @pytest.mark.parametrize(
        ("claim", "message"),
        [
            (Contrast("error_rate", "rate", "a", "b", "ratio", "<=", 1.0), "compared by their difference"),
            (Contrast("total_tps", "p50", "a", "b", "ratio", "<=", 1.0), "number of a whole series"),
            (Contrast("event_gap", "p50", "a", "b", "ratio", "<=", 1.0), "compare tpot"),
            (Contrast("ttft", "max", "a", "b", "ratio", "<=", 1.0), "no comparison of 'max'"),
            (Contrast("ttft", "p50", "a", "b", "ratio", "<=", 0.0), "a ratio is above 0"),
        ],
    )
    def test_what_cannot_be_compared_is_refused(self, claim, message):
        """The error says what could be claimed in its place."""
        with pytest.raises(UsageError, match=message):
            judged(even(30), even(30), claim)

    def test_one_arm_that_streams_and_one_that_does_not_need_a_metric(self):
        """`ttft|e2e` means two things then."""
        plain = series([measurement(n, streamed=False) for n in range(30)], arm="cold")
        with pytest.raises(UsageError, match='say which with metric="e2e"'):
            judge_contrast(arm("warm", even(30)), plain, replace(WARM, metric="ttft|e2e"))
        assert judge_contrast(arm("warm", even(30)), plain, replace(WARM, metric="e2e")).metric == "e2e"

    def test_a_ratio_of_negative_values_is_refused(self):
        """A distance of them has a meaning."""
        claim = Contrast("gain", "p50", "a", "b", "ratio", "<=", 1.0)
        below = [-1.0 - n for n in range(20)]
        with pytest.raises(UsageError, match="negative"):
            judge_contrast(_recorded("a", below), _recorded("b", below), claim)
        added = replace(claim, kind="added", bound=100.0)
        assert judge_contrast(_recorded("a", below), _recorded("b", below), added).outcome is PASSED


def _scored(name, values):
    made = [Round(n, warmup=False, started=0.0, ended=1.0, scores={"right": v}) for n, v in enumerate(values)]
    return series(rounds_=made, arm=name)


def _recorded(name, values):
    made = [Round(n, warmup=False, started=0.0, ended=1.0, records={"gain": v}) for n, v in enumerate(values)]
    return series(rounds_=made, arm=name)


# --- looks -----------------------------------------------------------------------------------------------------------


def early(name, values, budget, **fields):
    return arm(name, values, stop="early", budget=budget, **fields)


def watched(one, other, claim, budget):
    """The watch as a runner drives it, and how many blocks it took."""
    watch = ContrastWatch(claim, budget)
    for taken, (a, b) in enumerate(zip(by_round(one), by_round(other), strict=True), 1):
        watch.add_block(a, b)
        if watch.done:
            return watch, taken
    return watch, len(one.judged_rounds)


class TestLooks:
    def test_a_clear_contrast_ends_at_the_first_look(self):
        """A quarter of the budget is enough for a factor of two."""
        one, other = early("warm", spread(200, 0.5), 200), early("cold", spread(200, seed=2), 200)
        watch, taken = watched(one, other, WARM, 200)
        assert (watch.outcome, taken) == (PASSED, 50)

    def test_no_fail_before_twenty_calls_an_arm(self):
        """One hiccup must not decide a run: a budget of 40 is first looked at after 10 rounds, and fails after 20."""
        one, other = early("warm", even(40, 5.0), 40), early("cold", even(40, 1.0), 40)
        watch, taken = watched(one, other, WARM, 40)
        assert (watch.outcome, taken) == (FAILED, 20)

    @given(scale=st.floats(0.5, 1.5), seed=st.integers(0, 10_000), budget=st.integers(1, 130), more=st.integers(0, 9))
    @settings(max_examples=60, deadline=None)
    def test_the_judge_comes_to_the_answer_of_the_watch(self, scale, seed, budget, more):
        """Also when rounds that were in flight came in after the look that settled it."""
        values = spread(budget, scale, seed), spread(budget, 1.0, seed + 1)
        one, other = (early(name, v, budget) for name, v in zip(("warm", "cold"), values, strict=True))
        watch, taken = watched(one, other, WARM, budget)
        kept = [early(name, v[: taken + more], budget) for name, v in zip(("warm", "cold"), values, strict=True)]
        verdict = judge_contrast(*kept, WARM)
        assert verdict.outcome is watch.outcome
        if watch.outcome is not INCONCLUSIVE:
            assert verdict.n == 2 * taken

    def test_failures_of_the_other_arm_end_nothing(self):
        """There is no ratio to what is infinite, for the watch as for the judge."""
        one, other = early("warm", even(100), 100), early("cold", [math.inf] * 100, 100)
        watch, taken = watched(one, other, WARM, 100)
        assert (watch.outcome, taken) == (INCONCLUSIVE, 100)

    def test_the_verdict_says_when_sampling_may_end(self):
        """All looks that were planned, and which of them decided."""
        verdict = judge_contrast(early("warm", spread(50, 0.5), 200), early("cold", spread(50, seed=2), 200), WARM)
        assert verdict.stops == "looked at after 50, 100, 150 and 200 rounds"
        assert verdict.method.endswith("look 1 of 4")
        assert judged(even(60), even(60)).stops == ""

    def test_claims_of_a_run_share_the_probability_of_a_wrong_fail(self):
        """And each try of a test has half the probability of the one before."""
        one, other = spread(100, 1.14, seed=9), spread(100, 1.0, seed=8)
        alone = replace(WARM, bound=1.0)
        assert judged(one, other, alone).outcome is FAILED
        verdict = judged(one, other, replace(alone, family=40))
        assert verdict.outcome is INCONCLUSIVE
        assert verdict.method.endswith("1 of 40 claims: fails wrongly with at most 0.125 %")
        assert judged(other, one, replace(alone, family=40)).outcome is PASSED
        third = judged(other, one, replace(alone, attempt=6))
        assert third.outcome is INCONCLUSIVE
        assert third.method.endswith("try 6: errs with at most 0.07812 %")

    def test_calls_after_the_look_change_nothing(self):
        """Only the rounds up to the look count."""
        first = spread(50, 0.5), spread(50, seed=2)
        alone = judge_contrast(early("warm", first[0], 200), early("cold", first[1], 200), WARM)
        later = judge_contrast(
            early("warm", [*first[0], *[9.0] * 40], 200), early("cold", [*first[1], *[0.1] * 40], 200), WARM
        )
        assert later == alone
        assert later.method.endswith("look 1 of 4")

    def test_a_look_at_alike_neighbours_does_not_end_sampling(self):
        """The whole budget is used then."""
        drifting = [0.3 + n / 1000 for n in range(100)]
        watch, taken = watched(early("warm", drifting, 100), early("cold", spread(100), 100), WARM, 100)
        assert (watch.outcome, taken) == (PASSED, 100)

    def test_sampling_that_a_cap_ended_is_looked_at_where_it_ended(self):
        """90 of 100 rounds are judged on 90, not on the 75 of the third look."""
        one, other = (
            early(name, spread(90, scale, seed), 100, ended_by="the cap of $1 was reached")
            for name, scale, seed in (("warm", 0.75, 1), ("cold", 1.0, 2))
        )
        verdict = judge_contrast(one, other, replace(WARM, bound=0.79))
        assert verdict.n == 180
        assert verdict.outcome is INCONCLUSIVE
        assert verdict.remedy == "raise the cap that ended sampling"

    def test_a_claim_that_means_nothing_never_ends_sampling(self):
        """The judge will say why; the watch waits for the end."""
        watch, taken = watched(
            early("warm", even(20), 20), early("cold", even(20), 20), replace(WARM, statistic="max"), 20
        )
        assert (watch.outcome, taken) == (INCONCLUSIVE, 20)

    def test_a_mean_is_not_looked_at_before_fifty_rounds(self):
        """A test of means is approximate, and worst on few values."""
        claim = Contrast("cost", "mean", "warm", "cold", "ratio", "<=", 0.9)
        cheap, dear = early("warm", even(80, 0.01), 80, metric="cost"), early("cold", even(80, 0.05), 80, metric="cost")
        assert watched(cheap, dear, claim, 80)[1] == 60

    def test_warm_up_rounds_take_no_part(self):
        """They are not judged in any series."""
        cold_start = [measurement(0, ttft=90.0), *(measurement(n + 1, ttft=v) for n, v in enumerate(even(50, 0.5)))]
        one = series(cold_start, rounds_=rounds(50, 1), arm="warm")
        assert judge_contrast(one, arm("cold", even(50)), WARM).n == 100


@pytest.mark.slow
class TestErrorRates:
    """Seeded simulations through `judge_contrast` itself."""

    @pytest.mark.parametrize("ratio", [0.9, 1.15])
    def test_an_arm_exactly_at_the_limit_with_looks(self, ratio):
        """With early stopping at the planned looks, wrong passes and wrong fails stay within 5 % each."""
        runs, random = 600, np.random.default_rng(31)
        claim = replace(WARM, bound=ratio)
        outcomes = [
            judge_contrast(
                early("warm", (ratio * np.exp(0.448 * random.standard_normal(100))).tolist(), 100),
                early("cold", np.exp(0.448 * random.standard_normal(100)).tolist(), 100),
                claim,
            ).outcome
            for _ in range(runs)
        ]
        most = ALPHA + 3 * math.sqrt(ALPHA * (1 - ALPHA) / runs)
        assert outcomes.count(PASSED) / runs <= most
        assert outcomes.count(FAILED) / runs <= most
        assert outcomes.count(PASSED) > 0.005 * runs, "a judge that never decides is not careful but useless"
