"""Real connections: what the wire shows, and how it ends."""

from __future__ import annotations

import asyncio
import gc
import gzip
import socket
import ssl
import threading
import time

import anthropic
import httpx
import httpx2
import pytest
import trio

from capture.loopback import (
    ASKED,
    MESSAGE,
    json_answer,
    overloaded,
    reset,
    serving,
    stall,
    stream,
    streamed,
)
from pytest_llmperf.core.exchange import Connection, End, Provenance

TEXTS = ("Hel", "lo")


def sdk(server, **options):
    http = httpx2.Client(trust_env=False, **options)
    return anthropic.Anthropic(api_key="secret", base_url=server.url, http_client=http)


def async_sdk(server, **options):
    http = httpx2.AsyncClient(trust_env=False, **options)
    return anthropic.AsyncAnthropic(api_key="secret", base_url=server.url, http_client=http)


def read(client):
    return [event.type for event in client.messages.create(**ASKED, stream=True)]


async def aread(client):
    return [event.type async for event in await client.messages.create(**ASKED, stream=True)]


async def with_async_sdk(server, use, **options):
    async with async_sdk(server, **options) as client:
        return await use(client)


def only(recorder):
    """The last attempt of the round's only call."""
    (call,) = recorder.take("round")
    return call.last


def assert_in_order(exchange):
    """The moments of an exchange do not go back."""
    moments = [exchange.started_ns, exchange.sent_ns, exchange.headers_ns]
    moments += [chunk.at_ns for chunk in exchange.chunks] + [exchange.ended_ns]
    assert moments == sorted(moments)


class Lockstep:
    """Chunks of which the server sends the next one only when the client has the one before."""

    def __init__(self, chunks):
        self._chunks = chunks
        self._allowed = threading.Semaphore(1)
        self.seen_ns = []

    def __iter__(self):
        for chunk in self._chunks:
            assert self._allowed.acquire(timeout=10)
            yield chunk

    def seen(self):
        self.seen_ns.append(time.perf_counter_ns())
        self._allowed.release()


def assert_timed_between(chunks, seen_ns):
    """Each chunk was read after the client had the one before, and before the client had it itself."""
    moments = [moment for chunk, seen in zip(chunks, seen_ns, strict=True) for moment in (chunk.at_ns, seen)]
    assert moments == sorted(moments)


def test_a_stream_over_the_wire_shows_every_moment(observed):
    """Sent, head, each chunk and the end are in order; no chunk waits for the next, and its time is its arrival."""
    lockstep = Lockstep(streamed(*TEXTS))
    with serving(stream(lockstep)) as server, sdk(server) as client:
        for _ in client.messages.create(**ASKED, stream=True):
            lockstep.seen()
    exchange = only(observed).exchange
    assert_in_order(exchange)
    assert_timed_between(exchange.chunks, lockstep.seen_ns)
    assert (exchange.end, exchange.provenance, len(exchange.chunks)) == (End.COMPLETE, Provenance.WIRE, 7)
    assert exchange.sent_ns > exchange.started_ns


def test_in_a_busy_loop_a_wait_is_not_shortened(observed):
    """The loop is blocked from when the server has the request, and tells of its sending only then."""
    received = threading.Event()

    def slow(handler):
        received.set()
        time.sleep(0.05)
        json_answer(200, MESSAGE)(handler)

    async def block():
        while not received.wait(0.01):
            await asyncio.sleep(0)
        time.sleep(0.1)

    async def use(client):
        await asyncio.gather(block(), client.messages.create(**ASKED))

    with serving(slow) as server:
        asyncio.run(with_async_sdk(server, use))
    exchange = only(observed).exchange
    assert exchange.headers_ns - exchange.sent_ns >= 50_000_000


def test_an_async_stream_over_the_wire_shows_every_moment(observed):
    """The same with an async client."""
    lockstep = Lockstep(streamed(*TEXTS))

    async def use(client):
        async for _ in await client.messages.create(**ASKED, stream=True):
            lockstep.seen()

    with serving(stream(lockstep)) as server:
        asyncio.run(with_async_sdk(server, use))
    exchange = only(observed).exchange
    assert_in_order(exchange)
    assert_timed_between(exchange.chunks, lockstep.seen_ns)
    assert (exchange.end, exchange.provenance, len(exchange.chunks)) == (End.COMPLETE, Provenance.WIRE, 7)


def test_a_stream_read_under_trio_is_whole(observed):
    """Observation knows no event loop."""

    async def main(server):
        async with httpx2.AsyncClient(trust_env=False) as client:
            return (await client.post(server.url + "/v1/messages", json=ASKED)).content

    with serving(stream(streamed(*TEXTS))) as server:
        assert trio.run(main, server) == b"".join(streamed(*TEXTS))
    attempt = only(observed)
    assert attempt.exchange.provenance is Provenance.WIRE
    assert attempt.generation.text == "Hello"


