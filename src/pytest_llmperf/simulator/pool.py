"""The places in a client's connection pool, which the simulated API takes as connections would.

There are no connections in here; but a client that keeps at most two open makes its third call wait, and how long it
waited is the client's own part in what a caller waited. Async clients only, in time that passes: a plain client that
waits for a place would block a thread, which nothing in virtual time can tell from work.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable
from typing import Any

MANY = 100_000
"""Whoever allows so many connections limits nothing."""


class Pools:
    """The pools of all clients, by the transport that each of them has."""

    def __init__(self) -> None:
        self._pools: weakref.WeakKeyDictionary[Any, tuple[object, Any]] = weakref.WeakKeyDictionary()

    def of(self, transport: Any) -> Any:
        """The places of a client's pool in the event loop that runs, a semaphore; None where nothing is limited.

        What was taken in a loop that is gone is free again.
        """
        import anyio
        from anyio.lowlevel import current_token

        limit = limit_of(transport)
        if limit is None:
            return None
        loop, known = current_token(), self._pools.get(transport)
        if known is None or known[0] != loop:
            known = self._pools[transport] = (loop, anyio.Semaphore(limit))
        return known[1]


def limit_of(transport: Any) -> int | None:
    """The most connections of a transport of httpx's or httpx2's; None where it has no limit that is known here.

    With HTTP/2 a connection carries many requests at once, and none waits for another connection.
    """
    pool = getattr(transport, "_pool", None)
    limit = None if getattr(pool, "_http2", False) else getattr(pool, "_max_connections", None)
    return limit if isinstance(limit, int) and 0 < limit < MANY else None


class Place:
    """A place in a pool, free again once; of a pool without a limit, nothing.

    Args:
        semaphore: the places; None where nothing is limited.
    """

    def __init__(self, semaphore: Any) -> None:
        self._semaphore = semaphore
        self.waited_ns: int | None = None
        """How long it was waited for; None where nothing is limited."""

    async def take(self, now_ns: Callable[[], int], limit: float | None) -> bool:
        """Wait for it, at most *limit* seconds; whether it came."""
        import anyio

        if self._semaphore is None:
            return True
        began_ns, came = now_ns(), False
        try:
            self._semaphore.acquire_nowait()
            came = True
        except anyio.WouldBlock:
            with anyio.move_on_after(limit):
                await self._semaphore.acquire()
                came = True
        self.waited_ns = now_ns() - began_ns
        self._semaphore = self._semaphore if came else None
        return came

    def leave(self) -> None:
        """Let the next one have it."""
        semaphore, self._semaphore = self._semaphore, None
        if semaphore is not None:
            semaphore.release()
