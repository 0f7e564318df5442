"""What all plots share: the value a plot is, its axes, its limits, its colours, and how a long series is thinned.

Colours are names of the page's own, so that a plot follows its light and its dark. Texts of tests come from anywhere
and are escaped, since plotly reads markup in them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

from pytest_llmperf.core import wording
from pytest_llmperf.core.verdict import Verdict
from pytest_llmperf.reports import formatting
from pytest_llmperf.reports.rows import Document

COLORS = 6
_DASHES = ("solid", "dash", "dot", "dashdot")
_LINE = 20
"""Pixels of a line of the legend."""


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
    choices: tuple[Choice, ...] = ()
    """What may be drawn in its place, itself first; empty where there is nothing to choose."""


@dataclass(frozen=True, slots=True)
class Choice:
    """One of several things that a plot can show."""

    label: str
    figure: Figure


@dataclass(frozen=True, slots=True)
class Scale:
    """How the values of a metric are drawn."""

    factor: float
    title: str
    """Of the axis."""
    low: float
    high: float
    """Of all that is drawn, in the metric's own unit."""

    def __call__(self, value: float) -> float:
        """A value on the axis, with enough digits for any screen."""
        return short(self.factor * value)

    def range(self, *, room: float = 0.05, zero: bool = False) -> list[float]:
        """Ends of the axis, with some room; from zero on, or as near as the values are."""
        spare = room * ((self.high - (0.0 if zero else self.low)) or self.high or 1.0)
        return [0.0 if zero else self(self.low - spare), self(self.high + spare)]


def scale(name: str, unit: str, values: Sequence[float]) -> Scale:
    """The scale for a metric's finite values, its limits among them."""
    low, high = min(values, default=0.0), max(values, default=1.0)
    factor, shown = wording.axis(high, unit)
    return Scale(factor, f"{name}, {shown}" if shown else name, low, high)


def limits(answers: Sequence[Verdict], drawn: Scale, axis: str) -> dict[str, Any]:
    """A line across the plot at each limit, with its words where curves seldom go: the part of a layout for them."""
    found = dict.fromkeys((drawn(answer.bound), formatting.limit(answer)) for answer in answers)
    return {
        "shapes": [line(at, axis) for at, _ in found],
        "annotations": [label(at, f"limit {words}", axis, drawn) for at, words in found],
    }


def line(at: float, axis: str) -> dict[str, Any]:
    """A line across the plot at this place of an axis, `x` or `y`."""
    other = "y" if axis == "x" else "x"
    ends = {f"{axis}0": at, f"{axis}1": at, f"{other}0": 0, f"{other}1": 1, f"{other}ref": "paper", f"{axis}ref": axis}
    return {"type": "line", "line": {"color": "var(--limit)", "width": 1.5, "dash": "dash"}} | ends


def label(at: float, words: str, axis: str, drawn: Scale) -> dict[str, Any]:
    """What stands beside such a line."""
    leans = "right" if at - drawn(drawn.low) > drawn(drawn.high) - at else "left"
    place: dict[str, Any] = {"x": at, "y": 0.01, "yref": "paper", "xanchor": leans, "yanchor": "bottom"}
    if axis == "y":
        place = {"x": 1, "y": at, "xref": "paper", "xanchor": "right", "yanchor": "bottom"}
    return {
        "text": escape(words),
        "showarrow": False,
        "borderpad": 2,
        "bgcolor": "var(--card)",
        "opacity": 0.9,
        "font": {"color": "var(--limit)", "size": 12},
    } | place


def layout(x: str, y: str, *, height: int = 300, entries: int = 1) -> dict[str, Any]:
    """Everything of a plot that is not its data; *height* in pixels, without the *entries* of its legend."""
    return {
        "height": height + _LINE * ((entries + 1) // 2),
        "margin": {"l": 8, "r": 12, "t": 12, "b": 52},
        "paper_bgcolor": "rgba(0,0,0,0)",
        "plot_bgcolor": "rgba(0,0,0,0)",
        "font": {"color": "var(--ink)", "size": 13, "family": "system-ui, sans-serif"},
        "legend": {"orientation": "h", "yanchor": "bottom", "y": 1.02, "x": 0},
        "hoverlabel": {"bgcolor": "var(--card)", "bordercolor": "var(--line)", "font": {"color": "var(--ink)"}},
        "xaxis": axis(x) | {"automargin": False},
        "yaxis": axis(y),
    }


def axis(title: str) -> dict[str, Any]:
    """One axis."""
    return {
        "title": {"text": escape(title), "standoff": 8},
        "automargin": True,
        "gridcolor": "var(--grid)",
        "linecolor": "var(--line)",
        "zeroline": False,
    }


def about(test: Document, answers: Sequence[Verdict], name: str) -> list[Verdict]:
    """The claims whose limit is a value of this metric; that of a comparison of arms is a ratio or a distance."""
    arms = {arm["name"] for arm in test["arms"]}
    return [one for one in answers if one.metric == name and one.arm in arms and not one.to]


def unit_of(test: Document, name: str) -> str:
    """The unit of a metric's values."""
    return next((arm["metrics"][name]["unit"] for arm in test["arms"] if name in arm["metrics"]), "")


def color(index: int) -> str:
    """Of the arm with this number."""
    return f"var(--c{index % COLORS})"


def dash(index: int) -> str:
    """Of the arm with this number, where there are more arms than colours."""
    return _DASHES[index // COLORS % len(_DASHES)]


def arm_name(test: Document, index: int) -> str:
    """Escaped; empty for a test without arms."""
    return escape(test["arms"][index]["name"])


def of_arm(arm: Document) -> str:
    """The arm in brackets."""
    return f" [{arm['name']}]" if arm["name"] else ""


def spread(n: int, most: int) -> list[int]:
    """Places of so many of *n* values at equal distances, both ends among them."""
    if n <= most:
        return list(range(n))
    return [round(place * (n - 1) / (most - 1)) for place in range(most)] if most > 1 else []


def short(value: float) -> float:
    """Enough digits for any screen."""
    return float(f"{value:.6g}")
