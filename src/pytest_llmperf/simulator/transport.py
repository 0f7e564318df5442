"""The simulated API inside the process: a transport of httpx or httpx2 that answers without a network.

Calls of an LLM are answered from their plan, or refused with what else is asked of a provider; everything else goes on
to the transport within. A response
streams, piece by piece, as a network's would. In mode `timed` each piece is waited for, by absolute deadlines of the
API's own clock, so errors never add up; `time.sleep` is looked up at each call and the async wait is the running event
loop's, so a virtual clock can stand in for both. In mode `instant` nothing waits, and the response carries its
`Timeline`; there time passes inside an exchange only, and requests never overlap.

A request that fails before any response has no response to carry anything: its own extensions say `SUBSTITUTED`, and in
mode `instant` hold the `Timeline` of the failure.
"""

import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from functools import cache
from types import ModuleType
from typing import Any, Literal, NamedTuple

from pytest_llmperf.capture.log import asked
from pytest_llmperf.core.exchange import SUBSTITUTED, TIMELINE, WAITED, Timeline
from pytest_llmperf.simulator.api import SimulatedApi, answers, serves
from pytest_llmperf.simulator.behaviour import Cut, Plan
from pytest_llmperf.simulator.pool import Place, Pools
from pytest_llmperf.wire import Protocol, endpoints

Mode = Literal["timed", "instant"]

_FAILURES = {
    Cut.CONNECT: ("ConnectError", "connection refused (simulated fault)"),
    Cut.CONNECT_TIMEOUT: ("ConnectTimeout", "no connection in time (simulated fault)"),
    Cut.DISCONNECT: (
        "RemoteProtocolError",
        "peer closed connection without sending complete message body (simulated fault)",
    ),
    Cut.RESET: ("ReadError", "connection reset by peer (simulated fault)"),
}
_READ_TIMEOUT = ("ReadTimeout", "no bytes within the read time-out")
_FOR_EVER = 86_400.0
NO_PLACE = Place(None)


class Simulator:
    """Makes transports that answer from one simulated API.

    Args:
        api: what answers.
        mode: `timed` waits as a network would; `instant` never waits and leaves the times in the response's extensions.
        protocols: what is measured; calls of those that are not our own are refused, in words that `refused` keeps.
    """

    def __init__(self, api: SimulatedApi, mode: Mode = "timed", protocols: Sequence[Protocol] = ()) -> None:
        self.api = api
        self.mode = mode
        self.pools = Pools()
        self.refused: list[str] = []
        self._protocols = protocols

    def takes(self, request: Any) -> bool:
        """Whether a request is answered or refused here, and not left to the network."""
        return serves(request.url.path, request.url.host) or bool(self.foreign(request))

    def foreign(self, request: Any) -> str:
        """The protocol by which another plugin knows a request that the simulated API cannot answer; empty if none."""
        if answers(request.url.path):
            return ""
        return endpoints.foreign(asked(request).exchange(started_ns=0), self._protocols)

    def note_refusal(self, foreign: str, host: str) -> None:
        """Keep in words that a call of another plugin's protocol was refused."""
        self.refused.append(
            f"the simulated API does not speak {foreign}, a protocol of another plugin: a call to {host} was refused."
            " Run the test with --llmperf-backend=live, or record and replay it"
        )

    def transport(self, package: ModuleType, inner: Any, *, asynchronous: bool) -> Any:
        """A transport of `package` (httpx or httpx2) that serves calls of LLMs and leaves the rest to `inner`.

        Args:
            package: whose base classes, responses and exceptions are used.
            inner: the transport for all other requests; None when there is none.
            asynchronous: for an `AsyncClient`.
        """
        kinds = _kinds(package)
        return (kinds.asynchronous if asynchronous else kinds.synchronous)(self, package, inner)


class _Kinds(NamedTuple):
    """Our classes as members of one package; it tells sync from async by its own base classes."""

    synchronous: Callable[..., Any]
    asynchronous: Callable[..., Any]
    body: Callable[..., Any]
    async_body: Callable[..., Any]


