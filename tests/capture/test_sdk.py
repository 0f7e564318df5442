"""Calls of the Anthropic SDK: grouped attempts, the SDK's own times, the first event."""

from __future__ import annotations

import asyncio
import gc
import inspect
import sys
import types
from collections.abc import AsyncGenerator, Generator

import anthropic
import httpx2
import pytest
from anthropic import _base_client
from anthropic._base_client import AsyncAPIClient, SyncAPIClient

from capture.loopback import ASKED, EVENT_STREAM, MESSAGE, OVERLOADED, event, streamed
from pytest_llmperf.capture import Recorder, observing
from pytest_llmperf.core.exchange import SUBSTITUTED, TIMELINE, End, Timeline


class Body(httpx2.SyncByteStream, httpx2.AsyncByteStream):
    def __init__(self, chunks):
        self.chunks = chunks

    def __iter__(self):
        yield from self.chunks

    async def __aiter__(self):
        for chunk in self.chunks:
            await asyncio.sleep(0)
            yield chunk


class Api:
    """Answers in turn; `streaming` answers with two texts."""

    def __init__(self, *answers):
        self.answers = list(answers) or [streaming]

    def __call__(self, request):
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        return answer(request)


def streaming(_):
    return httpx2.Response(200, headers=EVENT_STREAM, stream=Body(streamed("Hel", "lo")))


def message(_):
    return httpx2.Response(200, json=MESSAGE)


def overloaded(_):
    return httpx2.Response(529, json=OVERLOADED, headers={"retry-after-ms": "1"})


def sdk(*answers):
    http = httpx2.Client(transport=httpx2.MockTransport(Api(*answers)), trust_env=False)
    return anthropic.Anthropic(api_key="secret", http_client=http)


def async_sdk(*answers):
    http = httpx2.AsyncClient(transport=httpx2.MockTransport(Api(*answers)), trust_env=False)
    return anthropic.AsyncAnthropic(api_key="secret", http_client=http)


def in_order(call):
    """The call's moments, which must not go back."""
    exchange = call.last.exchange
    moments = [call.entered_ns, call.first.exchange.started_ns, exchange.headers_ns, call.returned_ns]
    return moments == sorted(moments)


def test_a_message_is_one_call(observed):
    """Entered, sent, answered, returned: in this order, and without a first event."""
    assert sdk(message).messages.create(**ASKED).content[0].text == "Hello"
    (call,) = observed.take("round")
    assert in_order(call)
    assert call.first_event_ns is None
    assert call.first.generation.text == "Hello"


def test_the_key_is_not_kept(observed):
    """The SDK's key is in no header of the exchange."""
    sdk(message).messages.create(**ASKED)
    assert "secret" not in repr(observed.take("round"))


def read_create(client):
    return "".join(
        event.delta.text
        for event in client.messages.create(**ASKED, stream=True)
        if event.type == "content_block_delta"
    )


def read_next(client):
    stream = client.messages.create(**ASKED, stream=True)
    events = []
    while (event := next(stream, None)) is not None:
        events.append(event)
    return "".join(event.delta.text for event in events if event.type == "content_block_delta")


def read_helper(client):
    with client.messages.stream(**ASKED) as stream:
        return "".join(stream.text_stream)


def read_final(client):
    with client.messages.stream(**ASKED) as stream:
        return stream.get_final_text()


def read_raw(client):
    with client.messages.with_streaming_response.create(**ASKED, stream=True) as response:
        return "".join(event.delta.text for event in response.parse() if event.type == "content_block_delta")


def read_beta(client):
    with client.beta.messages.stream(**ASKED) as stream:
        return stream.get_final_text()


async def aread_create(client):
    stream = await client.messages.create(**ASKED, stream=True)
    return "".join([event.delta.text async for event in stream if event.type == "content_block_delta"])


async def aread_next(client):
    stream = await client.messages.create(**ASKED, stream=True)
    texts = []
    while (event := await anext(stream, None)) is not None:
        texts += [event.delta.text] if event.type == "content_block_delta" else []
    return "".join(texts)


async def aread_helper(client):
    async with client.messages.stream(**ASKED) as stream:
        return "".join([text async for text in stream.text_stream])


