"""The simulated API on real sockets of 127.0.0.1, for subprocesses, other languages and measurements of the whole path.

An asyncio protocol over h11: HTTP/1.1 with keep-alive and chunked bodies. Every piece of an answer is written at its
absolute deadline after the request's last byte. It should run in a process of its own, by `running_server` or `python
-m pytest_llmperf.simulator.server`: in the same interpreter it would share a lock with what it is meant to measure.

What a socket cannot do is done as nearly as it can: a connection cannot be refused once it is made, so `connect` resets
it before any answer, and `connect_timeout` never answers.
"""

import argparse
import asyncio
import json
import os
import select
import signal
import socket
import struct
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

try:
    import h11
except ImportError as missing:
    raise ImportError("the simulated API on sockets needs h11: pip install 'pytest-llmperf[server]'") from missing

from pytest_llmperf.simulator.api import Served, SimulatedApi
from pytest_llmperf.simulator.behaviour import Cut
from pytest_llmperf.simulator.profile import load
from pytest_llmperf.simulator.selector import precise_selector

_START_SECONDS = 30.0
_STOP_SECONDS = 10.0


class Emissions:
    """A log of when every part of every answer really left, one JSON line a request, in monotonic nanoseconds.

    Keys: `request_id`; `received_ns`, the request's last byte; `headers_ns`, null when none were sent; `chunks`, pairs
    of moment and number of bytes; `complete`.
    """

    def __init__(self, file: IO[str]) -> None:
        self._file = file

    def write(self, **line: object) -> None:
        """Add a line."""
        self._file.write(json.dumps(line, separators=(",", ":")) + "\n")
        self._file.flush()


