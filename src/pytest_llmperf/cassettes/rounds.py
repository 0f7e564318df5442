"""Which rounds were recorded: how many of each arm, at what rate, and how late each of them began.

Knows labels, and nothing of what was said in a round.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from pytest_llmperf.cassettes.timeline import NO_ROUND, Label


@dataclass(frozen=True, slots=True)
class RecordedRounds:
    """The rounds on a cassette."""

    by_label: dict[Label, Label]
    """Each with the label that says how it was begun."""

    def __bool__(self) -> bool:
        """Whether the cassette knows of rounds at all."""
        return bool(self.by_label)

    def warmups(self, arms: Iterable[str]) -> int:
        """How many warm-ups there are of every arm."""
        return min(-min(self._numbers(arm), default=0) for arm in arms)

    def judged(self, arms: Iterable[str]) -> int:
        """How many rounds to judge there are of every arm."""
        return min(max(self._numbers(arm), default=-1) + 1 for arm in arms)

    @property
    def rate(self) -> float | None:
        """Rounds that were to begin each minute; None where that was not noted, or there was no rate."""
        return next((label.rate for label in self.by_label if label.rate is not None), None)

    def lag_ns(self, label: Label) -> int | None:
        """How late a round began, after it was due; None where that was not noted, or it was not due at a time."""
        return self.by_label.get(label, NO_ROUND).lag_ns

    def _numbers(self, arm: str) -> list[int]:
        return [label.round or 0 for label in self.by_label if label.arm == arm]


def recorded_rounds(labels: Iterable[Label]) -> RecordedRounds:
    """The rounds of a cassette, from the labels of all that is on it."""
    return RecordedRounds({label: label for label in labels if label != NO_ROUND})
