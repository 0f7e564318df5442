"""The calls observed so far, by round.

Writing happens while the observed program runs and is kept to a few assignments; decoding happens when somebody asks
for calls, or, so that memory stays bounded, before a new attempt once many have ended undecoded.
"""

from __future__ import annotations

import threading
import traceback
import weakref
from collections import Counter, deque
from collections.abc import Callable, Hashable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import PurePath
from typing import Any

from pytest_llmperf import wire
from pytest_llmperf.capture.arrival import Lines, Watch
from pytest_llmperf.capture.attribution import ROUND, Owner
from pytest_llmperf.capture.log import OPEN, AttemptLog, CallLog, asked, decoded_attempt, never_raises
from pytest_llmperf.clock.time_module import in_virtual_time
from pytest_llmperf.core.call import Attempt, Call
from pytest_llmperf.core.exchange import End, Exchange

UNDECODED_LIMIT = 256
"""Ended attempts whose bodies are kept until somebody asks; about 10 MB of 300-token streams."""
FEW_STREAMS = 4
"""Up to so many at once an event loop comes in time, and following them off the loop would cost more than it gives."""
REDIRECTS = frozenset({301, 302, 303, 307, 308})

CALL: ContextVar[tuple[weakref.ref[Recorder], CallLog] | None] = ContextVar("llmperf_call", default=None)
"""The SDK call that is running in this context."""
_LAST_CALL: ContextVar[weakref.ref[CallLog] | None] = ContextVar("llmperf_last_call", default=None)
"""Without a known SDK: the call whose attempt this context sent last. Weak: a context may live for ever."""


_ON_THE_LOOP = (
    "many streams at once, on connections whose bytes the system does not count (Linux counts those of TCP): their"
    " times are those at which the event loop came to them"
)
_AS_A_WHOLE = (
    "over TLS (or HTTP/2) what the event loop read in one go has one time, at which the last of it had arrived: where"
    " the loop is busy, events may look later than they were"
)


class _Unattributed:
    """The key of traffic that belongs to no one round for sure."""