@cache
def _kinds(package: ModuleType) -> _Kinds:
    return _Kinds(
        type("SimulatedTransport", (_Transport, package.BaseTransport), {}),
        type("AsyncSimulatedTransport", (_AsyncTransport, package.AsyncBaseTransport), {}),
        type("SimulatedBody", (_Body, package.SyncByteStream), {}),
        type("AsyncSimulatedBody", (_AsyncBody, package.AsyncByteStream), {}),
    )


class _Course:
    """One exchange under way, as steps: wait so long, then take these bytes. Knows no way to wait."""

    def __init__(
        self, simulator: Simulator, package: ModuleType, request: Any, body: bytes, place: Place = NO_PLACE
    ) -> None:
        url, self._api = request.url, simulator.api
        self._place = place
        self._package = package
        self._request = request
        self._timed = simulator.mode == "timed"
        headers = {name.lower(): value for name, value in request.headers.items()}
        foreign = simulator.foreign(request)
        if foreign:
            simulator.note_refusal(foreign, url.host)
        self._served = self._api.receive(
            request.method,
            url.path,
            host=url.host,
            headers=headers,
            body=body,
            overlapping=self._timed,
            foreign=foreign,
        )
        self.plan: Plan = self._served.plan
        self._timeouts: Mapping[str, float | None] = request.extensions.get("timeout") or {}
        self._reached_ns = 0
        request.extensions[SUBSTITUTED] = True

    def opening(self) -> Iterator[float]:
        """The waits until the response begins.

        Raises:
            Exception: of the package, as a network raises it, when the response never begins.
        """
        plan = self.plan
        if plan.cut in (Cut.CONNECT, Cut.CONNECT_TIMEOUT):
            limit = self._timeouts.get("connect")
            self._reached_ns = 0 if plan.cut is Cut.CONNECT else round((_FOR_EVER if limit is None else limit) * 1e9)
            yield self._reached_ns / 1e9 if self._timed else 0.0
            raise self._failure(plan.cut)
        for wait, _ in self._until(plan.headers_ns, b""):
            yield wait
        if plan.status == 0:
            raise self._failure(plan.cut)

    def steps(self) -> Iterator[tuple[float, bytes]]:
        """The pieces of the body, each with the wait before it.

        Raises:
            Exception: of the package, as a network raises it, where the body is cut.
        """
        for at_ns, data in self.plan.pieces:
            yield from self._until(at_ns, data)
        if self.plan.cut:
            yield from self._until(self.plan.end_ns, b"")
            raise self._failure(self.plan.cut)
        self.over()

    def response(self, stream: Any) -> Any:
        """The response, its body still to come."""
        extensions: dict[str, Any] = {"http_version": b"HTTP/1.1", SUBSTITUTED: True}
        if not self._timed:
            extensions[TIMELINE] = self._timeline()
        if self._place.waited_ns is not None:
            extensions[WAITED] = self._place.waited_ns
        return self._package.Response(
            self.plan.status, headers=list(self.plan.headers), stream=stream, extensions=extensions
        )

    def over(self) -> None:
        """Nothing more will be read."""
        self._api.finished(self._served.ticket)
        self._place.leave()

    def _until(self, offset_ns: int, data: bytes) -> Iterator[tuple[float, bytes]]:
        """One step to a moment of the plan, or to the read time-out before it."""
        limit = self._timeouts.get("read")
        now_ns = self._api.now_ns() - self._served.arrived_ns if self._timed else self._reached_ns
        wait = (offset_ns - now_ns) / 1e9
        if limit is not None and wait > limit:
            self._reached_ns = now_ns + round(limit * 1e9)
            yield limit if self._timed else 0.0, b""
            raise self._failure(None)
        self._reached_ns = offset_ns
        yield wait if self._timed else 0.0, data

    def _failure(self, cut: Cut | None) -> Exception:
        """The exception a network would raise; a cut of None is the read time-out."""
        name, message = _READ_TIMEOUT if cut is None else _FAILURES[cut]
        self.over()
        if not self._timed:
            self._request.extensions[TIMELINE] = Timeline(self._reached_ns, (), self._reached_ns)
        return getattr(self._package, name)(message, request=self._request)  # type: ignore[no-any-return]

    def _timeline(self) -> Timeline:
        """What a prompt reader sees; it ends where a read will time out."""
        limit = self._timeouts.get("read")
        reached_ns, seen = self.plan.headers_ns, list[int]()
        for at_ns, _ in self.plan.pieces:
            if limit is not None and (at_ns - reached_ns) / 1e9 > limit:
                return Timeline(self.plan.headers_ns, tuple(seen), reached_ns + round(limit * 1e9))
            seen.append(at_ns)
            reached_ns = at_ns
        return Timeline(self.plan.headers_ns, tuple(seen), self.plan.end_ns)


