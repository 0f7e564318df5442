"""Which of the descriptors an event loop watches stand for something real that is still to come.

Rule: this module only judges; what time does about it is decided in `virtual_loop`. It can see which descriptors are
registered, events on them, and bytes written by asyncio's own socket transports. So, for each:

- *listening* sockets and the loop's own wake-up pipe: never.
- *both ends watched by this loop* (a server inside the test): in flight from a write until the other end was readable.
  Time stands still for that instant, and jumps otherwise: what the server waits for are timers of the same loop.
- *read on demand* (anyio pauses between reads, so httpx too): pending while someone reads.
- *read always* (asyncio's own transports: databases, redis, aiohttp): pending while a write, or the opening, is
  unanswered, and for half a second after the last bytes.
- *no stream* (datagrams, pipes, bare descriptors): pending while watched when opened in virtual time, except datagrams;
  otherwise for half a second after the last event.

A real peer that falls silent for longer than that in the middle of an answer is jumped over on a connection that is
read always. The clock's `hold` is the way out.
"""

import asyncio
import selectors
import socket
import weakref
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal

from pytest_llmperf.clock.time_module import real

__all__ = ["Wires"]

_QUIET_NS = 500_000_000

Kind = Literal["ignored", "stream", "datagram", "bare"]


@dataclass(slots=True, eq=False, weakref_slot=True)
class _Wire:
    """One descriptor's history.

    Attributes:
        kind: What it is.
        ends: Addresses of this end and of the other, for streams of the internet families.
        since_before: It was watched before virtual time was entered.
        unanswered: Written to, or opened, since the last read.
        in_flight: Written to since the other end was last readable.
        on_demand: Its reader comes and goes.
        moved_ns: Real time of the last event; a long time ago if there was none.
    """

    kind: Kind
    ends: tuple[Any, Any]
    since_before: bool
    unanswered: bool
    in_flight: bool = False
    on_demand: bool = False
    moved_ns: int = -_QUIET_NS


class Wires:
    """The descriptors of one event loop.

    Args:
        own_fd: The loop's wake-up pipe.
        watched_before: What it watched when virtual time was entered.
    """

    def __init__(self, own_fd: int, watched_before: Iterable[selectors.SelectorKey]) -> None:
        self._own_fd = own_fd
        self._watched: dict[int, tuple[_Wire, int]] = {}
        self._of_transport: weakref.WeakKeyDictionary[Any, _Wire] = weakref.WeakKeyDictionary()
        self._of_ends: weakref.WeakValueDictionary[tuple[Any, Any], _Wire] = weakref.WeakValueDictionary()
        for key in list(watched_before):
            self.watch(key, since_before=True)

    def watch(self, key: selectors.SelectorKey, *, since_before: bool = False) -> None:
        """A descriptor was registered, or what is waited for on it has changed."""
        if key.fd == self._own_fd:
            return
        wire = self._wire(key, since_before=since_before)
        if wire.kind != "ignored":
            self._watched[key.fd] = (wire, key.events)

    def unwatch(self, fd: int) -> None:
        """A descriptor is no longer waited for."""
        wire, _ = self._watched.pop(fd, (None, 0))
        if wire is not None:
            wire.on_demand = True  # counts only should the same transport come back

    def note(self, events: Iterable[tuple[selectors.SelectorKey, int]]) -> None:
        """The selector reported these events."""
        for key, mask in events:
            wire, _ = self._watched.get(key.fd, (None, 0))
            if wire is None:
                continue
            wire.moved_ns = real.perf_counter_ns()
            if mask & selectors.EVENT_READ:
                self._was_read(wire)
            if mask & selectors.EVENT_WRITE and wire.kind == "stream":
                wire.unanswered = wire.in_flight = True

    def wrote(self, transport: Any) -> None:
        """A stream transport was given bytes to send."""
        wire = self._of_transport.get(transport)
        if wire is None:  # not yet, or not now, read from
            wire = self._remember(transport, _wire_of_socket(transport.get_extra_info("socket").fileno()))
        wire.unanswered = wire.in_flight = True
        wire.moved_ns = real.perf_counter_ns()

    @property
    def in_flight(self) -> bool:
        """Whether bytes are on their way between two ends of this loop."""
        return bool(self._watched) and any(self._arriving(wire, events) for wire, events in self._watched.values())

    @property
    def pending(self) -> bool:
        """Whether something real is still to come from outside."""
        return bool(self._watched) and any(self._is_pending(wire, events) for wire, events in self._watched.values())

    def _wire(self, key: selectors.SelectorKey, *, since_before: bool) -> _Wire:
        transport = _transport_of(key)
        if transport is None:
            known, _ = self._watched.get(key.fd, (None, 0))
            return known or _wire_of_socket(key.fd, since_before=since_before)
        wire = self._of_transport.get(transport)
        return wire or self._remember(transport, _wire_of_socket(key.fd, since_before=since_before))

    def _remember(self, transport: Any, wire: _Wire) -> _Wire:
        self._of_transport[transport] = wire
        if all(wire.ends):
            self._of_ends[wire.ends] = wire
        return wire

    def _other_end(self, wire: _Wire) -> _Wire | None:
        return self._of_ends.get(wire.ends[::-1]) if all(wire.ends) else None

    def _was_read(self, wire: _Wire) -> None:
        wire.unanswered = False
        other = self._other_end(wire)
        if other is not None:
            other.in_flight = False

    def _arriving(self, wire: _Wire, events: int) -> bool:
        other = self._other_end(wire)
        return other is not None and other.in_flight and bool(events & selectors.EVENT_READ)

    def _is_pending(self, wire: _Wire, events: int) -> bool:
        if self._other_end(wire) is not None:
            return False
        if real.perf_counter_ns() - wire.moved_ns < _QUIET_NS:
            return True
        if wire.kind == "stream":
            return wire.unanswered or (wire.on_demand and bool(events & selectors.EVENT_READ))
        return wire.kind == "bare" and not wire.since_before


def _transport_of(key: selectors.SelectorKey) -> Any:
    """The asyncio transport that waits on a descriptor, or None for a bare one."""
    for handle in key.data if isinstance(key.data, tuple) else ():
        owner = getattr(getattr(handle, "_callback", None), "__self__", None)
        if isinstance(owner, asyncio.BaseTransport):
            return owner
    return None


def _wire_of_socket(fd: int, *, since_before: bool = False) -> _Wire:
    try:
        sock = socket.socket(fileno=fd)
    except OSError:
        return _Wire("bare", (None, None), since_before, unanswered=False)
    try:
        kind = _kind(sock)
        ends = _ends(sock) if kind == "stream" else (None, None)
        return _Wire(kind, ends, since_before, unanswered=not since_before)
    finally:
        sock.detach()


def _kind(sock: socket.socket) -> Kind:
    if sock.type != socket.SOCK_STREAM:
        return "datagram"
    try:
        return "ignored" if sock.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN) else "stream"
    except OSError:
        return "stream"


def _ends(sock: socket.socket) -> tuple[Any, Any]:
    try:
        here, there = sock.getsockname(), sock.getpeername()
    except OSError:
        return (None, None)
    return (here, there) if isinstance(here, tuple) else (None, None)
