"""Shares of good calls and of right rounds."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest

from factories import calls, failed_measurement, measurement, rounds, series
from pytest_llmperf.core import shares
from pytest_llmperf.core.judge import judge
from pytest_llmperf.core.objective import Objective
from pytest_llmperf.core.verdict import Outcome

GOOD = Objective("goodput", "rate", ">=", 0.9, limits=(("ttft", 2.0), ("tpot", 0.05)))
RIGHT = Objective("accuracy", "rate", ">=", 0.9)


def scored(*scores, **fields):
    """Rounds with these scores, in a mixed order; None is a round that has none."""
    scores = random.Random(1).sample(scores, len(scores))
    made = [
        one if score is None else replace(one, scores={"accuracy": score})
        for one, score in zip(rounds(len(scores)), scores, strict=True)
    ]
    return series(calls(len(scores)), rounds_=made, **fields)


class TestGoodput:
    @pytest.mark.parametrize(
        ("call", "good"),
        [
            (measurement(ttft=2.0, e2e=12.0), True),
            (measurement(ttft=2.1), False),
            (measurement(ttft=1.0, e2e=31.0), False),
            (failed_measurement(), False),
            (measurement(streamed=False), None),
            (measurement(ttft=2.1, absent={"tpot": "one token"}), False),
            (measurement(ttft=1.0, absent={"tpot": "one token"}), None),
        ],
    )
    def test_a_good_call_meets_every_limit(self, call, good):
        """One that failed does not; what is absent is good for nothing, unless another limit is missed anyway."""
        assert shares.goods(series([call]), GOOD) == [good]

    def test_verdict_counts_what_was_missed(self):
        """By limit, with the failed ones."""
        missed = [failed_measurement(196), measurement(197, ttft=3.0, e2e=40.0), measurement(198, e2e=40.0)]
        whole = [*calls(196, slow=3), *missed]
        spread = [replace(one, round=n) for n, one in enumerate(random.Random(1).sample(whole, 199))]
        verdict = judge(series(spread), GOOD)
        assert (verdict.outcome, verdict.n, verdict.estimate) == (Outcome.PASSED, 199, pytest.approx(193 / 199))
        assert verdict.claim == "goodput (ttft 2000 ms, tpot 50 ms/token) >= 90 %"
        missed_limits, _, needs = verdict.reason.partition("; ")
        assert missed_limits == "6 of 199 calls missed a limit (5 in ttft, 3 in tpot, 1 failed)"
        assert needs == "a pass needs at most 12, a fail at least 28"

    def test_absent_values_count_against_both_verdicts(self):
        """Calls of which nobody knows cannot make it pass, nor fail."""
        unknown = [measurement(number, absent={"tpot": "one token"}) for number in range(50, 100)]
        passing = judge(series([*calls(50), *unknown]), GOOD)
        failing = judge(series([*calls(50, slow=5), *unknown]), GOOD)
        assert {passing.outcome, failing.outcome} == {Outcome.INCONCLUSIVE}
        assert (passing.missing, passing.estimate) == (50, 1.0)
        assert "of 50 more it is not known" in passing.reason

    def test_a_goodput_of_nothing_is_undecided(self):
        """Calls that do not stream have no first token at all."""
        verdict = judge(series([measurement(number, streamed=False) for number in range(60)]), GOOD)
        assert (verdict.outcome, verdict.estimate, verdict.missing) == (Outcome.INCONCLUSIVE, None, 60)
        assert verdict.reason == "no call is known to be good or not"

    def test_lateness_of_the_client_withdraws_a_verdict(self):
        """Where the client may have been late by more than the calls missed the limit by, nothing is shown."""
        late = series(calls(100, slow=40, slow_ttft=2.05), clock="realtime", loop_lag=0.1)
        assert judge(replace(late, loop_lag=0.01), GOOD).outcome is Outcome.FAILED
        verdict = judge(late, GOOD)
        assert (verdict.outcome, verdict.reason[:12]) == (Outcome.INCONCLUSIVE, "client-bound")


class TestAccuracy:
    def test_a_share_of_rounds(self):
        """Exactly as an error rate, with the wrong ones counted."""
        verdict = judge(scored(*[1.0] * 97, *[0.0] * 3), RIGHT)
        assert (verdict.outcome, verdict.n, verdict.estimate) == (Outcome.PASSED, 100, 0.97)
        assert verdict.claim == "accuracy >= 90 %"
        assert verdict.reason == "3 of 100 rounds answered wrong; a pass needs at most 4, a fail at least 16"

    def test_it_fails(self):
        """So many wrong ones are not by chance."""
        assert judge(scored(*[1.0] * 80, *[0.0] * 20), RIGHT).outcome is Outcome.FAILED

    def test_a_round_without_a_score_helps_no_verdict(self):
        """It was interrupted, say."""
        assert judge(scored(*[1.0] * 60, *[None] * 10), RIGHT).outcome is Outcome.INCONCLUSIVE

    def test_scores_between_are_judged_by_their_mean(self):
        """There is no share of half right answers; the claim says what it is on."""
        verdict = judge(scored(*[0.94, 0.96] * 30), RIGHT)
        assert (verdict.outcome, verdict.estimate) == (Outcome.PASSED, pytest.approx(0.95))
        assert verdict.claim == "mean accuracy >= 90 %"
        assert verdict.reason.startswith("the mean over 60 rounds is 95 %")

    def test_stops_early(self):
        """As soon as the plan for its budget decides, and the judge agrees."""
        from pytest_llmperf.core.watch import watched

        whole = scored(*[1.0] * 100, stop="early", budget=100)
        watch = watched(whole, RIGHT)
        assert (watch.settled, watch.at < 100) == ("passed", True)
        assert judge(whole, RIGHT).n == watch.at

    def test_scores_between_are_not_watched(self):
        """A mean has no plan: all rounds are run."""
        from pytest_llmperf.core.watch import watched

        assert not watched(scored(0.5, 1.0, 1.0, stop="early", budget=3), RIGHT).watchable