async def aread_raw(client):
    async with client.messages.with_streaming_response.create(**ASKED, stream=True) as response:
        stream = await response.parse()
        return "".join([event.delta.text async for event in stream if event.type == "content_block_delta"])


SYNC = [read_create, read_next, read_helper, read_final, read_raw, read_beta]
ASYNC = [aread_create, aread_next, aread_helper, aread_raw]


def run(way):
    """The text that is read in one of the ways above."""
    return asyncio.run(way(async_sdk())) if way in ASYNC else way(sdk())


@pytest.mark.parametrize("way", SYNC + ASYNC)
def test_a_stream_has_its_first_event(observed, way):
    """Read in any way, the stream is whole, and the first content is noted between its arrival and the next one's."""
    assert run(way) == "Hello"
    (call,) = observed.take("round")
    assert in_order(call)
    first, second = call.last.generation.deltas
    assert first.at_ns < call.first_event_ns < second.at_ns
    assert call.last.generation.complete
    assert call.last.exchange.end is End.COMPLETE


@pytest.mark.parametrize("way", SYNC + ASYNC)
def test_retries_are_attempts_of_one_call(observed, way):
    """529, 529, 200 is one call with three attempts, and its first event is the last attempt's."""
    answers = (overloaded, overloaded, streaming)
    text = asyncio.run(way(async_sdk(*answers))) if way in ASYNC else way(sdk(*answers))
    assert text == "Hello"
    (call,) = observed.take("round")
    assert [attempt.exchange.status for attempt in call.attempts] == [529, 529, 200]
    assert [attempt.exchange.retry_count for attempt in call.attempts] == [0, 1, 2]
    assert call.entered_ns < call.first.exchange.started_ns
    assert call.first_event_ns > call.last.exchange.headers_ns


def test_concurrent_retried_calls_are_not_mixed(observed):
    """Three calls at once, each retried, are three calls whose attempts ask for the same."""
    seen = {}

    def answer(request):
        name = request.read().decode()
        seen[name] = seen.get(name, 0) + 1
        return message(request) if seen[name] > 2 else overloaded(request)

    async def main():
        client = async_sdk(answer)
        await asyncio.gather(*(client.messages.create(**(ASKED | {"model": name})) for name in "abc"))

    asyncio.run(main())
    calls = observed.take("round")
    asked = [[attempt.generation.request_model for attempt in call.attempts] for call in calls]
    assert sorted(asked) == [["a"] * 3, ["b"] * 3, ["c"] * 3]
    assert all([a.exchange.status for a in call.attempts] == [529, 529, 200] for call in calls)


def test_a_call_that_fails_for_good_keeps_its_attempts(observed):
    """The SDK's exception reaches the application, and every attempt is on record."""
    with pytest.raises(anthropic.APIStatusError):
        sdk(overloaded).with_options(max_retries=1).messages.create(**ASKED)
    (call,) = observed.take("round")
    assert len(call.attempts) == 2
    assert call.returned_ns is not None
    assert call.failure == "overloaded_error: Overloaded"


def test_a_request_within_a_request_is_a_call_of_its_own(observed):
    """A call that middleware makes while another call runs does not become an attempt of it."""
    inner = sdk(message)

    def answer(request):
        inner.messages.create(**(ASKED | {"model": "inner"}))
        return message(request)

    sdk(answer).messages.create(**(ASKED | {"model": "outer"}))
    assert [[a.generation.request_model for a in call.attempts] for call in observed.take("round")] == [
        ["outer"],
        ["inner"],
    ]


def test_what_follows_a_call_is_no_part_of_it(observed):
    """A request made by hand after a call of the SDK is a call of its own, after a failed one too."""
    client, http = sdk(overloaded), httpx2.Client(transport=httpx2.MockTransport(message), trust_env=False)
    with pytest.raises(anthropic.APIStatusError):
        client.with_options(max_retries=0).messages.create(**ASKED)
    http.post("http://api.test/v1/messages", json=ASKED)
    assert [call.entered_ns is None for call in observed.take("round")] == [False, True]


def test_only_the_first_content_is_first(observed):
    """Two readers of one stream do not move its first event."""
    stream = sdk().messages.create(**ASKED, stream=True)
    one, other = iter(stream), iter(stream)
    while next(one).type != "content_block_delta":
        pass
    (call,) = observed.calls("round")
    assert next(other).type == "content_block_delta"
    stream.close()
    assert observed.take("round")[0].first_event_ns == call.first_event_ns


