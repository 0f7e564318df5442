"""When bytes came out of the socket; a turn of the event loop later their reader gets them.

On asyncio httpcore reads through anyio, whose protocol puts what arrives into a queue and wakes the reader. While a
response is read, that queue is one that notes the time. Its place is anyio's own affair, so it is looked for with care;
where it is not found, or with another loop than asyncio's, chunks are stamped where the reader gets them.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any

_WRAPPERS = ("_stream", "transport_stream")
"""Where httpcore's stream, and anyio's for TLS, keep the one they wrap."""
_DEEPEST = 4


class Arrivals(deque[bytes]):
    """A queue of pieces that knows when each was put in.

    Attributes:
        taken_ns: when the piece that was taken last arrived; before the first, when the queue was made, which is then
            the latest it can have been.
    """

    __slots__ = ("_now_ns", "_stamps", "taken_ns")

    def __init__(self, pieces: deque[bytes], now_ns: Callable[[], int]) -> None:
        super().__init__(pieces)
        self._now_ns = now_ns
        self.taken_ns = now_ns()
        self._stamps = deque([self.taken_ns] * len(pieces))

    def append(self, piece: bytes, /) -> None:
        """As of a deque."""
        self._stamps.append(self._now_ns())
        super().append(piece)

    def appendleft(self, piece: bytes, /) -> None:
        """The rest of a piece that was too large comes back."""
        self._stamps.appendleft(self.taken_ns)
        super().appendleft(piece)

    def popleft(self) -> bytes:
        """As of a deque."""
        piece = super().popleft()
        self.taken_ns = self._stamps.popleft()
        return piece


class Watch:
    """The queue of a connection, watched while one response is read."""

    __slots__ = ("_arrivals", "_protocol")

    def __init__(self, protocol: Any, now_ns: Callable[[], int]) -> None:
        self._protocol = protocol
        self._arrivals = protocol.read_queue = Arrivals(protocol.read_queue, now_ns)

    def arrived_ns(self) -> int:
        """When what the reader was given last had arrived."""
        return self._arrivals.taken_ns

    def end(self) -> None:
        """Put a queue in its place that is as before."""
        if self._protocol.read_queue is self._arrivals:
            self._protocol.read_queue = deque(self._arrivals)


def watch(response: Any, now_ns: Callable[[], int]) -> Watch | None:
    """Watch the connection of a response; None where that cannot be done."""
    stream = response.extensions.get("network_stream")
    for _ in range(_DEEPEST):
        protocol = getattr(stream, "_protocol", None)
        if type(getattr(protocol, "read_queue", None)) is deque:
            return Watch(protocol, now_ns)
        stream = next((inner for name in _WRAPPERS if (inner := getattr(stream, name, None)) is not None), None)
    return None