class _Transport:
    """Answers a sync client."""

    def __init__(self, simulator: Simulator, package: ModuleType, inner: Any) -> None:
        self._simulator, self._package, self._inner = simulator, package, inner

    def handle_request(self, request: Any) -> Any:
        if not self._simulator.takes(request):
            return _within(self._inner, self._package, request).handle_request(request)
        course = _Course(self._simulator, self._package, request, request.read())
        try:
            for wait in course.opening():
                _sleep(wait)
        except BaseException:
            course.over()
            raise
        return course.response(_kinds(self._package).body(course))

    def close(self) -> None:
        if self._inner is not None:
            self._inner.close()


class _AsyncTransport:
    """Answers an async client."""

    def __init__(self, simulator: Simulator, package: ModuleType, inner: Any) -> None:
        self._simulator, self._package, self._inner = simulator, package, inner

    async def handle_async_request(self, request: Any) -> Any:
        if not self._simulator.takes(request):
            return await _within(self._inner, self._package, request).handle_async_request(request)
        request.extensions[SUBSTITUTED] = True  # also of one that is cancelled while it waits for a place
        body, place = await request.aread(), await self._placed(request)
        try:
            course = _Course(self._simulator, self._package, request, body, place)
        except BaseException:
            place.leave()
            raise
        try:
            for wait in course.opening():
                await _asleep(wait)
        except BaseException:
            course.over()
            raise
        return course.response(_kinds(self._package).async_body(course))

    async def _placed(self, request: Any) -> Place:
        """A place in the client's pool, waited for as a connection would be; where no time passes, none is needed."""
        if self._simulator.mode != "timed":
            return NO_PLACE
        place = Place(self._simulator.pools.of(self._inner))
        limit = (request.extensions.get("timeout") or {}).get("pool")
        if not await place.take(self._simulator.api.now_ns, limit):
            request.extensions |= {SUBSTITUTED: True, WAITED: place.waited_ns}
            raise self._package.PoolTimeout("no connection of the pool was free in time", request=request)
        return place

    async def aclose(self) -> None:
        if self._inner is not None:
            await self._inner.aclose()


class _Body:
    """The pieces of a body, each when it is due; an iterator, so that a reader who leaves needs no clean-up."""

    def __init__(self, course: _Course) -> None:
        self._course, self._steps = course, course.steps()

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        while True:
            wait, data = next(self._steps)
            _sleep(wait)
            if data:
                return data

    def close(self) -> None:
        self._course.over()


class _AsyncBody:
    """As `_Body`, for an async client; no async generator, which some event loops want closed explicitly."""

    def __init__(self, course: _Course) -> None:
        self._course, self._steps = course, course.steps()

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        for wait, data in self._steps:
            await _asleep(wait)
            if data:
                return data
        raise StopAsyncIteration

    async def aclose(self) -> None:
        self._course.over()


def _sleep(seconds: float) -> None:
    if seconds > 0:
        time.sleep(seconds)


async def _asleep(seconds: float) -> None:
    if seconds > 0:
        import anyio

        await anyio.sleep(seconds)


def _within(inner: Any, package: ModuleType, request: Any) -> Any:
    if inner is None:
        raise package.UnsupportedProtocol(
            f"{request.url} is no part of the simulated API, and there is no other transport to ask."
        )
    return inner
