"""The plots of a test, as values."""

import itertools
import json
import math
from dataclasses import replace

import pytest

from factories import calls, failed_measurement, measurement, report, result, rounds, series, verdict
from pytest_llmperf.core.series import AttemptTimes
from pytest_llmperf.reports import json_file
from pytest_llmperf.reports.figures import figures

TRACE = (AttemptTimes(started=0.0, sent=0.1, headers=0.5, first=1.0, last=11.0, ended=11.1, status=200),)


def drawn(*arms, verdicts=(), **fields):
    """The plots of a test with these series."""
    document = json_file.document(report(result(series_=arms, verdicts=verdicts, **fields)))
    return figures(json.loads(json_file.text(document))["tests"][0])


def traced(measurements):
    return [replace(one, trace=TRACE) for one in measurements]


def texts(value):
    """Every text inside a value."""
    if isinstance(value, dict):
        return list(itertools.chain.from_iterable(texts(inner) for inner in value.values()))
    if isinstance(value, list | tuple):
        return list(itertools.chain.from_iterable(texts(inner) for inner in value))
    return [value] if isinstance(value, str) else []


class TestAll:
    def test_plotly_takes_every_plot(self):
        """No trace and no layout has a property or a value that plotly does not know."""
        from plotly.graph_objects import Figure

        made = drawn(
            series(traced([*calls(30, slow=3), failed_measurement(30), measurement(31, attempts=3)]), warmup=2),
            verdicts=[verdict(high=math.inf), verdict("failed", metric="scenario", statistic="mean", claim="x")],
        )
        assert len(made) == 5
        for figure in made:
            Figure(json.loads(json.dumps({"data": figure.data, "layout": figure.layout})))

    def test_every_plot_is_said_in_words(self):
        """For whoever does not see it."""
        first, second, third = drawn(series(traced(calls(100))), verdicts=[verdict()])
        assert first.words == (
            "ttft, 100 values: min 800 ms, p50 849 ms, p95 894 ms, max 899 ms. "
            "p95 ttft <= 2340 ms: 2100 (1980 … 2210) ms, passed."
        )
        assert second.words == "ttft of 100 calls in dispatch order: 100 judged."
        assert third.words.startswith("The slowest call, stage by stage: round 0 (200), sending 100 ms; ")

    def test_claimed_metrics_are_drawn(self):
        """Without a claim on single values a usual one is; nothing is drawn of nothing."""
        titles = [figure.title for figure in drawn(series(calls(3)), verdicts=[verdict(metric="e2e"), verdict()])]
        assert titles[::2] == ["How e2e is distributed", "How ttft is distributed"]
        (usual, _) = drawn(series(calls(3)), verdicts=[verdict(metric="error_rate")])
        assert usual.title == "How ttft is distributed"
        assert drawn(series()) == []
        assert drawn() == []

    def test_no_text_of_a_test_is_markup(self):
        """Plotly reads some HTML in names and labels."""
        wild = [replace(failed_measurement(n), failure="<a href='javascript:x'>") for n in range(2)]
        arms = [series([*traced(calls(3, first=2)), *wild], arm=f"<b>{n}</b>", factors={}) for n in range(2)]
        found = texts([[figure.data, figure.layout] for figure in drawn(*arms)])
        assert "&lt;b&gt;0&lt;/b&gt;" in found
        assert [text for text in found if "<" in text.replace("<extra>", "").replace("</extra>", "")] == []


