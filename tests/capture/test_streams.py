"""Bodies that note their chunks, and how reading ended."""

from __future__ import annotations

import asyncio
import gc

import httpx
import httpx2
import pytest
import trio

from pytest_llmperf.capture import Recorder
from pytest_llmperf.capture.log import AttemptLog, CallLog
from pytest_llmperf.capture.streams import package_of
from pytest_llmperf.core.exchange import End

CHUNKS = [b"one", b"two", b"three"]


class Reading:
    """A wrapped stream with what its log and the stream itself have seen."""

    def __init__(self, stream, package=httpx2):
        self.stream = stream
        ticks = iter(range(100, 1000, 10))
        recorder = Recorder(lambda: next(ticks))
        self.log = AttemptLog(recorder, CallLog(), httpx2.Request("POST", "http://api.test/", content=b"{}"), 0, 0)
        self.body = package_of(package).observed(stream, self.log)

    @property
    def seen(self):
        return self.log.end, self.log.times, self.log.parts


def sync_stream(package=httpx2, chunks=CHUNKS):
    class Stream(package.SyncByteStream):
        closed = generator_closed = False
        extra = "of the stream"

        def __iter__(self):
            try:
                yield from chunks
            finally:
                self.generator_closed = True

        def close(self):
            self.closed = True

    return Stream()


def async_stream(package=httpx2, chunks=CHUNKS, wait=None):
    class Stream(package.AsyncByteStream):
        closed = False
        closed_in = None

        async def __aiter__(self):
            try:
                for chunk in chunks:
                    if wait is not None:
                        await wait()
                    yield chunk
            finally:
                self.closed_in = asyncio.current_task() if wait is not trio.lowlevel.checkpoint else None

        async def aclose(self):
            self.closed = True

    return Stream()


async def read(body):
    return [chunk async for chunk in body]


@pytest.mark.parametrize("package", [httpx, httpx2])
def test_the_kind_of_a_body_stays(package):
    """A sync body stays sync, an async one async, and bytes in memory both."""
    kinds = (package.SyncByteStream, package.AsyncByteStream)
    for stream in (sync_stream(package), async_stream(package), package.ByteStream(b"x")):
        body = Reading(stream, package).body
        assert [isinstance(body, kind) for kind in kinds] == [isinstance(stream, kind) for kind in kinds]
        assert body is not stream


def test_a_body_of_no_kind_is_left_alone():
    """What no client accepts is not made acceptable."""
    stream = iter([b"x"])
    assert Reading(stream).body is stream


def test_chunks_pass_on_as_the_same_objects():
    """The reader gets each chunk itself, at the moment it comes, and its time is noted."""
    reading = Reading(sync_stream())
    got = list(reading.body)
    assert [a is b for a, b in zip(got, CHUNKS, strict=True)] == [True] * 3
    assert reading.seen == (End.COMPLETE, [100, 110, 120], CHUNKS)
    assert reading.log.ended_ns == 130


def test_async_chunks_pass_on_as_the_same_objects():
    """The same with `async for`."""
    reading = Reading(async_stream())
    got = asyncio.run(read(reading.body))
    assert [a is b for a, b in zip(got, CHUNKS, strict=True)] == [True] * 3
    assert reading.seen == (End.COMPLETE, [100, 110, 120], CHUNKS)


def test_a_body_is_not_read_ahead():
    """Nothing is taken from the wrapped body before the reader asks."""
    taken = []

    def chunks():
        for chunk in CHUNKS:
            taken.append(chunk)
            yield chunk

    iterator = iter(Reading(sync_stream(chunks=chunks())).body)
    assert taken == []
    next(iterator)
    assert taken == [b"one"]


def test_closing_early_is_closed():
    """A reader that stops and closes leaves `closed`, and the wrapped body is closed with its generator."""
    reading = Reading(sync_stream())
    for _ in reading.body:
        break
    reading.body.close()
    assert reading.seen == (End.CLOSED, [100], [b"one"])
    assert reading.stream.closed
    assert reading.stream.generator_closed


def test_a_generator_somebody_else_holds_is_closed_with_the_reading():
    """The wrapped body's generator ends when reading does, whoever still refers to it."""
    held = (chunk for chunk in CHUNKS)
    iterator = iter(Reading(type("Held", (httpx2.SyncByteStream,), {"__iter__": lambda _: held})()).body)
    next(iterator)
    iterator.close()
    assert list(held) == []


