"""Real sockets on a loop in virtual time."""

import asyncio
import contextlib
import os
import selectors
import socket
import threading

import anyio
import httpx2
import pytest

from pytest_llmperf.clock.errors import RealIO
from pytest_llmperf.clock.time_module import real
from pytest_llmperf.clock.virtual import enter_loop
from pytest_llmperf.clock.virtual_wires import Wires

SECOND = 1_000_000_000
BELOW_A_JUMP = 30 * SECOND  # more than any wait in real time here, less than what would be jumped


@contextlib.contextmanager
def server_in_a_thread(answer):
    """A real server outside the loop: calls `answer(connection)` for each connection, in a thread that is older."""

    def serve():
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            with connection, contextlib.suppress(OSError):
                answer(connection)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield listener.getsockname()
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            thread.join()


def echo_slowly(connection):
    """Answers each message after a silence, and in two parts."""
    while message := connection.recv(100):
        real.sleep(0.7)
        connection.sendall(message[:1])
        real.sleep(0.2)
        connection.sendall(message[1:])


async def ask(reader, writer, message=b"question"):
    writer.write(message)
    return await reader.readexactly(len(message))


async def close(writer):
    writer.close()
    with contextlib.suppress(OSError):
        await writer.wait_closed()


def test_an_idle_server_does_not_hold_time(clock, in_loop):
    """A socket that only listens is nothing that is still to come."""

    async def main():
        async with await asyncio.start_server(lambda *_: None, "127.0.0.1", 0):
            await asyncio.sleep(3600)

    in_loop(main)
    assert clock.jumps == 1


def test_a_server_on_the_same_loop_lives_in_the_same_time(clock, in_loop):
    """What a server inside the test sleeps is jumped over, and its answers take no time."""

    async def handle(reader, writer):
        while line := await reader.readline():
            await asyncio.sleep(30)
            writer.write(line * 20_000)  # more than the kernel takes at once
        await close(writer)

    async def main():
        async with await asyncio.start_server(handle, "127.0.0.1", 0) as server:
            reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
            ends = []
            for _ in range(3):
                writer.write(b"a line of a hundred and some bytes\n" * 3)
                for _ in range(3 * 20_000):
                    await reader.readline()
                ends.append(clock.now_ns())
            await asyncio.sleep(3600)
            await close(writer)
        return ends

    assert in_loop(main) == [90 * SECOND, 180 * SECOND, 270 * SECOND]
    assert clock.now_ns() == 3870 * SECOND