def test_an_error_event_ends_the_stream_and_the_call(observed):
    """An error inside a stream of status 200 raises in the application and is the call's failure."""
    chunks = [*streamed("Hel")[:3], event("error", error={"type": "overloaded_error", "message": "Overloaded"})]
    client = sdk(lambda _: httpx2.Response(200, headers=EVENT_STREAM, stream=Body(chunks)))
    with pytest.raises(anthropic.APIStatusError):
        read_create(client)
    (call,) = observed.take("round")
    assert call.last.exchange.end is End.CLOSED
    assert call.failure == "overloaded_error: Overloaded"


def test_breaking_off_and_closing_is_closed(observed):
    """A stream the application closes early is neither complete nor failed."""
    with sdk().messages.create(**ASKED, stream=True) as stream:
        for _ in stream:
            break
    (call,) = observed.take("round")
    assert call.last.exchange.end is End.CLOSED
    assert call.abandoned
    assert not call.failure


def test_a_stream_that_is_never_read_ends_with_its_last_reference(observed):
    """Forgotten without reading, the attempt is dropped."""
    stream = sdk().messages.create(**ASKED, stream=True)
    assert observed.in_flight == 1
    del stream
    gc.collect()
    (call,) = observed.take("round")
    assert call.last.exchange.end is End.DROPPED
    assert call.first_event_ns is None


def test_a_stream_forgotten_half_read_is_closed_by_the_sdk(observed):
    """The SDK closes what is broken off as soon as the last reference is gone, also under observation."""
    stream = sdk().messages.create(**ASKED, stream=True)
    for _ in stream:
        break
    del stream
    assert observed.in_flight == 0
    assert observed.take("round")[0].last.exchange.end is End.CLOSED


def test_watching_a_stream_looks_like_the_stream(observed):
    """The iterator has what a generator has, and closing it closes the stream."""
    stream = sdk().messages.create(**ASKED, stream=True)
    events = iter(stream)
    assert isinstance(events, Generator)
    assert next(events).type == "message_start"
    assert events.send(None).type == "content_block_start"
    assert events.gi_frame is not None
    with pytest.raises(ValueError, match="thrown"):
        events.throw(ValueError("thrown"))
    events.close()
    stream.close()


def test_watching_an_async_stream_looks_like_the_stream(observed):
    """The same for an async stream."""

    async def main():
        stream = await async_sdk().messages.create(**ASKED, stream=True)
        events = aiter(stream)
        assert isinstance(events, AsyncGenerator)
        assert (await anext(events)).type == "message_start"
        assert (await events.asend(None)).type == "content_block_start"
        waiting = anext(events)
        assert inspect.isawaitable(waiting)
        await waiting
        with pytest.raises(ValueError, match="thrown"):
            await events.athrow(ValueError("thrown"))
        await events.aclose()
        await stream.close()

    asyncio.run(main())


def test_after_the_first_content_an_async_stream_is_its_own(observed):
    """Once the first content was seen, no coroutine of ours stands between the application and its events."""

    async def main():
        stream = await async_sdk().messages.create(**ASKED, stream=True)
        events = aiter(stream)
        own = 0
        while True:
            waiting = events.__anext__()
            own += not inspect.iscoroutine(waiting)
            try:
                await waiting
            except StopAsyncIteration:
                return own

    assert asyncio.run(main()) == 5  # seven events and the end, of which the third is the first content


def test_on_a_timeline_the_sdks_own_times_are_absent(observed):
    """An answer that was served at once says nothing of when the SDK would have returned it."""
    timeline = Timeline(10, (20, 30, 40, 50, 60, 70, 80), 90)
    extensions = {TIMELINE: timeline, SUBSTITUTED: True}
    client = sdk(lambda _: httpx2.Response(200, stream=Body(streamed("Hel", "lo")), extensions=extensions))
    assert read_create(client) == "Hello"
    (call,) = observed.take("round")
    assert call.entered_ns <= call.dispatched_ns
    assert call.returned_ns is call.first_event_ns is None


