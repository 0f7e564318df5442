"""The plots of a test, as plain values that plotly draws: traces, a layout, and the same said in words.

Starts from the JSON document. A long series is thinned for the eye and never for a figure in words; a plot that was
thinned says so. A new kind of plot is one more function in `figures`.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Sequence
from html import escape
from typing import Any

from pytest_llmperf.core import wording
from pytest_llmperf.core.verdict import Verdict
from pytest_llmperf.reports import formatting, plot
from pytest_llmperf.reports.curve import scalings
from pytest_llmperf.reports.order import order
from pytest_llmperf.reports.plot import Figure, Scale
from pytest_llmperf.reports.reading import number, verdict
from pytest_llmperf.reports.rows import Document, quantity
from pytest_llmperf.reports.stages import stages

_USUAL = ("ttft", "e2e", "scenario")
"""What is drawn of a test that claims nothing of single calls: the first that it has."""
_MOST_METRICS = 4
_MOST_STEPS = 400
"""Points of one curve."""
_MOST_STEPS_OF_ALL = 6000
_LEAST_STEPS = 60


def figures(test: Document, detail: float = 1.0) -> list[Figure]:
    """The plots of one test, in the order they are shown; none for a test that measured nothing.

    Args:
        test: of the document.
        detail: 1 or less; how much of a long series and of many calls is drawn, in a page of many tests.
    """
    answers = [verdict(found) for found in test["verdicts"]]
    pairs = [
        (distribution(test, answers, name, detail), order(test, answers, name, detail))
        for name in _shown(test, answers)
    ]
    every = (*scalings(test), *(one for pair in pairs for one in pair), stages(test, detail))
    return [figure for figure in every if figure is not None]


def _shown(test: Document, answers: Sequence[Verdict]) -> list[str]:
    """The claimed metrics that have single values; else a usual one."""
    having = {name for arm in test["arms"] for name in arm["series"]}
    claimed = [name for name in dict.fromkeys(answer.metric for answer in answers) if name in having]
    return claimed[:_MOST_METRICS] or [name for name in _USUAL if name in having][:1]


def distribution(test: Document, answers: Sequence[Verdict], name: str, detail: float = 1.0) -> Figure | None:
    """The share of values at or below each one, a curve for each arm; None where all are infinite."""
    curves = {place: _present(arm, name) for place, arm in enumerate(test["arms"]) if name in arm["series"]}
    own = plot.about(test, answers, name)
    finite = [value for values in curves.values() for value in values if math.isfinite(value)]
    if not finite:
        return None
    ends = [end for one in own for end in (one.bound, one.low, one.high) if end is not None and math.isfinite(end)]
    drawn = plot.scale(name, plot.unit_of(test, name), [*finite, *ends])
    marks = [_estimate(test, place, answer, values, drawn) for place, values, answer in _paired(test, curves, own)]
    steps = _steps(len(curves), detail)
    thinned = any(len(values) > steps for values in curves.values())
    flat = plot.layout("", "share at or below, %", entries=len(curves)) | plot.limits(own, drawn, "x")
    flat["xaxis"] |= {"title": {"text": escape(drawn.title), "standoff": 8}, "range": drawn.range()}
    flat["yaxis"] |= {"range": [0, 104]}
    return Figure(
        title=f"How {name} is distributed",
        words=" ".join([*(_described(arm, name) for arm in test["arms"]), *map(_claimed, own)]),
        data=[*(_curve(test, place, values, drawn, steps) for place, values in curves.items()), *filter(None, marks)],
        layout=flat,
        note=f"Drawn with {steps} points a curve; judged on all values." if thinned else "",
    )


def _paired(
    test: Document, curves: dict[int, list[float]], answers: Sequence[Verdict]
) -> list[tuple[int, list[float], Verdict]]:
    """Every claim with the curve it is about."""
    places = {arm["name"]: place for place, arm in enumerate(test["arms"])}
    return [(place, curves[place], one) for one in answers if (place := places[one.arm]) in curves]


def _present(arm: Document, name: str) -> list[float]:
    return sorted(found for value in arm["series"][name] if (found := number(value)) is not None)


def _steps(curves: int, detail: float) -> int:
    """Points of each of so many curves."""
    return max(int(detail * min(_MOST_STEPS, _MOST_STEPS_OF_ALL // max(curves, 1))), _LEAST_STEPS)


def _curve(test: Document, place: int, values: Sequence[float], drawn: Scale, steps: int) -> dict[str, Any]:
    """Steps up to the share of the values that are finite; a failed call never comes."""
    finite = [value for value in values if math.isfinite(value)]
    ranks = plot.spread(len(finite), steps)
    return {
        "type": "scatter",
        "mode": "lines",
        "name": plot.arm_name(test, place) or "values",
        "x": [drawn(value) for value in (*finite[:1], *(finite[rank] for rank in ranks))],
        "y": [*(0.0 for _ in finite[:1]), *(plot.short(100 * (rank + 1) / len(values)) for rank in ranks)],
        "line": {"shape": "hv", "width": 2.5, "color": plot.color(place), "dash": plot.dash(place)},
        "hovertemplate": "%{y:.1f} % at or below %{x:.5~g}",
        "showlegend": len(test["arms"]) > 1,
    }


def _estimate(
    test: Document, place: int, answer: Verdict, values: Sequence[float], drawn: Scale
) -> dict[str, Any] | None:
    """The estimate on its curve, with its interval, of which an open end runs out of the plot."""
    estimate = answer.estimate
    if estimate is None or not math.isfinite(estimate) or not values:
        return None
    beyond = 2 * (drawn.high - drawn.low)
    low = drawn.low - beyond if answer.low == -math.inf else answer.low
    high = drawn.high + beyond if answer.high == math.inf else answer.high
    return {
        "type": "scatter",
        "mode": "markers",
        "name": escape(f"{answer.statistic}{formatting.of_arm(answer)}: {formatting.measured(answer)}"),
        "x": [drawn(estimate)],
        "y": [plot.short(100 * bisect_right(values, estimate * (1 + 1e-8)) / len(values))],
        "error_x": {
            "type": "data",
            "symmetric": False,
            "array": [0.0 if high is None else drawn(max(high - estimate, 0))],
            "arrayminus": [0.0 if low is None else drawn(max(estimate - low, 0))],
            "color": plot.color(place),
            "thickness": 2.5,
            "width": 7,
        },
        "marker": {"size": 12, "color": plot.color(place), "line": {"width": 2, "color": "var(--card)"}},
        "hovertemplate": "%{fullData.name}<extra></extra>",
        "showlegend": len(test["arms"]) == 1,
    }


def _described(arm: Document, name: str) -> str:
    metric = arm["metrics"].get(name)
    if metric is None or not metric["n"]:
        return f"{name}{plot.of_arm(arm)}: no values."
    said = [f"{key} {quantity(metric[key], metric['unit'])}" for key in ("min", "p50", "p95", "max")]
    return f"{name}{plot.of_arm(arm)}, {wording.count(metric['n'], 'value')}: {', '.join(said)}."


def _claimed(answer: Verdict) -> str:
    return f"{answer.claim}{formatting.of_arm(answer)}: {formatting.measured(answer)}, {answer.outcome}."