def test_the_first_end_counts():
    """An attempt that has ended stays as it ended."""
    reading = Reading(sync_stream())
    reading.log.finish(End.CLOSED)
    reading.log.finish(End.ERROR, ValueError("later"))
    assert (reading.log.end, reading.log.error, reading.log.ended_ns) == (End.CLOSED, "", 100)


def test_closing_after_the_end_changes_nothing():
    """The first end counts."""
    reading = Reading(sync_stream())
    list(reading.body)
    reading.body.close()
    assert reading.log.end is End.COMPLETE
    assert reading.log.ended_ns == 130


def test_a_body_that_is_never_read_is_dropped_when_forgotten():
    """Without any reading or closing the garbage collector ends it."""
    reading = Reading(sync_stream())
    assert reading.log.end is End.OPEN
    reading.body = None
    gc.collect()
    assert reading.seen == (End.DROPPED, [], [])


def test_a_body_forgotten_half_read_is_dropped():
    """Reading that is abandoned without closing ends as dropped, not as closed."""
    reading = Reading(sync_stream())
    for _ in reading.body:
        break
    assert reading.log.end is End.OPEN
    reading.body = None
    gc.collect()
    assert reading.seen == (End.DROPPED, [100], [b"one"])
    assert not reading.stream.closed


@pytest.mark.parametrize("error", [ValueError("broken"), KeyboardInterrupt(), asyncio.CancelledError()])
def test_an_error_of_the_body_passes_untouched(error):
    """The very exception reaches the reader; its type and text are noted."""

    def chunks():
        yield b"one"
        raise error

    reading = Reading(sync_stream(chunks=chunks()))
    with pytest.raises(type(error)) as caught:
        list(reading.body)
    assert caught.value is error
    assert reading.log.end is End.ERROR
    assert reading.log.error == f"{type(error).__name__}: {error}"


def test_an_async_body_is_closed_by_the_task_that_read_it():
    """Early `aclose` of the iteration closes the wrapped generator at once and in the same task."""
    reading = Reading(async_stream())

    async def main():
        iterator = aiter(reading.body)
        await anext(iterator)
        await iterator.aclose()
        assert reading.stream.closed_in is asyncio.current_task()
        assert reading.log.end is End.OPEN
        await reading.body.aclose()

    asyncio.run(main())
    assert reading.seen == (End.CLOSED, [100], [b"one"])
    assert reading.stream.closed


def test_a_cancelled_reader_is_an_error_named_so():
    """Cancellation while waiting for a chunk is `error: CancelledError`, and stays a cancellation."""
    reading = Reading(async_stream(wait=lambda: asyncio.sleep(10)))

    async def main():
        task = asyncio.create_task(read(reading.body))
        await asyncio.sleep(0)
        task.cancel()
        await task

    with pytest.raises(asyncio.CancelledError):
        asyncio.run(main())
    assert (reading.log.end, reading.log.error) == (End.ERROR, "CancelledError: ")


def test_a_trio_scope_that_is_cancelled_ends_the_body():
    """Trio's cancellation passes through and is noted."""
    reading = Reading(async_stream(wait=trio.lowlevel.checkpoint))

    async def main():
        with trio.CancelScope() as scope:
            scope.cancel()
            await read(reading.body)
        return scope.cancelled_caught

    assert trio.run(main)
    assert reading.log.end is End.ERROR
    assert reading.log.error.startswith("Cancelled: ")


def test_what_else_a_body_has_is_reachable():
    """Attributes of the wrapped body are found through ours."""
    assert Reading(sync_stream()).body.extra == "of the stream"


def test_a_clock_that_fails_is_our_affair():
    """The reader gets every chunk although none could be timed."""
    reading = Reading(sync_stream())
    reading.log.now_ns = lambda: 1 // 0
    assert list(reading.body) == CHUNKS
    assert reading.seen == (End.COMPLETE, [], [])
    assert len(reading.log._recorder.warnings) == 1
    assert "ZeroDivisionError" in reading.log._recorder.warnings[0]


def test_a_clock_that_fails_is_our_affair_in_async_too():
    """The same with `async for`."""
    reading = Reading(async_stream())
    reading.log.now_ns = lambda: 1 // 0
    assert asyncio.run(read(reading.body)) == CHUNKS
    assert reading.seen == (End.COMPLETE, [], [])
    assert len(reading.log._recorder.warnings) == 1
