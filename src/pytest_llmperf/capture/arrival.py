"""When bytes came out of the socket; a turn of the event loop later their reader gets them.

On asyncio httpcore reads through anyio, whose protocol puts what arrives into a queue and wakes the reader. That queue
is replaced, by the task that is about to read from it, with one that notes the time of each piece and where in the
connection's bytes it stood; with a curve of how many had been received by when, a chunk's time is even when it reached
the machine. The queue's place is anyio's own affair, so it is looked for with care; where it is not found, or with
another loop than asyncio's, chunks are stamped where the reader gets them. Should the queue be used in a way that is
not known here, its pieces still pass as those of any other do, and their times are the reader's again.
"""

from __future__ import annotations

import asyncio
import weakref
from collections import deque
from collections.abc import Callable
from typing import Any, NamedTuple

from pytest_llmperf.capture.curves import Curve, Curves

_WRAPPERS = ("_stream", "transport_stream")
"""Where httpcore's stream, and anyio's for TLS, keep the one they wrap."""
_DEEPEST = 4
_MOST_BOUNDS = 65_536
_UNSEEN_NS = 1_000_000
"""How far off times are for all that: the sending, from which they count, is not seen off the loop."""


class _Note(NamedTuple):
    """A piece came out of the socket at that time; it ends at that offset of the connection's bytes."""

    at_ns: int
    end: int


class Arrivals(deque[bytes]):
    """A queue of pieces that knows when each was put in.

    Args:
        pieces: what is in it at first; it came by now.
        now_ns: the clock.

    Attributes:
        read: how many bytes were put in.
        taken: the piece that was taken last; before the first, an empty one that came when the queue was made, which
            is then the latest it can have been.
        note: of that piece.
        lost: no time in here means anything (any more).
    """

    __slots__ = ("_notes", "_now_ns", "lost", "note", "read", "taken")

    def __init__(self, pieces: deque[bytes], now_ns: Callable[[], int]) -> None:
        super().__init__(pieces)
        self.begin(now_ns)

    def begin(self, now_ns: Callable[[], int]) -> None:
        """Count from here."""
        self._now_ns = now_ns
        self.read = 0
        self.taken = b""
        self.note = _Note(now_ns(), 0)
        self._notes: deque[_Note] = deque()
        for piece in tuple(self):
            self._put(piece)
        self.lost = False

    def append(self, piece: bytes, /) -> None:
        """As of a deque."""
        super().append(piece)
        if not self.lost:
            try:
                self._put(piece)
            except Exception:  # noqa: BLE001 - in here an error of ours would end the application's connection
                self.lost = True

    def appendleft(self, piece: bytes, /) -> None:
        """The rest of a piece that was too large comes back."""
        super().appendleft(piece)
        if not self.lost:
            self._notes.appendleft(self.note)
            self.taken = self.taken[: len(self.taken) - len(piece)]
            self.note = _Note(self.note.at_ns, self.note.end - len(piece))

    def popleft(self) -> bytes:
        """As of a deque."""
        piece = super().popleft()
        if len(self._notes) == len(self) + 1:
            self.taken, self.note = piece, self._notes.popleft()
        else:
            self.lost = True
        return piece

    def stop(self) -> None:
        """Be a queue like any other."""
        self.lost = True
        self.taken = b""
        self._now_ns = int

    def _put(self, piece: bytes) -> None:
        self.read += len(piece)
        self._notes.append(_Note(self._now_ns(), self.read))


class Line:
    """A connection, from when it was first seen."""

    __slots__ = ("arrivals", "curve", "loop", "owner", "sock")

    def __init__(self, arrivals: Arrivals, sock: Any, owner: Lines) -> None:
        self.arrivals = arrivals
        self.sock = sock
        self.loop = asyncio._get_running_loop()
        self.owner: Lines | None = owner
        """Who watches it; others may have before."""
        self.curve: Curve | None = None


_SEEN: weakref.WeakKeyDictionary[Any, Line] = weakref.WeakKeyDictionary()
"""The lines of all connections there are, by protocol: a client may live longer than who observes it."""


