"""How a scenario is to be run, apart from anything running."""

from __future__ import annotations

from dataclasses import dataclass

from pytest_llmperf.runner.arms import Arm


@dataclass(frozen=True, slots=True)
class Plan:
    """The settings of one scenario, as its marks and the options leave them."""

    rounds: int = 100
    """The most rounds judged, of each arm."""
    warmup: int = 1
    """Rounds run first and not judged, of each arm."""
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
    arms: tuple[Arm, ...] = (Arm(),)
    """The conditions compared; one without a name where nothing is."""

    @property
    def total_rounds(self) -> int:
        """Warm-ups and judged rounds of all arms together."""
        return (self.warmup + self.rounds) * len(self.arms)

    def concurrency_of(self, arm: Arm) -> int:
        """Rounds in flight at once while this arm is run; a factor of that name sets it."""
        return int(arm.factors.get("concurrency") or self.concurrency)

    @property
    def most_workers(self) -> int:
        """The most rounds in flight at once."""
        return max(map(self.concurrency_of, self.arms))

    def round_name(self, number: int, arm: str = "") -> str:
        """A round as a reader counts it: `round 3 of 20`, or `round 3 of 20 [warm]`.

        Args:
            number: among the rounds of its arm from 0, warm-ups first.
            arm: its name, where there are several.
        """
        where = f" [{arm}]" if arm else ""
        if number < self.warmup:
            return f"warm-up round {number + 1} of {self.warmup}{where}"
        return f"round {number - self.warmup + 1} of {self.rounds}{where}"
