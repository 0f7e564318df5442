"""Encrypted connections, and those that several answers share: no time is earlier than it was, and a note says so."""

from __future__ import annotations

import asyncio
import itertools
import shutil
import socket
import ssl
import subprocess
import sys
import threading
import time
from bisect import bisect_left
from contextlib import contextmanager

import httpx2
import pytest
from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.events import StreamEnded

from capture.loopback import ASKED, serving, stream, streamed
from pytest_llmperf.capture import Recorder, observing
from pytest_llmperf.core.exchange import End, Provenance

pytestmark = [
    pytest.mark.skipif(sys.platform != "linux", reason="only Linux counts the bytes of a connection"),
    pytest.mark.skipif(shutil.which("openssl") is None, reason="a certificate has to be made"),
]
NOTE = "over TLS (or HTTP/2) what the event loop read in one go has one time"


@pytest.fixture(scope="module")
def context(tmp_path_factory):
    """What a server of TLS needs, its certificate its own."""
    path = tmp_path_factory.mktemp("tls")
    name, key = str(path / "cert.pem"), str(path / "key.pem")
    make = (
        "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=localhost -keyout"
    )
    subprocess.run([*make.split(), key, "-out", name], check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(name, key)
    return context


@pytest.fixture
def followed():
    """A recorder that follows every connection off the loop."""
    recorder = Recorder(time.perf_counter_ns, few_streams=0)
    with observing(recorder), recorder.round("round"):
        yield recorder
    assert not [text for text in recorder.warnings if "failed" in text]


class Sent:
    """Chunks one by one, and when each was sent."""

    def __init__(self, chunks):
        self.chunks = chunks
        self.ends = list(itertools.accumulate(map(len, chunks)))
        self.sent_ns = []

    def __iter__(self):
        for chunk in self.chunks:
            time.sleep(0.002)
            self.sent_ns.append(time.perf_counter_ns())
            yield chunk

    def assert_not_before(self, exchange, sizes):
        """What was received came, chunk by chunk, no sooner than the last byte of it was sent."""
        moments = [chunk.at_ns for chunk in exchange.chunks]
        sent_ns = [self.sent_ns[bisect_left(self.ends, end)] for end in itertools.accumulate(sizes)]
        assert moments == sorted(moments)
        assert all(sent <= at for sent, at in zip(sent_ns, moments, strict=True))


def test_under_tls_nothing_came_before_it_was_sent(followed, context):
    """Where an event lies in what is encrypted is not known: what is read together has the time of its end.

    How late that may be nobody bounds, and a note says so. A single byte is found by chance in what is encrypted.
    """
    sent = Sent([*streamed("Hel", "lo"), *([b"\n"] * 60)])
    with serving(stream(sent)) as server:
        server.socket = context.wrap_socket(server.socket, server_side=True)
        (sizes,) = asyncio.run(read(server.url.replace("http:", "https:"), 1))
    (note,) = followed.warnings
    assert note.startswith(NOTE)
    (call,) = followed.take("round")
    sent.assert_not_before(call.last.exchange, sizes)
    assert {followed.lateness(chunk.at_ns) for chunk in call.last.exchange.chunks} == {None}


def test_answers_that_share_a_connection_are_measured_each_for_itself(followed, context):
    """HTTP/2: two streams in turns, of the same bytes; each has its own times, one connection was made for both."""
    context.set_alpn_protocols(["h2"])
    sents = [Sent(streamed("Hel", "lo")) for _ in range(2)]
    with sharing(context, sents) as url:
        sizes = asyncio.run(read(url, 2, http2=True))
    (note,) = followed.warnings
    assert note.startswith(NOTE)
    calls = followed.take("round")
    for call, sent, own in zip(calls, sents, sizes, strict=True):
        exchange = call.last.exchange
        sent.assert_not_before(exchange, own)
        assert (exchange.provenance, exchange.end) == (Provenance.WIRE, End.COMPLETE)
        assert exchange.started_ns <= exchange.sent_ns <= exchange.headers_ns <= exchange.chunks[0].at_ns
        assert call.last.generation.text == "Hello"
    assert [call.last.exchange.connection.state for call in calls] == ["new", "reused"]


async def read(url, count, **options):
    """Read some answers at the same time: the sizes of the chunks of each."""
    async with httpx2.AsyncClient(trust_env=False, verify=False, **options) as client:

        async def sizes():
            async with client.stream("POST", f"{url}/v1/messages", json=ASKED) as response:
                return [len(chunk) async for chunk in response.aiter_raw()]

        return await asyncio.gather(*(sizes() for _ in range(count)))


@contextmanager
def sharing(context, sents):
    """A server that answers so many requests over one connection, chunk by chunk in turns."""

    def serve():
        with context.wrap_socket(listener.accept()[0], server_side=True) as connection:
            answer(connection, H2Connection(H2Configuration(client_side=False)), sents)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve)
        thread.start()
        yield f"https://127.0.0.1:{listener.getsockname()[1]}"
        thread.join()


def answer(connection, http, sents):
    asked = []
    http.initiate_connection()
    while len(asked) < len(sents):
        connection.sendall(http.data_to_send())
        asked += [e.stream_id for e in http.receive_data(connection.recv(65_536)) if isinstance(e, StreamEnded)]
    for number in asked:
        http.send_headers(number, [(":status", "200"), ("content-type", "text/event-stream")])
    for count, chunks in enumerate(zip(*sents, strict=True), 1):
        for number, chunk in zip(asked, chunks, strict=True):
            http.send_data(number, chunk, end_stream=count == len(sents[0].chunks))
            connection.sendall(http.data_to_send())
    while connection.recv(65_536):
        pass