class Watch:
    """A connection while one response is read from it."""

    __slots__ = ("_cursor", "_legible", "_line", "_now_ns", "_since", "exact")

    def __init__(self, line: Line, now_ns: Callable[[], int], since: dict[int, int], *, legible: bool) -> None:
        self._line = line
        self._now_ns = now_ns
        self._since = since
        self._legible = legible
        """Whether chunks stand in the connection's bytes as they are; else one that is found was found by chance."""
        self._cursor = 0
        """Up to where chunks have been found."""
        self.exact = True
        """Every chunk so far was found where it stood. Encrypted ones are not: they came by their piece's end."""

    def arrived_ns(self, chunk: bytes) -> int:
        """When the chunk had arrived that the reader is given now."""
        arrivals, curve = self._line.arrivals, self._line.curve
        if arrivals.lost:
            return self._now_ns()
        at_ns = arrivals.note.at_ns
        if curve is None:
            return at_ns
        end, found = self._end_of(chunk, arrivals)
        seen = curve.reached(end)
        if seen is None or seen.at_ns > at_ns:
            return at_ns
        if found and seen.since_ns is not None:
            self._since[seen.at_ns] = seen.since_ns
        return seen.at_ns

    def end(self) -> None:
        """The response is over: nothing before it is asked for again."""
        self._line.arrivals.taken = b""
        if self._line.curve is not None:
            self._line.curve.forget()

    def _end_of(self, chunk: bytes, arrivals: Arrivals) -> tuple[int, bool]:
        """Where the chunk ends in the connection's bytes, and whether that is sure; else where the last piece ends."""
        begin = arrivals.note.end - len(arrivals.taken)
        found = arrivals.taken.find(chunk, max(0, self._cursor - begin)) if self._legible else -1
        if found < 0:
            self.exact = self.exact and not arrivals.taken
            return arrivals.note.end, False
        self._cursor = begin + found + len(chunk)
        return self._cursor, True


class Lines:
    """The connections of asyncio's loops that are watched.

    Args:
        now_ns: the clock of all times.

    Attributes:
        uncounted: a connection was to be followed off the loop, and could not be.
    """

    def __init__(self, now_ns: Callable[[], int]) -> None:
        self._now_ns = now_ns
        self._curves = Curves(now_ns)
        self._since: dict[int, int] = {}
        """The earliest that a time can have been, for those the curves told."""
        self._many = False
        self.uncounted = False

    def line(self, stream: Any) -> Line | None:
        """The connection under a stream of httpcore's; None where it is not found as it is known."""
        protocol = protocol_of(stream)
        if protocol is None:
            return None
        line = _SEEN.get(protocol)
        if line is None or protocol.read_queue is not line.arrivals:
            arrivals = Arrivals(protocol.read_queue, self._now_ns)
            line = _SEEN[protocol] = Line(arrivals, stream.get_extra_info("socket"), self)
            protocol.read_queue = arrivals
            self._follow(line)
        elif line.owner is not self:
            self._take(line)
        return line

    def watch(self, stream: Any, *, alone: bool = True) -> Watch | None:
        """Watch the connection while a response is read from it, *alone* or among others (HTTP/2)."""
        line = self.line(stream)
        if line is None:
            return None
        legible = alone and stream.get_extra_info("ssl_object") is None
        return Watch(line, self._now_ns, self._since, legible=legible)

    def follow(self) -> None:
        """From now on also off the loop that runs."""
        if self._many or asyncio._get_running_loop() is None:
            return
        self._many = True
        for line in list(_SEEN.values()):
            if line.owner is self:
                self._follow(line)
            elif line.owner is None and line.loop is asyncio._get_running_loop():
                self._take(line)

    def lateness(self, at_ns: int) -> float | None:
        """By how many seconds at the most a chunk was stamped too late; None unless that was seen off the loop."""
        since_ns = self._since.get(at_ns)
        return None if since_ns is None else (at_ns - since_ns + _UNSEEN_NS) / 1e9

    def trim(self) -> None:
        """Keep memory bounded: of what is never asked for, the older half goes."""
        if len(self._since) > _MOST_BOUNDS:
            for at_ns in list(self._since)[: _MOST_BOUNDS // 2]:
                self._since.pop(at_ns, None)

    def stop(self) -> None:
        """Watch none any more. Their queues stay, for only their readers may replace them, and are like any other."""
        for line in list(_SEEN.values()):
            if line.owner is self:
                line.owner = line.curve = None
                line.arrivals.stop()
        self._curves.stop()
        self._many = False

    def _take(self, line: Line) -> None:
        """Watch a connection that another has watched."""
        line.owner = self
        line.curve = None
        line.arrivals.begin(self._now_ns)
        self._follow(line)

    def _follow(self, line: Line) -> None:
        """In the thread that reads it alone: else a read could come between the counts of kernel and queue."""
        if self._many and line.loop is asyncio._get_running_loop() and line.sock.fileno() >= 0:
            line.curve = self._curves.follow(line.sock, line.arrivals.read)
            self.uncounted = self.uncounted or line.curve is None


def protocol_of(stream: Any) -> Any:
    """Anyio's protocol that reads a stream of httpcore's; None where it is not found as it is known."""
    for _ in range(_DEEPEST):
        protocol = getattr(stream, "_protocol", None)
        if type(getattr(protocol, "read_queue", None)) in (deque, Arrivals):
            return protocol
        stream = next((inner for name in _WRAPPERS if (inner := getattr(stream, name, None)) is not None), None)
    return None
