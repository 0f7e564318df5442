"""How late an open loop began its rounds."""

from __future__ import annotations

from pytest_llmperf.core.environment import Source
from pytest_llmperf.core.lag import SendingLag, sending_lag
from pytest_llmperf.core.observations import observe
from pytest_llmperf.core.series import Round, Series


def _series(*rounds):
    return Series("s", Source.LIVE, "realtime", rounds=rounds)


def test_the_lag_is_that_of_the_judged_rounds():
    """From when each was due to when it began; a warm-up's does not count, and none began too early."""
    rounds = [Round(n, n == 0, started=n + late, ended=9, intended=n) for n, late in enumerate([5, 0.5, 0.25, -1e-9])]
    assert sending_lag(_series(*rounds)) == SendingLag(p50=0.25, p99=0.5, max=0.5)


def test_a_closed_loop_has_none():
    """Its rounds are due when they begin."""
    assert sending_lag(_series(Round(0, False, 1.0, 2.0))) is None


def test_the_time_of_a_round_counts_from_when_it_was_due():
    """A round that began half a second late took half a second more of whoever waited for it."""
    assert observe(_series(Round(0, False, 1.5, 2.0, intended=1.0)), "scenario").values == (1.0,)
