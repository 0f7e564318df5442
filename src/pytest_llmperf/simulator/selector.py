"""An event-loop selector that keeps time to some ten microseconds.

epoll rounds time-outs up to milliseconds. Its descriptor can itself be waited on with `select(2)`, whose time-outs are
in microseconds; so short waits go there, and long ones end a little early and are finished that way.
"""

import select
import selectors

_SHORT = 0.05
_EARLY = 0.002
_SELECTABLE = 1024
"""`select(2)` takes no descriptor from this number on."""


def precise_selector() -> selectors.BaseSelector:
    """The most precise selector this platform has."""
    if not hasattr(selectors, "EpollSelector"):
        return selectors.DefaultSelector()
    return _PreciseSelector()


if hasattr(selectors, "EpollSelector"):

    class _PreciseSelector(selectors.EpollSelector):
        def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
            if timeout is not None and timeout > 0 and self.fileno() < _SELECTABLE:
                if timeout < _SHORT:
                    select.select((self.fileno(),), (), (), timeout)
                    timeout = 0
                else:
                    timeout -= _EARLY
            return super().select(timeout)
