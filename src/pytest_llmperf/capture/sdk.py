"""Where an SDK's logical call begins and ends, and when it hands over the first content.

The SDKs of Anthropic and OpenAI are known, which are built alike: `request` of two base clients, through which every
call with all its retries goes, and the iteration of two stream classes. Without them attempts are still grouped, by
their retry count.
"""

from __future__ import annotations

import functools
import sys
import weakref
from collections.abc import Callable, Mapping
from types import ModuleType
from typing import Any

from pytest_llmperf.capture.log import CallLog
from pytest_llmperf.capture.patches import Patches
from pytest_llmperf.capture.recorder import CALL, Recorder

_SLOTS = ("_call", "_events", "_recorder")
KNOWN = ("anthropic", "openai")
"""Names of the packages whose calls can be followed."""
CONTENT_EVENTS = frozenset({"content_block_delta", "completion"})
_SAID = ("content", "refusal", "tool_calls", "function_call", "reasoning_content", "reasoning")
"""What a delta of a chat's choice may bring; one that only names the role brings none of it."""


def install(recorder: Recorder, patches: Patches, module: ModuleType) -> None:
    """Follow the calls of *module*, one of `KNOWN`, imported; a part that is not there is named in a warning."""
    base = sys.modules.get(f"{module.__name__}._base_client")
    for owner, name, make in (
        (getattr(base, "SyncAPIClient", None), "request", _request),
        (getattr(base, "AsyncAPIClient", None), "request", _async_request),
        (getattr(module, "Stream", None), "__iter__", _iter),
        (getattr(module, "Stream", None), "__next__", _next),
        (getattr(module, "AsyncStream", None), "__aiter__", _aiter),
        (getattr(module, "AsyncStream", None), "__anext__", _anext),
    ):
        try:
            patches.replace(owner, name, functools.partial(make, recorder, patches))
        except (AttributeError, TypeError):
            recorder.warn(
                f"this version of {module.__name__} has no {name} where calls are followed: the SDK's own times are"
                " missing, and attempts are grouped into calls by their retry count"
            )


