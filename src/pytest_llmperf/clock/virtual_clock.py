"""The number that virtual time is: moved forward, never by itself.

Rule: this module knows no event loop and no thread; who moves the clock, and when, is decided in `virtual_loop`.
"""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

__all__ = ["VirtualClock"]


class VirtualClock:
    """Time that jumps to the next thing that happens.

    Enter it with `virtual.enter_loop` or `virtual.enter_sync`, as often as you like: it goes on from where it stood.
    Outside it stands still.

    Args:
        start_ns: What it shows first, in nanoseconds.
        grace_seconds: Real time to wait for something unexpected when nothing is left to do, before `VirtualDeadlock`.
        patience_seconds: Real time for which it stands still for one piece of outside work; then it follows real time.
        horizon_seconds: Virtual time after which a stay is taken to run for ever, and ends with `VirtualDeadlock`.

    Attributes:
        jumps: How often it was moved over waiting.
    """

    __slots__ = (
        "_holds",
        "_lock",
        "_now_ns",
        "grace_seconds",
        "horizon_seconds",
        "jumps",
        "name",
        "on_release",
        "patience_seconds",
    )

    def __init__(
        self,
        start_ns: int = 0,
        *,
        grace_seconds: float = 1.0,
        patience_seconds: float = 10.0,
        horizon_seconds: float = 30 * 86_400.0,
    ) -> None:
        self.name = "virtual"
        self.grace_seconds = grace_seconds
        self.patience_seconds = patience_seconds
        self.horizon_seconds = horizon_seconds
        self.jumps = 0
        self.on_release: Callable[[], None] | None = None
        self._now_ns = start_ns
        self._holds = 0
        self._lock = threading.Lock()

    def now_ns(self) -> int:
        """The scenario's time in nanoseconds."""
        return self._now_ns

    def jump_to(self, now_ns: int) -> None:
        """Moves over waiting, to a time that is never before the present one."""
        self.jumps += 1
        self.flow_to(now_ns)

    def flow_to(self, now_ns: int) -> None:
        """Moves along with real time, to a time that is never before the present one."""
        self._now_ns = max(self._now_ns, now_ns)

    @property
    def held(self) -> bool:
        """Whether someone holds it still."""
        return self._holds > 0

    @contextmanager
    def hold(self) -> Iterator[None]:
        """Holds time still while a thread works that virtual time knows nothing of.

        Put it around the wait for that thread, or around its work; any thread may call it.
        """
        with self._lock:
            self._holds += 1
        try:
            yield
        finally:
            with self._lock:
                self._holds -= 1
            if self.on_release is not None:
                self.on_release()