class TestDistribution:
    def test_steps_up_to_the_share_that_came(self):
        """A failed call never comes: the curve ends below the whole."""
        (figure, _) = drawn(series([*(measurement(n, ttft=1.0 + n) for n in range(3)), failed_measurement(3)]))
        assert figure.data[0]["x"] == [1000.0, 1000.0, 2000.0, 3000.0]
        assert figure.data[0]["y"] == [0.0, 25.0, 50.0, 75.0]

    def test_limit_and_estimate_are_marked(self):
        """The limit as a line, the estimate on its curve with its interval."""
        (figure, _) = drawn(series(calls(100)), verdicts=[verdict(bound=0.9, estimate=0.894, low=0.88, high=0.898)])
        (line,), (label,) = figure.layout["shapes"], figure.layout["annotations"]
        assert (line["x0"], line["x1"], label["text"]) == (900.0, 900.0, "limit 900 ms")
        mark = figure.data[1]
        assert (mark["x"], mark["y"], mark["name"]) == ([894.0], [95.0], "p95: 894 (880 … 898) ms")
        assert (mark["error_x"]["arrayminus"], mark["error_x"]["array"]) == ([14.0], [4.0])

    def test_an_open_interval_leaves_the_plot(self):
        """It has no end that could be taken for one."""
        (figure, _) = drawn(series(calls(100)), verdicts=[verdict(estimate=0.894, low=0.88, high=math.inf)])
        reach = figure.data[1]["x"][0] + figure.data[1]["error_x"]["array"][0]
        assert reach > figure.layout["xaxis"]["range"][1]

    def test_what_no_value_can_be_has_no_mark(self):
        """An infinite estimate, and the limit of a comparison of arms, which is a ratio."""
        endless = verdict("failed", estimate=math.inf, low=math.inf, high=math.inf)
        (figure, _) = drawn(series(calls(10)), verdicts=[endless])
        assert len(figure.data) == 1
        contrast = verdict(arm="warm", to="cold", bound=0.9, unit="", estimate=0.8)
        (figure, _) = drawn(series(calls(5), arm="warm"), series(calls(5), arm="cold"), verdicts=[contrast])
        assert (len(figure.data), figure.layout["shapes"]) == (2, [])

    def test_arms_are_curves_of_one_plot(self):
        """Each with its name and its colour."""
        (figure, _) = drawn(*(series(calls(5), arm=f"k={n}") for n in range(7)))
        assert [curve["name"] for curve in figure.data] == [f"k={n}" for n in range(7)]
        looks = {(curve["line"]["color"], curve["line"]["dash"]) for curve in figure.data}
        assert len(looks) == 7

    def test_only_infinite_values_make_no_plot(self):
        """There is nothing to draw; the calls in order are still shown."""
        (figure,) = drawn(series([failed_measurement(n) for n in range(3)]))
        assert figure.title == "Calls in dispatch order: ttft"

    def test_a_long_series_is_thinned_and_says_so(self):
        """Both ends stay, and the last share is the whole."""
        (figure, other) = drawn(series(calls(5000)))
        assert len(figure.data[0]["x"]) == 401
        assert (figure.data[0]["x"][0], figure.data[0]["x"][-1], figure.data[0]["y"][-1]) == (800.0, 5799.0, 100.0)
        assert "400 points" in figure.note
        assert "1500 of 5000 calls" in other.note


