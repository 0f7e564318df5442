"""Caps on calls, dollars and seconds, checked before each attempt leaves.

Reaching a cap is no failure: it ends sampling with what was gathered. `BudgetReached` is not an `Exception`, so that no
retry loop and no `except Exception` of the observed program swallows it on its way out.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

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
    started: float = field(default=-1.0)

    def start(self) -> None:
        """Begin to count seconds; later calls change nothing."""
        if self.started < 0:
            self.started = self.now()

    @property
    def reached(self) -> str:
        """Which cap was reached, in words; empty while there is room."""
        if self.max_calls is not None and self.calls >= self.max_calls:
            return f"{self.label}max_calls of {self.max_calls} reached"
        if self.max_usd is not None and self.usd >= self.max_usd:
            spent, most = wording.quantity(self.usd, "USD"), wording.quantity(self.max_usd, "USD")
            return f"{self.label}max_usd of {most} reached ({spent} spent)"
        if self.max_seconds is not None and self.started >= 0 and self.now() - self.started >= self.max_seconds:
            return f"{self.label}max_seconds of {self.max_seconds:g} reached"
        return ""

    def spend(self, usd: float) -> None:
        """Add what a finished call cost."""
        self.usd += usd


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
