"""One recorded exchange, served again: the same bytes in the same chunks, and the same end.

Timed, each chunk is waited for by an absolute deadline, counted from the moment the request came; `time.sleep` is
looked up at each call and the async wait is the running event loop's, so a virtual clock can stand in for both.
Instant, nothing waits, and response or request carry the `Timeline` of the recording.

What the application ended itself (it closed the response, or a time-out of its own cancelled the request) has no end
that could be served: whoever reads on is told so by an exception.
"""

from __future__ import annotations

import builtins
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from functools import cache
from types import ModuleType
from typing import Any, NamedTuple

from pytest_llmperf.cassettes.document import Interaction
from pytest_llmperf.cassettes.errors import cancellation
from pytest_llmperf.core.exchange import SUBSTITUTED, TIMELINE, End, Timeline

_GRACE_NS = 1_000_000_000
"""How long a time-out of the application may be behind the one that was recorded before the answer breaks off."""
_CANCELLED = frozenset({"CancelledError", "Cancelled", "KeyboardInterrupt", "SystemExit", "GeneratorExit", "Exit"})
_UNTIMED = Timeline(0, (0,), 0, known=False)


class Course:
    """A recorded exchange under way, as steps: wait so long, then take these bytes. Knows no way to wait.

    Args:
        package: httpx or httpx2, whose responses and exceptions are used.
        request: that is answered.
        interaction: the answer.
        now_ns: the clock deadlines are kept by; None serves without waiting.
        started_ns: when the attempt began, by the observer's clock and as recorded; for serving without waiting.
    """

    def __init__(
        self,
        package: ModuleType,
        request: Any,
        interaction: Interaction,
        *,
        now_ns: Callable[[], int] | None,
        started_ns: int,
    ) -> None:
        self._package = package
        self._request = request
        self._response, self._timing = interaction.response, interaction.timing
        self._now_ns = now_ns
        self._arrived_ns = 0 if now_ns is None else now_ns()
        self._started_ns = started_ns
        self._timeouts: Mapping[str, float | None] = request.extensions.get("timeout") or {}

    def opening(self) -> Iterator[float]:
        """The waits until the response begins.

        Raises:
            Exception: as it was recorded, when it never began.
        """
        timing = self._timing
        if timing is None:
            return
        if timing.answered:
            yield from self._until(timing.timeline.headers_ns)
            return
        self._request.extensions |= self._extensions()
        yield from self._until(timing.timeline.end_ns)
        yield from self._broken_off()

    def steps(self) -> Iterator[tuple[float, bytes]]:
        """The chunks of the body, each with the wait before it.

        Raises:
            Exception: as it was recorded, where the body broke off.
        """
        body: bytes = self._response["body"]["string"]
        timing, at = self._timing, 0
        if timing is None:
            yield 0.0, body
            return
        for due_ns, size in zip(timing.timeline.chunks_ns, timing.sizes, strict=True):
            for wait in self._until(due_ns):
                yield wait, b""
            yield 0.0, body[at : at + size]
            at += size
        for wait in self._until(timing.timeline.end_ns):
            yield wait, b""
        if timing.end is End.COMPLETE or (timing.end is not End.ERROR and self._response["status"]["code"] >= 400):
            return  # an SDK closes the body of an error unread; who reads it now finds it empty
        for wait in self._broken_off():
            yield wait, b""

    def response(self, stream: Any) -> Any:
        """The response, its body still to come."""
        status = self._response["status"]
        extensions: dict[str, Any] = {"http_version": b"HTTP/1.1", **self._extensions()}
        if message := status.get("message"):
            extensions["reason_phrase"] = message.encode("ascii", "ignore")
        headers = [(name, value) for name, values in self._response["headers"].items() for value in values]
        return self._package.Response(int(status["code"]), headers=headers, stream=stream, extensions=extensions)

    def _extensions(self) -> dict[str, Any]:
        """The word to the observer: our own served this, and at these times unless they are waited for."""
        if self._timing is None:
            return {SUBSTITUTED: True, TIMELINE: _UNTIMED}
        if self._now_ns is not None:
            return {SUBSTITUTED: True}
        told = self._timing.timeline
        timeline = Timeline(
            told.headers_ns,
            told.chunks_ns,
            told.end_ns,
            started_ns=self._started_ns,
            sent_ns=self._timing.sent_ns,
            connection=self._timing.connection,
        )
        return {SUBSTITUTED: True, TIMELINE: timeline}

    def _until(self, due_ns: int) -> Iterator[float]:
        """The wait for a moment of the recording, or to the read time-out before it."""
        if self._now_ns is None:
            return
        wait = (due_ns - (self._now_ns() - self._arrived_ns)) / 1e9
        limit = self._timeouts.get("read")
        if limit is not None and wait > limit:
            yield limit
            raise self._package.ReadTimeout("no bytes within the read time-out (replayed)", request=self._request)
        if wait > 0:
            yield wait

    def _broken_off(self) -> Iterator[float]:
        """Fail as the recording did; where the application ended it, give it the time to do so again."""
        assert self._timing is not None
        kind, _, message = self._timing.error.partition(": ")
        if self._timing.end is not End.ERROR or kind in _CANCELLED:
            if self._now_ns is not None:
                yield from self._until(self._timing.timeline.end_ns + _GRACE_NS)
            raise self._left_by_application(cancelled=self._timing.end is End.ERROR)
        raise self._error(kind, message)

    def _error(self, kind: str, message: str) -> Exception:
        """The exception of that name: the client's own, one of Python's, or the client's for a broken connection."""
        own = getattr(self._package, kind, None)
        if isinstance(own, type) and issubclass(own, self._package.RequestError):
            return own(message, request=self._request)  # type: ignore[no-any-return]
        plain = getattr(builtins, kind, None)
        if isinstance(plain, type) and issubclass(plain, Exception):
            return plain(message)
        return self._package.ReadError(f"{kind}: {message}", request=self._request)  # type: ignore[no-any-return]

    def _left_by_application(self, *, cancelled: bool) -> Exception:
        if cancelled:
            return cancellation(
                "when this was recorded, the application cancelled the request here, by a time-out of its own perhaps."
                " The instant clock cannot reproduce that: use --llmperf-clock=virtual or realtime"
            )
        ended: Exception = self._package.ReadError(
            "the recording ends here: the application that was recorded read no further", request=self._request
        )
        return ended


