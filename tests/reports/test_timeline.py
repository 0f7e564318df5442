"""What was run when, as plain columns."""

from dataclasses import replace

from factories import failed_measurement, measurement, rounds, series
from pytest_llmperf.core.series import AttemptTimes
from pytest_llmperf.reports.timeline import timeline, unjudged, waterfall, waterfalls


def lasting(number, *ends, first=None, gaps=(), **fields):
    """A call whose attempts ended so many seconds after it began."""
    trace = tuple(AttemptTimes(started=0.0, first=first, ended=end, status=200) for end in ends)
    return replace(measurement(number, **fields), trace=trace, event_gaps=gaps)


class TestTimeline:
    def test_warm_ups_interruptions_and_failures_are_all_there(self):
        """Each round and each call has a value in every column, and says whether it counts."""
        ran = list(rounds(3, 1))
        ran[3] = replace(ran[3], ended=None)
        ran[2] = replace(ran[2], failure="AssertionError: wrong")
        found = timeline(series([measurement(0), measurement(1), failed_measurement(2, throttled=2)], rounds_=ran))
        assert found["rounds"] == {
            "number": [0, 1, 2, 3],
            "judged": [False, True, True, False],
            "warmup": [True, False, False, False],
            "started": [0.0, 12.0, 24.0, 36.0],
            "ended": [11.5, 23.5, 35.5, None],
            "failure": ["", "", "AssertionError: wrong", ""],
        }
        assert found["calls"] == {
            "round": [0, 1, 2],
            "judged": [False, True, True],
            "dispatched": [0.0, 12.0, 24.0],
            "finished": [11.0, 23.0, None],
            "throttled": [0, 0, 2],
            "failure": ["", "", "overloaded_error: Overloaded"],
        }


class TestUnjudged:
    def test_only_calls_that_do_not_count_are_listed(self):
        """Of each metric that any of them has, one value a call."""
        found = unjudged(series([measurement(0, ttft=3.0), measurement(1, ttft=2.0), measurement(2)], warmup=2))
        assert found["ttft"] == [3.0, 2.0]
        assert "queue" not in found

    def test_without_warm_ups_there_are_none(self):
        """Nothing stands for nothing."""
        assert unjudged(series([measurement(0)])) == {}


class TestWaterfall:
    def test_the_slowest_judged_call_is_chosen(self):
        """A slower warm-up does not count, and of several attempts the last one's end does."""
        made = [lasting(0, 90.0), lasting(1, 5.0), lasting(2, 1.0, 7.0), lasting(3, 6.0)]
        found = waterfall(series(made, warmup=1))
        assert (found["round"], found["chosen"], len(found["attempts"])) == (2, "the slowest judged call", 2)

    def test_deltas_are_moments_of_the_call(self):
        """The first content, and after it the gaps added up."""
        found = waterfall(series([lasting(0, 5.0, first=1.0, gaps=(0.5, 0.25))]))
        assert found["deltas"] == [1.0, 1.5, 1.75]

    def test_the_endless_gap_of_a_failed_stream_is_left_out(self):
        """It stands for what never came."""
        broken = replace(lasting(0, 5.0, first=1.0, gaps=(0.5, float("inf"))), failure="the stream broke off")
        found = waterfall(series([broken]))
        assert (found["deltas"], found["failure"]) == ([1.0, 1.5], "the stream broke off")

    def test_a_long_stream_is_thinned(self):
        """No more than can be told apart on a screen, evenly."""
        found = waterfall(series([lasting(0, 50.0, first=0.0, gaps=(1.0,) * 999)]))
        assert (len(found["deltas"]), found["deltas"][:3]) == (200, [0.0, 5.0, 10.0])

    def test_others_can_be_looked_at(self):
        """What stands out first, in dispatch order; of a long series no more than a few."""
        many = [lasting(n, 5.0 + n / 1000) for n in range(500)]
        many[100] = lasting(100, 1.0, 5.1)
        many[200] = replace(lasting(200, 5.2), failure="overloaded")
        found = {call["round"]: call["chosen"] for call in waterfalls(series(many))}
        assert len(found) == 15
        assert list(found) == sorted(found)
        named = {number: words for number, words in found.items() if words}
        assert named == {0: "the fastest", 100: "with retries", 200: "failed", 249: "the median", 474: "the p95"}
        few = [call["round"] for call in waterfalls(series([lasting(n, 5.0 - n) for n in range(4)]))]
        assert few == [1, 2, 3]
        assert waterfalls(series([lasting(0, 5.0)])) == []

    def test_without_a_trace_there_is_none(self):
        """The instant clock, say, or a test that called nothing."""
        assert waterfall(series([measurement(0)])) is None
