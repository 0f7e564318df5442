"""The plots of a test, as plain values that plotly draws: traces, a layout, and the same said in words.

Starts from the JSON document. A long series is thinned for the eye and never for a figure in words; a plot that was
thinned says so. Colours are names of the page's own, so that a plot follows its light and its dark. Texts of tests come
from anywhere and are escaped, since plotly reads markup in them.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

from pytest_llmperf.core import wording
from pytest_llmperf.core.metrics import METRICS
from pytest_llmperf.core.verdict import Verdict
from pytest_llmperf.reports import formatting
from pytest_llmperf.reports.cascade import Bar, bars
from pytest_llmperf.reports.reading import number, verdict
from pytest_llmperf.reports.rows import Document, quantity

_USUAL = ("ttft", "e2e", "scenario")
"""What is drawn of a test that claims nothing of single calls: the first that it has."""
_MOST_METRICS = 4
_MOST_STEPS = 400
"""Points of one curve."""
_MOST_POINTS = 1500
"""Calls of one plot."""
_COLORS = 6
_DASHES = ("solid", "dash", "dot", "dashdot")
_STATES = {
    "judged": ("circle", 6),
    "with retries": ("diamond", 9),
    "failed": ("x", 10),
    "warm-up": ("circle-open", 8),
    "interrupted": ("square-open", 8),
}
"""Symbol and size of a call's mark."""
_PLAIN = "judged"


@dataclass(frozen=True, slots=True)
class Figure:
    """One plot."""

    title: str
    words: str
    """What it shows, for whoever does not see it."""
    data: list[dict[str, Any]]
    """Plotly's traces."""
    layout: dict[str, Any]
    note: str = ""
    """What was left out of it."""


@dataclass(frozen=True, slots=True)
class _Point:
    """One call or round in dispatch order."""

    at: float
    arm: int
    value: float | None
    state: str
    words: str


def figures(test: Document) -> list[Figure]:
    """The plots of one test, in the order they are shown; none for a test that measured nothing."""
    answers = [verdict(found) for found in test["verdicts"]]
    names = _shown(test, answers)
    found = [figure for name in names for figure in (_distribution(test, answers, name), _order(test, answers, name))]
    return [figure for figure in (*found, _waterfall(test)) if figure is not None]


def _shown(test: Document, answers: Sequence[Verdict]) -> list[str]:
    """The claimed metrics that have single values; else a usual one."""
    having = {name for arm in test["arms"] for name in arm["series"]}
    claimed = [name for name in dict.fromkeys(answer.metric for answer in answers) if name in having]
    usual = [name for name in _USUAL if name in having]
    return claimed[:_MOST_METRICS] or usual[:1]


# --- how the values are distributed ---


def _distribution(test: Document, answers: Sequence[Verdict], name: str) -> Figure:
    """The share of calls at or below each value, a curve for each arm."""
    curves = {index: _present(arm, name) for index, arm in enumerate(test["arms"]) if name in arm["series"]}
    limits = _about(test, answers, name)
    factor, unit = _scale(test, name, (*_finite(curves.values()), *(answer.bound for answer in limits)))
    data = [_curve(test, index, values, factor) for index, values in curves.items()]
    data += [mark for answer in limits if (mark := _estimate(test, answer, curves, factor)) is not None]
    thinned = any(len(values) > _MOST_STEPS for values in curves.values())
    return Figure(
        title=f"How {name} is distributed",
        words=" ".join([*(_described(arm, name) for arm in test["arms"]), *map(_claimed, limits)]),
        data=data,
        layout=_layout(f"{name}, {unit}" if unit else name, "share of values, %", shapes=_limits(limits, factor, "x"))
        | {"yaxis": _axis("share at or below, %") | {"range": [0, 103]}},
        note=f"Drawn with {_MOST_STEPS} points a curve; judged on all values." if thinned else "",
    )


def _present(arm: Document, name: str) -> list[float]:
    return sorted(found for value in arm["series"][name] if (found := number(value)) is not None)


