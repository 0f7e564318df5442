"""The text of a test that does not pass, and the line beside its outcome."""

from factories import calls, failed_measurement, result, series, verdict
from pytest_llmperf.core.environment import Source
from pytest_llmperf.reports.failure import deciding_line, failure_text

SLOW = verdict(
    "failed",
    estimate=2.891,
    low=2.65,
    high=3.1,
    reason="14 of 100 calls above 2340 ms; a pass needs at most 1, a fail at least 10",
)
DEAR = verdict(
    "failed",
    claim="mean cost <= $0.05",
    metric="cost",
    statistic="mean",
    bound=0.05,
    unit="USD",
    estimate=0.0517,
    low=0.0511,
    high=0.0523,
    reason="mean of 100 rounds is $0.0517, 95 % interval $0.0511 … $0.0523",
)
RARE = verdict(
    "inconclusive",
    claim="error_rate <= 2 %",
    metric="error_rate",
    statistic="rate",
    bound=0.02,
    unit="share",
    estimate=0.0,
    low=0.0,
    high=0.036,
    reason="0 of 100 calls failed; a pass is out of reach, a fail at least 6",
    remedy="raise rounds: 149 clean ones are the fewest that can pass",
)


class TestFailureText:
    def test_one_failed_claim(self):
        """Claim, measurement, ground, source and next step, the first line readable alone."""
        assert failure_text(result(verdicts=[verdict(), SLOW]), profile="claude-opus-4").splitlines() == [
            "p95 ttft <= 2340 ms does not hold: measured 2891 ms, n=100, simulated",
            "  limit     at most 2340 ms",
            "  measured  2891 ms, 95 % interval 2650 … 3100 ms (n=100; 1 warm-up round not counted)",
            "  ground    14 of 100 calls above 2340 ms; a pass needs at most 1, a fail at least 10",
            "  source    simulated, virtual clock, profile claude-opus-4",
            "  next      -v prints all metrics in short, --llmperf-json=PATH keeps the numbers of every call",
        ]

    def test_every_failed_claim_has_its_block(self):
        """The first line says how many more there are; what is undecided is named at the end."""
        lines = failure_text(result(verdicts=[SLOW, DEAR, RARE])).splitlines()
        assert lines[0] == "p95 ttft <= 2340 ms does not hold: measured 2891 ms, n=100, simulated, +1 claim"
        assert lines[6:8] == ["", "mean cost <= $0.05 does not hold: measured $0.0517, n=100, simulated"]
        assert lines[-2:] == ["", "error_rate <= 2 % is not decided"]

    def test_undecided_claims_speak_when_none_failed(self):
        """For a run in which what is not shown fails the test."""
        lines = failure_text(result(verdicts=[verdict(), RARE])).splitlines()
        assert lines[0] == "error_rate <= 2 % is not decided: measured 0 %, n=100, simulated"
        assert lines[-1] == "  next      raise rounds: 149 clean ones are the fewest that can pass"

    def test_circumstances_and_notes_follow_the_blocks(self):
        """Failed calls and notes stand below, each on its line."""
        failing = [*calls(99), failed_measurement(99)]
        text = failure_text(result(verdicts=[SLOW], series_=[series(failing)], notes=("prices are a year old",)))
        assert text.endswith("\n\n1 of 100 calls failed: overloaded_error: Overloaded (1)\nprices are a year old")

    def test_an_arm_is_named_and_its_own_warm_ups_counted(self):
        """Each arm has its warm-ups; the block counts those of its arm."""
        arms = [series(calls(12), arm="eu", warmup=2), series(calls(11), arm="us", warmup=1)]
        lines = failure_text(result(verdicts=[verdict("failed", arm="eu", n=10, missing=3)], series_=arms)).splitlines()
        assert lines[0] == "p95 ttft <= 2340 ms [eu] does not hold: measured 2100 ms, n=10, simulated"
        assert lines[2].endswith("(n=10; 3 without a ttft; 2 warm-up rounds not counted)")

    def test_a_test_without_such_a_claim_gives_its_error(self):
        """There is nothing to say on claims that hold."""
        assert failure_text(result(verdicts=[verdict()], error="ValueError: no")) == "ValueError: no"


class TestDecidingLine:
    def test_the_first_claim_when_all_hold(self):
        """One line, with the number of other claims."""
        shown = deciding_line(result(verdicts=[verdict(), verdict(metric="e2e")]))
        assert shown == "p95 ttft 2100 ms <= 2340 ms, n=100, simulated, +1 claim"

    def test_a_failed_claim_comes_before_all_others(self):
        """Then an undecided one."""
        assert deciding_line(result(verdicts=[verdict(), RARE, DEAR])) == (
            "mean cost $0.0517 > $0.05, n=100, simulated, +2 claims"
        )
        assert deciding_line(result(verdicts=[verdict(), RARE])) == (
            "error_rate 0 %, at most 2 % not shown, n=100, simulated, +1 claim"
        )

    def test_the_source_is_always_said(self):
        """Live numbers are never mistaken for simulated ones."""
        live = [series(calls(5), source=Source.LIVE, clock="realtime")]
        assert deciding_line(result(verdicts=[verdict()], series_=live)).endswith(", live")
        assert deciding_line(result(series_=live)) == "no claim, 5 rounds, live"
