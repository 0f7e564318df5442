"""Recorded once, from `llmperf serve` over real sockets; replayed by everybody, with the times that were recorded."""

import pytest
from anthropic import AsyncAnthropic

import app

QUESTION = {
    "model": app.MODEL,
    "max_tokens": 60,
    "messages": [{"role": "user", "content": "Who drains the pump, and when?"}],
}


@pytest.fixture
def llm():
    return AsyncAnthropic()


@pytest.mark.latency(p50_ms=1_600)
@pytest.mark.latency(p90_ms=8_000, metric="e2e")
@pytest.mark.llmperf(rounds=30)
def test_first_words():
    assert list(app.client.messages.create(**QUESTION, stream=True))


@pytest.mark.latency(p50_ms=4_000)
@pytest.mark.claim(metric="attempts", statistic="max", max=2)
@pytest.mark.llmperf(rounds=24, concurrency=4)
async def test_letters_at_once(llm, llmperf):
    """Every third call is refused once and tried again; replay knows how long that took."""
    if llmperf.round % 3 == 0:
        llm = llm.with_options(default_headers={"x-llmperf-condition": "fault=529:1"})
    assert await app.translate_in_batch(llm, "Dear Sir, the pump is frozen.", max_tokens=60)
