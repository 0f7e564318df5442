"""A transport around a transport, that writes down what passes through.

It speaks the public transport API in both directions. What the inner transport returns or raises passes on as it is;
what goes wrong in here is a warning of the recorder.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pytest_llmperf.capture.connection import RETURNED
from pytest_llmperf.capture.log import AttemptLog
from pytest_llmperf.capture.recorder import Recorder
from pytest_llmperf.capture.streams import Package
from pytest_llmperf.core.exchange import SUBSTITUTED, TIMELINE, WAITED, End

_ABSENT: Any = object()


class ObservingTransport:
    """What both kinds share. Made anew for each request: it is three pointers, and so never keeps a client alive."""

    __slots__ = ("inner", "package", "recorder")

    def __init__(self, recorder: Recorder, package: Package, inner: Any) -> None:
        self.recorder = recorder
        self.package = package
        self.inner = inner

    def __getattr__(self, name: str) -> Any:
        if name in ObservingTransport.__slots__:  # not yet there: while being copied
            raise AttributeError(name)
        return getattr(self.inner, name)

    def answered(self, log: AttemptLog, response: Any) -> None:
        """The response came back: note its head and put an observed body around its own. Never raises."""
        try:
            self._note_head(log, response)
            if response.is_closed:
                self._read_already(log, response)
            else:
                self._observe_body(log, response)
        except Exception as error:  # noqa: BLE001 - ours, and not the application's affair
            self.recorder.trouble(error)

    def failed(self, log: AttemptLog, request: Any, error: BaseException) -> None:
        """No response came: what stands in for the network left its word in the request. Never raises."""
        try:
            _note_substitute(log, request.extensions)
        except Exception as trouble:  # noqa: BLE001 - ours, and not the application's affair
            self.recorder.trouble(trouble)
        log.finish(End.ERROR, error)

    def _note_head(self, log: AttemptLog, response: Any) -> None:
        log.headers_ns = log.now_ns()
        log.events.append((RETURNED, log.headers_ns))
        log.status, log.response_headers = response.status_code, response.headers
        log.transport, log.package_transports = type(self.inner), self.package.transports
        _note_substitute(log, response.extensions)
        if log.call.streams:
            self.recorder.responses[response] = log.call

    def _observe_body(self, log: AttemptLog, response: Any) -> None:
        body = self.package.observed(response.stream, log)
        if body is response.stream:  # of a kind no client takes: it will refuse the response
            log.finish(End.DROPPED)
        response.stream = body

    def _read_already(self, log: AttemptLog, response: Any) -> None:
        """The response came with its content, which no one will iterate: a mock's. It is as old as the head."""
        if isinstance(response.stream, self.package.byte_stream):
            data = b"".join(response.stream)
        else:
            data = response.content
            log.response_headers = [pair for pair in response.headers.raw if pair[0].lower() != b"content-encoding"]
        if data:
            log.times.append(log.events[-1][1])
            log.parts.append(data)
        log.finish(End.COMPLETE)


def _note_substitute(log: AttemptLog, extensions: Any) -> None:
    if SUBSTITUTED in extensions:
        log.substituted, log.timeline = bool(extensions[SUBSTITUTED]), extensions.get(TIMELINE)
        log.waited_ns = extensions.get(WAITED)


class SyncObservingTransport(ObservingTransport):
    """For clients without `await`."""

    __slots__ = ()

    def __enter__(self) -> SyncObservingTransport:
        self.inner.__enter__()
        return self

    def __exit__(self, *exc_info: Any) -> None:
        self.inner.__exit__(*exc_info)

    def close(self) -> None:
        """Close the observed transport."""
        self.inner.close()

    def handle_request(self, request: Any) -> Any:
        """Send a request through the observed transport."""
        if self.recorder.gates:
            self.recorder.check_gates(request)
        log = self.recorder.begin(request)
        if log is None:
            return self.inner.handle_request(request)
        untrace = _trace(request, log, _sync_callback)
        try:
            response = self.inner.handle_request(request)
        except BaseException as error:
            self.failed(log, request, error)
            raise
        finally:
            untrace()
        self.answered(log, response)
        return response


class AsyncObservingTransport(ObservingTransport):
    """For clients with `await`."""

    __slots__ = ()

    async def __aenter__(self) -> AsyncObservingTransport:
        await self.inner.__aenter__()
        return self

    async def __aexit__(self, *exc_info: Any) -> None:
        await self.inner.__aexit__(*exc_info)

    async def aclose(self) -> None:
        """Close the observed transport."""
        await self.inner.aclose()

    async def handle_async_request(self, request: Any) -> Any:
        """Send a request through the observed transport."""
        if self.recorder.gates:
            self.recorder.check_gates(request)
        log = self.recorder.begin(request)
        if log is None:
            return await self.inner.handle_async_request(request)
        untrace = _trace(request, log, _async_callback)
        try:
            response = await self.inner.handle_async_request(request)
        except BaseException as error:
            self.failed(log, request, error)
            raise
        finally:
            untrace()
        self.answered(log, response)
        log.watch_arrivals(response)
        return response


def _trace(request: Any, log: AttemptLog, make: Callable[[AttemptLog, Any], Any]) -> Callable[[], None]:
    """Listen to the request's trace events until the response's head is there; returns what takes it back.

    Set in the request's own mapping, and taken out again: a redirect copies it, and what the application put there
    must be found there.
    """
    extensions = request.extensions
    try:
        found = extensions.get("trace", _ABSENT)
        ours = extensions["trace"] = make(log, None if found is _ABSENT else found)
    except Exception as error:  # noqa: BLE001 - a mapping that cannot be written: then without events
        log.trouble(error)
        return lambda: None

    def untrace() -> None:
        if extensions.get("trace") is not ours:
            return
        if found is _ABSENT:
            del extensions["trace"]
        else:
            extensions["trace"] = found

    return untrace


def _sync_callback(log: AttemptLog, chained: Any) -> Callable[[str, Any], Any]:
    append, now_ns = log.events.append, log.now_ns

    def trace(name: str, info: Any) -> Any:
        try:
            append((name, now_ns()))
        except Exception as error:  # noqa: BLE001 - ours, and not the client's affair
            log.trouble(error)
        return None if chained is None else chained(name, info)

    return trace


def _async_callback(log: AttemptLog, chained: Any) -> Callable[[str, Any], Any]:
    append, now_ns = log.events.append, log.now_ns

    async def trace(name: str, info: Any) -> Any:
        try:
            append((name, now_ns()))
            log.connected(name, info)
        except Exception as error:  # noqa: BLE001 - ours, and not the client's affair
            log.trouble(error)
        return None if chained is None else await chained(name, info)

    return trace
