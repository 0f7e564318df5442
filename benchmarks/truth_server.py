"""A loopback server that streams Messages on time and knows when it did: the truth that fidelity.py measures against.

    with truth_server() as server:
        AsyncAnthropic(base_url=server.url, api_key="none", max_retries=0)
        ...
        truth = server.truths()["7"]  # of the request that was sent with the header `x-truth: 7`

It runs in a process of its own, one loop over epoll without a framework, and at real-time priority where it may, so
that neither the client nor its neighbours delay it. Request headers choose the answer: `x-deltas` (64), `x-ttft-us`
(50000), `x-gap-us` (10000). Every part is due at its time after the request's last byte. What counts as truth is when
the kernel took in that byte (where it tells, else when it was read), and when it was handed each part, not when that
was due; by CLOCK_MONOTONIC, which on Linux is also Python's perf_counter.
"""

from __future__ import annotations

import gc
import heapq
import http.client
import itertools
import json
import os
import select
import socket
import struct
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from time import perf_counter_ns, time_ns

_SO_TIMESTAMPNS = 35
"""Linux's number, which Python does not name before 3.14."""
HEAD_US = 5_000
"""The HTTP head and `message_start` come well before the first delta, so that taking them for it would show."""


@dataclass(frozen=True, slots=True)
class Truth:
    """What really happened to one request, in nanoseconds of the monotonic clock."""

    received_ns: int
    """The kernel took in its last byte."""
    first_ns: int
    """The first delta was handed to the kernel."""
    last_ns: int
    """The last delta was."""

    @property
    def ttft(self) -> float:
        """Seconds."""
        return (self.first_ns - self.received_ns) / 1e9

    @property
    def e2e(self) -> float:
        """Seconds to the last delta."""
        return (self.last_ns - self.received_ns) / 1e9


# --- the client's side -----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class TruthServer:
    """A running server."""

    url: str
    real_time: bool
    """Whether it got real-time priority."""

    def truths(self) -> dict[str, Truth]:
        """What happened since the last question, by the header `x-truth`."""
        connection = http.client.HTTPConnection(self.url.removeprefix("http://"))
        connection.request("GET", "/truths")
        found = json.load(connection.getresponse())
        connection.close()
        return {name: Truth(*moments) for name, moments in found.items()}


@contextmanager
def truth_server() -> Iterator[TruthServer]:
    """The server in a process of its own."""
    with subprocess.Popen([sys.executable, __file__], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield TruthServer(**json.loads(process.stdout.readline()))
        finally:
            process.terminate()


# --- the server's side -----------------------------------------------------------------------------------------------


def _event(**data: object) -> bytes:
    return f"event: {data['type']}\ndata: {json.dumps(data, separators=(',', ':'))}\n\n".encode()


def _chunk(data: bytes) -> bytes:
    return b"%x\r\n%s\r\n" % (len(data), data)


_MESSAGE = {"id": "msg_1", "type": "message", "role": "assistant", "model": "m", "content": [], "stop_reason": None}
_HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n" + _chunk(
    _event(type="message_start", message=_MESSAGE | {"usage": {"input_tokens": 9, "output_tokens": 1}})
    + _event(type="content_block_start", index=0, content_block={"type": "text", "text": ""})
)
_DELTA = _chunk(_event(type="content_block_delta", index=0, delta={"type": "text_delta", "text": "word "}))


@cache
def _tail(deltas: int) -> bytes:
    return (
        _chunk(
            _event(type="content_block_stop", index=0)
            + _event(type="message_delta", delta={"stop_reason": "end_turn"}, usage={"output_tokens": deltas})
            + _event(type="message_stop")
        )
        + b"0\r\n\r\n"
    )


@cache
def _parts(deltas: int, ttft_us: int, gap_us: int) -> tuple[tuple[int, bytes], ...]:
    """The parts of an answer and when they are due, in nanoseconds after the request; those due together are one."""
    due = [(min(HEAD_US, ttft_us), _HEAD)]
    due += [(ttft_us + number * gap_us, _DELTA) for number in range(deltas)]
    due.append((ttft_us + deltas * gap_us, _tail(deltas)))
    together = itertools.groupby(due, key=lambda part: part[0])
    return tuple((at_us * 1000, b"".join(data for _, data in group)) for at_us, group in together)


@dataclass(slots=True, eq=False)
class _Connection:
    socket: socket.socket
    received: bytearray = field(default_factory=bytearray)
    name: str = ""
    parts: tuple[tuple[int, bytes], ...] = ()
    received_ns: int = 0
    sent: list[int] = field(default_factory=list)


