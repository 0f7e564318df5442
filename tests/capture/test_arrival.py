"""When bytes came out of the socket, and that they pass as if nobody had looked."""

from __future__ import annotations

import asyncio
import itertools
import sys
import threading
import time
from collections import deque

import httpx
import httpx2
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from capture.loopback import ASKED, EVENT_STREAM, json_answer, reset, serving, stall, stream, streamed
from pytest_llmperf.capture import Recorder, observing
from pytest_llmperf.capture.arrival import Arrivals, Lines, protocol_of
from pytest_llmperf.core.exchange import End

PIECES = st.binary(min_size=1, max_size=9)
USES = st.lists(
    st.one_of(
        st.tuples(st.just("put"), PIECES),
        st.tuples(st.just("take"), st.integers(1, 9)),
        st.tuples(st.sampled_from(("begin", "stop", "rotate", "clear")), st.just(0)),
    ),
    max_size=40,
)
ON_LINUX = pytest.mark.skipif(sys.platform != "linux", reason="only Linux counts the bytes of a connection")


def used(queue, kind, what):
    """Use a queue as anyio's stream does, or in a way that it does not yet."""
    if kind == "put":
        queue.append(what)
    elif kind in ("rotate", "clear"):
        getattr(queue, kind)()
    elif kind == "take" and queue:
        piece = queue.popleft()
        if len(piece) > what:
            queue.appendleft(piece[what:])
        return piece[:what]
    elif kind == "begin" and isinstance(queue, Arrivals):
        queue.begin(time.perf_counter_ns)
    elif kind == "stop" and isinstance(queue, Arrivals):
        queue.stop()
    return b""


def ticking(*, breaks_at=None):
    """A clock that tells 1, 2, 3, …, or breaks once and for all."""
    ticks = itertools.count(1)

    def now_ns():
        tick = next(ticks)
        if breaks_at is not None and tick >= breaks_at:
            raise RuntimeError("no time")
        return tick

    return now_ns


class TestQueue:
    @given(st.lists(PIECES), USES, st.none() | st.integers(2, 9))
    def test_it_gives_what_any_other_would(self, pieces, uses, breaks_at):
        """Byte for byte and in the same order, whatever is done to it and even when the clock breaks."""
        plain = deque(pieces)
        try:
            watched = Arrivals(plain, ticking(breaks_at=breaks_at))
        except RuntimeError:  # before it was put in any place
            return
        for kind, what in uses:
            assert used(watched, kind, what) == used(plain, kind, what)
            assert list(watched) == list(plain)
            assert bool(watched) is bool(plain)

    @given(st.lists(PIECES, max_size=5), USES)
    def test_a_piece_has_its_own_time_and_place(self, pieces, uses):
        """However many wait, and when a piece is taken in parts: it was put in then, and ends there."""
        queue, end, expected = Arrivals(deque(), now_ns := ticking()), 0, deque()
        for kind, what in [*(("put", piece) for piece in pieces), *uses]:
            if kind == "put":
                queue.append(what)
                end += len(what)
                expected.append((queue._notes[-1].at_ns, end, what))
            elif kind == "take" and queue:
                at_ns, to, piece = expected.popleft()
                if len(piece) > what:
                    expected.appendleft((at_ns, to, piece[what:]))
                assert used(queue, kind, what) == queue.taken == piece[:what]
                assert tuple(queue.note) == (at_ns, to - len(piece) + len(piece[:what]))
        assert queue.read == end
        assert now_ns() == 2 + end_count(pieces, uses)

    def test_what_was_there_before_came_by_then(self):
        """Nobody knows when; but not later."""
        queue = Arrivals(deque([b"ab", b"c"]), ticking())
        assert queue.note == (1, 0)
        queue.popleft()
        queue.popleft()
        assert queue.note == (3, 3)

    @pytest.mark.parametrize("use", ["clear", "pop"])
    def test_a_use_that_is_not_known_makes_its_times_void(self, use):
        """They could be those of other pieces."""
        queue = Arrivals(deque(), ticking())
        queue.append(b"a")
        getattr(queue, use)()
        queue.append(b"b")
        assert queue.popleft() == b"b"
        assert queue.lost


def end_count(pieces, uses):
    return len(pieces) + sum(kind == "put" for kind, _ in uses)


