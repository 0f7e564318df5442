"""The page of each test's runs over time: where a lasting change lies, and the limits it is held to.

What was found is handed in as values; nothing is sought here. Laid out and drawn as the page of one run is.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

from pytest_llmperf.core import wording
from pytest_llmperf.reports import plot
from pytest_llmperf.reports.plot import Figure, Scale

_MOST_DATES = 6
"""Told below a plot; each run's stands in the table and under the pointer."""


@dataclass(frozen=True, slots=True)
class PastRun:
    """One run of one test."""

    started: str
    """ISO 8601."""
    n: int
    """Judged calls."""
    value: float | None
    """The statistic of the metric; None where no call has it."""
    low: float | None
    """Ends of its interval; None where there is none."""
    high: float | None
    p95: float | None
    errors: float | None
    """Share of calls that failed."""
    anchor: bool = False
    """Whether the baseline begins anew with it."""


@dataclass(frozen=True, slots=True)
class PastChange:
    """A lasting change."""

    run: int
    """The first run after it, counted from 0."""
    before: float
    after: float
    words: str


@dataclass(frozen=True, slots=True)
class PastLimit:
    """What values are held to."""

    value: float
    words: str


@dataclass(frozen=True, slots=True)
class Past:
    """The comparable runs of one test, oldest first."""

    name: str
    metric: str
    unit: str
    statistic: str
    runs: tuple[PastRun, ...]
    changes: tuple[PastChange, ...] = ()
    limits: tuple[PastLimit, ...] = ()
    remarks: tuple[str, ...] = ()
    """What else is said of them."""


def render(found: Sequence[Past]) -> str:
    """The page.

    Raises:
        UsageError: jinja2 or plotly is not installed.
    """
    from pytest_llmperf.reports import html_file

    html_file.require()
    cards = [(f"test-{place}", past, _figure(past)) for place, past in enumerate(found)]
    return html_file.page("history.html", cards=cards, drawn=any(figure for _, _, figure in cards), told=_told)


def _told(past: Past, value: float | None) -> str:
    return "–" if value is None else wording.quantity(value, past.unit)


def _figure(past: Past) -> Figure | None:
    """Every run at its place, with what it is held to; None where no run has a value."""
    ends = [end for run in past.runs for end in (run.value, run.low, run.high, run.p95)]
    finite = [end for end in (*ends, *(limit.value for limit in past.limits)) if end is not None and math.isfinite(end)]
    if not any(run.value is not None and math.isfinite(run.value) for run in past.runs):
        return None
    drawn = plot.scale(past.metric, past.unit, finite)
    data = [_values(past, drawn), *_levels(past, drawn), *([_p95(past, drawn)] if past.statistic != "p95" else [])]
    flat = plot.layout("", "", entries=len(data)) | {
        "shapes": [
            *(plot.line(drawn(limit.value), "y") for limit in past.limits),
            *(plot.line(change.run - 0.5, "x") for change in past.changes),
        ],
        "annotations": [_label(place, limit, drawn) for place, limit in enumerate(past.limits)],
    }
    dated = plot.spread(len(past.runs), _MOST_DATES)
    flat["xaxis"] |= {
        "range": [-0.5, len(past.runs) - 0.5],
        "tickvals": dated,
        "ticktext": [escape(past.runs[place].started[5:10]) for place in dated],
        "tickangle": 0,
        "title": {"text": escape(f"{past.runs[0].started[:10]} to {past.runs[-1].started[:10]}"), "standoff": 8},
    }
    flat["yaxis"] = plot.axis(drawn.title) | {"range": drawn.range(room=0.1)}
    changed = " ".join(change.words + "." for change in past.changes)
    held = " ".join(limit.words + "." for limit in past.limits)
    first, last = past.runs[0], past.runs[-1]
    went = (
        f"{past.statistic} {past.metric} went from {_told(past, first.value)} on {first.started[:10]} to "
        f"{_told(past, last.value)} on {last.started[:10]}."
    )
    return Figure(
        title=f"{past.statistic} {past.metric} of {wording.count(len(past.runs), 'run')}",
        words=" ".join(filter(None, (went, changed, held))),
        data=data,
        layout=flat,
    )


def _label(place: int, limit: PastLimit, drawn: Scale) -> dict[str, Any]:
    """The words of a limit, by turns at the right and at the left end: two limits may lie close together."""
    side: dict[str, Any] = {"x": 0, "xanchor": "left"} if place % 2 else {}
    return plot.label(drawn(limit.value), limit.words, "y", drawn) | side


def _values(past: Past, drawn: Scale) -> dict[str, Any]:
    shown = [(place, run, run.value) for place, run in enumerate(past.runs) if _is_finite(run.value)]
    beyond = 2 * (drawn.high - drawn.low)
    return {
        "type": "scatter",
        "mode": "lines+markers",
        "name": f"{past.statistic}, with its interval",
        "x": [place for place, _, _ in shown],
        "y": [drawn(value or 0.0) for _, _, value in shown],
        "error_y": {
            "type": "data",
            "symmetric": False,
            "array": [drawn(_reach(run.high, value, beyond)) for _, run, value in shown],
            "arrayminus": [drawn(_reach(value, run.low, beyond)) for _, run, value in shown],
            "color": plot.color(0),
            "thickness": 1.5,
            "width": 4,
        },
        "line": {"width": 1, "color": plot.color(0)},
        "marker": {
            "size": [11 if run.anchor else 8 for _, run, _ in shown],
            "symbol": ["star" if run.anchor else "circle" for _, run, _ in shown],
            "color": plot.color(0),
        },
        "text": [escape(_run_told(past, run)) for _, run, _ in shown],
        "hovertemplate": "%{text}<extra></extra>",
    }


def _p95(past: Past, drawn: Scale) -> dict[str, Any]:
    shown = [(place, run.p95) for place, run in enumerate(past.runs) if _is_finite(run.p95)]
    return {
        "type": "scatter",
        "mode": "markers",
        "name": "p95",
        "x": [place for place, _ in shown],
        "y": [drawn(value or 0.0) for _, value in shown],
        "marker": {"size": 7, "symbol": "diamond-open", "color": plot.color(1)},
        "hovertemplate": "p95 %{y:.5~g}<extra></extra>",
    }


def _levels(past: Past, drawn: Scale) -> Iterator[dict[str, Any]]:
    """The median between one change and the next."""
    if not past.changes:
        return
    starts = [0, *(change.run for change in past.changes), len(past.runs)]
    levels = [past.changes[0].before, *(change.after for change in past.changes)]
    xs: list[float | None] = []
    ys: list[float | None] = []
    for start, end, level in zip(starts, starts[1:], levels, strict=False):
        xs += [start - 0.5, end - 0.5, None]
        ys += [drawn(level), drawn(level), None]
    yield {
        "type": "scatter",
        "mode": "lines",
        "name": "median between changes",
        "x": xs,
        "y": ys,
        "line": {"width": 3, "color": "var(--inconclusive)"},
        "hoverinfo": "skip",
    }


def _is_finite(value: float | None) -> bool:
    return value is not None and math.isfinite(value)


def _reach(upper: float | None, lower: float | None, beyond: float) -> float:
    """From one end of an interval to the middle; an open end runs out of the plot."""
    if upper is None or lower is None:
        return 0.0
    return upper - lower if math.isfinite(upper - lower) else beyond


def _run_told(past: Past, run: PastRun) -> str:
    return (
        f"{run.started[:16].replace('T', ' ')}: {_told(past, run.value)}, n={run.n}{', anchor' if run.anchor else ''}"
    )