class _Server:
    def __init__(self) -> None:
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=1024)
        self.listener.setblocking(False)
        self.epoll = select.epoll()
        self.epoll.register(self.listener, select.EPOLLIN)
        self.connections: dict[int, _Connection] = {}
        self.due: list[tuple[int, int, _Connection]] = []
        self.order = itertools.count()
        self.truths: dict[str, tuple[int, int, int]] = {}

    def run(self) -> None:
        while True:
            for number, _ in self.ready():
                if number == self.listener.fileno():
                    self.accept()
                elif number in self.connections:
                    self.read(self.connections[number])
            while self.due and self.due[0][0] <= perf_counter_ns():
                self.write(heapq.heappop(self.due)[2])

    def ready(self) -> list[tuple[int, int]]:
        """What can be read, at the latest when the next part is due: epoll counts in milliseconds, select(2) finer."""
        if not self.due:
            return self.epoll.poll()
        wait_ns = self.due[0][0] - perf_counter_ns()
        if wait_ns > 0:
            select.select((self.epoll,), (), (), wait_ns / 1e9)
        return self.epoll.poll(0)

    def accept(self) -> None:
        accepted, _ = self.listener.accept()
        accepted.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.connections[accepted.fileno()] = _Connection(accepted)
        self.epoll.register(accepted, select.EPOLLIN)

    def read(self, connection: _Connection) -> None:
        try:
            data, notes, _, _ = connection.socket.recvmsg(1 << 20, 64)
        except OSError:
            data, notes = b"", []
        at_ns = _taken_in_ns(notes)
        if not data:
            self.forget(connection)
            return
        connection.received += data
        head, separator, body = bytes(connection.received).partition(b"\r\n\r\n")
        headers = dict(line.lower().split(b": ", 1) for line in head.split(b"\r\n")[1:]) if separator else {}
        if separator and len(body) >= int(headers.get(b"content-length", 0)):
            connection.received.clear()
            self.answer(connection, head, headers, at_ns)

    def answer(self, connection: _Connection, head: bytes, headers: dict[bytes, bytes], at_ns: int) -> None:
        if head.startswith(b"GET /truths"):
            body = json.dumps(self.truths).encode()
            connection.socket.setblocking(True)
            connection.socket.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n%s" % (len(body), body))
            self.truths = {}
            return
        wanted = (int(headers.get(name, usual)) for name, usual in _USUAL)
        connection.name, connection.parts = headers.get(b"x-truth", b"").decode(), _parts(*wanted)
        connection.received_ns, connection.sent = at_ns, []
        self.schedule(connection)

    def schedule(self, connection: _Connection) -> None:
        due_ns = connection.received_ns + connection.parts[len(connection.sent)][0]
        heapq.heappush(self.due, (due_ns, next(self.order), connection))

    def write(self, connection: _Connection) -> None:
        _, data = connection.parts[len(connection.sent)]
        connection.sent.append(perf_counter_ns())
        try:
            connection.socket.sendall(data)
        except OSError:
            self.forget(connection)
            return
        if len(connection.sent) < len(connection.parts):
            self.schedule(connection)
        elif connection.name:
            sent = connection.sent
            # Head, deltas, tail; without gaps the deltas are in one part, with the tail or with all.
            first, last = (sent[1], sent[-2]) if len(sent) > 2 else (sent[-1], sent[-1])
            self.truths[connection.name] = (connection.received_ns, first, last)

    def forget(self, connection: _Connection) -> None:
        if self.connections.pop(connection.socket.fileno(), None):
            self.epoll.unregister(connection.socket)
            connection.socket.close()


def _taken_in_ns(notes: list[tuple[int, int, bytes]]) -> int:
    """When the kernel took in what was just read, by its own time stamp of it, which is one of the wall clock."""
    now_ns, wall_ns = perf_counter_ns(), time_ns()
    for level, kind, data in notes:
        if (level, kind) == (socket.SOL_SOCKET, _SO_TIMESTAMPNS):
            seconds, nanoseconds = struct.unpack("qq", data)
            return now_ns - (wall_ns - seconds * 1_000_000_000 - nanoseconds)
    return now_ns


_USUAL = ((b"x-deltas", 64), (b"x-ttft-us", 50_000), (b"x-gap-us", 10_000))


def _real_time() -> bool:
    try:
        os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1))
    except (AttributeError, OSError):
        return False
    return True


def main() -> None:
    gc.disable()
    server = _Server()
    port = server.listener.getsockname()[1]
    print(json.dumps({"url": f"http://127.0.0.1:{port}", "real_time": _real_time()}), flush=True)
    server.run()


if __name__ == "__main__":
    main()
