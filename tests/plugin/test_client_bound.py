"""A client that comes late says so: live calls over sockets, in an event loop that the test itself blocks.

The lateness is made, never hoped for: the server sends its first token once the loop is blocked, or long before. And no
limit is near to anything, so that only a machine that stands still for half a second could tell otherwise.
"""

from __future__ import annotations

import pytest

SUITE = """
import threading, time
import anthropic, pytest
from capture.loopback import ASKED, EVENT_STREAM, serving, streamed

pytestmark = pytest.mark.llmperf(rounds=1, warmup=0, stop="fixed")

@pytest.fixture
def go():
    return threading.Event()

@pytest.fixture
def client(go, takes):
    def answer(handler):
        handler.head(200, EVENT_STREAM | {"transfer-encoding": "chunked"})
        go.wait(20)
        time.sleep(takes)
        for chunk in streamed("Hel", "lo"):
            handler.chunk(chunk)
        handler.wfile.write(b"0\\r\\n\\r\\n")

    with serving(answer) as server:
        yield lambda: anthropic.AsyncAnthropic(api_key="none", base_url=server.url, max_retries=0)

async def read(stream):
    async for _ in stream:
        pass

@pytest.mark.latency(max_ms=600, metric="ttft")
@pytest.mark.parametrize("takes", [0])
async def test_blocked_while_the_first_token_came(client, go):
    async with client() as client:
        stream = await client.messages.create(**ASKED, stream=True)
        go.set()
        time.sleep(1.2)
        await read(stream)

@pytest.mark.latency(max_ms=60_000, metric="ttft")
@pytest.mark.parametrize("takes", [0])
async def test_blocked_and_still_quick_enough(client, go):
    async with client() as client:
        stream = await client.messages.create(**ASKED, stream=True)
        go.set()
        time.sleep(0.2)
        await read(stream)

@pytest.mark.latency(max_ms=100, metric="ttft")
@pytest.mark.parametrize("takes", [0.7])
async def test_blocked_at_another_time(client, go):
    go.set()
    async with client() as client:
        await read(await client.messages.create(**ASKED, stream=True))
        time.sleep(1)
"""


@pytest.fixture
def verdict(suite_once, monkeypatch):
    """The verdict of a test of the suite, which runs once."""
    monkeypatch.setenv("ANTHROPIC_API_KEY", "none")
    return suite_once("client-bound", SUITE, backend="live").verdict


def test_a_limit_that_only_the_client_broke_is_inconclusive(verdict):
    """The first token was read after more than a second, and had come by half of that."""
    found = verdict("test_blocked_while_the_first_token_came[0]")
    assert found["estimate"] >= 1.2
    assert found["outcome"] == "inconclusive"
    assert found["reason"].startswith("client-bound: the event loop may have come up to ")
    assert "the client is the bottleneck" in found["remedy"]


def test_a_limit_that_was_kept_in_spite_of_the_client_passes(verdict):
    """A late read only makes a wait look longer."""
    assert verdict("test_blocked_and_still_quick_enough[0]")["outcome"] == "passed"


def test_a_block_that_touched_no_read_excuses_nothing(verdict):
    """The loop was blocked for far longer than the margin, but not when something arrived: the server was slow."""
    found = verdict("test_blocked_at_another_time[0.7]")
    assert found["estimate"] >= 0.7
    assert found["outcome"] == "failed"
