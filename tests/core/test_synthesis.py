"""A run in one table, and the advice drawn from it."""

from dataclasses import replace

import pytest

from factories import calls, failed_measurement, measurement, rounds, series, zigzag
from pytest_llmperf.core.environment import Source
from pytest_llmperf.core.errors import UsageError
from pytest_llmperf.core.synthesis import FIGURES, syntheses, synthesis


def arm(scenario, *, ttft=1.0, e2e=11.0, n=60, spread=0.002, cost=0.05, streamed=True, **factors):
    """*n* calls whose times lie around these by up to *spread* a call, in an order without likeness."""
    offsets = zigzag([spread * (number - n // 2) for number in range(n)])
    made = [
        measurement(number, ttft=ttft + offset, e2e=e2e + 2 * offset, cost=cost + offset / 1e3, streamed=streamed)
        for number, offset in enumerate(offsets)
    ]
    return series(made, scenario=scenario, arm=str(factors), factors=factors)


def test_a_row_for_each_test_with_all_of_its_arms():
    """Figures in the order of the columns, each with its interval and the number of values it rests on."""
    found = synthesis([arm("t.py::test_a", tokens=1), arm("t.py::test_a", tokens=2), arm("mail", streamed=False)])
    assert [(row.test, row.calls) for row in found.rows] == [("test_a", 120), ("mail", 60)]
    streamed, plain = (dict(zip(FIGURES, row.figures, strict=True)) for row in found.rows)
    median = streamed["ttft", "p50"]
    assert (median.unit, median.n) == ("s", 120)
    assert median.low <= median.estimate <= median.high
    assert median.estimate == pytest.approx(1.0, abs=0.01)
    assert (plain["ttft", "p50"].estimate, plain["ttft", "p50"].n) == (None, 0)
    assert plain["e2e", "p50"].estimate == pytest.approx(11.0, abs=0.01)
    assert streamed["cost", "per_mtok"].estimate == pytest.approx(0.05 / 1401 * 1e6, rel=0.01)


@pytest.mark.parametrize("stop", ["early", "fixed"])
def test_figures_are_of_all_calls(stop):
    """However early a claim on them would have been settled."""
    (row,) = synthesis([replace(arm("a", n=400, spread=0.0005), stop=stop, budget=400)]).rows
    assert {figure.n for figure in row.figures} == {400}


def rounds_of(scenario, calls_a_round, *, cost):
    """Thirty rounds of so many calls, each of which costs about this."""
    made = [
        measurement(number, at=12.0 * number + place, e2e=2.0, cost=cost + zig / 1e5)
        for number, zig in enumerate(zigzag(range(30)))
        for place in range(calls_a_round)
    ]
    return series(made, scenario=scenario)


def test_the_cost_of_a_call_is_not_that_of_its_round():
    """Three calls a round cost each a third of it; the interval is as wide as rounds differ."""
    three, one = synthesis([rounds_of("a", 3, cost=0.005), rounds_of("b", 1, cost=0.005)]).rows
    (cost,), (alone,) = ([each for each in row.figures if each.statistic == "mean"] for row in (three, one))
    assert (cost.n, cost.estimate) == (90, pytest.approx(0.005145))
    assert (cost.low, cost.high) == (pytest.approx(alone.low, rel=1e-3), pytest.approx(alone.high, rel=1e-3))
    assert cost.low < cost.estimate < cost.high


def test_tests_of_one_name_are_told_apart():
    """By module; parameters of one test by themselves."""
    found = synthesis([arm(name, n=3) for name in ("a.py::test_x", "b.py::test_x", "b.py::test_y[1]")])
    assert [row.test for row in found.rows] == ["a.py::test_x", "b.py::test_x", "test_y[1]"]


def test_totals_are_of_all_calls():
    """Calls, the time of their rounds one after the other, and what they cost."""
    found = synthesis([series(calls(10, e2e=11.0, cost=0.05))])
    assert (found.calls, found.seconds, found.usd) == (10, pytest.approx(115.0), pytest.approx(0.5))


def test_what_is_not_known_of_all_calls_is_no_total():
    """A call without a cost leaves the sum open; what the others cost is told."""
    without = measurement(0, absent={"cost": "no price is known"})
    found = synthesis([series([without, *calls(5, first=1)])])
    assert (found.usd, found.unpriced, found.usd_at_least) == (None, 1, pytest.approx(0.25))


def test_a_failed_round_took_its_time():
    """A round that a failed call brought down is timed as any; one that was interrupted is not."""
    made = [failed_measurement(0), *calls(4, first=1), failed_measurement(5)]
    failed, *others, cut = rounds(6)
    ran = [replace(failed, failure="overloaded"), *others, replace(cut, ended=None)]
    whole = synthesis([series(made[:-1], rounds_=ran[:-1])])
    assert (whole.seconds, whole.untimed) == (pytest.approx(57.5), 0)
    found = synthesis([series(made, rounds_=ran)])
    assert (found.seconds, found.untimed, found.seconds_at_least) == (None, 1, pytest.approx(57.5))


def test_a_clock_that_stands_times_nothing():
    """No hours are made of the instants of a replay."""
    found = synthesis([series(calls(4), clock="instant")])
    assert (found.seconds, found.untimed, found.seconds_at_least) == (None, 4, 0)


def test_numbers_from_different_places_are_refused():
    """Live and simulated calls never share a row or advice."""
    live = series(calls(3), source=Source.LIVE, clock="realtime", scenario="test_greeting")
    with pytest.raises(UsageError, match="never put together"):
        synthesis([series(calls(3)), live])


def test_each_source_and_clock_has_its_own():
    """Named by it; no advice holds a live test against a simulated one."""
    simulated = arm("a", cost=0.05)
    live = [replace(arm(name, cost=cost), source=Source.LIVE) for name, cost in (("a", 0.9), ("b", 0.02))]
    real = [replace(one, clock="realtime") for one in live]
    first, second = syntheses([real[0], simulated, real[1]])
    assert [(one.source, one.clock, one.calls) for one in (first, second)] == [
        ("live", "realtime", 120),
        ("simulated", "virtual", 60),
    ]
    assert first.advice == ("b is the cheapest at $0.02 a call, a the dearest at $0.90",)
    assert second.advice == ()
    assert syntheses(()) == ()


def test_a_run_without_calls_has_no_rows():
    """And no advice."""
    found = synthesis([series(())])
    assert (found.rows, found.calls, found.advice) == ((), 0, ())


class TestAdvice:
    def test_streaming_shortens_the_wait(self):
        """Of a test with both: the first token against the whole answer."""
        both = [arm("a", ttft=0.9, way="stream"), arm("a", streamed=False, way="whole")]
        (told,) = synthesis(both).advice
        assert told == (
            "stream where somebody waits: the first token comes after 898 ms (p50), an answer in one piece after 11 s"
        )

    def test_nothing_is_said_of_tests_that_do_only_one(self):
        """A test that streams and another that does not differ in more than that."""
        assert synthesis([arm("a", streamed=True), arm("b", streamed=False)]).advice == ()

    def test_nothing_is_said_of_arms_that_differ_in_more(self):
        """Whether an answer comes as a stream must be all that differs."""
        arms = [arm("a", ttft=0.9, way="stream", prompt="short"), arm("a", streamed=False, way="whole", prompt="long")]
        assert synthesis(arms).advice == ()

    def test_throughput_falls_over_a_factor(self):
        """The last level that was shown to lose at most 15 %, and the rates of all."""
        sweep = [arm("a", e2e=1 + 400 / rate, tokens=tokens) for tokens, rate in ((1, 40), (10, 38), (100, 30))]
        (told,) = synthesis(sweep).advice
        assert told.startswith("keep tokens at 10 or below where speed matters: up to there answers flow at most 15 % ")
        assert told.endswith(" at 1, 38 tokens/s at 10, 30 tokens/s at 100)")

    @pytest.mark.parametrize(
        "rates",
        [
            pytest.param((40, 32, 31), id="all but the first are slow"),
            pytest.param((40, 39, 38), id="none is slow"),
            pytest.param((40, 34, 30), id="of one in between too little is known"),
        ],
    )
    def test_a_limit_is_named_only_where_one_was_shown(self, rates):
        """Not the first level, nor the last, nor one next to which nothing is clear."""
        sweep = [
            arm("a", e2e=1 + 400 / rate, spread=0.05, tokens=tokens)
            for tokens, rate in zip((1, 10, 100), rates, strict=True)
        ]
        assert synthesis(sweep).advice == ()

    def test_throughput_that_does_not_fall_is_not_spoken_of(self):
        """Intervals that meet show nothing."""
        assert synthesis([arm("a", tokens=1), arm("a", tokens=10)]).advice == ()

    def test_levels_that_tests_do_not_share_are_not_compared(self):
        """They would be a difference of tests and not of levels."""
        arms = [arm("a", e2e=11.0, tokens=1), arm("a", tokens=10), arm("b", e2e=31.0, tokens=10), arm("b", tokens=100)]
        assert synthesis(arms).advice == ()

    def test_cost_goes_with_a_factor(self):
        """What a call costs at both ends."""
        found = synthesis([arm("a", cost=0.05, tokens=1), arm("a", cost=2.0, tokens=1500)])
        assert found.advice == ("keep tokens low where money matters: a call costs $0.05 at 1 and $2.00 at 1,500",)

    def test_the_cheapest_and_the_dearest_test(self):
        """Where their intervals are apart."""
        found = synthesis([arm("a", cost=0.05), arm("b", cost=0.02)])
        assert found.advice == ("b is the cheapest at $0.02 a call, a the dearest at $0.05",)

    def test_only_what_is_apart_from_all_others_is_the_cheapest(self):
        """Two that cost nearly the same leave open which of them it is; so for the dearest."""
        near = [arm("a", cost=0.05), arm("b", cost=0.05001)]
        assert synthesis([*near, arm("c", cost=0.09)]).advice == ("c is the dearest at $0.09 a call",)
        assert synthesis([*near, arm("c", cost=0.01)]).advice == ("c is the cheapest at $0.01 a call",)
        assert synthesis(near).advice == ()

    def test_tests_without_a_price_may_be_the_cheapest(self):
        """So that it is said of which tests one is."""
        free = series([measurement(number, absent={"cost": "no price"}) for number in range(60)], scenario="free")
        (told,) = synthesis([arm("a", cost=0.05), arm("b", cost=0.02), free]).advice
        assert told.endswith("the dearest at $0.05, of the tests with a price")

    def test_the_cheapest_is_so_by_the_call(self):
        """Not because its rounds have fewer of them."""
        (told,) = synthesis([rounds_of("a", 3, cost=0.005), rounds_of("b", 1, cost=0.01)]).advice
        assert told == "a is the cheapest at $0.00515 a call, b the dearest at $0.0101"

    def test_a_heavy_tail(self):
        """A p95 that is shown to be at least twice the median."""
        found = synthesis([series(calls(200, slow=20), scenario="a")])
        assert found.advice == ("plan for the p95 of a: its first token takes 3000 ms then, and 899 ms at p50",)

    def test_a_tail_is_compared_with_the_upper_end_of_the_median(self):
        """A median that is only just known may itself lie higher."""
        found = [0.9] * 44 + [2.0] * 20 + [3.0] * 16
        made = [measurement(number, ttft=ttft) for number, ttft in enumerate(zigzag(found))]
        middle = synthesis([series(made, scenario="a")]).rows[0].figures[0]
        assert (middle.estimate, middle.high) == (0.9, 2.0)
        assert synthesis([series(made, scenario="a")]).advice == ()

    def test_arms_of_different_speed_are_no_tail(self):
        """Each arm is held against its own median; one with a tail is named."""
        fast, slow = arm("a", ttft=0.5, tokens=1, n=90), arm("a", ttft=3.0, tokens="many", n=30)
        assert synthesis([fast, slow]).advice == ()
        tail = series(calls(200, slow=20), scenario="a", arm="tokens=few", factors={"tokens": "few"})
        (told,) = synthesis([slow, tail]).advice
        assert told.startswith("plan for the p95 of a with tokens=few: its first token takes 3000 ms then, and 899 ms")