def test_httpx_1_is_observed_alike(observed):
    """The older package shows the same moments, sync and async."""

    async def ask(url):
        async with httpx.AsyncClient(trust_env=False) as client:
            await client.post(url, json=ASKED)

    with serving(stream(streamed(*TEXTS))) as server:
        with httpx.Client(trust_env=False) as client:
            client.post(server.url + "/v1/messages", json=ASKED)
        asyncio.run(ask(server.url + "/v1/messages"))
    for call in observed.take("round"):
        assert_in_order(call.first.exchange)
        assert call.first.exchange.provenance is Provenance.WIRE
        assert call.first.exchange.connection.state == "new"
        assert call.first.generation.text == "Hello"


def test_the_first_request_connects_and_the_second_reuses(observed):
    """A new connection has a time to connect, a reused one has none."""
    with serving(json_answer(200, MESSAGE)) as server, sdk(server) as client:
        for _ in range(2):
            client.messages.create(**ASKED)
    first, second = (call.first.exchange.connection for call in observed.take("round"))
    assert (first.state, second.state) == ("new", "reused")
    assert first.tcp_ns > 0
    assert second.tcp_ns is first.tls_ns is None


def test_waiting_for_the_pool_is_told_apart(observed):
    """With one connection the second of two requests waits for the first to end, and that wait is shown."""
    body = streamed(*TEXTS)
    with serving(stream(body, gap=0.02)) as server, sdk(server, limits=httpx2.Limits(max_connections=1)) as client:
        readers = [threading.Thread(target=read, args=(client,)) for _ in range(2)]
        for reader in readers:
            reader.start()
        for reader in readers:
            reader.join()
    exchanges = [call.first.exchange for call in observed.take("round")]
    first, second = sorted(exchanges, key=lambda exchange: exchange.sent_ns)
    assert second.connection.state == "reused"
    assert second.sent_ns > first.chunks[-1].at_ns
    assert second.connection.wait_ns > first.chunks[-1].at_ns - second.started_ns


def test_waiting_for_the_pool_in_vain_is_all_wait(observed):
    """An attempt that the pool never served waited all its life, and was never sent."""
    with serving(stream(streamed(*TEXTS), then=stall)) as server:
        limits = httpx2.Limits(max_connections=1)
        with httpx2.Client(trust_env=False, limits=limits, timeout=httpx2.Timeout(5, pool=0.05)) as client:
            url = server.url + "/v1/messages"
            with client.stream("POST", url, json=ASKED), pytest.raises(httpx2.PoolTimeout):
                client.post(url, json=ASKED)
    exchange = observed.take("round")[1].first.exchange
    assert exchange.error.startswith("PoolTimeout:")
    assert exchange.sent_ns is None
    assert exchange.provenance is Provenance.UNKNOWN
    assert exchange.connection == Connection(wait_ns=exchange.ended_ns - exchange.started_ns)


def test_a_gzipped_stream_is_kept_as_it_came(observed):
    """The application reads text, and the decoder gets the bytes of the wire."""
    packed = gzip.compress(b"".join(streamed(*TEXTS)))
    halves = [packed[:40], packed[40:]]
    with serving(stream(halves, **{"content-encoding": "gzip"})) as server, sdk(server) as client:
        assert len(read(client)) == 7
    attempt = only(observed)
    assert attempt.generation.text == "Hello"
    assert attempt.generation.complete


def test_retries_over_the_wire_are_one_call(observed):
    """529, 529, 200 over one connection are three attempts of one call."""
    with serving(overloaded(), overloaded(), stream(streamed(*TEXTS))) as server, sdk(server) as client:
        read(client)
    (call,) = observed.take("round")
    assert [attempt.exchange.status for attempt in call.attempts] == [529, 529, 200]


def test_a_reset_in_the_middle_is_an_error_with_what_came(observed):
    """The client's exception reaches the application; the chunks before it are kept."""
    broken = pytest.raises((httpx2.NetworkError, httpx2.ProtocolError))
    with serving(stream(streamed(*TEXTS)[:3], then=reset)) as server, sdk(server) as client, broken:
        read(client)
    attempt = only(observed)
    assert attempt.exchange.end is End.ERROR
    assert attempt.exchange.error.startswith(("ReadError", "RemoteProtocolError"))
    assert attempt.generation.text == "Hel"
    assert not attempt.generation.complete


