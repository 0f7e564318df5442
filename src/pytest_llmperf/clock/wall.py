"""The clock on the wall.

Rule: its source is bound at import, so nothing that replaces the functions of `time` afterwards moves it.
"""

from time import perf_counter_ns

__all__ = ["WallClock"]


class WallClock:
    """Real time, in the finest steps the machine has.

    Args:
        name: What results are labelled with: ``instant`` where stored answers are served without waiting.
    """

    __slots__ = ("name",)

    def __init__(self, name: str = "realtime") -> None:
        self.name = name

    def now_ns(self) -> int:
        """The time in nanoseconds.

        A method, not the bare function: virtual time replaces that one wherever a module holds it under a name.
        """
        return perf_counter_ns()