class TestPlace:
    @pytest.mark.parametrize("queue", [None, [b"a"], type("Other", (deque,), {})()])
    def test_a_queue_that_is_not_as_it_is_known_is_left_alone(self, queue):
        """Anyio may keep what arrives in another way one day."""
        stream = type("Stream", (), {"_protocol": type("Protocol", (), {"read_queue": queue})()})()
        assert protocol_of(stream) is None
        assert Lines(time.perf_counter_ns).watch(stream) is None
        assert stream._protocol.read_queue is queue

    def test_it_is_found_through_what_wraps_it(self):
        """Httpcore's stream, TLS, and httpcore's again below a proxy's."""
        protocol = type("Protocol", (), {"read_queue": deque()})()
        stream = type("Socket", (), {"_protocol": protocol})()
        for name in ("_stream", "transport_stream", "_stream"):
            stream = type("Wrapper", (), {name: stream})()
        assert protocol_of(stream) is protocol


def queue_of(response):
    return protocol_of(response.extensions["network_stream"]).read_queue


async def bodies(url, package, count=3, **options):
    """The bodies of some answers, read one after the other over one connection."""
    async with package.AsyncClient(trust_env=False, **options) as client:
        found = []
        for _ in range(count):
            async with client.stream("POST", url, json=ASKED) as response:
                found.append(b"".join([chunk async for chunk in response.aiter_raw()]))
        return found


def anyhow(pieces):
    """An answer in these pieces of the connection, wherever a chunk of the body ends."""

    def answer(handler):
        handler.head(200, EVENT_STREAM | {"transfer-encoding": "chunked"})
        body = b"".join(b"%x\r\n%s\r\n" % (len(piece), piece) for piece in pieces) + b"0\r\n\r\n"
        for begin in range(0, len(body), 7):
            handler.wfile.write(body[begin : begin + 7])

    return answer


@pytest.fixture(params=[httpx, httpx2], ids=["httpx", "httpx2"])
def package(request):
    return request.param


class TestConnection:
    @settings(max_examples=15, deadline=None)
    @given(st.lists(st.binary(min_size=1, max_size=30), min_size=1, max_size=6), st.sampled_from((0, 4)))
    def test_the_same_bytes_arrive_with_and_without(self, pieces, few):
        """Over real sockets, in one connection used three times, stamped at the read or off the loop."""
        with serving(anyhow(pieces)) as server:
            with observing(recorder := Recorder(time.perf_counter_ns, few_streams=few)), recorder.round("round"):
                watched = asyncio.run(bodies(server.url, httpx2))
            assert watched == asyncio.run(bodies(server.url, httpx2)) == [b"".join(pieces)] * 3
        assert not [text for text in recorder.warnings if "failed" in text]

    def test_a_large_body_is_cut_in_no_wrong_place(self, observed, package):
        """Pieces larger than a read come back to the queue in part."""
        data = bytes(range(256)) * 4_000
        with serving(stream([data, data[::-1]])) as server:
            assert asyncio.run(bodies(server.url, package)) == [data + data[::-1]] * 3

    def test_one_who_stops_in_between_leaves_the_next_in_order(self, observed, package):
        """Half-read, cancelled and reset answers: the client goes on as it would."""

        async def use(url):
            async with package.AsyncClient(trust_env=False) as client:
                async with client.stream("POST", url, json=ASKED) as response:
                    await anext(response.aiter_raw())
                reading = asyncio.create_task(client.post(url, json=ASKED))
                await asyncio.sleep(0.05)
                reading.cancel()
                await asyncio.gather(reading, return_exceptions=True)
                with pytest.raises(package.TransportError):
                    await client.post(url, json=ASKED)
                return (await client.post(url, json=ASKED)).content

        whole = b"".join(streamed("Hel", "lo"))
        answers = [stream(streamed("x"), gap=0.01), stream([b"a"], then=stall), stream([b"a"], then=reset)]
        with serving(*answers, stream(streamed("Hel", "lo"))) as server:
            assert asyncio.run(use(server.url)) == whole
        ends = [log.end for call in observed._calls["round"] for log in call.attempts]
        assert ends == [End.CLOSED, End.ERROR, End.ERROR, End.COMPLETE]

    def test_nothing_goes_on_when_nobody_observes(self, recorder, package):
        """The queue stays with its connection, which goes on as before, and the next who observes takes it over."""

        async def use(url):
            async with package.AsyncClient(trust_env=False) as client:
                with observing(recorder), recorder.round("first"):
                    async with client.stream("POST", url, json=ASKED) as response:
                        queue = queue_of(response)
                        first = await response.aread()
                assert queue.lost
                second = (await client.post(url, json=ASKED)).content
                assert queue.lost
                with observing(recorder), recorder.round("third"):
                    async with client.stream("POST", url, json=ASKED) as response:
                        assert queue_of(response) is queue
                        assert not queue.lost
                        return first, second, await response.aread()

        with serving(stream(streamed("a"))) as server:
            assert set(asyncio.run(use(server.url))) == {b"".join(streamed("a"))}

    def test_what_a_substitute_serves_is_not_watched(self, observed):
        """It never came out of a socket."""
        transport = httpx2.MockTransport(lambda _: httpx2.Response(200, json={}))

        async def use():
            async with httpx2.AsyncClient(transport=transport) as client:
                await client.post("http://api.test/v1/messages", json=ASKED)

        asyncio.run(use())
        assert observed._calls["round"][0].attempts[0].watch is None


