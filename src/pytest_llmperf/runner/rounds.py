"""The round that is running, as the code inside it sees it, and who hears of its end."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

from pytest_llmperf.core.call import Call
from pytest_llmperf.core.errors import UsageError
from pytest_llmperf.runner.arms import Arm


class Listener(Protocol):
    """Whoever keeps what measurements leave out of the calls."""

    def began(self) -> None:
        """The first round is about to begin, in the context that runs this."""

    def ended(self, number: int, calls: Sequence[Call]) -> None:
        """The round of this number ended with these calls."""


@dataclass(slots=True)
class OpenRound:
    """A round under way: what the body said of it so far."""

    number: int
    """In dispatch order from 0, warm-ups first."""
    warmup: bool
    started_ns: int
    arm: Arm = field(default_factory=Arm)
    ordinal: int = 0
    """Among the rounds of its arm, from 0, warm-ups first."""
    scores: dict[str, float] = field(default_factory=dict)
    records: dict[str, float] = field(default_factory=dict)
    units: dict[str, str] = field(default_factory=dict)
    refused: bool = False
    """Whether a cap kept one of its attempts from leaving: whatever became of the round is the cap's doing."""
    spent_usd: float = 0.0
    """What its calls cost so far."""
    due_ns: int | None = None
    """When it was to begin, in an open loop; None in a closed one, where a round is due when it begins."""

    @property
    def lag_ns(self) -> int:
        """How late it began."""
        return 0 if self.due_ns is None else max(self.started_ns - self.due_ns, 0)

    def score(self, value: float, name: str = "accuracy") -> None:
        """Say how good this round's answer was, 0 to 1.

        Raises:
            UsageError: the value is no number from 0 to 1.
        """
        number = _number(value, name)
        if not 0 <= number <= 1:
            raise UsageError(f"llmperf.score({value!r}): a score is a number from 0 (wrong) to 1 (right)")
        self.scores[name] = number

    def record(self, name: str, value: float, unit: str = "") -> None:
        """Keep a number of this round under a name, for `claim(metric=name, …)` and the reports.

        Raises:
            UsageError: the value is no finite number.
        """
        self.records[name] = _number(value, name)
        self.units[name] = unit


def _number(value: float, name: str) -> float:
    try:
        number = float(value)
    except (TypeError, ValueError):
        number = math.nan
    if not math.isfinite(number):
        raise UsageError(f"{name}: {value!r} is no finite number")
    return number