def test_a_read_timeout_in_the_middle_is_an_error(observed):
    """A server that falls silent ends in the client's own time-out."""
    silent = serving(stream(streamed(*TEXTS)[:3], then=stall))
    with silent as server, sdk(server) as client, pytest.raises(httpx2.ReadTimeout):
        read(client.with_options(timeout=httpx2.Timeout(5, read=0.1)))
    assert only(observed).exchange.error.startswith("ReadTimeout: ")


def test_a_refused_connection_is_an_attempt_that_never_left(observed):
    """Nothing listens: the attempt has an error and no moment of sending."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    client = anthropic.Anthropic(api_key="k", base_url=f"http://127.0.0.1:{port}", max_retries=1)
    with client, pytest.raises(anthropic.APIConnectionError):
        client.with_options(max_retries=0).messages.create(**ASKED)
    exchange = only(observed).exchange
    assert exchange.error.startswith("ConnectError: ")
    assert (exchange.end, exchange.sent_ns, exchange.headers_ns) == (End.ERROR, None, None)
    assert exchange.connection.state == "new"
    assert exchange.provenance is Provenance.WIRE


def test_a_handshake_that_fails_shows_its_time(observed):
    """A server that speaks no TLS: connected, shaken hands in vain, never sent."""
    client = httpx2.Client(trust_env=False, verify=ssl.create_default_context())
    with serving(stall) as server, client, pytest.raises(httpx2.TransportError):
        client.post(server.url.replace("http:", "https:") + "/v1/messages", json=ASKED, timeout=1)
    connection = only(observed).exchange.connection
    assert connection.tcp_ns > 0
    assert connection.tls_ns > 0


def test_a_timeout_before_the_head_is_a_cancelled_attempt(observed):
    """`asyncio.timeout` around a call that gets no answer leaves a cancelled attempt that was sent."""

    async def use(client):
        async with asyncio.timeout(None) as limit:
            asyncio.get_running_loop().call_later(0.01, expire_when_sent, limit)
            await client.messages.create(**ASKED)

    def expire_when_sent(limit):
        loop = asyncio.get_running_loop()
        calls = observed.calls("round")
        if calls and calls[0].last.exchange.sent_ns is not None:
            limit.reschedule(loop.time())
        else:
            loop.call_later(0.01, expire_when_sent, limit)

    with serving(stall) as server, pytest.raises(TimeoutError):
        asyncio.run(with_async_sdk(server, use))
    exchange = only(observed).exchange
    assert exchange.error == "CancelledError: "
    assert exchange.headers_ns is None
    assert exchange.started_ns < exchange.sent_ns < exchange.ended_ns


def test_a_task_cancelled_in_the_middle_is_a_cancelled_attempt(observed):
    """Cancelled while it waits for a chunk, the task's attempt says so."""

    async def use(client):
        task = asyncio.create_task(aread(client))
        while observed.in_flight == 0 or not observed.calls("round")[0].last.exchange.chunks:
            await asyncio.sleep(0.005)
        task.cancel()
        await task

    with serving(stream(streamed(*TEXTS)[:3], then=stall)) as server, pytest.raises(asyncio.CancelledError):
        asyncio.run(with_async_sdk(server, use))
    attempt = only(observed)
    assert attempt.exchange.error == "CancelledError: "
    assert attempt.generation.text.startswith("Hel"[: len(attempt.generation.text)])


def test_an_async_stream_broken_off_is_closed(observed):
    """Breaking off and closing frees the connection and is `closed`."""

    async def use(client):
        async with await client.messages.create(**ASKED, stream=True) as events:
            async for _ in events:
                break

    with serving(stream(streamed(*TEXTS), gap=0.02)) as server:
        asyncio.run(with_async_sdk(server, use))
    assert only(observed).exchange.end is End.CLOSED
    assert observed.in_flight == 0


@pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_client_shared_by_two_loops_is_named(observed):
    """The attempt that dies in the second loop becomes a warning with the client's name and the remedy."""

    async def use(client):
        await client.messages.create(**ASKED)

    with serving(json_answer(200, MESSAGE)) as server:
        client = async_sdk(server)
        loops = [asyncio.new_event_loop() for _ in range(2)]
        loops[0].run_until_complete(use(client))
        loops[0].close()
        loops[1].run_until_complete(use(client))
        loops[1].run_until_complete(client.close())
        loops[1].close()
        del client
        gc.collect()  # the connection of the first loop, which nobody can close any more
    first, second = observed.take("round")
    assert [len(first.attempts), len(second.attempts)] == [1, 2]
    assert second.first.exchange.error.startswith("RuntimeError: ")
    (warning,) = observed.warnings
    assert warning.startswith(f"AsyncAnthropic for 127.0.0.1:{server.server_port} was used from more than one event")
    assert "loop_scope" in warning