@ON_LINUX
class TestOffTheLoop:
    @pytest.fixture
    def followed(self):
        """A recorder that follows every connection off the loop."""
        recorder = Recorder(time.perf_counter_ns, few_streams=0)
        with observing(recorder), recorder.round("round"):
            yield recorder
        assert not [text for text in recorder.warnings if "failed" in text]

    def test_a_blocked_loop_makes_nothing_late(self, followed):
        """Head and events come while it is blocked; each has its own time, before the loop could read any."""
        sent_ns, asked, sent = [], threading.Event(), threading.Event()

        def late(handler):
            asked.set()
            time.sleep(0.05)
            handler.head(200, EVENT_STREAM | {"transfer-encoding": "chunked"})
            for chunk in streamed()[:3]:
                sent_ns.append(time.perf_counter_ns())
                handler.chunk(chunk)
                time.sleep(0.3)  # far longer than a thread waits for its turn
            handler.wfile.write(b"0\r\n\r\n")
            sent.set()

        async def block():
            while not asked.wait(0.01):
                await asyncio.sleep(0)
            sent.wait(10)
            return time.perf_counter_ns()

        async def use(url):
            return (await asyncio.gather(bodies(f"{url}/v1/messages", httpx2, 1), block()))[1]

        with serving(late) as server:
            freed_ns = asyncio.run(use(server.url))
        (call,) = followed.take("round")
        exchange = call.last.exchange
        moments = [chunk.at_ns for chunk in exchange.chunks]
        assert all(sent <= at for sent, at in zip(sent_ns, moments, strict=True))
        assert all(at < later for at, later in zip(moments, [*sent_ns[1:], freed_ns], strict=True))
        assert exchange.sent_ns <= exchange.headers_ns <= moments[0]
        lateness = [followed.lateness(at_ns) for at_ns in moments]
        assert all(at / 1e9 - late <= sent / 1e9 for at, late, sent in zip(moments, lateness, sent_ns, strict=True))

    def test_the_thread_ends_and_python_is_as_before(self, recorder):
        """Python hands its lock over more often only as long as somebody observes."""
        before = sys.getswitchinterval()
        recorder = Recorder(time.perf_counter_ns, few_streams=0)
        during = []

        def look(handler):
            during.append((sys.getswitchinterval(), [one.name for one in threading.enumerate()]))
            stream(streamed("a"))(handler)

        with serving(look) as server, observing(recorder), recorder.round("round"):
            asyncio.run(bodies(server.url, httpx2, 2))
        assert during[-1][0] < before
        assert "llmperf arrivals" in during[-1][1]
        assert sys.getswitchinterval() == before
        assert "llmperf arrivals" not in [one.name for one in threading.enumerate()]

    def test_a_few_streams_need_no_thread(self, observed):
        """One at a time is stamped as the loop reads it."""
        with serving(stream(streamed("a"))) as server:
            asyncio.run(bodies(server.url, httpx2))
            assert "llmperf arrivals" not in [one.name for one in threading.enumerate()]

    def test_where_bytes_are_not_counted_that_is_told(self, followed, tmp_path):
        """A Unix socket has no count of them: the loop's times are taken, and a note says so."""

        async def answer(reader, writer):
            await reader.readuntil(b"\r\n\r\n")
            writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nab")
            await writer.drain()
            writer.close()

        async def use():
            path = str(tmp_path / "s")
            server = await asyncio.start_unix_server(answer, path)
            try:
                return await bodies("http://api.test/", httpx2, 1, transport=httpx2.AsyncHTTPTransport(uds=path))
            finally:
                server.close()

        assert asyncio.run(use()) == [b"ab"]
        (told,) = followed.warnings
        assert told.startswith("many streams at once, on connections whose bytes the system does not count")


def test_a_json_answer_over_a_kept_connection_is_measured_too(observed):
    """Bodies of a given length are watched like those in chunks."""
    with serving(json_answer(200, {"a": 1})) as server:
        assert asyncio.run(bodies(server.url, httpx2)) == [b'{"a": 1}'] * 3
