"""`pytest_llmperf.testing`: values made by hand for users' own tests."""

import math

import anthropic
import httpx2
import pytest

import pytest_llmperf.testing as made
from pytest_llmperf.testing import ManualClock, call, exchange, judge, measure, observed, series, series_of


def test_everything_promised_is_there():
    """`__all__` names what exists, in order."""
    assert all(hasattr(made, name) for name in made.__all__)
    assert made.__all__ == sorted(made.__all__)


def test_an_exchange_has_real_bytes():
    """Its deltas arrive when the list says, and its usage is what was given."""
    one = call(exchange([0.8, 0.9, 1.0], output_tokens=9, input_tokens=7))
    read = one.last.generation
    assert [delta.at_ns for delta in read.deltas] == [800_000_000, 900_000_000, 1_000_000_000]
    assert (read.usage.input_tokens, read.usage.output_tokens, read.complete, read.missing) == (7, 9, True, ())


def test_what_a_call_measures():
    """The metrics follow from the times by the table's formulas."""
    values = measure(call(exchange([1.0, 1.5, 2.0], output_tokens=11))).values
    assert (values["ttft"], values["e2e"], values["tpot"]) == (1.0, 2.0, pytest.approx(0.1))
    assert values["cost"] > 0


def test_a_call_of_several_attempts():
    """The wait counts from the first; a failed attempt has a status and no words."""
    refused = exchange(status=529, body=[(0.1, b'{"error": {"type": "overloaded_error"}}')])
    one = measure(call(refused, exchange([1.0, 2.0], started=3.0)))
    assert (one.values["ttft"], one.values["attempt_ttft"], one.attempts) == (4.0, 1.0, 2)


def test_an_exchange_without_an_answer():
    """It ended with the error."""
    one = call(exchange(status=None, error="ReadTimeout: too late"))
    assert one.failure == "ReadTimeout: too late"
    assert measure(one).values["ttft"] == math.inf


def test_an_exchange_of_no_protocol():
    """Is no call: the message says whose."""
    with pytest.raises(ValueError, match=r"POST https://other\.test/ is a call of no protocol"):
        call(exchange(url="https://other.test/"))


def test_a_series_is_judged_as_a_mark_would():
    """Enough fast calls pass, enough slow ones fail, few do neither."""
    assert judge(series([0.8, 0.9] * 40), metric="ttft", statistic="p95", max=1).outcome == "passed"
    assert judge(series([0.8, 1.9] * 40), metric="ttft", statistic="p95", max=1).outcome == "failed"
    assert judge(series([0.8, 0.9] * 4), metric="ttft", statistic="p95", max=1).outcome == "inconclusive"


def test_failed_and_absent_calls():
    """Infinity is a failed call, None an absent value with its reason."""
    seen = series([0.8, math.inf, None], reason="it was too dark")
    assert [bool(one.failure) for one in seen.measurements] == [False, True, False]
    assert seen.measurements[2].absent == {"ttft": "it was too dark"}
    assert judge(series([1.0, math.inf] * 40), metric="error_rate", statistic="rate", max=0.1).outcome == "failed"
    assert series([0.0], metric="output_tps").measurements[0].failure


def test_numbers_of_ones_own():
    """A name that is no metric's is a number that each round recorded."""
    verdict = judge(series([3, 4] * 30, metric="words"), metric="words", statistic="p50", min=2)
    assert (verdict.outcome, verdict.n) == ("passed", 60)


def test_warm_ups_are_not_judged():
    """The first rounds may be set aside."""
    seen = series([9.0, 0.8, 0.8], warmup=1)
    assert [one.values["ttft"] for one in seen.judged] == [0.8, 0.8]


@pytest.mark.parametrize("metric", ["error_rate", "scenario", "event_gap", "total_tps"])
def test_a_series_is_of_metrics_of_calls(metric):
    """Others cannot be given call by call."""
    with pytest.raises(ValueError, match=f"{metric} is no metric of single calls"):
        series([1.0], metric=metric)


def test_a_series_of_calls():
    """Whole calls carry all their metrics."""
    seen = series_of([call(exchange([1.0, 1.1], started=10.0 * number)) for number in range(30)], warmup=1)
    assert len(seen.judged) == 29
    assert judge(seen, metric="output_tps", statistic="p50", min=9).outcome == "passed"


@pytest.mark.parametrize("limits", [{}, {"max": 1.0, "min": 1.0}])
def test_a_claim_has_one_limit(limits):
    """Neither none nor two."""
    with pytest.raises(ValueError, match="either max or min"):
        judge(series([1.0]), metric="ttft", statistic="p50", **limits)


def test_calls_observed_by_a_clock_moved_by_hand():
    """A transport of one's own advances the clock, and the call takes exactly that long."""
    clock = ManualClock()

    def answer(_):
        clock.advance(2.5)
        document = {"content": [{"type": "text", "text": "Hi"}], "usage": {"input_tokens": 1, "output_tokens": 2}}
        return httpx2.Response(200, json=document)

    http = httpx2.Client(transport=httpx2.MockTransport(answer))
    with observed(clock) as calls, anthropic.Anthropic(api_key="none", http_client=http) as client:
        client.messages.create(model="claude-opus-4-1", max_tokens=5, messages=[{"role": "user", "content": "Hi"}])
    (one,) = calls()
    assert measure(one).values["e2e"] == 2.5