def _curve(test: Document, index: int, values: Sequence[float], factor: float) -> dict[str, Any]:
    """Steps up to the share of the values that are finite; a failed call never comes."""
    finite = [value for value in values if math.isfinite(value)]
    ranks = _spread(len(finite), _MOST_STEPS)
    first = [finite[0]] if finite else []
    return {
        "type": "scatter",
        "mode": "lines",
        "name": _arm_name(test, index) or "calls",
        "x": [_short(value * factor) for value in (*first, *(finite[rank] for rank in ranks))],
        "y": [0.0] * len(first) + [_short(100 * (rank + 1) / len(values)) for rank in ranks],
        "line": {"shape": "hv", "width": 2.5, "color": _color(index), "dash": _DASHES[index // _COLORS % 4]},
        "hovertemplate": "%{y:.1f} %% at or below %{x:.5~g}<extra>%{fullData.name}</extra>".replace("%%", "%"),
        "showlegend": len(test["arms"]) > 1,
    }


def _estimate(
    test: Document, answer: Verdict, curves: dict[int, list[float]], factor: float
) -> dict[str, Any] | None:
    """The estimate on its curve, with its interval; an open end reaches to the end of what was measured."""
    index = next((index for index, arm in enumerate(test["arms"]) if arm["name"] == answer.arm), None)
    values = curves.get(index, []) if index is not None else []
    if index is None or not values or answer.estimate is None or not math.isfinite(answer.estimate):
        return None
    low, high = (answer.estimate if end is None else end for end in (answer.low, answer.high))
    finite = [value for value in values if math.isfinite(value)]
    low, high = (low if math.isfinite(low) else finite[0]), (high if math.isfinite(high) else finite[-1])
    return {
        "type": "scatter",
        "mode": "markers",
        "name": escape(f"{answer.statistic}: {formatting.measured(answer)}"),
        "x": [_short(answer.estimate * factor)],
        "y": [_short(100 * bisect_right(values, answer.estimate) / len(values))],
        "error_x": {
            "type": "data",
            "symmetric": False,
            "array": [_short(max(high - answer.estimate, 0) * factor)],
            "arrayminus": [_short(max(answer.estimate - low, 0) * factor)],
            "color": _color(index),
            "thickness": 3,
            "width": 7,
        },
        "marker": {"size": 11, "color": _color(index), "line": {"width": 2, "color": "var(--card)"}},
        "hovertemplate": "%{fullData.name}<extra></extra>",
    }


def _described(arm: Document, name: str) -> str:
    metric = arm["metrics"].get(name)
    if metric is None or not metric["n"]:
        return f"{name}{_of(arm)}: no values."
    said = [f"{key} {quantity(metric[key], metric['unit'])}" for key in ("min", "p50", "p95", "max")]
    return f"{name}{_of(arm)}, {wording.count(metric['n'], 'value')}: {', '.join(said)}."


def _claimed(answer: Verdict) -> str:
    return f"{answer.claim}{f' [{answer.arm}]' if answer.arm else ''}: {formatting.measured(answer)}, {answer.outcome}."


# --- the calls in dispatch order ---


def _order(test: Document, answers: Sequence[Verdict], name: str) -> Figure | None:
    """Every call at its place in dispatch order, with what became of it."""
    points = sorted(_points(test, name), key=lambda point: point.at)
    if not points:
        return None
    noun = "call" if _of_calls(name) else "round"
    limits = _about(test, answers, name)
    values = [point.value for point in points if point.value is not None and math.isfinite(point.value)]
    factor, unit = _scale(test, name, (*values, *(answer.bound for answer in limits)))
    top = 1.06 * max((*values, *(answer.bound for answer in limits)), default=1.0)
    numbered = _thinned(list(enumerate(points, 1)))
    data = [
        trace
        for state in _STATES
        for trace in _marks(test, state, [one for one in numbered if one[1].state == state], factor, top)
    ]
    left = len(points) - len(numbered)
    return Figure(
        title=f"{noun.capitalize()}s in dispatch order: {name}",
        words=_counted(points, noun, name),
        data=data,
        layout=_layout(
            f"{noun} in dispatch order", f"{name}, {unit}" if unit else name, shapes=_limits(limits, factor, "y")
        ),
        note=f"{len(numbered)} of {len(points)} {noun}s are drawn, all those among them that stand out; {left} are not."
        if left
        else "",
    )


def _of_calls(name: str) -> bool:
    return name in METRICS and METRICS[name].per == "call"


def _points(test: Document, name: str) -> Iterator[_Point]:
    for index, arm in enumerate(test["arms"]):
        if "timeline" in arm and (name in arm["series"] or name in arm["unjudged"]):
            yield from _calls(test, index, name) if _of_calls(name) else _rounds(test, index, name)


def _calls(test: Document, index: int, name: str) -> Iterator[_Point]:
    arm = test["arms"][index]
    calls, rounds = arm["timeline"]["calls"], arm["timeline"]["rounds"]
    warm = {number for number, warmup in zip(rounds["number"], rounds["warmup"], strict=True) if warmup}
    unit = _unit(test, name)
    taken = {True: 0, False: 0}
    for judged, at, round_, failure in zip(
        calls["judged"], calls["dispatched"], calls["round"], calls["failure"], strict=True
    ):
        columns, place = (arm["series"] if judged else arm["unjudged"]), taken[judged]
        value, attempts = (number(columns[key][place]) if key in columns else None for key in (name, "attempts"))
        taken[judged] += 1
        state = _state(judged=judged, warm=round_ in warm, failed=bool(failure), retried=(attempts or 1) > 1)
        told = failure or ("" if value is None else wording.quantity(value, unit))
        tries = f", {wording.count(int(attempts), 'attempt')}" if attempts and attempts > 1 else ""
        yield _Point(at, index, value, state, f"round {round_}{_of(arm)}: {told}{tries}")


def _rounds(test: Document, index: int, name: str) -> Iterator[_Point]:
    arm = test["arms"][index]
    rounds = arm["timeline"]["rounds"]
    values = iter(arm["series"].get(name, ()))
    for round_, judged, at, failure in zip(
        rounds["number"], rounds["judged"], rounds["started"], rounds["failure"], strict=True
    ):
        value = number(next(values)) if judged else None
        told = failure or ("" if value is None else wording.quantity(value, _unit(test, name)))
        state = _state(judged=judged, warm=not judged, failed=bool(failure), retried=False)
        yield _Point(at, index, value, state, f"round {round_}{_of(arm)}: {told}")


def _state(*, judged: bool, warm: bool, failed: bool, retried: bool) -> str:
    if not judged:
        return "warm-up" if warm else "interrupted"
    return "failed" if failed else "with retries" if retried else _PLAIN


def _thinned(points: list[tuple[int, _Point]]) -> list[tuple[int, _Point]]:
    """All that stand out, as far as there is room, and of the others so many that the eye sees no difference."""
    special = [one for one in points if one[1].state != _PLAIN]
    plain = [one for one in points if one[1].state == _PLAIN]
    special = [special[place] for place in _spread(len(special), _MOST_POINTS // 2)]
    kept = [plain[place] for place in _spread(len(plain), _MOST_POINTS - len(special))]
    return sorted([*special, *kept], key=lambda one: one[0])


def _marks(
    test: Document, state: str, points: Sequence[tuple[int, _Point]], factor: float, top: float
) -> Iterator[dict[str, Any]]:
    """A trace for each arm of ordinary calls, one for all arms of each other state."""
    groups = range(len(test["arms"])) if state == _PLAIN else (None,)
    symbol, size = _STATES[state]
    for group in groups:
        own = [one for one in points if (group is None or one[1].arm == group) and _seen(one[1])]
        if not own:
            continue
        name = _arm_name(test, group) if group is not None else ""
        yield {
            "type": "scatter",
            "mode": "markers",
            "name": name or state,
            "x": [place for place, _ in own],
            "y": [_short(factor * _height(point, top)) for _, point in own],
            "text": [escape(point.words) for _, point in own],
            "hovertemplate": "%{text}<extra></extra>",
            "marker": {
                "symbol": symbol,
                "size": size,
                "opacity": 0.75 if state == _PLAIN else 1.0,
                "color": "var(--failed)" if state == "failed" else [_color(point.arm) for _, point in own],
            },
        }


def _seen(point: _Point) -> bool:
    return point.value is not None or point.state == "failed"


def _height(point: _Point, top: float) -> float:
    """A failed call stands above all others: it never came."""
    return top if point.value is None or not math.isfinite(point.value) else point.value


def _counted(points: Sequence[_Point], noun: str, name: str) -> str:
    counts = {state: sum(point.state == state for point in points) for state in _STATES}
    told = [f"{count} {state}" for state, count in counts.items() if count]
    return f"{name} of {wording.count(len(points), noun)} in dispatch order: {', '.join(told)}."


# --- the stages of one call of each arm ---


def _waterfall(test: Document) -> Figure | None:
    """The slowest judged call of each arm, stage by stage, on one time line."""
    chosen = [arm for arm in test["arms"] if arm.get("waterfall")]
    if not chosen:
        return None
    found = [bar for arm in chosen for bar in bars(arm["waterfall"], arm["name"])]
    ticks = [(moment, found_last(arm)) for arm in chosen for moment in arm["waterfall"]["deltas"]]
    factor, unit = wording.axis(max(bar.start + bar.seconds for bar in found), "s")
    labels = list(dict.fromkeys(escape(bar.attempt) for bar in found))
    stages = list(dict.fromkeys(bar.stage for bar in found))
    told = [f"{bar.attempt}, {bar.stage}: {wording.quantity(bar.seconds, 's')}" for bar in found]
    data: list[dict[str, Any]] = [_stage(stage, [bar for bar in found if bar.stage == stage], factor) for stage in stages]
    data += [_ticks(ticks, factor)] if ticks else []
    return Figure(
        title="Slowest judged call" + (" of each arm" if len(test["arms"]) > 1 else ""),
        words=f"Stages of the slowest judged call. {'; '.join(told)}.",
        data=data,
        layout=_layout(f"{unit} after the call began", "")
        | {
            "barmode": "overlay",
            "height": 150 + 46 * len(labels),
            "yaxis": _axis("") | {"autorange": "reversed", "categoryarray": labels, "categoryorder": "array"},
        },
    )


def found_last(arm: Document) -> str:
    """The label of the last attempt of an arm's chosen call."""
    *_, last = bars(arm["waterfall"], arm["name"])
    return last.attempt


def _stage(stage: str, own: Sequence[Bar], factor: float) -> dict[str, Any]:
    return {
        "type": "bar",
        "orientation": "h",
        "name": stage,
        "y": [escape(bar.attempt) for bar in own],
        "x": [_short(bar.seconds * factor) for bar in own],
        "base": [_short(bar.start * factor) for bar in own],
        "text": [escape(f"{stage}: {wording.quantity(bar.seconds, 's')}") for bar in own],
        "textposition": "none",
        "hovertemplate": "%{text}<extra></extra>",
        "marker": {"color": f"var(--stage-{own[0].color})"},
        "width": 0.55,
    }


def _ticks(ticks: Sequence[tuple[float, str]], factor: float) -> dict[str, Any]:
    return {
        "type": "scatter",
        "mode": "markers",
        "name": "content deltas",
        "x": [_short(moment * factor) for moment, _ in ticks],
        "y": [escape(label) for _, label in ticks],
        "marker": {"symbol": "line-ns", "size": 9, "line": {"width": 1, "color": "var(--ink)"}},
        "hoverinfo": "skip",
    }


# --- what they share ---


def _about(test: Document, answers: Sequence[Verdict], name: str) -> list[Verdict]:
    """The claims whose limit is a value of this metric; that of a comparison of arms is a ratio or a distance."""
    arms = {arm["name"] for arm in test["arms"]}
    return [one for one in answers if one.metric == name and one.arm in arms and not getattr(one, "to", "")]


def _limits(answers: Sequence[Verdict], factor: float, axis: str) -> list[dict[str, Any]]:
    """A line across the plot at each limit."""
    other = "y" if axis == "x" else "x"
    found = dict.fromkeys((answer.bound, formatting.limit(answer)) for answer in answers)
    return [
        {
            "type": "line",
            f"{axis}0": _short(bound * factor),
            f"{axis}1": _short(bound * factor),
            f"{other}0": 0,
            f"{other}1": 1,
            f"{other}ref": "paper",
            f"{axis}ref": axis,
            "line": {"color": "var(--limit)", "width": 1.5, "dash": "dash"},
            "label": {
                "text": escape(f"limit {words}"),
                "textposition": "end",
                "textangle": 0,
                "font": {"color": "var(--limit)", "size": 12},
            },
        }
        for bound, words in found
    ]


def _layout(x: str, y: str, shapes: Sequence[dict[str, Any]] = ()) -> dict[str, Any]:
    return {
        "height": 320,
        "margin": {"l": 8, "r": 12, "t": 24, "b": 8},
        "paper_bgcolor": "rgba(0,0,0,0)",
        "plot_bgcolor": "rgba(0,0,0,0)",
        "font": {"color": "var(--ink)", "size": 13, "family": "system-ui, sans-serif"},
        "legend": {"orientation": "h", "yanchor": "top", "y": -0.28, "x": 0},
        "hoverlabel": {"bgcolor": "var(--card)", "bordercolor": "var(--line)", "font": {"color": "var(--ink)"}},
        "xaxis": _axis(x),
        "yaxis": _axis(y),
        "shapes": list(shapes),
    }


def _axis(title: str) -> dict[str, Any]:
    return {
        "title": {"text": escape(title), "standoff": 10},
        "automargin": True,
        "gridcolor": "var(--grid)",
        "linecolor": "var(--line)",
        "zeroline": False,
        "rangemode": "tozero",
    }


def _unit(test: Document, name: str) -> str:
    return next((arm["metrics"][name]["unit"] for arm in test["arms"] if name in arm["metrics"]), "")


def _scale(test: Document, name: str, values: Sequence[float]) -> tuple[float, str]:
    return wording.axis(max(values, default=0.0), _unit(test, name))


def _finite(columns: Iterable[Sequence[float]]) -> list[float]:
    return [value for values in columns for value in values if math.isfinite(value)]


def _spread(n: int, most: int) -> list[int]:
    """Places of so many of *n* values at equal distances, both ends among them."""
    if n <= most:
        return list(range(n))
    return [round(place * (n - 1) / (most - 1)) for place in range(most)] if most > 1 else []


def _short(value: float) -> float:
    """Enough digits for any screen."""
    return float(f"{value:.6g}")


def _color(index: int) -> str:
    return f"var(--c{index % _COLORS})"


def _arm_name(test: Document, index: int) -> str:
    return escape(test["arms"][index]["name"])


def _of(arm: Document) -> str:
    return f" [{arm['name']}]" if arm["name"] else ""
