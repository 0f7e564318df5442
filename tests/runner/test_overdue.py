"""Rounds that still run and are certain to exceed a limit."""

import pytest

from factories import attempt
from pytest_llmperf.core.call import Call
from pytest_llmperf.runner.overdue import is_overdue

MS = 1_000_000


def silent():
    """A call that was sent at 0 and of which nothing came yet."""
    return Call((attempt(deltas=(), end="open"),))


def speaking(complete=False):
    """A call whose first token came after 100 ms, and which goes on."""
    return Call((attempt(end="complete" if complete else "open", complete=complete),))


@pytest.mark.parametrize("metric", ["ttft", "ttfat", "e2e"])
def test_a_silent_call_is_overdue_once_it_is_older_than_the_limit(metric):
    """Exactly as old is not yet."""
    assert not is_overdue(silent(), metric, 0.5, 500 * MS)
    assert is_overdue(silent(), metric, 0.5, 501 * MS)


def test_what_has_come_is_taken_at_its_time():
    """A first token after 100 ms is late for 50 ms and never late for 200, however long the stream goes on."""
    assert is_overdue(speaking(), "ttft", 0.05, 60_000 * MS)
    assert not is_overdue(speaking(), "ttft", 0.2, 60_000 * MS)
    assert is_overdue(speaking(), "e2e", 0.5, 501 * MS)


def test_an_answer_that_is_whole_is_not_overdue():
    """It has its time; when its round is judged does not matter."""
    assert not is_overdue(speaking(complete=True), "e2e", 0.5, 60_000 * MS)


def test_age_counts_from_the_first_attempt():
    """Failed attempts and back-off are what the caller waits for."""
    failed = attempt(0, 40, status=529)
    assert is_overdue(Call((failed, attempt(1000, deltas=(), end="open"))), "ttft", 1.0, 1001 * MS)
    assert is_overdue(Call((failed,)), "ttft", 1.0, 1001 * MS)


@pytest.mark.parametrize("metric", ["tpot", "cost", "output_tps"])
def test_of_other_metrics_nothing_is_certain(metric):
    """A slow stream may end cheaply."""
    assert not is_overdue(silent(), metric, 0.1, 60_000 * MS)
