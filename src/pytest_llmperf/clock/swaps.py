"""Attributes replaced for a while.

Rule: every patch of this layer goes through here, so there is one place that undoes them: in reverse order, and each
only while it is still ours. Whoever patched over us keeps their patch, and is named to the caller.
"""

from typing import Any

__all__ = ["Swaps"]

_ABSENT: Any = object()


class Swaps:
    """What was replaced, in order, and what stood there before."""

    __slots__ = ("_log",)

    def __init__(self) -> None:
        self._log: list[tuple[Any, str, Any, Any]] = []

    def put(self, owner: Any, name: str, value: Any) -> None:
        """Sets an attribute on a module, a class or an instance, and remembers the one that was there."""
        self._log.append((owner, name, value, vars(owner).get(name, _ABSENT)))
        setattr(owner, name, value)

    def undo(self) -> list[str]:
        """Puts everything back.

        Returns:
            The attributes that someone else has replaced since; they were left alone.
        """
        foreign = []
        while self._log:
            owner, name, ours, before = self._log.pop()
            if vars(owner).get(name, _ABSENT) is not ours:
                foreign.append(f"{getattr(owner, '__name__', type(owner).__name__)}.{name}")
            elif before is _ABSENT:
                delattr(owner, name)
            else:
                setattr(owner, name, before)
        return foreign
