"""How a scenario is to be run, apart from anything running."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Plan:
    """The settings of one scenario, as its marks and the options leave them."""

    rounds: int = 100
    """The most rounds judged."""
    warmup: int = 1
    """Rounds run first and not judged."""
    stop: str = "early"
    """`early` or `fixed`."""
    concurrency: int = 1
    """Rounds in flight at once (closed loop)."""
    confidence: float = 0.95
    slack: float = 0.0
    max_seconds: float | None = None
    """Of the scenario's own clock."""
    max_usd: float | None = None
    fresh_fixtures: bool = False
    """Function-scoped fixtures are set up anew for every round."""
    name: str = ""
    off: bool = False

    @property
    def total_rounds(self) -> int:
        """Warm-ups and judged rounds together."""
        return self.warmup + self.rounds

    def round_name(self, number: int) -> str:
        """A round as a reader counts it: `round 3 of 20`.

        Args:
            number: in dispatch order from 0, warm-ups first.
        """
        if number < self.warmup:
            return f"warm-up round {number + 1} of {self.warmup}"
        return f"round {number - self.warmup + 1} of {self.rounds}"
