"""Exchanges recorded over real sockets and replayed: to the byte, to the microsecond, to the type of the exception."""

from __future__ import annotations

import asyncio
import gzip
import socket
import ssl
from itertools import pairwise

import anthropic
import httpx
import httpx2
import pytest

from capture.loopback import ASKED, MESSAGE, event, json_answer, overloaded, reset, serving, stall, stream, streamed
from pytest_llmperf.cassettes.errors import CassetteMiss
from pytest_llmperf.cassettes.timeline import Label

CHUNKS = streamed("Hel", "lo")


BARE = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
"""A context without certificates: made once, and nobody here asks for them."""


def sdk(url, **options):
    """A client of the SDK."""
    return anthropic.Anthropic(
        api_key="key", base_url=url, http_client=anthropic.DefaultHttpxClient(verify=BARE), **options
    )


def async_sdk(url):
    """An async client of the SDK."""
    http_client = anthropic.DefaultAsyncHttpxClient(verify=BARE)
    return anthropic.AsyncAnthropic(api_key="key", base_url=url, http_client=http_client)


def raw(package, url, *, body=None):
    """Chunks of a body as they come over the wire, and the exception that ended it."""
    seen = []
    with package.Client(verify=BARE) as client:
        try:
            with client.stream("POST", f"{url}/v1/messages", json=body or ASKED) as response:
                seen.append((response.status_code, sorted(response.headers.items())))
                seen += response.iter_raw()
        except package.HTTPError as error:
            seen.append((type(error), str(error)))
    return seen


def raw_async(url):
    """As `raw`, by an async client."""

    async def ask():
        seen = []
        async with httpx2.AsyncClient(verify=BARE) as client:
            try:
                async with client.stream("POST", f"{url}/v1/messages", json=ASKED) as response:
                    seen.append((response.status_code, sorted(response.headers.items())))
                    seen.extend([chunk async for chunk in response.aiter_raw()])
            except httpx2.HTTPError as error:
                seen.append((type(error), str(error)))
        return seen

    return asyncio.run(ask())


def events(url, **options):
    """Types of a streamed message's events, then the exception that ended it."""
    seen = []
    with sdk(url, **options) as client:
        try:
            seen += [one.type for one in client.messages.create(**ASKED, stream=True)]
        except Exception as error:  # noqa: BLE001 - it is what is looked at
            seen.append((type(error), str(error)))
    return seen


ZIPPED = gzip.compress(b"".join(CHUNKS))
ANSWERS = {
    "stream": stream(CHUNKS, gap=0.005),
    "gzip": stream([ZIPPED[:40], ZIPPED[40:90], ZIPPED[90:]], gap=0.002, **{"content-encoding": "gzip"}),
    "reset": stream(CHUNKS[:3], gap=0.002, then=reset),
    "reset before the body": stream([], then=reset),
    "error event": stream([*CHUNKS[:3], event("error", error={"type": "overloaded_error", "message": "Overloaded"})]),
    "json": json_answer(200, MESSAGE),
    "bad request": json_answer(400, {"type": "error", "error": {"type": "invalid_request_error", "message": "no"}}),
    "binary": stream([bytes(range(256)), b"\x00\xff"]),
}


@pytest.mark.parametrize("answer", ANSWERS)
@pytest.mark.parametrize("ask", [lambda url: raw(httpx2, url), lambda url: raw(httpx, url), raw_async, events])
def test_replayed_as_it_happened(both, answer, ask):
    """The same chunks, headers and exception come out, for every client."""
    with serving(ANSWERS[answer]) as server:
        there, here = both(lambda: ask(server.url))
    assert here == there


def test_times_are_the_recorded_ones(both, tape):
    """Instant replay gives every moment as it was recorded, to the microsecond, with the connection's set-up."""
    with serving(stream(CHUNKS, gap=0.01)) as server:
        both(lambda: events(server.url))
    there, here = (calls[0].last.exchange for calls in (tape.recorded_calls, tape.calls))
    zero, now = there.zero_ns, here.zero_ns
    assert [chunk.at_ns - now for chunk in here.chunks] == pytest.approx(
        [chunk.at_ns - zero for chunk in there.chunks], abs=600_000
    )
    assert here.connection.state == "new"
    assert here.connection.tcp_ns == pytest.approx(there.connection.tcp_ns, rel=0.5)


