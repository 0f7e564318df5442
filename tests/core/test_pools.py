"""Series of one run put together."""

import pytest

from factories import calls, measurement, series
from pytest_llmperf.core.environment import Source
from pytest_llmperf.core.errors import UsageError
from pytest_llmperf.core.judge import judge
from pytest_llmperf.core.objective import Objective
from pytest_llmperf.core.pools import Pools, called, pooled


def arm(scenario, ttfts, **factors):
    """A call a round, 12 s apart."""
    found = [measurement(number, ttft=ttft) for number, ttft in enumerate(ttfts)]
    return series(found, scenario=scenario, arm=str(factors), factors=factors)


CHAT = arm("t.py::test_chat", [1.0, 1.1], streamed=True, tokens=1)
LONG = arm("t.py::test_chat", [2.0, 2.1], streamed=True, tokens=1000)
MAIL = arm("mail", [3.0], streamed=False, tokens=1)


def ttfts(one):
    return [call.values["ttft"] for call in one.judged]


def test_a_pool_has_every_call_once():
    """Rounds of both series that have the same number stay two rounds, in the order in which they began."""
    pool = pooled([CHAT, LONG])
    assert ttfts(pool) == [1.0, 2.0, 1.1, 2.1]
    assert [round_.number for round_ in pool.rounds] == [call.round for call in pool.measurements] == [0, 1, 2, 3]
    assert (pool.arm, pool.factors) == ("", {})


@pytest.mark.parametrize("every", [1, 2])
@pytest.mark.parametrize("asked", [("ttft", "p50"), ("cost", "mean")])
def test_what_is_pooled_has_all_calls_whatever_is_asked(every, asked):
    """Neither the bound nor where claims on its tests would have been settled cuts it."""
    early = series(calls(400), stop="early", budget=400)
    fixed = series(calls(400))
    found = [
        judge(pooled([one] * every), Objective(*asked, "<=", bound)) for one in (early, fixed) for bound in (1e-6, 1e6)
    ]
    assert {one.n for one in found} == {400 * every}
    assert len({(one.estimate, one.low, one.high) for one in found}) == 1


@pytest.mark.parametrize(
    ("test", "where", "found"),
    [
        ("", {}, [1.0, 2.0, 3.0, 1.1, 2.1]),
        ("test_chat", {}, [1.0, 2.0, 1.1, 2.1]),
        ("mail", {}, [3.0]),
        ("", {"tokens": 1}, [1.0, 3.0, 1.1]),
        ("", {"tokens": 1, "streamed": True}, [1.0, 1.1]),
    ],
)
def test_series_are_picked_by_test_and_factors(test, where, found):
    """By the test's name or the one its mark gives it, and by values of factors."""
    assert ttfts(Pools([CHAT, LONG, MAIL]).of(test, where)) == found


def test_nothing_picked_is_said():
    """A name or value that no series has is an error that repeats what was asked for; 1 is not True."""
    with pytest.raises(UsageError, match="nothing was measured of test_chat, streamed=1"):
        Pools([CHAT]).of("test_chat", {"streamed": 1})


def test_live_and_simulated_numbers_are_never_put_together():
    """Nor those of different clocks."""
    with pytest.raises(UsageError, match="simulated, virtual clock and live, realtime clock"):
        pooled([CHAT, series([measurement()], source=Source.LIVE, clock="realtime")])


@pytest.mark.parametrize("metric", ["total_tps", "rpm"])
def test_totals_are_of_one_test(metric):
    """Tests that ran one after the other have no span in common: together they would seem twice as fast."""
    one, other = (series(calls(60), scenario=name) for name in ("a", "b"))
    claim = Objective(metric, "total", ">=", 1.0)
    assert judge(pooled([one]), claim).estimate == judge(one, claim).estimate
    with pytest.raises(UsageError, match=f"{metric} is a total .* ask it of one test"):
        judge(pooled([one, other]), claim)


def test_a_test_is_called_by_its_last_name():
    """Without folders, module and parameters."""
    assert [called(series(scenario=one)) for one in ("a/b.py::C::test_x[1]", "mail")] == ["test_x", "mail"]
