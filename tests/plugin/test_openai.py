"""Calls of the OpenAI SDK in marked tests, alone and beside Anthropic's."""

from __future__ import annotations

import pytest

CHAT = '''
"""OpenAI clients that make no certificates' context."""
import functools, ssl
import openai

def bare():
    return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)

@functools.cache
def chat():
    return openai.OpenAI(api_key="offline", http_client=openai.DefaultHttpxClient(verify=bare()))

@functools.cache
def async_chat():
    return openai.AsyncOpenAI(api_key="offline", http_client=openai.DefaultAsyncHttpxClient(verify=bare()))

ASKED = dict(model="gpt-4-turbo", max_tokens=64, user="llmperf:output_tokens=8",
             messages=[{"role": "user", "content": "Hello there"}])
COUNTED = dict(stream=True, stream_options={"include_usage": True})
'''

EVERY_WAY = """
import asyncio, pytest
from chat import *
pytestmark = pytest.mark.llmperf(rounds=4, stop="fixed")

def test_whole():
    assert chat().chat.completions.create(**ASKED).choices[0].message.content

def test_streamed():
    assert list(chat().chat.completions.create(**ASKED, **COUNTED))[-1].usage.completion_tokens == 8

def test_several():
    chunks = list(chat().chat.completions.create(**ASKED, **COUNTED, n=2))
    assert chunks[-1].usage.completion_tokens == 16

def test_uncounted():
    assert list(chat().chat.completions.create(**ASKED, stream=True))

def test_helper():
    with chat().chat.completions.stream(**ASKED) as stream:
        assert stream.get_final_completion().choices[0].message.content

async def test_async():
    assert (await async_chat().chat.completions.create(**ASKED)).usage.completion_tokens == 8

async def test_async_streamed():
    assert [chunk async for chunk in await async_chat().chat.completions.create(**ASKED, **COUNTED)]

def test_retried():
    unlucky = chat().with_options(default_headers={"x-llmperf-condition": "fault=529:1"})
    assert unlucky.chat.completions.create(**ASKED).choices
"""


@pytest.fixture
def every_way(suite_once):
    """One run of a suite that calls in every way."""
    return suite_once("openai", EVERY_WAY, chat=CHAT)


def test_each_call_is_seen_once(every_way):
    """Four judged rounds of one call each and a warm-up, in whichever way it is made."""
    assert every_way.outcomes == {"passed": 8}, every_way.text
    arms = {test["nodeid"].rpartition("::")[2]: test["arms"][0] for test in every_way.report["tests"]}
    assert {name: arm["calls"] for name, arm in arms.items()} == dict.fromkeys(arms, 4)
    assert arms["test_retried"]["attempts"] == 8
    assert {test["clock"] for test in every_way.report["tests"]} == {"virtual"}


@pytest.mark.parametrize("name", ["test_whole", "test_streamed", "test_async", "test_async_streamed", "test_retried"])
def test_tokens_and_dollars_are_counted(every_way, name):
    """Eight tokens out, and a price from the table."""
    metrics = every_way.arm(f"::{name}")["metrics"]
    assert (metrics["output_tokens"]["n"], metrics["output_tokens"]["mean"]) == (4, 8)
    assert metrics["cost"]["mean"] == pytest.approx(3 * 10e-6 + 8 * 30e-6)


@pytest.mark.parametrize("name", ["test_streamed", "test_helper", "test_async_streamed", "test_uncounted"])
def test_streams_have_a_ttft(every_way, name):
    """Whether their tokens were counted or not."""
    assert every_way.arm(f"::{name}")["metrics"]["ttft"]["n"] == 4


def test_tokens_of_several_choices_are_counted_together(every_way):
    """So are the dollars; the input counts once."""
    metrics = every_way.arm("::test_several")["metrics"]
    assert metrics["output_tokens"]["mean"] == 16
    assert metrics["cost"]["mean"] == pytest.approx(3 * 10e-6 + 16 * 30e-6)
    assert metrics["tpot"]["n"] == 4


def test_counts_that_nobody_asked_for(every_way):
    """Are absent with that reason, and so is what would follow from them."""
    metrics = every_way.arm("::test_uncounted")["metrics"]
    reason = "no usage came (stream_options.include_usage was not asked for)"
    for name in ("output_tokens", "output_tps", "cost"):
        assert (metrics[name]["n"], metrics[name]["missing"], metrics[name]["missing_reason"]) == (0, 4, reason)


