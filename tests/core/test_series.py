"""Which rounds and calls of a series are judged."""

from factories import failed_measurement, measurement, series
from pytest_llmperf.core.series import Round


def a_round(number, **fields):
    return Round(number, **({"warmup": False, "started": 12.0 * number, "ended": 12.0 * number + 11.5} | fields))


def test_warm_ups_are_kept_and_not_judged():
    """The first round pays for imports and connections."""
    found = series([measurement(0), measurement(1), measurement(2)], warmup=1)
    assert [m.round for m in found.judged] == [1, 2]
    assert [r.number for r in found.judged_rounds] == [1, 2]
    assert len(found.measurements) == 3


def test_failed_calls_and_failed_rounds_are_judged():
    """They are the slow ones: dropping them would flatter."""
    found = series([measurement(0), failed_measurement(1)], rounds_=[a_round(0), a_round(1, failure="APIError: x")])
    assert [m.round for m in found.judged] == [0, 1]
    assert len(found.judged_rounds) == 2


def test_order_of_dispatch_is_kept():
    """Not the order of rounds, of which several may run at once."""
    found = series([measurement(1, at=0.0), measurement(0, at=1.0)])
    assert [m.round for m in found.judged] == [1, 0]


def test_a_round_interrupted_between_two_calls_is_left_out():
    """A cap stopped it before its next call: it says nothing of the provider."""
    found = series(
        [measurement(0), measurement(1)], rounds_=[a_round(0), a_round(1, ended=None), a_round(2, ended=None)]
    )
    assert [r.number for r in found.judged_rounds] == [0]
    assert [m.round for m in found.judged] == [0]
    assert found.cut == frozenset()


def test_a_call_that_was_cut_is_not_forgotten():
    """The calls in flight when a cap is reached are the slow ones: they stay, to be judged as absent."""
    found = series([measurement(0), failed_measurement(1)], rounds_=[a_round(0), a_round(1, ended=None)])
    assert [m.round for m in found.judged] == [0, 1]
    assert found.cut == frozenset({1})


def test_attempts_are_a_whole_number():
    """Of a measurement as of the metric."""
    assert measurement(attempts=3).attempts == 3