class Connection(asyncio.Protocol):
    """One connection of a client, and the request that is under way on it."""

    def __init__(
        self, api: SimulatedApi, open_connections: set["Connection"], emissions: Emissions | None = None
    ) -> None:
        self._api = api
        self._open = open_connections
        self._emissions = emissions
        self._http = h11.Connection(h11.SERVER)
        self._request: h11.Request | None = None
        self._body = bytearray()
        self._answering: _Answering | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """A client has come."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._open.add(self)
        made = transport.get_extra_info("socket")
        if made is not None:
            made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def connection_lost(self, exc: Exception | None) -> None:
        """The client has gone, or was sent away."""
        self._open.discard(self)
        if self._answering is not None:
            self._answering.stop()

    def data_received(self, data: bytes) -> None:
        """Bytes of a request."""
        self._http.receive_data(data)
        self._advance()

    def eof_received(self) -> bool:
        """The client will send no more; an answer under way is still wanted, unless the connection is dropped too."""
        self._http.receive_data(b"")
        return self._answering is not None

    def close(self) -> None:
        """End the connection at once."""
        self._transport.abort()

    def _advance(self) -> None:
        """Read what has come, until a request is whole."""
        try:
            while self._answering is None:
                event = self._http.next_event()
                if event is h11.NEED_DATA:
                    if self._http.they_are_waiting_for_100_continue:
                        self._transport.write(
                            self._http.send(h11.InformationalResponse(status_code=100, headers=[])) or b""
                        )
                    return
                if event is h11.PAUSED or isinstance(event, h11.ConnectionClosed):
                    return
                self._take(event)
        except h11.RemoteProtocolError:
            self._transport.close()

    def _take(self, event: object) -> None:
        if isinstance(event, h11.Request):
            self._request, self._body = event, bytearray()
        elif isinstance(event, h11.Data):
            self._body += event.data
        elif isinstance(event, h11.EndOfMessage) and self._request is not None:
            self._answer(self._request)

    def _answer(self, request: h11.Request) -> None:
        headers = {name.decode("ascii"): value.decode("latin-1") for name, value in request.headers}
        path = request.target.decode("ascii", "replace").partition("?")[0]
        served = self._api.receive(
            request.method.decode("ascii"), path, host=headers.get("host", ""), headers=headers, body=bytes(self._body)
        )
        self._answering = _Answering(self._api, served, self._transport, self._http, self._emissions, self._answered)

    def _answered(self) -> None:
        """An answer is whole; the connection is free for the next request."""
        self._answering = None
        if self._http.our_state is h11.DONE and self._http.their_state is h11.DONE:
            self._http.start_next_cycle()
            self._advance()
        else:
            self._transport.close()


class _Answering:
    """Writes one answer, each part at its deadline."""

    def __init__(
        self,
        api: SimulatedApi,
        served: Served,
        transport: asyncio.Transport,
        http: h11.Connection,
        emissions: Emissions | None,
        done: Callable[[], None],
    ) -> None:
        self._api, self._served, self._plan = api, served, served.plan
        self._transport, self._http = transport, http
        self._emissions, self._done = emissions, done
        self._headers_ns: int | None = None
        self._chunks: list[tuple[int, int]] = []
        self._loop = asyncio.get_running_loop()
        self._offset = self._loop.time() - api.now_ns() / 1e9
        self._timer: asyncio.TimerHandle | None = None
        if self._plan.cut is not Cut.CONNECT_TIMEOUT:
            self._await(self._plan.headers_ns if self._plan.status else self._plan.end_ns)

    def stop(self) -> None:
        """The client has gone."""
        self._finish(complete=False)

    def _await(self, offset_ns: int) -> None:
        due = (self._served.arrived_ns + offset_ns) / 1e9 + self._offset
        self._timer = self._loop.call_at(due, self._emit)

    def _emit(self) -> None:
        """Write all that is due, and come back for the rest."""
        plan = self._plan
        if plan.status and self._headers_ns is None:
            self._headers_ns = self._send(h11.Response(status_code=plan.status, headers=list(plan.headers)))
        passed_ns = self._api.now_ns() - self._served.arrived_ns
        while len(self._chunks) < len(plan.pieces):
            at_ns, data = plan.pieces[len(self._chunks)]
            if at_ns > passed_ns:
                return self._await(at_ns)
            self._chunks.append((self._send(h11.Data(data=data)), len(data)))
        if plan.cut and plan.end_ns > passed_ns:
            return self._await(plan.end_ns)
        return self._end()

    def _send(self, event: h11.Event) -> int:
        """Write an event; the moment its bytes were handed to the socket."""
        data = self._http.send(event) or b""
        at_ns = self._api.now_ns()
        self._transport.write(data)
        return at_ns

    def _end(self) -> None:
        cut = self._plan.cut
        if cut is Cut.NO:
            self._send(h11.EndOfMessage())
            self._finish(complete=True)
            self._done()
        elif cut is Cut.DISCONNECT:
            self._transport.close()
        else:
            reset(self._transport)

    def _finish(self, *, complete: bool) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._api.finished(self._served.ticket)
        if self._emissions is not None:
            self._emissions.write(
                request_id=self._plan.request_id,
                received_ns=self._served.arrived_ns,
                headers_ns=self._headers_ns,
                chunks=self._chunks,
                complete=complete,
            )


def reset(transport: asyncio.Transport) -> None:
    """Drop a connection so that the peer sees a reset and not an end."""
    made = transport.get_extra_info("socket")
    made.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    transport.abort()


async def serve(
    api: SimulatedApi,
    *,
    port: int = 0,
    stop: asyncio.Event,
    ready: Callable[[str], None],
    emissions: Emissions | None = None,
) -> None:
    """Serve a simulated API on 127.0.0.1 until told to stop.

    Args:
        api: what answers; its clock must be the monotonic one, by which its deadlines are kept.
        port: 0 takes a free one.
        stop: ends the service, and drops what is still under way.
        ready: is called with the base URL once connections are taken.
        emissions: where the true times go.
    """
    connections: set[Connection] = set()
    server = await asyncio.get_running_loop().create_server(
        lambda: Connection(api, connections, emissions), "127.0.0.1", port, backlog=1024
    )
    ready(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}")
    try:
        await stop.wait()
    finally:
        server.close()
        for connection in list(connections):
            connection.close()
        await server.wait_closed()


@contextmanager
def running_server(
    profile: str | Path = "claude-opus-4", *, seed: int = 0, port: int = 0, emission_log: str | Path | None = None
) -> Iterator[str]:
    """The simulated API in a process of its own.

    Args:
        profile: name or path.
        seed: of its random numbers.
        port: 0 takes a free one.
        emission_log: a file for the true times, see `Emissions`.

    Yields:
        The base URL, for `Anthropic(base_url=...)`.

    Raises:
        RuntimeError: the process did not start; with what it said.
    """
    command = [sys.executable, "-m", __name__, "--profile", str(profile), "--seed", str(seed), "--port", str(port)]
    if emission_log is not None:
        command += ["--emission-log", str(emission_log)]
    with (
        tempfile.TemporaryFile("w+") as said,
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=said, text=True) as process,
    ):
        try:
            yield _announced(process, said)
        finally:
            process.terminate()
            try:
                process.wait(_STOP_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()


def _announced(process: "subprocess.Popen[str]", said: IO[str]) -> str:
    """The URL that a starting server prints."""
    assert process.stdout is not None
    ready, _, _ = select.select([process.stdout], [], [], _START_SECONDS)
    line = process.stdout.readline() if ready else ""
    if not line:
        process.kill()
        process.wait(_STOP_SECONDS)
        said.seek(0)
        raise RuntimeError(f"the simulated API did not start: {said.read().strip() or 'it said nothing'}")
    return str(json.loads(line)["url"])


def main(arguments: list[str] | None = None) -> int:
    """Run the server: prints one JSON line with its URL when ready, and ends on SIGINT or SIGTERM."""
    parser = argparse.ArgumentParser(
        prog="python -m pytest_llmperf.simulator.server", description="Serve the simulated API on 127.0.0.1."
    )
    parser.add_argument("--port", type=int, default=0, help="0 (default) takes a free one")
    parser.add_argument("--profile", default="claude-opus-4", help="name or TOML file (default: claude-opus-4)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument(
        "--emission-log", metavar="FILE", help="write the true time of every part of every answer, as JSON lines"
    )
    options = parser.parse_args(arguments)
    api = SimulatedApi(load(options.profile), options.seed)
    with asyncio.Runner(loop_factory=lambda: asyncio.SelectorEventLoop(precise_selector())) as runner:
        if options.emission_log is None:
            runner.run(_until_signalled(api, options.port, None))
        else:
            with Path(options.emission_log).open("w", encoding="utf-8") as file:
                runner.run(_until_signalled(api, options.port, Emissions(file)))
    return 0


async def _until_signalled(api: SimulatedApi, port: int, emissions: Emissions | None) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)

    def announce(url: str) -> None:
        print(json.dumps({"url": url, "profile": api.profile.name, "pid": os.getpid()}), flush=True)

    await serve(api, port=port, stop=stop, ready=announce, emissions=emissions)


if __name__ == "__main__":
    sys.exit(main())
