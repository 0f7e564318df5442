"""The plot of a claim on scaling."""

import json
from dataclasses import replace

from factories import calls, failed_measurement, measurement, report, result, series, verdict
from pytest_llmperf.core.claims import Scaling
from pytest_llmperf.core.curves import curves
from pytest_llmperf.reports import json_file
from pytest_llmperf.reports.curve import scalings

CLAIM = Scaling(over="tokens", metric="e2e", max_rise=9.0, max_drop=0.1, shape="log", no_knee_before=300)


def arm(tokens, found=None):
    """Calls whose e2e rises with their tokens."""
    found = found or [measurement(n, e2e=1.0 + 0.01 * tokens * (1 + 0.01 * (n % 5))) for n in range(12)]
    return series(found, arm=f"tokens={tokens}", factors={"tokens": tokens})


def drawn(arms, claim=CLAIM):
    """The plots of a test that claims this, from its JSON report."""
    made = result(verdicts=[verdict()], series_=arms, curves=curves(arms, [claim]))
    return list(scalings(json.loads(json_file.text(json_file.document(report(made))))["tests"][0]))


def test_levels_shapes_and_limits_are_drawn():
    """The best shape and the claimed one are shown, the others can be switched on; limits have their words."""
    (figure,) = drawn([arm(tokens) for tokens in (50, 100, 200, 400, 800)])
    traces = {trace["name"]: trace for trace in figure.data}
    assert traces["linear (best fit)"]["visible"] is traces["log (claimed)"]["visible"] is True
    assert {name for name, trace in traces.items() if trace.get("visible") == "legendonly"} == {
        "flat",
        "bent linear",
        "bent log",
    }
    assert traces["no knee before 300 (claimed)"]["x"] == [300, 300]
    medians = traces["median of a level"]
    assert medians["x"] == [50, 100, 200, 400, 800]
    assert medians["y"][0] == 1.505
    words = [label["text"] for label in figure.layout["annotations"]]
    assert words == ["limit at 800: at least 1354 ms", "limit at 800: at most 15.05 s"]
    assert figure.title == "How e2e goes with tokens"
    assert figure.words.startswith("Medians of e2e by tokens: 50 1505 ms (")
    assert "Shown to go as linear. Claimed of the last level: at least 1354 ms and at most 15.05 s" in figure.words


def test_levels_far_apart_are_on_a_logarithmic_scale():
    """As context lengths are."""
    (near,), (far,) = (drawn([arm(100), arm(last)]) for last in (400, 40_000))
    assert (near.layout["xaxis"].get("type"), far.layout["xaxis"]["type"]) == (None, "log")


def test_plotly_takes_it():
    """Every trace and every part of its layout."""
    from plotly.graph_objects import Figure

    for figure in drawn([arm(tokens) for tokens in (50, 100, 200, 400, 800)]):
        Figure(json.loads(json.dumps({"data": figure.data, "layout": figure.layout})))


def test_without_a_fit_the_levels_are_drawn_still():
    """With the reason; and nothing is drawn where no level has a median."""
    (figure,) = drawn([arm(50), arm(100, [*calls(9), failed_measurement(9)])])
    assert [trace["name"] for trace in figure.data] == ["no knee before 300 (claimed)", "median of a level"]
    assert figure.note == "No shape is fitted: 1 of 22 values are 0 or infinite, to which no shape can be fitted."
    failing = [failed_measurement(n) for n in range(9)]
    assert drawn([arm(50, failing), arm(100, failing)]) == []


def test_an_older_report_has_none():
    """It does not say what its claims on scaling saw."""
    document = json.loads(json_file.text(json_file.document(report(replace(result(), verdicts=())))))
    del document["tests"][0]["curves"]
    assert list(scalings(document["tests"][0])) == []