def test_recording_does_not_hold_the_stream_back(tape):
    """While it is recorded the application sees the first chunk as soon as it comes, the others still on their way."""
    with serving(stream(CHUNKS, gap=0.02)) as server, tape.recording():
        events(server.url)
    chunks = tape.calls[0].last.exchange.chunks
    gaps = [later.at_ns - sooner.at_ns for sooner, later in pairwise(chunks)]
    assert len(chunks) >= 4
    assert min(gaps) > 1_000_000


@pytest.mark.parametrize("ask", [events, lambda url: [one.type for one in _async_events(url)]])
def test_real_time_takes_as_long_as_it_took(both, tape, ask):
    """Paced, chunks come when they came, never before."""
    with serving(stream(CHUNKS, gap=0.02)) as server:
        there, here = both(lambda: ask(server.url), "timed")
    assert here == there
    exchange, told = tape.calls[0].last.exchange, tape.told[0]
    assert exchange.ended_ns - exchange.started_ns >= told["end_us"] * 1000
    assert exchange.chunks[0].at_ns - exchange.started_ns < told["end_us"] * 1000


def _async_events(url):
    async def ask():
        async with async_sdk(url) as client:
            return [one async for one in await client.messages.create(**ASKED, stream=True)]

    return asyncio.run(ask())


def test_retries(both, tape):
    """A refused attempt and its retry are two interactions, and two attempts again."""
    with serving(overloaded(), stream(CHUNKS)) as server:
        there, here = both(lambda: events(server.url))
    assert here == there
    assert [len(calls[0].attempts) for calls in (tape.recorded_calls, tape.calls)] == [2, 2]
    assert [one.exchange.status for one in tape.calls[0].attempts] == [529, 200]


def test_retries_of_identical_calls_keep_their_structure(both, tape):
    """Calls that were retried are retried again, as often, whatever else asked for the same."""
    answers = [overloaded(), overloaded(), stream(CHUNKS), stream(CHUNKS), overloaded(), stream(CHUNKS), stream(CHUNKS)]
    with serving(*answers) as server:
        both(lambda: [events(server.url) for _ in range(4)])
    attempts = [[len(call.attempts) for call in calls] for calls in (tape.recorded_calls, tape.calls)]
    assert attempts == [[3, 1, 2, 1], [3, 1, 2, 1]]


def test_a_connection_that_was_refused(both, tape):
    """An attempt without a response is recorded too, and fails again with the same exception."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{taken.getsockname()[1]}"
        there, here = both(lambda: raw(httpx2, url))
    assert here == there
    assert there[0][0] is httpx2.ConnectError
    assert [one["answered"] for one in tape.told] == [False]
    exchange = tape.calls[0].last.exchange if tape.calls else None
    assert exchange is None or exchange.status is None


def test_a_read_time_out(both, tape):
    """A time-out of the client's own is an end like any other, and comes again."""
    with serving(stream(CHUNKS[:2], then=stall)) as server:
        there, here = both(lambda: events(server.url, timeout=0.2, max_retries=0))
    assert here == there
    assert there[-1][0] is httpx2.ReadTimeout
    assert tape.told[0]["error"].startswith("ReadTimeout")


@pytest.mark.parametrize("mode", ["instant", "timed"])
def test_a_reader_who_left(tape, mode):
    """Who leaves where the recorded reader left notices nothing; who reads on is told that the recording ends."""
    asked_for = 2

    def some(url):
        with httpx2.Client(verify=BARE) as client, client.stream("POST", f"{url}/v1/messages", json=ASKED) as response:
            chunks = response.iter_raw()
            return [next(chunks) for _ in range(asked_for)]

    with serving(stream(CHUNKS, gap=0.002)) as server, tape.recording():
        there = some(server.url)
    assert tape.told[0]["end"] == "closed"
    with tape.playing(mode):
        assert some(server.url) == there
    asked_for = 3
    with tape.playing(mode), pytest.raises(httpx2.ReadError, match="the application that was recorded read no further"):
        some(server.url)


