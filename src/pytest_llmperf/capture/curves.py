"""When bytes reached this machine, whatever the event loop was busy with: kept by a thread, from the kernel's counts.

Linux counts the bytes that a TCP connection has received. A thread is woken whenever some come, and notes the count
and the time; when the loop gets to read them, the offset at which a byte stood tells since when it had been there. The
thread waits for Python's lock like all others, so while there is something to follow that changes hands sooner.

Nothing here reads from a connection, or keeps one open.
"""

from __future__ import annotations

import os
import socket
import struct
import sys
import threading
from bisect import bisect_left
from collections.abc import Callable
from typing import Any, NamedTuple

_RECEIVED = struct.Struct("=128xQ")
"""Of Linux's `struct tcp_info`: `tcpi_bytes_received`, there since 4.1."""
_SWITCH_SECONDS = 0.0005
"""How long a thread may keep Python's lock while another waits; usually 5 ms, which would be the error of a stamp."""
_TRIES = 5
_CANNOT = (OSError, struct.error, AttributeError, TypeError)
"""What it comes to where bytes cannot be counted: another kernel, no TCP, a closed socket, none of Python's."""


class Seen(NamedTuple):
    """When a count of bytes was seen, and since when at the soonest it can have been so, where that is known."""

    at_ns: int
    since_ns: int | None


class Curve:
    """How many bytes a connection had received by when. One thread writes, another reads.

    Args:
        sock: The connection.
        read: How many bytes the reader has counted so far; offsets are by its count.
        now_ns: The clock.

    Raises:
        OSError, struct.error: The bytes of this connection cannot be counted.
    """

    __slots__ = ("_counts", "_now_ns", "_seen", "_sock", "_uncounted")

    def __init__(self, sock: Any, read: int, now_ns: Callable[[], int]) -> None:
        self._sock = sock
        self._now_ns = now_ns
        self._counts: list[int] = []
        self._seen: list[Seen] = []
        self._uncounted = _read_so_far(sock) - read
        self.grow(None)

    def grow(self, since_ns: int | None) -> None:
        """Note how many there are now, and that those which are new came after *since_ns*."""
        count = _received(self._sock)
        if not self._counts or count > self._counts[-1]:
            self._seen.append(Seen(self._now_ns(), since_ns))
            self._counts.append(count)  # last: whoever finds a count finds when it was seen

    def reached(self, offset: int) -> Seen | None:
        """When the bytes up to an offset were there; None when that was not seen yet."""
        index = bisect_left(self._counts, offset + self._uncounted)
        return self._seen[index] if index < len(self._counts) else None

    def forget(self) -> None:
        """Keep the latest only. By the reader alone, for whom indices change."""
        old = len(self._counts) - 1
        del self._counts[:old]
        del self._seen[:old]


class Curves:
    """The connections that are followed, and the thread that follows them. Used by the thread of an event loop.

    Args:
        now_ns: the clock of all times, one that runs alike in every thread.
    """

    def __init__(self, now_ns: Callable[[], int]) -> None:
        self._now_ns = now_ns
        self._curves: dict[int, Curve] = {}
        """By descriptor. One that was closed is replaced when its number is used again."""
        self._interval = 0.0
        self._thread: threading.Thread | None = None
        self._epoll: Any = None
        self._bell = -1

    def follow(self, sock: Any, read: int) -> Curve | None:
        """A curve of the connection from now on; None where its bytes cannot be counted."""
        if sys.platform != "linux":
            return None
        try:
            curve = Curve(sock, read, self._now_ns)
            self._begin(sock.fileno(), curve)
        except _CANNOT:
            return None
        return curve

    def stop(self) -> None:
        """Follow none any more, and end the thread."""
        thread, self._thread = self._thread, None
        if thread is None:
            return
        os.eventfd_write(self._bell, 1)
        thread.join()
        self._epoll.close()
        os.close(self._bell)
        self._curves.clear()
        sys.setswitchinterval(self._interval)

    def _begin(self, fileno: int, curve: Curve) -> None:
        import select

        if self._thread is None:
            self._interval = sys.getswitchinterval()
            sys.setswitchinterval(min(self._interval, _SWITCH_SECONDS))
            self._epoll, self._bell = select.epoll(), os.eventfd(0)
            self._epoll.register(self._bell, select.EPOLLIN)
            self._thread = threading.Thread(target=self._keep, name="llmperf arrivals", daemon=True)
            self._thread.start()
        self._curves[fileno] = curve
        self._epoll.register(fileno, select.EPOLLIN | select.EPOLLET)

    def _keep(self) -> None:
        """What one look does not show came after that look was asked for, and is shown by the next."""
        since_ns = self._now_ns()
        while self._thread is not None:
            asked_ns = self._now_ns()
            for fileno, _ in self._epoll.poll():
                curve = self._curves.get(fileno)
                if curve is not None:
                    _grow(curve, since_ns)
            since_ns = asked_ns


def _grow(curve: Curve, since_ns: int) -> None:
    try:
        curve.grow(since_ns)
    except _CANNOT:
        return  # it was closed just now


def _received(sock: Any) -> int:
    info = sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _RECEIVED.size)
    return int(_RECEIVED.unpack(info)[0])


def _read_so_far(sock: Any) -> int:
    """How many bytes were read from a connection; more may come while one looks."""
    for _ in range(_TRIES):
        unread, received = _unread(sock), _received(sock)
        if unread == _unread(sock):
            return received - unread
    raise OSError("bytes came at every try to count them")


def _unread(sock: Any) -> int:
    import fcntl
    import termios

    return int.from_bytes(fcntl.ioctl(sock.fileno(), termios.FIONREAD, bytes(4)), sys.byteorder)
