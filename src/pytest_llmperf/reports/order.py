"""The plot of what came when: every call or round at its place in dispatch order, with what became of it."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

from pytest_llmperf.core import wording
from pytest_llmperf.core.metrics import METRICS
from pytest_llmperf.core.verdict import Verdict
from pytest_llmperf.reports import plot
from pytest_llmperf.reports.plot import Figure, Scale
from pytest_llmperf.reports.reading import number
from pytest_llmperf.reports.rows import Document

_MOST_POINTS = 1500
_LEAST_POINTS = 150
"""In a page of very many tests."""
_STATES = {
    "judged": ("circle", 6),
    "with retries": ("diamond", 9),
    "failed": ("x", 10),
    "warm-up": ("circle-open", 8),
    "interrupted": ("square-open", 8),
}
"""Symbol and size of the mark of each."""
_PLAIN = "judged"


@dataclass(frozen=True, slots=True)
class _Point:
    """One call or round."""

    at: float
    """When it was dispatched, by which all arms are put in one order."""
    arm: int
    value: float | None
    state: str
    round: int
    failure: str
    tries: float | None = None
    """Attempts; None for a round."""

    @property
    def finite(self) -> bool:
        """Whether it has a height of its own."""
        return self.value is not None and math.isfinite(self.value)


def order(test: Document, answers: Sequence[Verdict], name: str, detail: float = 1.0) -> Figure | None:
    """The values of a metric of calls or rounds; None where the report does not say what came when."""
    points = sorted(_points(test, name), key=lambda point: point.at)
    if not points:
        return None
    noun = "call" if _of_calls(name) else "round"
    own = plot.about(test, answers, name)
    values = [point.value for point in points if point.value is not None and point.finite]
    drawn = plot.scale(name, plot.unit_of(test, name), [*values, *(answer.bound for answer in own)])
    kept = _thinned(list(enumerate(points, 1)), max(int(detail * _MOST_POINTS), _LEAST_POINTS))
    upright = plot.axis(drawn.title) | {"range": drawn.range(room=0.14, zero=drawn.low >= 0)}
    data = [trace for state in _STATES for trace in _marks(test, name, state, kept, drawn)]
    return Figure(
        title=f"{noun.capitalize()}s in dispatch order: {name}",
        words=_told(points, noun, name),
        data=data,
        layout=plot.layout(f"{noun} in dispatch order", "", entries=len(data))
        | plot.limits(own, drawn, "y")
        | {"yaxis": upright},
        note=_note(len(kept), len(points), noun),
    )


def _note(drawn: int, n: int, noun: str) -> str:
    if drawn == n:
        return ""
    return f"{drawn} of {n} {noun}s are drawn, failures, retries and warm-ups first; verdicts rest on all that count."


def _of_calls(name: str) -> bool:
    return name in METRICS and METRICS[name].per == "call"


def _points(test: Document, name: str) -> Iterator[_Point]:
    for index, arm in enumerate(test["arms"]):
        if "timeline" in arm and (name in arm["series"] or name in arm["unjudged"]):
            yield from _calls(test, index, name) if _of_calls(name) else _rounds(test, index, name)


def _calls(test: Document, index: int, name: str) -> Iterator[_Point]:
    arm = test["arms"][index]
    calls, rounds = arm["timeline"]["calls"], arm["timeline"]["rounds"]
    warm = {round_ for round_, warmup in zip(rounds["number"], rounds["warmup"], strict=True) if warmup}
    taken = {True: 0, False: 0}
    columns = (calls["judged"], calls["dispatched"], calls["round"], calls["failure"])
    for judged, at, round_, failure in zip(*columns, strict=True):
        values, place = (arm["series"] if judged else arm["unjudged"]), taken[judged]
        value, tries = (number(values[key][place]) if key in values else None for key in (name, "attempts"))
        taken[judged] += 1
        state = _state(judged=judged, warm=round_ in warm, failed=bool(failure), retried=tries not in (None, 1))
        yield _Point(at, index, value, state, round_, failure, tries)


def _rounds(test: Document, index: int, name: str) -> Iterator[_Point]:
    arm = test["arms"][index]
    rounds = arm["timeline"]["rounds"]
    values = iter(arm["series"].get(name, ()))
    columns = (rounds["number"], rounds["judged"], rounds["warmup"], rounds["started"], rounds["failure"])
    for round_, judged, warm, at, failure in zip(*columns, strict=True):
        value = number(next(values)) if judged else None
        state = _state(judged=judged, warm=warm, failed=bool(failure), retried=False)
        yield _Point(at, index, value, state, round_, failure)


def _words(test: Document, point: _Point, name: str) -> str:
    """What is told of a point that is drawn."""
    told = point.failure or ("" if point.value is None else wording.quantity(point.value, plot.unit_of(test, name)))
    tries = f", {point.tries:g} attempts" if point.state == "with retries" else ""
    return f"round {point.round}{plot.of_arm(test['arms'][point.arm])}: {told}{tries}"


def _state(*, judged: bool, warm: bool, failed: bool, retried: bool) -> str:
    if not judged:
        return "warm-up" if warm else "interrupted"
    return "failed" if failed else "with retries" if retried else _PLAIN


def _thinned(points: list[tuple[int, _Point]], most: int) -> list[tuple[int, _Point]]:
    """Those that stand out, as far as there is room, and of the others so many that the eye sees no difference."""
    special = [one for one in points if one[1].state != _PLAIN]
    plain = [one for one in points if one[1].state == _PLAIN]
    special = [special[place] for place in plot.spread(len(special), most // 2)]
    kept = [plain[place] for place in plot.spread(len(plain), most - len(special))]
    return sorted([*special, *kept], key=lambda one: one[0])


def _marks(
    test: Document, metric: str, state: str, points: Sequence[tuple[int, _Point]], drawn: Scale
) -> Iterator[dict[str, Any]]:
    """A trace for each arm of ordinary calls, one for all arms of each other state."""
    seen = [one for one in points if one[1].state == state and (one[1].value is not None or state == "failed")]
    for group in range(len(test["arms"])) if state == _PLAIN else (None,):
        if own := [one for one in seen if group in (None, one[1].arm)]:
            name = "" if group is None else plot.arm_name(test, group)
            words = [escape(_words(test, point, metric)) for _, point in own]
            yield _trace(name or state, state, own, drawn) | {"text": words}


def _trace(name: str, state: str, own: Sequence[tuple[int, _Point]], drawn: Scale) -> dict[str, Any]:
    symbol, size = _STATES[state]
    arms = {point.arm for _, point in own}
    colors = [plot.color(point.arm) for _, point in own]
    return {
        "type": "scatter",
        "mode": "markers",
        "name": name,
        "x": [place for place, _ in own],
        "y": [_height(point, drawn) for _, point in own],
        "hovertemplate": "%{text}<extra></extra>",
        "marker": {
            "symbol": symbol,
            "size": size,
            "opacity": 0.75 if state == _PLAIN else 1.0,
            "color": "var(--failed)" if state == "failed" else colors[0] if len(arms) == 1 else colors,
        },
    }


def _height(point: _Point, drawn: Scale) -> float:
    """What never came stands above all that did."""
    return drawn(point.value) if point.value is not None and point.finite else drawn(1.08 * drawn.high)


def _told(points: Sequence[_Point], noun: str, name: str) -> str:
    counts = {state: sum(point.state == state for point in points) for state in _STATES}
    listed = ", ".join(f"{count} {state}" for state, count in counts.items() if count)
    return f"{name} of {wording.count(len(points), noun)} in dispatch order: {listed}."