def test_the_call_itself_is_timed(every_way):
    """The SDK's own entry and return are known, as for Anthropic's."""
    assert every_way.arm("::test_whole")["metrics"]["call"]["n"] == 4


def test_both_vendors_in_one_test(suite):
    """Two real SDKs under one virtual clock: each call is told by its protocol, model and price."""
    source = """
import asyncio, pytest
from chat import *
from talk import *

@pytest.mark.llmperf(rounds=30)
@pytest.mark.latency(p50_ms=60_000, metric="ttft")
@pytest.mark.error_rate(max=0.5)
async def test_both(llmperf):
    theirs, ours = await asyncio.gather(
        async_chat().chat.completions.create(**ASKED, **COUNTED), ask_async(stream=True)
    )
    async for _ in theirs: pass
    async for _ in ours: pass
    assert {call.last.generation.protocol for call in llmperf.calls} == {"openai.chat", "anthropic.messages"}
    assert {call.last.generation.model for call in llmperf.calls} == {"gpt-4-turbo", "claude-opus-4-5"}
"""
    ran = suite(source, chat=CHAT)
    assert ran.outcomes == {"passed": 1}, ran.text
    arm = ran.arm()
    assert arm["calls"] == 2 * arm["rounds"]["judged"]
    assert arm["metrics"]["cost"]["missing"] == 0


def test_vendors_are_compared(suite):
    """Two vendors' SDKs as arms of one test: the published comparison says 15 % faster on code."""
    source = """
import pytest
from chat import *
from talk import *
CODE = [{"role": "user", "content": "Write a Python function that sorts a list."}]

@pytest.mark.llmperf(rounds=100)
@pytest.mark.arms(vendor=["anthropic", "openai"])
@pytest.mark.contrast(arm="openai", to="anthropic", metric="e2e", min_ratio=1.0)
async def test_code(arm):
    if arm.vendor == "openai":
        stream = await async_chat().chat.completions.create(model="gpt-4-turbo", messages=CODE, **COUNTED)
    else:
        stream = await async_client().messages.create(
            model="claude-opus-4-1", max_tokens=1000, messages=CODE, stream=True)
    async for _ in stream: pass
"""
    ran = suite(source, chat=CHAT)
    assert ran.outcomes == {"passed": 1}, ran.text
    assert ran.verdict()["estimate"] == pytest.approx(1.15, abs=0.05)


def test_clients_need_no_key(suite):
    """Made while a marked test runs, they find one that is none; afterwards it is gone."""
    source = """
import os, openai, pytest
from chat import ASKED, bare

@pytest.fixture
def made():
    return openai.OpenAI(http_client=openai.DefaultHttpxClient(verify=bare()))

@pytest.mark.llmperf(rounds=2)
def test_keyless(made):
    assert made.chat.completions.create(**ASKED).choices

def test_after():
    assert "OPENAI_API_KEY" not in os.environ
"""
    ran = suite(source, chat=CHAT)
    assert ran.outcomes == {"passed": 2}, ran.text


def test_a_live_run_without_a_key_skips(suite):
    """It says which variable is missing."""
    source = """
import openai, pytest

@pytest.mark.llmperf(rounds=2)
def test_live():
    openai.OpenAI()
"""
    ran = suite(source, "-rs", backend="live")
    assert ran.outcomes == {"skipped": 1}, ran.text
    assert "needs an API key: set OPENAI_API_KEY" in ran.out


def test_what_bedrock_says_is_not_guessed(suite):
    """Its calls have an end, and no tokens."""
    source = """
import httpx2, pytest
URL = "https://bedrock-runtime.eu-west-1.amazonaws.com/model/anthropic.claude-v2/invoke-with-response-stream"
client = httpx2.Client(transport=httpx2.MockTransport(lambda _: httpx2.Response(200, content=b"frames")))

@pytest.mark.llmperf(rounds=3)
def test_bedrock():
    client.post(URL, json={"max_tokens": 5})
"""
    ran = suite(source, backend="live")
    assert ran.outcomes == {"passed": 1}, ran.text
    metrics = ran.arm()["metrics"]
    assert metrics["e2e"]["n"] == 3
    assert metrics["output_tokens"]["missing_reason"] == metrics["ttft"]["missing_reason"] == "protocol not decoded"
