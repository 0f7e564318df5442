"""Ends sampling once every claim is settled."""

from __future__ import annotations

from factories import measurement, rounds, series
from pytest_llmperf.core.objective import Objective
from pytest_llmperf.runner.stopping import EarlyStop

QUICK = Objective("e2e", "p50", "<=", 20.0)
SLOW = Objective("e2e", "p99", "<=", 20.0)


def one(number, e2e=11.0):
    """A judged round of one call."""
    return series([measurement(number, e2e=e2e)], rounds_=(rounds(number + 1)[number],))


def test_a_test_without_a_claim_runs_all_rounds():
    """Nothing is ever settled where nothing is claimed."""
    stop = EarlyStop([], 100, first=0)
    stop.round_ended(0, one(0))
    assert not stop.settled


def test_rounds_count_in_the_order_they_were_sent():
    """Answers that come early wait for those sent before them: stopping on the fast ones would favour them."""
    stop = EarlyStop([QUICK], 100, first=0)
    for number in range(1, 60):
        stop.round_ended(number, one(number))
    assert not stop.settled
    stop.round_ended(0, one(0))
    assert stop.settled


def test_all_claims_must_be_settled():
    """The claim that needs most rounds decides when to stop."""
    stop = EarlyStop([QUICK, SLOW], 1000, first=0)
    for number in range(60):
        stop.round_ended(number, one(number))
    assert not stop.settled


def test_warm_ups_do_not_count():
    """Numbers begin at the first judged round."""
    stop = EarlyStop([QUICK], 100, first=3)
    for number in range(3, 60):
        stop.round_ended(number, one(number))
    assert stop.settled


def overdue(*numbers, arm=""):
    """What a runner says while these rounds hang: they are older than any limit."""
    return lambda number: (arm, lambda _metric, _limit: True) if number in numbers else None


def test_a_call_older_than_its_limit_is_not_waited_for():
    """It counts as slow at once; the verdict needs one clean round more, and comes."""
    stop = EarlyStop([QUICK], 100, first=0, running=overdue(1))
    numbers = [number for number in range(60) if number != 1]
    for number in numbers:
        stop.round_ended(number, one(number))
        if stop.settled:
            break
    assert stop.settled
    waiting = EarlyStop([QUICK], 100, first=0)
    for number in numbers:
        waiting.round_ended(number, one(number))
    assert not waiting.settled


def test_a_hanging_call_that_ends_is_not_counted_twice():
    """It was taken when it was overdue."""
    hanging, stop = {1, 2, 3}, None
    stop = EarlyStop([QUICK], 100, first=0, running=lambda n: ("", lambda _m, _l: True) if n in hanging else None)
    for number in (0, 4, 5):
        stop.round_ended(number, one(number))
    hanging.clear()
    for number in (1, 2, 3):
        stop.round_ended(number, one(number, e2e=99.0))
    (follower,) = stop._followers
    assert len(follower.watch.flags) == 6
    assert sum(flag.bad for flag in follower.watch.flags) == 3


def test_a_hanging_call_that_may_yet_be_quick_is_waited_for():
    """Younger than the limit, nothing is certain."""
    stop = EarlyStop([QUICK], 100, first=0, running=lambda n: ("", lambda _m, _l: False) if n == 1 else None)
    for number in range(60):
        if number != 1:
            stop.round_ended(number, one(number))
    assert not stop.settled