def test_the_sdk_is_as_before_afterwards(recorder):
    """Nothing of the SDK stays patched."""
    parts = [
        (SyncAPIClient, "request"),
        (AsyncAPIClient, "request"),
        (anthropic.Stream, "__iter__"),
        (anthropic.Stream, "__next__"),
        (anthropic.AsyncStream, "__aiter__"),
        (anthropic.AsyncStream, "__anext__"),
    ]
    before = [vars(owner)[name] for owner, name in parts]
    with observing(recorder):
        assert all(vars(owner)[name] is not old for (owner, name), old in zip(parts, before, strict=True))
        assert inspect.iscoroutinefunction(AsyncAPIClient.request)
    assert [vars(owner)[name] for owner, name in parts] == before


def test_a_stream_outlives_the_observing(recorder):
    """A stream begun while observed can be read to its end afterwards."""
    with observing(recorder), recorder.round("round"):
        stream = sdk().messages.create(**ASKED, stream=True)
    assert len(list(stream)) == 7
    assert recorder.take("round")[0].last.exchange.end is End.COMPLETE


def test_without_the_sdks_methods_attempts_are_grouped_all_the_same(recorder, monkeypatch):
    """A version of the SDK that is built otherwise loses its own times, not its calls, and says so."""
    rebuilt = types.ModuleType("anthropic._base_client")
    vars(rebuilt).update(vars(_base_client))
    del rebuilt.SyncAPIClient, rebuilt.AsyncAPIClient
    monkeypatch.setitem(sys.modules, rebuilt.__name__, rebuilt)
    monkeypatch.delattr(anthropic, "Stream")
    with observing(recorder), recorder.round("round"):
        assert read_create(sdk(overloaded, overloaded, streaming)) == "Hello"
    (call,) = recorder.take("round")
    assert [attempt.exchange.status for attempt in call.attempts] == [529, 529, 200]
    assert call.entered_ns is None
    assert any("this version of anthropic has no request" in text for text in recorder.warnings)


def test_a_clock_that_fails_does_not_reach_the_sdk():
    """The SDK's calls work although no time could be read."""
    recorder = Recorder(lambda: 1 // 0)
    with observing(recorder), recorder.round("round"):
        assert read_create(sdk()) == "Hello"
        assert asyncio.run(aread_create(async_sdk())) == "Hello"
    assert recorder.take("round") == ()
    assert len(recorder.warnings) == 1


def test_patched_over_the_sdk_still_works_afterwards(recorder, monkeypatch):
    """Where somebody else kept our methods, they only pass through once observing is over."""
    parts = [
        (SyncAPIClient, "request"),
        (AsyncAPIClient, "request"),
        (anthropic.Stream, "__iter__"),
        (anthropic.Stream, "__next__"),
        (anthropic.AsyncStream, "__aiter__"),
        (anthropic.AsyncStream, "__anext__"),
    ]
    before = [vars(owner)[name] for owner, name in parts]
    with observing(recorder):
        kept = [vars(owner)[name] for owner, name in parts]
    for (owner, name), ours in zip(parts, kept, strict=True):
        monkeypatch.setattr(owner, name, ours)
    assert [run(way) for way in (read_create, read_next, aread_create, aread_next)] == ["Hello"] * 4
    assert recorder.take_unattributed() == ()
    monkeypatch.undo()
    assert [vars(owner)[name] for owner, name in parts] == before


def test_a_stream_around_a_strange_response_is_not_watched(observed):
    """A stream made by hand around a stand-in for a response is read as ever."""
    stream = sdk().messages.create(**ASKED, stream=True)
    stream.response = unhashable = types.SimpleNamespace(iter_bytes=stream.response.iter_bytes, close=list)
    assert len(list(stream)) == 7
    del unhashable


def test_answers_that_came_past_us_are_counted(observed):
    """A call that the SDK answered without a request that was seen is counted; one that failed before is not."""

    class Elsewhere(anthropic.DefaultHttpxClient):
        def send(self, request, **_):
            return httpx2.Response(200, json=MESSAGE, request=request)

    client = sdk(lambda _: httpx2.Response(200, json=MESSAGE))
    client.messages.create(**ASKED)
    assert observed.past == 0
    with Elsewhere() as elsewhere:
        client.with_options(http_client=elsewhere).messages.create(**ASKED)
    assert observed.past == 1
