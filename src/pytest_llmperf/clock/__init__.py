"""Time: the wall's, a hand-moved one for tests, and a virtual one that jumps over waiting.

Rule: this layer knows the standard library and nothing else; it hooks anyio only where anyio is already loaded.
Importing it costs nothing: take a clock from `wall`, `manual` or `virtual`.
"""

from typing import Protocol

__all__ = ["Clock"]


class Clock(Protocol):
    """Where time stamps come from."""

    name: str
    """``realtime``, ``virtual``, ``instant`` or ``manual``: printed beside every result."""

    def now_ns(self) -> int:
        """The scenario's time in nanoseconds; it never goes back, and its zero means nothing."""
        ...
