"""Response bodies that note when each chunk was read, and otherwise are the body they wrap.

The kind stays (sync, async, both): clients assert it and SDKs choose by it. Chunks pass on as the same objects.
"""

from __future__ import annotations

import functools
from collections.abc import AsyncGenerator, AsyncIterator, Generator, Iterator
from types import ModuleType
from typing import Any, NamedTuple

from pytest_llmperf.capture.log import OPEN, AttemptLog
from pytest_llmperf.core.exchange import End


class _Body:
    """What both kinds share. It refers to the log, never the log to it: a dropped body must be found dropped."""

    def __init__(self, inner: Any, log: AttemptLog) -> None:
        self.inner = inner
        self.log = log

    def __getattr__(self, name: str) -> Any:
        if name in ("inner", "log"):  # not yet there: while being copied
            raise AttributeError(name)
        return getattr(self.inner, name)

    def __del__(self) -> None:
        log = vars(self).get("log")
        if log is not None and log.end is OPEN:
            log.finish(End.DROPPED)


class SyncBody(_Body):
    """A body read without `await`."""

    def __iter__(self) -> Iterator[bytes]:
        log, now_ns = self.log, self.log.now_ns
        chunks: Any = None
        try:
            chunks = iter(self.inner)
            for chunk in chunks:
                try:
                    log.times.append(now_ns())
                    log.parts.append(chunk)
                except Exception as error:  # noqa: BLE001 - ours, and not the application's affair
                    log.trouble(error)
                yield chunk
            log.finish(End.COMPLETE)
        except GeneratorExit:  # the reader went away; whether it closes or forgets the response is still to come
            raise
        except BaseException as error:
            log.finish(End.ERROR, error)
            raise
        finally:
            if isinstance(chunks, Generator):
                chunks.close()

    def close(self) -> None:
        """Close the wrapped body."""
        if self.log.end is OPEN:
            self.log.finish(End.CLOSED)
        self.inner.close()


class AsyncBody(_Body):
    """A body read with `await`."""

    async def __aiter__(self) -> AsyncIterator[bytes]:
        log, now_ns, watch = self.log, self.log.now_ns, self.log.watch
        chunks: Any = None
        try:
            chunks = aiter(self.inner)
            async for chunk in chunks:
                try:
                    log.times.append(now_ns() if watch is None else watch.arrived_ns(chunk))
                    log.parts.append(chunk)
                except Exception as error:  # noqa: BLE001 - ours, and not the application's affair
                    log.trouble(error)
                yield chunk
            log.finish(End.COMPLETE)
        except GeneratorExit:  # the reader went away; whether it closes or forgets the response is still to come
            raise
        except BaseException as error:
            log.finish(End.ERROR, error)
            raise
        finally:
            if isinstance(chunks, AsyncGenerator):  # here, in the task that read it, not later in one of the loop's
                await chunks.aclose()

    async def aclose(self) -> None:
        """Close the wrapped body."""
        if self.log.end is OPEN:
            self.log.finish(End.CLOSED)
        await self.inner.aclose()


class BothBody(SyncBody, AsyncBody):
    """A body that can be read either way, as bytes in memory can."""


class Package(NamedTuple):
    """The parts of httpx or httpx2 that observing needs."""

    byte_stream: Any
    sync_stream: type
    async_stream: type
    sync_body: type
    async_body: type
    both_body: type
    transports: tuple[type, ...]
    """The package's own transports: they give trace events whenever they connect."""

    def observed(self, stream: Any, log: AttemptLog) -> Any:
        """A body of the same kind as *stream* that tells *log*; *stream* itself if it is of no kind."""
        sync, asynchronous = isinstance(stream, self.sync_stream), isinstance(stream, self.async_stream)
        if sync and asynchronous:
            return self.both_body(stream, log)
        if sync:
            return self.sync_body(stream, log)
        return self.async_body(stream, log) if asynchronous else stream


@functools.cache
def package_of(module: ModuleType) -> Package:
    """The parts of *module*, which is httpx or httpx2."""
    sync_stream, async_stream = module.SyncByteStream, module.AsyncByteStream
    names = ("HTTPTransport", "AsyncHTTPTransport", "MockTransport", "ASGITransport", "WSGITransport")
    return Package(
        byte_stream=module.ByteStream,
        sync_stream=sync_stream,
        async_stream=async_stream,
        sync_body=type("ObservedSyncBody", (SyncBody, sync_stream), {}),
        async_body=type("ObservedAsyncBody", (AsyncBody, async_stream), {}),
        both_body=type("ObservedBody", (BothBody, sync_stream, async_stream), {}),
        transports=tuple(getattr(module, name) for name in names if hasattr(module, name)),
    )