def test_a_call_that_the_application_cancelled(tape):
    """A time-out around the call is the application's: it comes again in time, and is explained where time stands."""

    async def impatient():
        async with async_sdk(server.url) as client, asyncio.timeout(0.2):
            await client.messages.create(**ASKED)

    with serving(stall) as server:
        with tape.recording(), pytest.raises(TimeoutError):
            asyncio.run(impatient())
        assert tape.told[0]["error"].startswith("CancelledError")
        with tape.playing("timed"), pytest.raises(TimeoutError):
            asyncio.run(impatient())
        with tape.playing(), pytest.raises(TimeoutError, match="use --llmperf-clock=virtual or realtime"):
            asyncio.run(impatient())


def test_identical_calls_at_once(tape):
    """Each of several calls that are the same gets a recording of its own, and none is left over."""

    async def together():
        async with async_sdk(server.url) as client:
            answers = await asyncio.gather(*(client.messages.create(**ASKED) for _ in range(5)))
            return sorted(answer.id for answer in answers)

    with serving(*(json_answer(200, MESSAGE | {"id": f"msg_{number}"}) for number in range(5))) as server:
        with tape.recording():
            there = asyncio.run(together())
        with tape.playing() as deck:
            here = asyncio.run(together())
    assert here == there == [f"msg_{number}" for number in range(5)]
    assert deck.cassette.all_played


def test_each_round_has_its_own(tape):
    """The same request is answered from the recordings of the round that asks, in whatever order rounds come."""
    with serving(*(json_answer(200, MESSAGE | {"id": f"msg_{number}"}) for number in range(3))) as server:
        with tape.recording(), sdk(server.url) as client:
            for number in range(3):
                tape.label = Label(number)
                client.messages.create(**ASKED)
        with tape.playing(), sdk(server.url) as client:
            for number in (2, 0, 1):
                tape.label = Label(number)
                assert client.messages.create(**ASKED).id == f"msg_{number}"
            with pytest.raises(CassetteMiss, match=r"in judged round 2\)(.|\n)*recorded 3 times"):
                client.messages.create(**ASKED)


def test_a_miss_is_neither_retried_nor_wrapped(tape):
    """It reaches the application at once, as an exception of the SDK and of vcrpy, with what differs."""
    with serving(stream(CHUNKS)) as server:
        with tape.recording():
            events(server.url)
        with tape.playing() as deck, sdk(server.url) as client, pytest.raises(anthropic.AnthropicError) as missed:
            client.messages.create(**ASKED | {"max_tokens": 10}, stream=True)
    assert isinstance(missed.value, CassetteMiss)
    assert str(missed.value).splitlines() == [
        "the cassette has no answer to POST /v1/messages",
        "  nearest   interaction 1 of 1",
        "  differs   max_tokens: 10 here, 9 recorded",
        f"  file      {tape.path}",
    ]
    assert deck.misses == [str(missed.value)]
    assert deck.played == 0


def test_the_order_of_keys_and_the_host_do_not_matter(tape):
    """A body that says the same is the same, and what one host answered is replayed to who asks another."""
    with serving(json_answer(200, MESSAGE)) as server, tape.recording():
        raw(httpx2, server.url)
    backwards = dict(reversed(ASKED.items()))
    with tape.playing():
        assert raw(httpx2, "https://api.anthropic.com", body=backwards)[0][0] == 200


def test_what_a_service_of_the_application_says_is_none_of_ours(tmp_path):
    """Only requests to a provider of LLMs are for a cassette, unless it is somebody else's."""
    from pytest_llmperf.cassettes.deck import is_llm_traffic

    yes = (
        "https://api.anthropic.com/v1/models",
        "http://127.0.0.1:1/v1/messages/count_tokens",
        "https://api.openai.com/v1/embeddings",
        "https://bedrock-runtime.us-east-1.amazonaws.com/model/m/converse",
    )
    no = ("http://testserver/orders", "https://example.org/v1/message", "https://notanthropic.com/v1/models")
    assert all(is_llm_traffic(httpx2.Request("POST", url)) for url in yes)
    assert not any(is_llm_traffic(httpx2.Request("POST", url)) for url in no)