class Bodies(NamedTuple):
    """Our streams as members of one package, which tells sync from async by its own base classes."""

    synchronous: Callable[[Course], Any]
    asynchronous: Callable[[Course], Any]


@cache
def bodies(package: ModuleType) -> Bodies:
    """The streams for httpx or httpx2."""
    return Bodies(
        type("ReplayedBody", (_Body, package.SyncByteStream), {}),
        type("AsyncReplayedBody", (_AsyncBody, package.AsyncByteStream), {}),
    )


class _Body:
    """The chunks of a body, each when it is due; an iterator, so that a reader who leaves needs no clean-up."""

    def __init__(self, course: Course) -> None:
        self._steps = course.steps()

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        while True:
            wait, data = next(self._steps)
            sleep(wait)
            if data:
                return data

    def close(self) -> None:
        self._steps = iter(())


class _AsyncBody:
    """As `_Body`, for an async client; no async generator, which some event loops want closed explicitly."""

    def __init__(self, course: Course) -> None:
        self._steps = course.steps()

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        for wait, data in self._steps:
            await asleep(wait)
            if data:
                return data
        raise StopAsyncIteration

    async def aclose(self) -> None:
        self._steps = iter(())


def sleep(seconds: float) -> None:
    """Wait, in the time there is."""
    if seconds > 0:
        time.sleep(seconds)


async def asleep(seconds: float) -> None:
    """Wait, in the event loop's time."""
    if seconds > 0:
        import anyio

        await anyio.sleep(seconds)