class TestOrder:
    def test_every_call_has_the_mark_of_what_became_of_it(self):
        """Warm-ups, retries and failures are told apart; a failed call stands above all others."""
        made = [measurement(0), measurement(1), measurement(2, attempts=2), failed_measurement(3)]
        (_, figure) = drawn(series(made, warmup=1))
        marks = {trace["name"]: trace for trace in figure.data}
        assert {name: trace["x"] for name, trace in marks.items()} == {
            "judged": [2],
            "with retries": [3],
            "failed": [4],
            "warm-up": [1],
        }
        assert marks["failed"]["y"][0] > 1000.0
        assert marks["failed"]["text"] == ["round 3: overloaded_error: Overloaded"]
        assert marks["with retries"]["text"] == ["round 2: 1000 ms, 2 attempts"]

    def test_arms_share_one_order(self):
        """That in which their calls were sent."""
        ran = rounds(4)
        cold = series([measurement(0), measurement(2)], rounds_=ran[::2], arm="cold")
        warm = series([measurement(1), measurement(3)], rounds_=ran[1::2], arm="warm")
        (_, figure) = drawn(cold, warm)
        assert [(trace["name"], trace["x"]) for trace in figure.data] == [("cold", [1, 3]), ("warm", [2, 4])]

    def test_rounds_are_drawn_for_what_belongs_to_a_round(self):
        """A body's wall time is one value a round, however many calls it made."""
        made = series([measurement(0), measurement(0, at=1.0), measurement(1)])
        (_, figure) = drawn(made, verdicts=[verdict(metric="scenario")])
        assert figure.title == "Rounds in dispatch order: scenario"
        assert figure.data[0]["y"] == [11.5, 11.5]

    @pytest.mark.parametrize("failing", [10, 2000])
    def test_what_stands_out_is_thinned_last(self, failing):
        """Every failure is drawn while there is room for it."""
        (_, figure) = drawn(series([*calls(3000), *(failed_measurement(n) for n in range(3000, 3000 + failing))]))
        drawn_ = {trace["name"]: len(trace["x"]) for trace in figure.data}
        assert drawn_ == {"judged": 1500 - min(failing, 750), "failed": min(failing, 750)}

    def test_an_older_report_has_no_order(self):
        """It does not say what came when, and is drawn without."""
        document = json.loads(json_file.text(json_file.document(report(result()))))
        for key in ("timeline", "waterfall", "unjudged"):
            del document["tests"][0]["arms"][0][key]
        assert [figure.title for figure in figures(document["tests"][0])] == ["How ttft is distributed"]


class TestWaterfall:
    def test_stages_are_bars_of_one_time_line(self):
        """One bar for each arm's slowest call, with the deltas of its stream as ticks."""
        arms = [series(traced([measurement(0, gaps=(4.0, 6.0))]), arm=name) for name in ("cold", "warm")]
        *_, figure = drawn(*arms)
        bars = {trace["name"]: (trace.get("base"), trace["x"]) for trace in figure.data}
        assert bars["wait for headers"] == ([0.1, 0.1], [0.4, 0.4])
        assert bars["content deltas"][1] == [1.0, 5.0, 11.0] * 2
        assert figure.title == "One call, stage by stage"
        assert figure.words.startswith(
            "The slowest call of each arm, stage by stage: cold: round 0 (200), sending 100 ms;"
        )

    def test_another_call_can_be_chosen(self):
        """What stands out by its name, arm by arm; the slowest of each arm is what is drawn at first."""
        calls_ = traced([*calls(30), measurement(30, attempts=2), failed_measurement(31)])
        slow = replace(calls_[7], trace=(replace(TRACE[0], ended=20.0),))
        retried = replace(calls_[30], trace=TRACE * 2)
        *_, figure = drawn(
            series([*calls_[:7], slow, *calls_[8:30], retried, calls_[31]], arm="cold"),
            series(traced(calls(2)), arm="warm"),
        )
        labels = [choice.label for choice in figure.choices]
        assert labels[0] == "The slowest call of each arm"
        assert "cold, round 7, 20 s, the slowest" in labels
        assert "cold, round 30, 11.1 s, with retries" in labels
        assert "cold, round 31, 11.1 s, failed" in labels
        assert len(labels) == 1 + 12 + 2
        chosen = figure.choices[labels.index("cold, round 30, 11.1 s, with retries")].figure
        assert chosen.layout["yaxis"]["categoryarray"] == ["cold: attempt 1 (200)", "cold: attempt 2 (200)"]

    def test_a_page_of_many_tests_has_fewer_choices_and_points(self):
        """Its size goes with the number of tests and not with that of calls."""
        document = json_file.document(report(result(series_=[series(traced(calls(3000)))])))
        test = json.loads(json_file.text(document))["tests"][0]
        sizes = [
            len(json.dumps([[f.data, [c.figure.data for c in f.choices]] for f in figures(test, d)])) for d in (1, 0.01)
        ]
        assert sizes[1] < 0.2 * sizes[0]