class Recorder:
    """Observed calls, by the key of their round.

    Args:
        few_streams: with more at once, the connections are followed off the event loop.

    Attributes:
        now_ns: the clock all times are read from, in nanoseconds.
        warnings: findings in words, each once: errors of our own code, a client shared across event loops, …
        gates: called before each attempt that looks like LLM traffic; what they raise reaches the application.
        responses: to which SDK call a response belongs.
        past: how many calls of a known SDK were answered although no request of theirs was seen.
        protocols: by which traffic is known for that of an LLM.
    """

    def __init__(
        self,
        now_ns: Callable[[], int],
        protocols: Sequence[wire.Protocol] = wire.PROTOCOLS,
        *,
        few_streams: float = FEW_STREAMS,
    ) -> None:
        self.now_ns = now_ns
        self.protocols = protocols
        self._few_streams = few_streams
        self.warnings: list[str] = []
        self.gates: list[Callable[[], None]] = []
        self.past = 0
        self.responses: weakref.WeakKeyDictionary[Any, CallLog] = weakref.WeakKeyDictionary()
        self._calls: dict[Hashable, list[CallLog]] = {}
        self._rounds: Counter[Hashable] = Counter()
        self._open: set[AttemptLog] = set()
        self._undecoded: deque[AttemptLog] = deque()
        self._lines = Lines(now_ns)
        # Re-entrant: the garbage collector may end a dropped response in the thread that holds it.
        self._lock = threading.RLock()

    # Asked by whoever measures

    @contextmanager
    def round(self, key: Hashable) -> Iterator[None]:
        """Everything observed in this context, and in the tasks and threads started in it, belongs to *key*."""
        token = ROUND.set(Owner(self, key))
        with self._lock:
            self._rounds[key] += 1
        try:
            yield
        finally:
            with self._lock:
                self._rounds -= Counter([key])
            try:
                ROUND.reset(token)
            except ValueError:  # left in another context than it was entered in: that one ends with its task
                ROUND.set(None)

    @property
    def in_flight(self) -> int:
        """HTTP attempts whose response has not ended."""
        return len(self._open)

    def calls(self, key: Hashable) -> tuple[Call, ...]:
        """The calls of a round so far in dispatch order; attempts that still run are `End.OPEN`.

        Bodies are dropped once decoded; the chunks of an exchange keep their times.
        """
        with self._lock:
            logs = list(self._calls.get(key, ()))
        return self._as_calls(logs)

    def take(self, key: Hashable) -> tuple[Call, ...]:
        """The same as `calls`, and forget them. What still runs is not heard of again."""
        with self._lock:
            logs = self._calls.pop(key, [])
        calls = self._as_calls(logs)
        for log in logs:
            log.forget()
        self._forget_decoded()
        self._lines.trim()
        return calls

    def take_unattributed(self) -> tuple[Call, ...]:
        """Calls that belong to no one round for sure, forgotten likewise.

        Those made while no round was running, or by a task or thread older than all of several running rounds.
        """
        return self.take(_Unattributed)

    def lateness(self, at_ns: int) -> float | None:
        """By how many seconds at the most a chunk was stamped too late; None unless that was seen off the loop."""
        return self._lines.lateness(at_ns)

    def warn(self, text: str) -> None:
        """Keep a finding, once."""
        if text not in self.warnings:
            self.warnings.append(text)

    def trouble(self, error: Exception) -> None:
        """Report an error of our own code."""
        frame = traceback.extract_tb(error.__traceback__)[-1:]
        where = f" at {PurePath(frame[0].filename).name}:{frame[0].lineno}" if frame else ""
        self.warn(
            f"observing LLM traffic failed: {type(error).__name__}: {error}{where}. The traffic itself was not touched,"
            " but the measurement may lack part of it"
        )

    # Told by transports, bodies and SDKs

    def check_gates(self, request: Any) -> None:
        """Run the gates on a request that is about to leave, unless it is plainly no LLM traffic.

        Raises:
            BaseException: whatever a gate raises.
        """
        if self._recognised(request):
            for gate in self.gates:
                gate()

    @never_raises
    def stamp(self) -> int:
        """The clock's time; nothing when it cannot be had."""
        return self.now_ns()

    def begin(self, request: Any) -> AttemptLog | None:
        """An attempt leaves now. Never raises; None when it cannot be observed."""
        try:
            while len(self._undecoded) > UNDECODED_LIMIT:
                self._undecoded.popleft().attempt()
            call, retry_count = self._call_of(request)
            if not call.attempts:
                self._register(call)
            log = AttemptLog(self, call, request, retry_count, self.now_ns())
        except Exception as error:  # noqa: BLE001 - ours, and not the application's affair
            self.trouble(error)
            return None
        call.attempts.append(log)
        self._open.add(log)
        if len(self._open) > self._few_streams:
            self._follow()
        return log

    def ended(self, log: AttemptLog) -> None:
        """An attempt came to its end. Takes no lock: the garbage collector may call it anywhere."""
        self._open.discard(log)
        self._undecoded.append(log)

    @never_raises
    def connected(self, stream: Any) -> None:
        """A client made a connection: watch it from the first, also when the loop comes late to the first answer."""
        if not in_virtual_time():
            self._lines.line(stream)

    def watch(self, response: Any) -> Watch | None:
        """Watch the connection that a response is read from, with more than a few at once off the event loop too."""
        stream = response.extensions.get("network_stream")
        if stream is None:
            return None
        alone = response.extensions.get("http_version") in (b"HTTP/1.1", b"HTTP/1.0")
        watch = self._lines.watch(stream, alone=alone)
        if self.in_flight > self._few_streams and (watch is None or self._lines.uncounted):
            self.warn(_ON_THE_LOOP)
        return watch

    def watched(self, watch: Watch) -> None:
        """The response has ended."""
        watch.end()
        if not watch.exact:
            self.warn(_AS_A_WHOLE)

    def stop_watching(self) -> None:
        """Nobody is observed any more."""
        self._lines.stop()

    def decoded(self, log: AttemptLog) -> Attempt | None:
        """The attempt with what it meant, or None for what is no LLM traffic or cannot be decoded."""
        attempt = self._decode(log)
        if attempt is not None:
            self._look_at(log, attempt.exchange)
        return attempt

    # Inside

    @never_raises
    def _follow(self) -> None:
        self._lines.follow()

    def _as_calls(self, logs: list[CallLog]) -> tuple[Call, ...]:
        return tuple(call for log in logs if (call := log.call()) is not None)

    def _forget_decoded(self) -> None:
        """Turn the queue once around and keep what is still to be decoded. Others may write to it meanwhile."""
        for _ in range(len(self._undecoded)):
            try:
                log = self._undecoded.popleft()
            except IndexError:
                return
            if not log.decoded:
                self._undecoded.append(log)

    @never_raises
    def _decode(self, log: AttemptLog) -> Attempt | None:
        exchange = log.exchange()
        return decoded_attempt(exchange, wire.decode(exchange, self.protocols))

    def _recognised(self, request: Any) -> bool:
        try:
            return wire.recognise(asked(request).exchange(started_ns=0), self.protocols) is not None
        except Exception as error:  # noqa: BLE001 - a gate guards money: in doubt it is asked
            self.trouble(error)
            return True

    def _call_of(self, request: Any) -> tuple[CallLog, int]:
        """The call an attempt belongs to, by the SDK's word or by what it looks like."""
        known = CALL.get()
        if known is not None and known[0]() is self:
            return known[1], 0
        retry_count = _retry_count(request)
        last = _LAST_CALL.get()
        call = None if last is None else last()
        if call is None or not _continues(call, request, retry_count):
            call = CallLog()
            _LAST_CALL.set(weakref.ref(call))
        return call, retry_count

    def _register(self, call: CallLog) -> None:
        with self._lock:
            call.key, call.late = self._key()
            self._calls.setdefault(call.key, []).append(call)

    def _key(self) -> tuple[Hashable, bool]:
        """The round this context belongs to, and whether that is a conclusion against what the context says.

        A context whose round is over, or that never knew one, is an old worker: with one round running it can only
        work for that one, with several nobody knows.
        """
        owner = ROUND.get()
        mine = owner is not None and owner.recorder() is self
        if owner is not None and mine and owner.key in self._rounds:
            return owner.key, False
        if len(self._rounds) == 1:
            return next(iter(self._rounds)), mine
        return _Unattributed, mine

    def _look_at(self, log: AttemptLog, exchange: Exchange) -> None:
        client = log.call.client or "a client"
        if exchange.end is End.ERROR and exchange.error.startswith("RuntimeError:") and " loop" in exchange.error:
            self.warn(
                f"{client} for {exchange.host} was used from more than one event loop: an attempt died with"
                f" {exchange.error!r} and the SDK retries it after a pause, which is measured as latency. Make the"
                " client inside the test, or let it and the tests share one loop (loop_scope)"
            )
        if log.call.late:
            self.warn(
                f"calls to {exchange.host} came from a task or thread that an earlier round had started; they are"
                " counted in the one round that was running, or in none if several were. Start workers inside each"
                " round, or before the first, to have them attributed with certainty"
            )


def _retry_count(request: Any) -> int:
    value = request.headers.get("x-stainless-retry-count", "0")
    return int(value) if value.isdecimal() else 0


def _continues(call: CallLog, request: Any, retry_count: int) -> bool:
    """Whether a request is the next attempt of a call: where it was redirected to, or the next retry of the same."""
    if not call.attempts:  # the clock failed before the first
        return False
    last = call.attempts[-1]
    if last.status in REDIRECTS:
        return True
    if not retry_count or last.end is OPEN or last.retry_count != retry_count - 1:
        return False
    return last.asked()[:2] == asked(request)[:2]
