"""Calls that wait for a place in the client's own connection pool: told apart from what the service took."""

from __future__ import annotations

import pytest

QUEUE = """
import anthropic, pytest, pytest_asyncio
from talk import *

@pytest_asyncio.fixture
async def limited():
    limits = type(anthropic.DEFAULT_CONNECTION_LIMITS)(max_connections=2)
    http = anthropic.DefaultAsyncHttpxClient(limits=limits, timeout=None)
    async with anthropic.AsyncAnthropic(api_key="offline", http_client=http, max_retries=0) as client:
        yield client

@pytest.mark.llmperf(rounds=60, concurrency=6, stop="fixed")
@pytest.mark.claim(metric="queue", statistic="p50", min=0.3)
async def test_two_connections(limited):
    await ask_async(by=limited)

@pytest.mark.llmperf(rounds=60, concurrency=6, stop="fixed")
@pytest.mark.claim(metric="queue", statistic="max", max=0)
async def test_enough_connections():
    await ask_async()

@pytest.mark.llmperf(rounds=20, concurrency=6, stop="fixed", warmup=0)
async def test_no_patience(limited):
    import httpx2
    await ask_async(by=limited.with_options(timeout=httpx2.Timeout(60, pool=0.1)))
"""


def test_a_wait_for_the_pool_is_no_wait_for_the_service(suite):
    """With a third of the connections two thirds of the calls wait in the client; the service takes what it takes."""
    ran = suite(QUEUE)
    assert ran.outcomes == {"passed": 3}, ran.text
    waiting, free, impatient = (ran.arm(name) for name in ("two_connections", "enough_connections", "no_patience"))
    median = {arm: found["metrics"]["e2e"]["p50"] for arm, found in (("waiting", waiting), ("free", free))}
    assert median["waiting"] == pytest.approx(median["free"], rel=0.4)
    assert waiting["metrics"]["call"]["p50"] > 2 * median["waiting"]
    for call, queue, e2e in zip(*(waiting["series"][name] for name in ("call", "queue", "e2e")), strict=True):
        assert call == pytest.approx(queue + e2e, abs=1e-6)
    assert waiting["metrics"]["rpm"]["mean"] < free["metrics"]["rpm"]["mean"] / 2
    assert any(reason.startswith("PoolTimeout") for reason in impatient["failures"])