def test_http_to_a_server_on_the_same_loop(clock, in_loop):
    """httpx2 and a server in the test, with two slow chunks: the client sees them at their virtual times."""

    async def handle(reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        for _ in range(2):
            await asyncio.sleep(10)
            writer.write(b"4\r\nword\r\n")
        writer.write(b"0\r\n\r\n")
        await close(writer)

    async def main():
        async with await asyncio.start_server(handle, "127.0.0.1", 0) as server, httpx2.AsyncClient() as client:
            port = server.sockets[0].getsockname()[1]
            async with client.stream("GET", f"http://127.0.0.1:{port}/", timeout=60) as response:
                return [(chunk, clock.now_ns()) async for chunk in response.aiter_raw()]

    (first, first_ns), (second, second_ns) = in_loop(main)
    assert first == second == b"word"
    assert 10 * SECOND <= first_ns < 10.5 * SECOND  # connecting may follow real time for an instant
    assert second_ns - first_ns == 10 * SECOND


def test_a_real_server_is_waited_for_in_real_time(clock, in_loop):
    """While an answer is pending time follows real time, so a time-out does not fire; afterwards it jumps."""

    async def main():
        with server_in_a_thread(echo_slowly) as address:
            reader, writer = await asyncio.open_connection(*address)
            async with asyncio.timeout(60):
                assert await ask(reader, writer) == b"question"
            answered = clock.now_ns()
            await close(writer)
            await asyncio.sleep(3600)
        return answered

    answered = in_loop(main)
    assert 0 < answered < BELOW_A_JUMP
    assert clock.now_ns() - answered == 3600 * SECOND


def test_a_connection_from_before_is_waited_for_while_a_question_is_open(clock):
    """A pool that a fixture opened holds time from its write to the answer, and not while it is idle."""

    async def main():
        with server_in_a_thread(echo_slowly) as address:
            reader, writer = await asyncio.open_connection(*address)
            assert await ask(reader, writer) == b"question"
            with enter_loop(clock):
                await asyncio.sleep(3600)
                idle_jumps = clock.jumps
                async with asyncio.timeout(60):
                    assert await ask(reader, writer) == b"question"
                answered = clock.now_ns()
                await asyncio.sleep(3600)
            await close(writer)
        return idle_jumps, answered - 3600 * SECOND

    idle_jumps, took = asyncio.run(main())
    assert idle_jumps == 1
    assert 0 < took < BELOW_A_JUMP
    assert 7200 * SECOND <= clock.now_ns() < 7230 * SECOND


def test_bytes_between_two_ends_of_the_loop_are_in_flight_until_they_can_be_read():
    """A write is on its way until the other end was reported readable, and nothing is pending from outside."""

    async def main():
        loop = asyncio.get_running_loop()
        accepted = loop.create_future()

        async def handle(_, writer):
            accepted.set_result(writer)

        async with await asyncio.start_server(handle, "127.0.0.1", 0) as server:
            _, ours = await asyncio.open_connection(*server.sockets[0].getsockname())
            theirs = await accepted
            wires = Wires(loop._ssock.fileno(), loop._selector.get_map().values())
            seen = [(wires.in_flight, wires.pending)]
            wires.wrote(ours.transport)
            seen.append((wires.in_flight, wires.pending))
            wires.note([(loop._selector.get_key(ours.get_extra_info("socket")), selectors.EVENT_READ)])
            seen.append((wires.in_flight, wires.pending))
            wires.note([(loop._selector.get_key(theirs.get_extra_info("socket")), selectors.EVENT_READ)])
            seen.append((wires.in_flight, wires.pending))
            await close(ours)
            await close(theirs)
        return seen

    assert asyncio.run(main()) == [(False, False), (True, False), (True, False), (False, False)]


def test_a_stream_that_is_read_on_demand_is_waited_for_in_its_pauses(clock, in_loop):
    """Where anyio pauses between reads, silence of the other side is not jumped over as long as someone reads."""

    def drip(connection):
        connection.recv(100)
        for _ in range(3):
            connection.sendall(b"x")
            real.sleep(0.7)

    async def main():
        with server_in_a_thread(drip) as (host, port):
            async with await anyio.connect_tcp(host, port) as stream:
                await stream.send(b"question")
                with anyio.fail_after(60):
                    received = [await stream.receive(1) for _ in range(3)]
                took = clock.now_ns()
                await anyio.sleep(3600)  # still open, but nobody reads
        return received, took

    received, took = in_loop(main)
    assert received == [b"x", b"x", b"x"]
    assert 0 < took < BELOW_A_JUMP
    assert clock.jumps >= 1


def pipe():
    return [os.fdopen(fd, mode) for fd, mode in zip(os.pipe(), ("rb", "wb"), strict=True)]


async def read_from_socket(answer):
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    with ours, theirs:
        answer(lambda: theirs.sendall(b"x"))
        return await asyncio.get_running_loop().sock_recv(ours, 1)


async def read_from_pipe(answer):
    ours, theirs = pipe()
    with ours, theirs:
        answer(lambda: os.write(theirs.fileno(), b"x"))
        came = asyncio.get_running_loop().create_future()
        asyncio.get_running_loop().add_reader(ours, lambda: came.done() or came.set_result(os.read(ours.fileno(), 1)))
        try:
            return await came
        finally:
            asyncio.get_running_loop().remove_reader(ours)


@pytest.mark.parametrize("read_from", [read_from_socket, read_from_pipe])
def test_bare_descriptors_are_waited_for(clock, in_loop, read_from):
    """A socket or a pipe that is read without a transport is pending as long as the loop watches it."""
    threads = []

    def answer(send):
        def run():
            real.sleep(0.7)
            send()

        threads.append(threading.Thread(target=run))
        threads[0].start()

    async def main():
        async with asyncio.timeout(60):
            return await read_from(answer)

    assert in_loop(main) == b"x"
    threads[0].join()
    assert 0 < clock.now_ns() < BELOW_A_JUMP


@pytest.mark.parametrize("pair", [socket.socketpair, pipe])
def test_descriptors_watched_from_before_do_not_hold_time(clock, pair):
    """A permanent reader of the application's own, say for messages that may come, is taken to be idle."""

    async def main():
        loop = asyncio.get_running_loop()
        ours, theirs = pair()
        with ours, theirs:
            loop.add_reader(ours, int)
            with enter_loop(clock):
                await asyncio.sleep(3600)
            loop.remove_reader(ours)

    asyncio.run(main())
    assert clock.jumps == 1


def test_datagrams_that_nobody_answers_do_not_hold_time(clock, in_loop):
    """Metrics sent and forgotten delay nothing."""

    async def main():
        loop = asyncio.get_running_loop()
        with socket.socket(type=socket.SOCK_DGRAM) as silent:
            silent.bind(("127.0.0.1", 0))
            address = silent.getsockname()
            transport, _ = await loop.create_datagram_endpoint(asyncio.DatagramProtocol, remote_addr=address)
            for _ in range(3):
                transport.sendto(b"metric:1|c")
                await asyncio.sleep(600)
            transport.close()

    in_loop(main)
    assert clock.jumps == 3
    assert clock.now_ns() == 1800 * SECOND


def test_refusing_names_the_address(clock):
    """With `refuse`, connecting raises in the code and at the exit, even if the code takes it for an outage."""
    swallowed = []

    async def main():
        with enter_loop(clock, real_io="refuse"):
            try:
                await asyncio.open_connection("127.0.0.1", 9)
            except Exception as error:  # noqa: BLE001 - as broad as an SDK that retries
                swallowed.append(type(error))

    with pytest.raises(RealIO, match=r"connecting to \('127\.0\.0\.1', 9\) is real, .* simulation or a cassette"):
        asyncio.run(main())
    assert swallowed == [RealIO]


def test_refusing_covers_connections_from_before(clock):
    """With `refuse`, a write to a connection that a fixture opened is an error too."""

    async def main():
        with server_in_a_thread(echo_slowly) as address:
            _, writer = await asyncio.open_connection(*address)
            try:
                with enter_loop(clock, real_io="refuse"):
                    writer.write(b"question")
            finally:
                await close(writer)

    with pytest.raises(RealIO, match=r"writing to \('127\.0\.0\.1', \d+\)"):
        asyncio.run(main())


def test_refusing_covers_processes(clock, in_loop):
    """With `refuse`, a process is not started."""
    with pytest.raises(RealIO, match="starting a process"):
        in_loop(lambda: asyncio.create_subprocess_exec("true"), real_io="refuse")
