"""A small HTTP server on loopback that answers as a test says, and messages for it to answer with."""

from __future__ import annotations

import json
import socket
import struct
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Event, Thread
from typing import Any

Answer = Callable[["Handler"], None]

EVENT_STREAM = {"content-type": "text/event-stream"}
MESSAGE = {
    "id": "msg_1",
    "type": "message",
    "role": "assistant",
    "model": "model-1",
    "content": [{"type": "text", "text": "Hello"}],
    "stop_reason": "end_turn",
    "stop_sequence": None,
    "usage": {"input_tokens": 3, "output_tokens": 2},
}
OVERLOADED = {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}
ASKED: Any = {"model": "model-1", "max_tokens": 9, "messages": [{"role": "user", "content": "Hi"}]}


def event(kind: str, **data: Any) -> bytes:
    """One server-sent event."""
    return f"event: {kind}\ndata: {json.dumps({'type': kind, **data})}\n\n".encode()


def streamed(*texts: str) -> list[bytes]:
    """A streamed message, an event a chunk: two before the texts, three after."""
    return [
        event("message_start", message=MESSAGE | {"content": [], "stop_reason": None}),
        event("content_block_start", index=0, content_block={"type": "text", "text": ""}),
        *(event("content_block_delta", index=0, delta={"type": "text_delta", "text": text}) for text in texts),
        event("content_block_stop", index=0),
        event("message_delta", delta={"stop_reason": "end_turn"}, usage={"output_tokens": len(texts)}),
        event("message_stop"),
    ]


class Handler(BaseHTTPRequestHandler):
    """Answers each request with the next answer of its server; the last one repeats."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: Server

    def do_POST(self) -> None:
        """Read the request and play the answer."""
        self.rfile.read(int(self.headers.get("content-length", 0)))
        answers = self.server.answers
        try:
            (answers.pop(0) if len(answers) > 1 else answers[0])(self)
        except OSError:  # the client went away
            self.close_connection = True

    do_GET = do_POST  # noqa: N815 - the base class looks for this name

    def head(self, status: int, headers: dict[str, str]) -> None:
        """Send status and headers."""
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()

    def chunk(self, data: bytes) -> None:
        """Send one piece of a chunked body."""
        self.wfile.write(b"%x\r\n%s\r\n" % (len(data), data))
        self.wfile.flush()

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


class Server(ThreadingHTTPServer):
    """The server; `release` ends the waiting of stalled answers."""

    daemon_threads = True

    def __init__(self, answers: Iterable[Answer]) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.answers = list(answers)
        self.release = Event()
        self.url = f"http://127.0.0.1:{self.server_port}"

    def handle_error(self, *_: Any) -> None:
        """A client that went away is part of the tests."""


@contextmanager
def serving(*answers: Answer) -> Iterator[Server]:
    """Run a server that gives the answers in turn."""
    with Server(answers) as server:
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield server
        finally:
            server.release.set()
            server.shutdown()
            thread.join()


def stream(chunks: Iterable[bytes], *, gap: float = 0.0, then: Answer | None = None, **headers: str) -> Answer:
    """A chunked event stream with *gap* seconds before each chunk; *then* replaces its proper end."""

    def answer(handler: Handler) -> None:
        handler.head(200, EVENT_STREAM | {"transfer-encoding": "chunked"} | headers)
        for chunk in chunks:
            time.sleep(gap)
            handler.chunk(chunk)
        if then is None:
            handler.wfile.write(b"0\r\n\r\n")
        else:
            then(handler)

    return answer


def json_answer(status: int, body: Any, **headers: str) -> Answer:
    """A JSON body with its length."""
    data = json.dumps(body).encode()

    def answer(handler: Handler) -> None:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        handler.head(status, {"content-type": "application/json", "content-length": str(len(data))} | named)
        handler.wfile.write(data)

    return answer


def overloaded() -> Answer:
    """A 529 that is retried after a millisecond."""
    return json_answer(529, OVERLOADED, retry_after_ms="1")


def reset(handler: Handler) -> None:
    """Cut the connection without ceremony."""
    handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    handler.wfile.flush()
    handler.connection.close()
    handler.close_connection = True


def stall(handler: Handler) -> None:
    """Send nothing until the test is over."""
    handler.server.release.wait(10)
    handler.close_connection = True
