"""What plays and records a cassette in the place of the network.

A request that the cassette answers is answered from it; one that it does not is a miss, or, where the record mode lets
it, goes on to the client's own transport and is recorded on the way. Nothing else reaches the network.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Sequence
from functools import cache
from types import ModuleType
from typing import Any, Literal, NamedTuple
from urllib.parse import urlsplit

from vcr.request import Request

from pytest_llmperf import wire
from pytest_llmperf.capture.log import asked
from pytest_llmperf.capture.observer import AsyncObservingTransport, SyncObservingTransport
from pytest_llmperf.capture.streams import package_of
from pytest_llmperf.cassettes import misses, recording
from pytest_llmperf.cassettes.cassette import TimedCassette
from pytest_llmperf.cassettes.document import Interaction, Journal
from pytest_llmperf.cassettes.playback import Course, asleep, bodies, sleep
from pytest_llmperf.cassettes.timeline import NO_ROUND, Label
from pytest_llmperf.core.exchange import Exchange
from pytest_llmperf.wire import endpoints

Mode = Literal["timed", "instant"]


def is_llm_traffic(request: Any, protocols: Sequence[wire.Protocol] = ()) -> bool:
    """Whether a request is for a cassette of ours: a call of a protocol we know, or anything else to a provider of it.

    What an application says to its own services goes where it always goes.

    Args:
        request: of httpx or httpx2.
        protocols: of other plugins, beside our own.
    """
    url = str(request.url)
    parts = urlsplit(url)
    known = wire.recognise(Exchange(request.method, url, (), b"", started_ns=0)) is not None
    ours = known or "/v1/messages" in parts.path or endpoints.is_provider(parts.hostname or "")
    return ours or bool(endpoints.foreign(asked(request).exchange(started_ns=0), protocols))


class Deck:
    """Makes transports that play and record one cassette.

    Args:
        cassette: that is played and recorded.
        now_ns: the clock of everything observed.
        label: the round that is running.
        takes: which requests are for the cassette; by default those that `is_llm_traffic`.
        source: who answered an exchange that is recorded.
        journal: where exchanges go at once when they end.
        remedy: the command that records anew, for the text of a miss.
    """

    def __init__(
        self,
        cassette: TimedCassette,
        *,
        now_ns: Callable[[], int],
        label: Callable[[], Label] = lambda: NO_ROUND,
        takes: Callable[[Any], bool] | None = None,
        source: Callable[[Exchange], str] = lambda _: "",
        journal: Journal | None = None,
        remedy: str = "",
    ) -> None:
        self.cassette = cassette
        self.mode: Mode = "instant"
        """`timed` waits as was waited when it was recorded; `instant` never waits and hands on the times."""
        self.protocols: Sequence[wire.Protocol] = ()
        """Those of other plugins, whose calls are for the cassette too."""
        self.misses: list[str] = []
        self.played = 0
        self.recorded = 0
        self._now_ns, self._label, self._takes = now_ns, label, takes
        self._source, self._journal, self._remedy = source, journal, remedy
        self._recorder = recording.TapeRecorder(now_ns, cassette.rules, label, self._ended)
        self._began_ns: int | None = None
        self._first_ns: int | None = None
        self._ended_logs: deque[recording.TapedLog] = deque()
        self._keeping = threading.Lock()
        self._trouble: Exception | None = None

    @property
    def warnings(self) -> list[str]:
        """What went wrong in our own code while recording."""
        return self._recorder.warnings

    def transport(self, package: ModuleType, inner: Any, *, asynchronous: bool) -> Any:
        """A transport of *package* (httpx or httpx2) that asks the cassette before *inner*."""
        kinds = _kinds(package)
        return (kinds.asynchronous if asynchronous else kinds.synchronous)(self, package, inner)

    def takes(self, request: Any) -> bool:
        """Whether a request is for the cassette."""
        return is_llm_traffic(request, self.protocols) if self._takes is None else self._takes(request)

    def course(self, package: ModuleType, request: Any, body: bytes) -> Course | None:
        """The recorded answer to a request; None when it is to be sent, and recorded.

        Raises:
            CassetteMiss: there is none, and nothing may be recorded.
        """
        asked = self.cassette.filter_request(Request(request.method, str(request.url), body, request.headers))
        if not asked:  # a filter of the user's leaves it out
            return None
        label = self._label()
        interaction = self.cassette.take(asked, label)
        if interaction is None:
            if not self.cassette.write_protected:
                return None
            error = misses.miss_of(asked, label, self.cassette, self._remedy)
            self.misses.append(str(error))
            raise error
        self.played += 1
        clock = self._now_ns if self.mode == "timed" else None
        return Course(package, request, interaction, now_ns=clock, started_ns=self._started_ns(interaction))

    def stand_aside(self) -> None:
        """Leave everything to what is further in; another deck has the cassette now."""
        self._takes = lambda _: False

    def rewind(self) -> None:
        """Play from the start again."""
        self.cassette.rewind()
        self.misses.clear()
        self.played, self._first_ns = 0, None

    def check(self) -> None:
        """Raise what kept an exchange from being written down.

        Raises:
            Exception: whatever it was.
        """
        self._keep_ended()
        if self._trouble is not None:
            raise self._trouble
        if self._journal is not None:
            self._journal.settle()

    def _started_ns(self, interaction: Interaction) -> int:
        """When the attempt began, had the recording begun with the first request of now."""
        start_ns = 0 if interaction.timing is None else interaction.timing.start_ns
        if self._first_ns is None:
            self._first_ns = self._now_ns() - start_ns
        return self._first_ns + start_ns

    # --- recording ---

    def taped(self, package: ModuleType, inner: Any, *, asynchronous: bool) -> Any:
        """*inner*, with what passes through it recorded."""
        if self._began_ns is None:
            self._began_ns = self._now_ns() - self.cassette.next_ns
        kind = AsyncObservingTransport if asynchronous else SyncObservingTransport
        return kind(self._recorder, package_of(package), inner)

    def _ended(self, log: recording.TapedLog) -> None:
        self._ended_logs.append(log)
        self._keep_ended()

    def _keep_ended(self) -> None:
        """Keep what has ended, unless that is being done: then whoever does it goes on until nothing is left.

        Never waits: the garbage collector may end an exchange in the very thread that keeps another.
        """
        while self._ended_logs and self._keeping.acquire(blocking=False):
            try:
                while self._ended_logs:
                    self._keep(self._ended_logs.popleft())
            except Exception as error:  # noqa: BLE001 - not the application's affair; `check` tells who records
                self._trouble = self._trouble or error
            finally:
                self._keeping.release()

    def _keep(self, log: recording.TapedLog) -> None:
        cassette = self.cassette
        interaction = recording.interaction_of(log, cassette.rules, began_ns=self._began_ns or 0, source=self._source)
        kept = recording.filtered(interaction, cassette.filter_request, cassette.filter_response)
        if kept is None:
            return
        cassette.keep(kept)
        self.recorded += 1
        if self._journal is not None:
            self._journal.add(kept)


class _Kinds(NamedTuple):
    synchronous: Callable[..., Any]
    asynchronous: Callable[..., Any]


@cache
def _kinds(package: ModuleType) -> _Kinds:
    return _Kinds(
        type("CassetteTransport", (_Transport, package.BaseTransport), {}),
        type("AsyncCassetteTransport", (_AsyncTransport, package.AsyncBaseTransport), {}),
    )


class _Transport:
    """Answers a sync client."""

    def __init__(self, deck: Deck, package: ModuleType, inner: Any) -> None:
        self._deck, self._package, self._inner = deck, package, inner

    def handle_request(self, request: Any) -> Any:
        deck, package = self._deck, self._package
        if not deck.takes(request):
            return self._inner.handle_request(request)
        course = deck.course(package, request, request.read())
        if course is None:
            return deck.taped(package, self._inner, asynchronous=False).handle_request(request)
        for wait in course.opening():
            sleep(wait)
        return course.response(bodies(package).synchronous(course))

    def close(self) -> None:
        self._inner.close()


class _AsyncTransport:
    """Answers an async client."""

    def __init__(self, deck: Deck, package: ModuleType, inner: Any) -> None:
        self._deck, self._package, self._inner = deck, package, inner

    async def handle_async_request(self, request: Any) -> Any:
        deck, package = self._deck, self._package
        if not deck.takes(request):
            return await self._inner.handle_async_request(request)
        course = deck.course(package, request, await request.aread())
        if course is None:
            return await deck.taped(package, self._inner, asynchronous=True).handle_async_request(request)
        for wait in course.opening():
            await asleep(wait)
        return course.response(bodies(package).asynchronous(course))

    async def aclose(self) -> None:
        await self._inner.aclose()
