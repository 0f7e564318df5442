"""A clock that only tests move."""

__all__ = ["ManualClock"]


class ManualClock:
    """Stands still until told otherwise.

    Args:
        start_ns: What it shows first, in nanoseconds.
    """

    __slots__ = ("_now_ns", "name")

    def __init__(self, start_ns: int = 0) -> None:
        self.name = "manual"
        self._now_ns = start_ns

    def now_ns(self) -> int:
        """The time it was last moved to, in nanoseconds."""
        return self._now_ns

    def advance(self, seconds: float) -> None:
        """Moves on by so many seconds.

        Raises:
            ValueError: The number is negative.
        """
        if seconds < 0:
            raise ValueError(f"a clock never goes back: cannot advance by {seconds} s")
        self._now_ns += round(seconds * 1e9)
