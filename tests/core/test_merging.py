"""One scenario that several processes ran together."""

from __future__ import annotations

from dataclasses import replace

from pytest_llmperf.core.environment import Source
from pytest_llmperf.core.merging import Share, merged
from pytest_llmperf.core.series import Measurement, Round, Series


def _share(began, *starts, arm="", lag=None):
    rounds = tuple(Round(number, number == 0, at, at + 1, intended=at) for number, at in enumerate(starts))
    calls = tuple(Measurement(number, at, at + 1, False, {"e2e": at}, {}) for number, at in enumerate(starts))
    series = Series("s", Source.LIVE, "realtime", arm, rounds=rounds, measurements=calls, budget=5, loop_lag=lag)
    return Share(began, (series,))


def test_rounds_stand_in_the_order_they_were_sent():
    """Times count from the first process's beginning; rounds are numbered anew and calls go with them."""
    (whole,) = merged([_share(100.5, 0.0, 2.0), _share(100.0, 0.0, 1.0, 9.0)])
    assert [(r.number, r.started, r.ended, r.intended) for r in whole.rounds] == [
        (0, 0.0, 1.0, 0.0),
        (1, 0.5, 1.5, 0.5),
        (2, 1.0, 2.0, 1.0),
        (3, 2.5, 3.5, 2.5),
        (4, 9.0, 10.0, 9.0),
    ]
    assert [(m.round, m.dispatched, m.finished, m.values["e2e"]) for m in whole.measurements] == [
        (0, 0.0, 1.0, 0.0),
        (1, 0.5, 1.5, 0.0),
        (2, 1.0, 2.0, 1.0),
        (3, 2.5, 3.5, 2.0),
        (4, 9.0, 10.0, 9.0),
    ]
    assert [r.number for r in whole.judged_rounds] == [2, 3, 4]  # each process had a warm-up of its own


def test_what_holds_of_one_holds_of_all():
    """The budget is the sum, the lateness the greatest; nothing was stopped early."""
    (whole,) = merged([_share(0, 0.0, lag=0.2), _share(0, 1.0, lag=0.5), _share(0)])
    assert (whole.budget, whole.loop_lag, whole.stop) == (15, 0.5, "fixed")


def test_arms_stay_apart():
    """Numbers run over all arms, as in one process."""
    (one,), (other,) = _share(0, 0.0, 4.0, arm="a").series, _share(0, 2.0, arm="b").series
    other = replace(other, rounds=(replace(other.rounds[0], number=7),), measurements=())
    found = merged([Share(0, (one, other))])
    assert [(series.arm, [r.number for r in series.rounds]) for series in found] == [("a", [0, 2]), ("b", [1])]
