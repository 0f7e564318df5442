"""What other tools count as something else: a server plays each trap, the real SDK walks in."""

from __future__ import annotations

import time

import anthropic
import httpx2
import pytest

from capture.loopback import ASKED, MESSAGE, OVERLOADED, event, json_answer, serving, stream, streamed
from pytest_llmperf.core.environment import Source
from pytest_llmperf.core.metrics import measure
from pytest_llmperf.core.pricing import PriceBook
from pytest_llmperf.core.series import Round, Series
from pytest_llmperf.core.summary import summarised

LIMITS = {"anthropic_ratelimit_requests_remaining": "0", "anthropic_ratelimit_tokens_remaining": "900"}
THROTTLED = {"type": "error", "error": {"type": "rate_limit_error", "message": "Slow down"}}
THOUGHT = [
    event("message_start", message=MESSAGE | {"content": [], "stop_reason": None}),
    event("content_block_start", index=0, content_block={"type": "thinking", "thinking": "", "signature": ""}),
    event("content_block_delta", index=0, delta={"type": "thinking_delta", "thinking": "Hm"}),
    event("content_block_delta", index=0, delta={"type": "thinking_delta", "thinking": "m"}),
    event("content_block_delta", index=0, delta={"type": "signature_delta", "signature": "x"}),
    event("content_block_stop", index=0),
    event("content_block_start", index=1, content_block={"type": "text", "text": ""}),
    event("content_block_delta", index=1, delta={"type": "text_delta", "text": "Hello"}),
    event("content_block_stop", index=1),
    event("message_delta", delta={"stop_reason": "end_turn"}, usage={"output_tokens": 12}),
    event("message_stop"),
]


class Told:
    """Chunks, and when the server sent each: some time after the one before was seen to arrive."""

    def __init__(self, observed, chunks):
        self.observed = observed
        self.chunks = chunks
        self.sent_ns = []

    def __iter__(self):
        for number, chunk in enumerate(self.chunks):
            self.wait_for(number)
            time.sleep(0.001)
            self.sent_ns.append(time.perf_counter_ns())
            yield chunk

    def wait_for(self, count):
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline and len(self.observed.calls("round")[-1].last.exchange.chunks) < count:
            time.sleep(0.001)


def walk_in(observed, *answers):
    """A streamed call of the SDK with its usual two retries: the call, and what is measured of it."""
    with (
        serving(*answers) as server,
        httpx2.Client(trust_env=False) as http,
        anthropic.Anthropic(api_key="none", base_url=server.url, http_client=http) as client,
    ):
        for _ in client.messages.create(**ASKED, stream=True):
            pass
    (call,) = observed.take("round")
    return call, measure(call, round_number=0, zero_ns=0, clock="realtime", prices=PriceBook())


def at_ns(call, measured, metric):
    """The moment that a latency ends with."""
    return call.dispatched_ns + round(measured.values[metric] * 1e9)


def test_the_head_of_a_stream_is_no_token(observed):
    """`message_start`, `content_block_start` and a ping come before: the TTFT ends with the first delta."""
    whole = streamed("Hel", "lo")
    told = Told(observed, [*whole[:2], event("ping"), *whole[2:]])
    call, measured = walk_in(observed, stream(told))
    assert told.sent_ns[3] <= at_ns(call, measured, "ttft") < told.sent_ns[4]
    assert at_ns(call, measured, "ttfat") == at_ns(call, measured, "ttft")
    own = measured.values["call_to_wire"], measured.values["wire_to_event"]
    assert measured.values["client_lag"] == pytest.approx(sum(own), abs=1e-8)
    assert min(own) > 0


def test_thinking_is_no_answer(observed):
    """The TTFT ends with the first thought, the time to the first answer token with the first word."""
    told = Told(observed, THOUGHT)
    call, measured = walk_in(observed, stream(told))
    assert told.sent_ns[2] <= at_ns(call, measured, "ttft") < told.sent_ns[3]
    assert told.sent_ns[7] <= at_ns(call, measured, "ttfat") < told.sent_ns[8]


def test_an_event_is_no_token(observed):
    """Three events of four tokens each: tokens are those of the usage, and gaps are of events."""
    whole = streamed("one two three four", "five six seven eight", "nine ten eleven twelve")
    whole[-2] = event("message_delta", delta={"stop_reason": "end_turn"}, usage={"output_tokens": 12})
    _, measured = walk_in(observed, stream(Told(observed, whole)))
    assert measured.values["output_tokens"] == 12
    assert len(measured.event_gaps) == 2
    assert measured.values["tpot"] == pytest.approx(sum(measured.event_gaps) / 11)


@pytest.mark.parametrize(
    ("status", "body", "throttled", "overloaded"),
    [(429, THROTTLED, 1, 0), (529, OVERLOADED, 0, 1), (503, OVERLOADED, 0, 1)],
)
def test_a_refusal_that_the_sdk_hides_is_no_success(observed, status, body, throttled, overloaded):
    """The call ends well; what it was refused, told and made to wait is seen, apart from what the answer took."""
    refusal = json_answer(status, body, retry_after_ms="20", **LIMITS)
    _, measured = walk_in(observed, refusal, stream(Told(observed, streamed("Hel", "lo"))))
    assert (measured.failure, measured.attempts, measured.throttled) == ("", 2, throttled)
    assert measured.values["overloaded"] == overloaded
    assert measured.values["retry_after"] == 0.02
    assert measured.values["ratelimit_requests_remaining"] == 0
    assert measured.values["ratelimit_tokens_remaining"] == 900
    assert measured.values["retry_wait"] > 0.01
    assert measured.values["ttft"] >= measured.values["attempt_ttft"] + measured.values["retry_wait"]
    series = Series(
        "trap", Source.LIVE, "realtime", rounds=(Round(0, warmup=False, started=0, ended=1),), measurements=(measured,)
    )
    assert summarised(series).values["attempts"] == (2,)
    assert summarised(series).metrics["throttle_rate"].mean == throttled / 2


def test_an_error_in_a_stream_is_no_short_success(observed):
    """It comes after HTTP 200, behind some of the answer."""
    broken = [*streamed("Hel")[:3], event("error", error=OVERLOADED["error"])]
    with pytest.raises(anthropic.APIStatusError):
        walk_in(observed, stream(broken))
    (call,) = observed.take("round")
    measured = measure(call, round_number=0, zero_ns=0, clock="realtime", prices=PriceBook())
    assert measured.failure
    assert measured.values["ttft"] == float("inf")


def test_a_connection_that_was_there_is_told_from_a_new_one(observed):
    """With a client for all calls, and with a client for each."""
    answer = json_answer(200, MESSAGE)
    with serving(answer) as server:
        for connections in (1, 0):  # kept between calls, and not
            limits = httpx2.Limits(max_keepalive_connections=connections)
            with httpx2.Client(trust_env=False, limits=limits) as http:
                client = anthropic.Anthropic(api_key="none", base_url=server.url, http_client=http)
                for _ in range(2):
                    client.messages.create(**ASKED)
    found = [
        measure(call, round_number=0, zero_ns=0, clock="realtime", prices=PriceBook()).values
        for call in observed.take("round")
    ]
    assert [values["reused"] for values in found] == [0, 1, 0, 0]
    assert [values["connect"] > 0 for values in found] == [True, False, True, True]