def _request(recorder: Recorder, patches: Patches, original: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(original)
    def request(client: Any, *args: Any, **kwargs: Any) -> Any:
        if not patches.active:
            return original(client, *args, **kwargs)
        call = _entered(recorder, client, kwargs)
        token = CALL.set((weakref.ref(recorder), call))
        try:
            answer = original(client, *args, **kwargs)
            recorder.past += not call.attempts
            return answer
        finally:
            _returned(recorder, call, token)

    return request


def _async_request(recorder: Recorder, patches: Patches, original: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(original)
    async def request(client: Any, *args: Any, **kwargs: Any) -> Any:
        if not patches.active:
            return await original(client, *args, **kwargs)
        call = _entered(recorder, client, kwargs)
        token = CALL.set((weakref.ref(recorder), call))
        try:
            answer = await original(client, *args, **kwargs)
            recorder.past += not call.attempts
            return answer
        finally:
            _returned(recorder, call, token)

    return request


def _entered(recorder: Recorder, client: Any, options: Mapping[str, Any]) -> CallLog:
    return CallLog(type(client).__name__, recorder.stamp(), streams=bool(options.get("stream")))


def _returned(recorder: Recorder, call: CallLog, token: Any) -> None:
    call.returned_ns = recorder.stamp()
    try:
        CALL.reset(token)
    except ValueError:  # resumed in another context than it was begun in
        CALL.set(None)


def _iter(recorder: Recorder, patches: Patches, original: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(original)
    def __iter__(stream: Any) -> Any:  # noqa: N807 - it becomes that method
        call = _waiting(recorder, patches, stream)
        return original(stream) if call is None else _Watched(original(stream), recorder, call)

    return __iter__


def _aiter(recorder: Recorder, patches: Patches, original: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(original)
    def __aiter__(stream: Any) -> Any:  # noqa: N807 - it becomes that method
        call = _waiting(recorder, patches, stream)
        return original(stream) if call is None else _AsyncWatched(original(stream), recorder, call)

    return __aiter__


def _next(recorder: Recorder, patches: Patches, original: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(original)
    def __next__(stream: Any) -> Any:  # noqa: N807 - it becomes that method
        event = original(stream)
        if (call := _waiting(recorder, patches, stream)) is not None:
            _look(recorder, call, event)
        return event

    return __next__


def _anext(recorder: Recorder, patches: Patches, original: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(original)
    async def __anext__(stream: Any) -> Any:  # noqa: N807 - it becomes that method
        event = await original(stream)
        if (call := _waiting(recorder, patches, stream)) is not None:
            _look(recorder, call, event)
        return event

    return __anext__


def _waiting(recorder: Recorder, patches: Patches, stream: Any) -> CallLog | None:
    """The call of a stream whose first content has not been seen."""
    if not patches.active:
        return None
    try:
        call = recorder.responses.get(stream.response)
    except (AttributeError, TypeError):  # a stand-in for a response
        return None
    return call if call is not None and call.first_event_ns is None else None


def _look(recorder: Recorder, call: CallLog, event: Any) -> bool:
    """Whether *event* is content; the first one is noted."""
    if not _is_content(event):
        return False
    if call.first_event_ns is None:
        call.first_event_ns = recorder.stamp()
    return True


def _is_content(event: Any) -> bool:
    """Whether an SDK's event brings a part of the answer: a message's or a response's delta, or a chat's chunk."""
    kind = getattr(event, "type", None)
    if kind is not None:
        return kind in CONTENT_EVENTS or (str(kind).startswith("response.") and str(kind).endswith(".delta"))
    deltas = [getattr(choice, "delta", None) for choice in getattr(event, "choices", None) or ()]
    return any(getattr(delta, name, None) for delta in deltas for name in _SAID)


class _Watched:
    """A generator of events that is watched until the first content; then each event costs one more call."""

    __slots__ = _SLOTS

    def __init__(self, events: Any, recorder: Recorder, call: CallLog) -> None:
        self._events = events
        self._recorder = recorder
        self._call: CallLog | None = call

    def __getattr__(self, name: str) -> Any:
        if name in _SLOTS:  # not yet there: while being copied
            raise AttributeError(name)
        return getattr(self._events, name)

    def __iter__(self) -> _Watched:
        return self

    def __next__(self) -> Any:
        event = next(self._events)
        if self._call is not None and _look(self._recorder, self._call, event):
            self._call = None
        return event

    def send(self, value: Any) -> Any:
        """As of the generator."""
        return self._events.send(value)

    def throw(self, *error: Any) -> Any:
        """As of the generator."""
        return self._events.throw(*error)

    def close(self) -> None:
        """As of the generator."""
        self._events.close()


class _AsyncWatched:
    """An async generator of events that is watched until the first content; then its own awaitables are handed out."""

    __slots__ = _SLOTS

    def __init__(self, events: Any, recorder: Recorder, call: CallLog) -> None:
        self._events = events
        self._recorder = recorder
        self._call: CallLog | None = call

    def __getattr__(self, name: str) -> Any:
        if name in _SLOTS:  # not yet there: while being copied
            raise AttributeError(name)
        return getattr(self._events, name)

    def __aiter__(self) -> _AsyncWatched:
        return self

    def __anext__(self) -> Any:
        return self._events.__anext__() if self._call is None else self._watched(self._call)

    async def _watched(self, call: CallLog) -> Any:
        event = await self._events.__anext__()
        if _look(self._recorder, call, event):
            self._call = None
        return event

    def asend(self, value: Any) -> Any:
        """As of the generator."""
        return self._events.asend(value)

    def athrow(self, *error: Any) -> Any:
        """As of the generator."""
        return self._events.athrow(*error)

    def aclose(self) -> Any:
        """As of the generator."""
        return self._events.aclose()
