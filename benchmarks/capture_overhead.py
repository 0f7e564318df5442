"""What observing costs the observed program: CPU per request and per body chunk, with and without, in pairs.

    python benchmarks/capture_overhead.py [--pairs 150]

The same request runs once observed and once not, in an order that alternates, for a short and for a long answer. A
shared machine disturbs single requests by more than the cost looked for, and only ever upwards: the fastest tenth of
each kind is compared. Decoding, which waits until the round is over, is given apart, for one long answer.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import multiprocessing
import socket
import statistics
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterable

import anthropic
import httpx2

from pytest_llmperf.capture import Recorder, observing

SHORT, LONG = 5, 305
TEXT_DELTA = {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "word "}}
START = {"id": "msg_1", "type": "message", "role": "assistant", "content": [], "model": "m", "stop_reason": None}
USAGE = {"input_tokens": 9, "output_tokens": 1}


def event(data: dict) -> bytes:
    return f"event: {data['type']}\ndata: {json.dumps(data)}\n\n".encode()


HEAD = event({"type": "message_start", "message": START | {"usage": USAGE}}) + event(
    {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}}
)
DELTA = event(TEXT_DELTA)
TAIL = b"".join(
    map(
        event,
        (
            {"type": "content_block_stop", "index": 0},
            {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 300}},
            {"type": "message_stop"},
        ),
    )
)


def chunks(count: int) -> list[bytes]:
    """A streamed message in *count* chunks."""
    return [HEAD, *[DELTA] * (count - 2), TAIL]


class Stream(httpx2.SyncByteStream, httpx2.AsyncByteStream):
    """A body in memory, in chunks."""

    def __init__(self, parts: Iterable[bytes]) -> None:
        self.parts = parts

    def __iter__(self):
        yield from self.parts

    async def __aiter__(self):
        for part in self.parts:
            yield part


def mock(request: httpx2.Request) -> httpx2.Response:
    count = int(request.headers["x-chunks"])
    return httpx2.Response(200, headers={"content-type": "text/event-stream"}, stream=Stream(chunks(count)))


def serve(ready) -> None:
    """Answers every request at once, one write for each chunk."""
    listener = socket.create_server(("127.0.0.1", 0))
    ready.send(listener.getsockname()[1])
    while True:
        connection, _ = listener.accept()
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        threading.Thread(target=answer, args=(connection,), daemon=True).start()


def answer(connection: socket.socket) -> None:
    head = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
    file = connection.makefile("rb")
    while file.readline():
        count = length = 0
        while line := file.readline().strip():
            name, _, value = line.lower().partition(b": ")
            count = int(value) if name == b"x-chunks" else count
            length = int(value) if name == b"content-length" else length
        file.read(length)
        connection.sendall(head)
        for chunk in chunks(count):
            connection.sendall(b"%x\r\n%s\r\n" % (len(chunk), chunk))
        connection.sendall(b"0\r\n\r\n")


def sync_httpx(client: httpx2.Client, url: str) -> Callable[[int], None]:
    def ask(count: int) -> None:
        body = {"model": "m", "stream": True, "messages": []}
        with client.stream("POST", url + "/v1/messages", json=body, headers={"x-chunks": str(count)}) as response:
            for _ in response.iter_raw():
                pass

    return ask


def sync_sdk(client: httpx2.Client, url: str) -> Callable[[int], None]:
    sdk = anthropic.Anthropic(api_key="none", base_url=url, http_client=client)

    def ask(count: int) -> None:
        headers = {"x-chunks": str(count)}
        messages = [{"role": "user", "content": "Hello"}]
        for _ in sdk.messages.create(model="m", max_tokens=9, messages=messages, stream=True, extra_headers=headers):
            pass

    return ask


def async_httpx(client: httpx2.AsyncClient, url: str, run: Callable) -> Callable[[int], None]:
    async def ask(count: int) -> None:
        body = {"model": "m", "stream": True, "messages": []}
        async with client.stream("POST", url + "/v1/messages", json=body, headers={"x-chunks": str(count)}) as response:
            async for _ in response.aiter_raw():
                pass

    return lambda count: run(ask(count))


def async_sdk(client: httpx2.AsyncClient, url: str, run: Callable) -> Callable[[int], None]:
    sdk = anthropic.AsyncAnthropic(api_key="none", base_url=url, http_client=client)

    async def ask(count: int) -> None:
        headers = {"x-chunks": str(count)}
        messages = [{"role": "user", "content": "Hello"}]
        stream = await sdk.messages.create(
            model="m", max_tokens=9, messages=messages, stream=True, extra_headers=headers
        )
        async for _ in stream:
            pass

    return lambda count: run(ask(count))


def cpu(ask: Callable[[int], None], count: int, *, observed: bool) -> tuple[int, int]:
    """CPU nanoseconds of a request, and of decoding it afterwards."""
    recorder = Recorder(time.perf_counter_ns)
    with observing(recorder), recorder.round("benchmark"):
        if observed:
            spent = timed(lambda: ask(count))
    if not observed:  # after as much setting up
        spent = timed(lambda: ask(count))
    decoding = timed(lambda: recorder.calls("benchmark"))
    assert len(recorder.take("benchmark")) == observed, recorder.warnings
    return spent, decoding


def timed(action: Callable[[], object]) -> int:
    begin = time.thread_time_ns()
    action()
    return time.thread_time_ns() - begin


def compare(name: str, ask: Callable[[int], None], pairs: int) -> None:
    spent = defaultdict(list)
    decoding = []
    for pair in range(pairs):
        for count in (SHORT, LONG):
            for observed in (True, False) if pair % 2 else (False, True):
                request, decode = cpu(ask, count, observed=observed)
                spent[count, observed].append(request / 1e3)
                if observed and count == LONG:
                    decoding.append(decode / 1e3)
    fast = {kind: statistics.quantiles(values[3:], n=10)[0] for kind, values in spent.items()}
    added = {count: fast[count, True] - fast[count, False] for count in (SHORT, LONG)}
    chunk = (added[LONG] - added[SHORT]) / (LONG - SHORT)
    ratios = (fast[count, True] / fast[count, False] for count in (SHORT, LONG))
    row = (added[SHORT] - SHORT * chunk, chunk, *ratios, statistics.quantiles(decoding, n=10)[0])
    print(
        name.ljust(24),
        *(f"{value:14{form}}" for value, form in zip(row, (".0f", ".2f", ".3f", ".3f", ".0f"), strict=True)),
    )


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--pairs", type=int, default=150)
    options = arguments.parse_args()
    ready, child = multiprocessing.Pipe()
    server = multiprocessing.Process(target=serve, args=(child,), daemon=True)
    server.start()
    url = f"http://127.0.0.1:{ready.recv()}"
    heads = ("µs a request", "µs a chunk", f"ratio, {SHORT} chunks", f"ratio, {LONG}", "decoding, µs")
    print(" " * 24, *(f"{head:>14}" for head in heads))
    with asyncio.Runner() as runner:
        for place, transport, address in (
            ("mock", httpx2.MockTransport(mock), "http://mock.test"),
            ("loopback", None, url),
        ):
            for label, make in (("httpx2", sync_httpx), ("SDK", sync_sdk)):
                ask = make(httpx2.Client(transport=transport, trust_env=False), address)
                compare(f"{place} sync {label}", ask, options.pairs)
            for label, make in (("httpx2", async_httpx), ("SDK", async_sdk)):
                ask = make(httpx2.AsyncClient(transport=transport, trust_env=False), address, runner.run)
                compare(f"{place} async {label}", ask, options.pairs)
    server.terminate()


if __name__ == "__main__":
    main()
