"""Attributes replaced for a while and put back in reverse order.

Others patch the same attributes. What is no longer ours at the end is left alone; should ours come back later through
somebody else's undo, it does nothing but call what it replaced, and the next `Patches` sees through it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

_ABSENT: Any = object()
_REPLACED = "_llmperf_replaced"


class Patches:
    """A stack of replaced attributes. A replacement must ask `active` and pass through when it is false."""

    def __init__(self, warn: Callable[[str], None]) -> None:
        self.active = True
        self._warn = warn
        self._stack: list[tuple[Any, str, Any, Any]] = []

    def replace(self, owner: Any, name: str, make: Callable[[Any], Any]) -> None:
        """Set *owner*'s attribute *name* to what *make* builds from its present value.

        Raises:
            AttributeError: there is no such attribute.
        """
        present = getattr(owner, name)
        before = _living(present)
        replacement = make(before)
        setattr(replacement, _REPLACED, (self, before))
        inherited = name not in vars(owner)
        setattr(owner, name, replacement)
        self._stack.append((owner, name, replacement, _ABSENT if inherited else before))

    def undo(self) -> None:
        """Put everything back, last first, and make what cannot be put back pass through."""
        self.active = False
        while self._stack:
            owner, name, replacement, before = self._stack.pop()
            if vars(owner).get(name) is not replacement:
                self._warn(
                    f"{owner.__module__}.{owner.__qualname__}.{name} was patched by somebody else while traffic was"
                    " observed and is left as it is; undo patches in the reverse order of their making"
                )
            elif before is _ABSENT:
                delattr(owner, name)
            else:
                setattr(owner, name, before)


def _living(value: Any) -> Any:
    """*value*, or what it stands for when it is a replacement of ours that outlived its time."""
    while (replaced := getattr(value, _REPLACED, None)) is not None and not replaced[0].active:
        value = replaced[1]
    return value
