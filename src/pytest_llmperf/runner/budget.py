"""Caps on calls, dollars and seconds, checked before each attempt leaves.

Reaching a cap is no failure: it ends sampling with what was gathered. `BudgetReached` is not an `Exception`, so that no
retry loop and no `except Exception` of the observed program swallows it on its way out.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

from pytest_llmperf.core import wording


class BudgetReached(BaseException):
    """A cap was reached; the attempt that would have gone beyond it was not sent."""


@dataclass(slots=True)
class Budget:
    """What may be spent, and what was. Several tests may share one."""

    max_calls: int | None = None
    """HTTP attempts, since each may be billed."""
    max_usd: float | None = None
    max_seconds: float | None = None
    now: Callable[[], float] = time.perf_counter
    calls: int = 0
    usd: float = 0.0
    label: str = ""
    """Where the caps were set, for the message."""
    whose: str = ""
    """Whose part of a cap this is, where others have the rest, for the message."""
    started: float = field(default=-1.0)

    def start(self) -> None:
        """Begin to count seconds; later calls change nothing."""
        if self.started < 0:
            self.started = self.now()

    @property
    def reached(self) -> str:
        """Which cap was reached, in words; empty while there is room."""
        if self.max_calls is not None and self.calls >= self.max_calls:
            return f"{self.label}max_calls of {self.max_calls} reached{self._whose}"
        if self.max_usd is not None and self.usd >= self.max_usd:
            spent, most = wording.quantity(self.usd, "USD"), wording.quantity(self.max_usd, "USD")
            return f"{self.label}max_usd of {most} reached ({spent} spent){self._whose}"
        if self.max_seconds is not None and self.started >= 0 and self.now() - self.started >= self.max_seconds:
            return f"{self.label}max_seconds of {self.max_seconds:g} reached"
        return ""

    @property
    def _whose(self) -> str:
        return f", {self.whose}" if self.whose else ""

    def spend(self, usd: float) -> None:
        """Add what a finished call cost."""
        self.usd += usd

    def shared(self, number: int, among: int) -> Budget:
        """The part of one of several processes; the first take what cannot be shared evenly. Time they spend together.

        Args:
            number: of the process, from 0.
            among: how many there are, at least 1.
        """
        if among == 1:
            return self
        calls = None if self.max_calls is None else (self.max_calls + among - 1 - number) // among
        usd = None if self.max_usd is None else self.max_usd / among
        return replace(self, max_calls=calls, max_usd=usd, whose=f"the share of one of {among} processes")

    def spent_before(self, whose: str) -> Budget:
        """Nothing of calls and dollars: nobody knows how much of them is left."""
        calls, usd = (None if cap is None else 0 for cap in (self.max_calls, self.max_usd))
        return replace(self, max_calls=calls, max_usd=usd, whose=f"for {whose}: its share may be spent")


_one_at_a_time = threading.Lock()


def admit(budgets: Sequence[Budget]) -> None:
    """Let an attempt leave, and count it in every budget; or, when one has no room for it, in none.

    Raises:
        BudgetReached: there is no room for it.
    """
    with _one_at_a_time:
        if reason := reached(budgets):
            raise BudgetReached(reason)
        for budget in budgets:
            budget.calls += 1


def reached(budgets: Sequence[Budget]) -> str:
    """Which cap was reached, in words; empty while there is room."""
    return next((budget.reached for budget in budgets if budget.reached), "")
