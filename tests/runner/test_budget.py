"""Caps on calls, dollars and seconds."""

from __future__ import annotations

import threading
import time

import pytest

from pytest_llmperf.runner.budget import Budget, BudgetReached, admit, reached


def test_without_caps_everything_is_admitted():
    """A budget without a cap counts and never refuses."""
    budget = Budget()
    for _ in range(3):
        admit([budget])
    budget.spend(1e9)
    assert (budget.calls, budget.usd, budget.reached) == (3, 1e9, "")


def test_exactly_the_calls_that_are_allowed():
    """The last allowed attempt leaves, and the next one does not."""
    budget = Budget(max_calls=2, label="here: ")
    admit([budget])
    admit([budget])
    with pytest.raises(BudgetReached, match="here: max_calls of 2 reached"):
        admit([budget])
    assert budget.calls == 2


def test_an_attempt_counts_in_all_budgets_or_in_none():
    """What one budget refuses the others did not spend."""
    run, own = Budget(max_calls=9), Budget(max_calls=0)
    with pytest.raises(BudgetReached):
        admit([run, own])
    assert (run.calls, own.calls) == (0, 0)


def test_many_threads_share_one_cap():
    """However many threads ask at once, no more attempts leave than are allowed."""

    def now():
        time.sleep(1e-4)  # between looking at the calls and counting one, others have their turn
        return 0.0

    budget, refused = Budget(max_calls=100, max_seconds=9, now=now), []
    budget.start()

    def ask():
        for _ in range(50):
            try:
                admit([budget])
            except BudgetReached:
                refused.append(1)

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (budget.calls, len(refused)) == (100, 300)


def test_dollars_are_reached_when_they_are_spent():
    """A sum that is reached refuses the next attempt, and says what was spent."""
    budget = Budget(max_usd=0.5)
    budget.spend(0.49)
    assert budget.reached == ""
    budget.spend(0.02)
    assert budget.reached == "max_usd of $0.50 reached ($0.51 spent)"


def test_seconds_count_from_the_first_start():
    """Time before the start does not count, and a second start changes nothing."""
    now = [100.0]
    budget = Budget(max_seconds=5, now=lambda: now[0])
    assert budget.reached == ""
    budget.start()
    now[0] = 104.9
    budget.start()
    assert budget.reached == ""
    now[0] = 105.0
    assert budget.reached == "max_seconds of 5 reached"


def test_the_first_of_several_is_named():
    """Of several budgets that are reached the first tells why."""
    assert reached([Budget(), Budget(max_calls=0, label="a "), Budget(max_calls=0, label="b ")]).startswith("a ")


def test_no_program_catches_it_by_accident():
    """It passes through `except Exception`, so that no retry loop swallows it."""
    assert not issubclass(BudgetReached, Exception)
