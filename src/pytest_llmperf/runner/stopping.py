"""Ends sampling once every claim of every arm is settled, judging rounds in the order they were sent.

A round counts only when all before it have ended, whatever the order in which answers came: stopping on completion
order would favour the fast ones. A call that still runs and is older than a claim's limit is waited for no longer: it
counts as slow, which it will be.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from pytest_llmperf.core.claims import Contrast, Regression
from pytest_llmperf.core.contrast import ContrastWatch
from pytest_llmperf.core.judge import watching
from pytest_llmperf.core.objective import Objective
from pytest_llmperf.core.regression import RegressionWatch
from pytest_llmperf.core.series import Series
from pytest_llmperf.core.verdict import Outcome
from pytest_llmperf.core.watch import Watch, Watching

Running = tuple[str, Callable[[str, float], bool]]
"""Of a round that has not ended: its arm, and whether a metric (seconds) of its call is certain to exceed a limit."""


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
    regressions: Sequence[tuple[Regression, Sequence[Series]]] = ()
    """Each with the sessions it is held against."""
    running: Callable[[int], Running | None] = lambda _: None
    """What is known of a round of this number that still runs; None where it does not."""
    _ended: dict[int, Series] = field(default_factory=dict)
    _followers: list[_Follower] = field(init=False)

    def __post_init__(self) -> None:
        watches = [
            (watching(objective, self.rounds), arm)
            for arm in self.arms
            for objective in self.objectives
            if objective.applies_to(arm)
        ]
        self._followers = [_Follower(watch, (arm,), self.first) for watch, arm in watches]
        for regression, sessions in self.regressions:
            held = RegressionWatch(regression, sessions, self.rounds)
            self._followers.append(_Follower(held, (regression.arm or "",), self.first))
        for contrast in self.contrasts:
            both = _Comparison(ContrastWatch(contrast, self.rounds))
            self._followers.append(_Follower(both, (contrast.arm, contrast.to), self.first))

    def round_ended(self, number: int, one: Series) -> None:
        """Take a round that ended, given as a series of its own; it waits for those before it.

        One of those that is certain to be bad for a claim is not waited for.
        """
        self._ended[number] = one
        for follower in self._followers:
            while follower.take(self._ended.get(follower.next), self.running):
                pass
        if self._followers:
            seen_by_all = min(follower.next for follower in self._followers)
            self._ended = {number: one for number, one in self._ended.items() if number >= seen_by_all}

    @property
    def settled(self) -> bool:
        """Whether no claim needs more rounds. A test that claims nothing runs all of them."""
        return bool(self._followers) and all(follower.watch.done for follower in self._followers)

    def so_far(self) -> dict[str, int]:
        """How many claims are shown to hold, or not to, how many can no longer be shown, and how many are open."""
        counts = {"passed": 0, "failed": 0, "undecided": 0, "open": 0}
        for follower in self._followers:
            shown = follower.watch.outcome
            settled = str(shown) if shown is not Outcome.INCONCLUSIVE else "undecided"
            counts[settled if follower.watch.done else "open"] += 1
        return counts


@dataclass(slots=True)
class _Follower:
    """A claim that goes through the rounds in the order they were sent."""

    watch: Watching
    arms: tuple[str, ...]
    """Whose rounds it is about."""
    next: int
    """Number of the round it waits for."""

    def take(self, ended: Series | None, running: Callable[[int], Running | None]) -> bool:
        """Go past one round, if that can be done; whether it could."""
        if ended is not None:
            if ended.arm in self.arms:
                self.watch.add_round(ended)
        elif not self._is_past(running(self.next)):
            return False
        self.next += 1
        return True

    def _is_past(self, found: Running | None) -> bool:
        if found is None:
            return False
        arm, is_overdue = found
        return arm not in self.arms or (isinstance(self.watch, Watch) and self.watch.add_overdue(is_overdue))


@dataclass(slots=True)
class _Comparison:
    """A contrast that gets its blocks: a round of one arm waits for the round of the other that belongs to it."""

    watch: ContrastWatch
    _arm: deque[Series] = field(default_factory=deque)
    _to: deque[Series] = field(default_factory=deque)

    @property
    def done(self) -> bool:
        """Whether it needs no more rounds."""
        return self.watch.done

    @property
    def outcome(self) -> Outcome:
        """What the looks say so far."""
        return self.watch.outcome

    def add_round(self, one: Series) -> None:
        contrast = self.watch.contrast
        for name, queue in ((contrast.arm, self._arm), (contrast.to, self._to)):
            if one.arm == name:
                queue.append(one)
        if self._arm and self._to:
            self.watch.add_block(self._arm.popleft(), self._to.popleft())
