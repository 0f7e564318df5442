"""The plot of single calls, stage by stage: the slowest of each arm at first, and others to choose in its place."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from html import escape
from typing import Any

from pytest_llmperf.core import wording
from pytest_llmperf.reports import plot
from pytest_llmperf.reports.cascade import Bar, bars
from pytest_llmperf.reports.plot import Choice, Figure, Scale
from pytest_llmperf.reports.rows import Document

_BAR = 0.46
"""Height of a bar, as a share of its line."""
_MOST_CHOICES = 24


def stages(test: Document, detail: float = 1.0) -> Figure | None:
    """The slowest judged call of each arm on one time line, and single calls to choose; None where none was traced."""
    slowest = [(arm["name"], arm["waterfall"]) for arm in test["arms"] if arm.get("waterfall")]
    if not slowest:
        return None
    every = "The slowest call" + (" of each arm" if len(test["arms"]) > 1 else "")
    first = _drawn(slowest, every)
    choices = [Choice(every, first), *_choices(test, detail)]
    return replace(first, choices=tuple(choices) if len(choices) > 1 else ())


def _choices(test: Document, detail: float) -> Iterator[Choice]:
    """Calls to choose, arm by arm in dispatch order, so many of each that a page of many tests stays small."""
    arms = [arm for arm in test["arms"] if arm.get("waterfall")]
    room = max(int(detail * _MOST_CHOICES) // len(arms), 2)
    for arm in arms:
        others = arm.get("waterfalls", [])
        if len(arms) > 1 and others:
            others = [arm["waterfall"] | {"chosen": "the slowest"}, *others]
        special = [call for call in others if call["chosen"]]
        plain = [call for call in others if not call["chosen"]]
        kept = [*special[:room], *(plain[place] for place in plot.spread(len(plain), room - len(special)))]
        for call in sorted(kept, key=lambda call: call["round"]):
            yield Choice(_label(arm, call), _drawn([(arm["name"], call)], "One call"))


def _label(arm: Document, call: dict[str, Any]) -> str:
    last = call["attempts"][-1]
    moments = (last["ended"], last["last"], last["headers"], last["sent"])
    lasted = [wording.quantity(moment, "s") for moment in moments if moment is not None][:1]
    named = [arm["name"]] if arm["name"] else []
    return ", ".join([*named, f"round {call['round']}", *lasted, *([call["chosen"]] if call["chosen"] else [])])


def _drawn(calls: Sequence[tuple[str, dict[str, Any]]], title: str) -> Figure:
    """These calls, each with the arm it is of, as bars."""
    chosen = [(call, bars(call, arm)) for arm, call in calls]
    found = [bar for _, own in chosen for bar in own]
    drawn = plot.scale("since the call began", "s", [bar.start + bar.seconds for bar in found])
    ticks = [(moment, own[-1].attempt) for call, own in chosen for moment in call["deltas"]]
    labels = [escape(label) for label in dict.fromkeys(bar.attempt for bar in found)]
    grouped = [[bar for bar in found if bar.stage == stage] for stage in dict.fromkeys(bar.stage for bar in found)]
    flat = plot.layout(drawn.title, "", height=100 + 56 * len(labels), entries=2 * len(grouped))
    flat["xaxis"] |= {"range": drawn.range(room=0.02, zero=True)}
    flat["yaxis"] |= {
        "autorange": "reversed",
        "categoryorder": "array",
        "categoryarray": labels,
        "showticklabels": False,
    }
    flat["annotations"] = [_above(place, label) for place, label in enumerate(labels)]
    told = "; ".join(f"{bar.attempt}, {bar.stage} {wording.quantity(bar.seconds, 's')}" for bar in found)
    return Figure(
        title="One call, stage by stage",
        words=f"{title}, stage by stage: {told}.",
        data=[*(_stage(own, drawn) for own in grouped), *([_ticks(ticks, drawn)] if ticks else [])],
        layout=flat | {"barmode": "overlay"},
        note="A tick is a content delta of the stream." if ticks else "",
    )


def _above(place: int, label: str) -> dict[str, Any]:
    """The words of a bar, over it, where the narrowest page has room for them; bars count from 0, downwards."""
    at = {"x": 0, "xref": "paper", "xanchor": "left", "y": place - _BAR / 2 - 0.02, "yanchor": "bottom"}
    return {"text": label, "showarrow": False, "font": {"size": 12}} | at


def _stage(own: Sequence[Bar], drawn: Scale) -> dict[str, Any]:
    return {
        "type": "bar",
        "orientation": "h",
        "name": own[0].stage,
        "y": [escape(bar.attempt) for bar in own],
        "x": [drawn(bar.seconds) for bar in own],
        "base": [drawn(bar.start) for bar in own],
        "text": [f"{bar.stage}: {wording.quantity(bar.seconds, 's')}" for bar in own],
        "textposition": "none",
        "hovertemplate": "%{text}<extra></extra>",
        "marker": {"color": f"var(--stage-{own[0].color})"},
        "width": _BAR,
    }


def _ticks(ticks: Sequence[tuple[float, str]], drawn: Scale) -> dict[str, Any]:
    return {
        "type": "scatter",
        "mode": "markers",
        "name": "content deltas",
        "x": [drawn(moment) for moment, _ in ticks],
        "y": [escape(label) for _, label in ticks],
        "marker": {"symbol": "line-ns", "size": 10, "line": {"width": 1, "color": "var(--card)"}},
        "hoverinfo": "skip",
        "showlegend": False,
    }
