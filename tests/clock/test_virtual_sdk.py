"""The real SDK in virtual time, over an API that answers within the process."""

import asyncio
import json
import time

import anthropic
import httpx2
import pytest

from pytest_llmperf.clock.time_module import real
from pytest_llmperf.clock.virtual import VirtualClock, enter_sync

SECOND = 1_000_000_000
USAGE = {"input_tokens": 3, "output_tokens": 1}
MESSAGE = {"id": "msg_1", "type": "message", "role": "assistant", "model": "claude-test", "stop_reason": "end_turn"}
QUESTION = {"model": "claude-test", "max_tokens": 9, "messages": [{"role": "user", "content": "Hi"}]}


def event(kind, **data):
    return f"event: {kind}\ndata: {json.dumps({'type': kind, **data})}\n\n".encode()


def events(tokens):
    """A streamed answer of so many words."""
    yield event("message_start", message={**MESSAGE, "stop_reason": None, "content": [], "usage": USAGE})
    yield event("content_block_start", index=0, content_block={"type": "text", "text": ""})
    for _ in range(tokens):
        yield event("content_block_delta", index=0, delta={"type": "text_delta", "text": "word "})
    yield event("content_block_stop", index=0)
    yield event(
        "message_delta", delta={"stop_reason": "end_turn", "stop_sequence": None}, usage={"output_tokens": tokens}
    )
    yield event("message_stop")


class PacedStream(httpx2.AsyncByteStream):
    """A streamed answer: half a second to the first byte, then 20 ms for each event."""

    def __init__(self, tokens):
        self.tokens = tokens

    async def __aiter__(self):
        await asyncio.sleep(0.5)
        for chunk in events(self.tokens):
            await asyncio.sleep(0.02)
            yield chunk

    async def aclose(self):
        pass


class LimitedAPI(httpx2.AsyncBaseTransport):
    """Two requests are let through in each minute; the others shall come back at its end."""

    def __init__(self, per_minute=2, tokens=20):
        self.per_minute = per_minute
        self.tokens = tokens
        self.minute, self.used = 0, 0
        self.started_ns = time.monotonic_ns()

    async def handle_async_request(self, request):
        minute, into_it_ns = divmod(time.monotonic_ns() - self.started_ns, 60 * SECOND)
        if minute != self.minute:
            self.minute, self.used = minute, 0
        self.used += 1
        if self.used > self.per_minute:
            return httpx2.Response(429, headers={"retry-after": str(60 - into_it_ns / SECOND)}, request=request)
        headers = {"content-type": "text/event-stream"}
        return httpx2.Response(200, headers=headers, stream=PacedStream(self.tokens), request=request)


def client_over(transport, **options):
    http = httpx2.AsyncClient(transport=transport)
    return anthropic.AsyncAnthropic(api_key="test", http_client=http, base_url="http://api.test", **options)


def ends_of_limited_calls(calls):
    """When each of several calls at once ended, in virtual nanoseconds."""
    clock = VirtualClock()

    async def call(client):
        async with client.messages.stream(**QUESTION) as stream:
            text = await stream.get_final_text()
        assert text == "word " * 20
        return clock.now_ns()

    async def main():
        async with client_over(LimitedAPI(), max_retries=9) as client:
            return await asyncio.gather(*(call(client) for _ in range(calls)))

    with enter_sync(clock):
        return sorted(asyncio.run(main()))


def test_calls_under_a_rate_limit_take_their_minutes():
    """Five calls at two per minute end in the first, second and third minute, to the nanosecond, twice alike."""
    began = real.perf_counter()
    ends = ends_of_limited_calls(5)
    assert [end // (60 * SECOND) for end in ends] == [0, 0, 1, 1, 2]
    one_call = 500_000_000 + 25 * 20_000_000
    assert ends[:2] == [one_call, one_call]
    assert ends[2:] == [60 * SECOND + one_call] * 2 + [120 * SECOND + one_call]
    assert ends == ends_of_limited_calls(5)
    assert 120 / (real.perf_counter() - began) > 10


def answer_after(refusals):
    """A mock API that answers 529 with `retry-after: 60` so many times, then well."""
    left = iter(range(refusals))

    def answer(request):
        if next(left, None) is not None:
            return httpx2.Response(529, headers={"retry-after": "60"}, request=request)
        return httpx2.Response(200, json={**MESSAGE, "content": [], "usage": USAGE}, request=request)

    return httpx2.MockTransport(answer)


def test_back_off_of_the_async_client(clock, in_loop):
    """Two answers of 529 that ask for a minute make the call last two minutes."""

    async def main():
        async with client_over(answer_after(2)) as client:
            return await client.messages.create(**QUESTION)

    assert in_loop(main).id == "msg_1"
    assert clock.now_ns() == 120 * SECOND


def test_back_off_of_the_synchronous_client(clock):
    """The same without a loop: the SDK's `time.sleep` moves the clock."""
    with httpx2.Client(transport=answer_after(2)) as http, enter_sync(clock):
        client = anthropic.Anthropic(api_key="test", http_client=http, base_url="http://api.test")
        assert client.messages.create(**QUESTION).id == "msg_1"
    assert clock.now_ns() == 120 * SECOND


def test_the_synchronous_client_in_worker_threads(clock, in_loop):
    """Synchronous calls in `asyncio.to_thread` back off side by side."""

    def call():
        with httpx2.Client(transport=answer_after(1)) as http:
            client = anthropic.Anthropic(api_key="test", http_client=http, base_url="http://api.test")
            return client.messages.create(**QUESTION).id

    async def main():
        return await asyncio.gather(*(asyncio.to_thread(call) for _ in range(3)))

    assert in_loop(main) == ["msg_1"] * 3
    assert clock.now_ns() == 60 * SECOND


def test_a_time_out_of_the_application(clock, in_loop):
    """`asyncio.timeout` around a slow stream fires at its time, in the middle of the answer."""

    async def main():
        received = []

        async def read(client):
            async with asyncio.timeout(60.01), client.messages.stream(**QUESTION) as stream:
                async for text in stream.text_stream:
                    received.append(text)  # noqa: PERF401 - it is cut off

        async with client_over(LimitedAPI(tokens=10_000)) as client:
            with pytest.raises(TimeoutError):
                await read(client)
        return len(received)

    assert in_loop(main) == (60_000 - 500) // 20 - 2  # the head of the stream is two events
    assert clock.now_ns() == 60_010_000_000
