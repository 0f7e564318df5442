"""Ends sampling once every claim of every arm is settled, judging rounds in the order they were sent.

A round counts only when all before it have ended, whatever the order in which answers came: stopping on completion
order would favour the fast ones.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field

from pytest_llmperf.core.claims import Contrast
from pytest_llmperf.core.contrast import ContrastWatch
from pytest_llmperf.core.judge import watching
from pytest_llmperf.core.objective import Objective
from pytest_llmperf.core.series import Series
from pytest_llmperf.core.watch import Watching


@dataclass(slots=True)
class EarlyStop:
    """Watches all claims of one scenario. Arms stop together: a settled one goes on while another is not."""

    objectives: Sequence[Objective]
    rounds: int
    """The most judged rounds of one arm."""
    first: int
    """Number of the first judged round."""
    arms: Sequence[str] = ("",)
    """Their names."""
    contrasts: Sequence[Contrast] = ()
    _waiting: dict[int, Series] = field(default_factory=dict)
    _watches: dict[str, list[Watching]] = field(init=False)
    _comparisons: list[_Comparison] = field(init=False)

    def __post_init__(self) -> None:
        self._watches = {
            arm: [watching(objective, self.rounds) for objective in self.objectives if objective.applies_to(arm)]
            for arm in self.arms
        }
        self._comparisons = [_Comparison(ContrastWatch(contrast, self.rounds)) for contrast in self.contrasts]

    def round_ended(self, number: int, one: Series) -> None:
        """Take a round that ended, given as a series of its own; it waits until those before it have ended."""
        self._waiting[number] = one
        while (next_one := self._waiting.pop(self.first, None)) is not None:
            self.first += 1
            for watch in self._watches[next_one.arm]:
                watch.add_round(next_one)
            for comparison in self._comparisons:
                comparison.add_round(next_one)

    @property
    def settled(self) -> bool:
        """Whether no claim needs more rounds. A test that claims nothing runs all of them."""
        watches = [watch.done for of_arm in self._watches.values() for watch in of_arm]
        watches += [comparison.watch.done for comparison in self._comparisons]
        return bool(watches) and all(watches)


@dataclass(slots=True)
class _Comparison:
    """A contrast that gets its blocks: a round of one arm waits for the round of the other that belongs to it."""

    watch: ContrastWatch
    _arm: deque[Series] = field(default_factory=deque)
    _to: deque[Series] = field(default_factory=deque)

    def add_round(self, one: Series) -> None:
        contrast = self.watch.contrast
        for name, queue in ((contrast.arm, self._arm), (contrast.to, self._to)):
            if one.arm == name:
                queue.append(one)
        if self._arm and self._to:
            self.watch.add_block(self._arm.popleft(), self._to.popleft())
