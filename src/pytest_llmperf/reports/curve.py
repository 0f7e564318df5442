"""The plot of a claim on scaling: the levels with their intervals, the fitted shapes, the limits, the knee.

The shape that fits best and the one that is claimed are drawn; the others can be switched on in the legend.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from html import escape
from typing import Any

from pytest_llmperf.core import wording
from pytest_llmperf.core.curves import Curve, FittedShape, LevelSeen
from pytest_llmperf.reports import plot
from pytest_llmperf.reports.plot import Figure, Scale
from pytest_llmperf.reports.reading import curves
from pytest_llmperf.reports.rows import Document

_STEPS = 60
"""Points of a fitted line."""
_WIDE = 20.0
"""The last level over the first from which levels are drawn on a logarithmic scale."""


def scalings(test: Document) -> Iterator[Figure]:
    """One plot for each claim on scaling and each combination of the other factors."""
    for curve in curves(test):
        if any(_is_finite(level) for level in curve.levels):
            yield _figure(curve)


def _is_finite(level: LevelSeen) -> bool:
    return level.median is not None and math.isfinite(level.median)


def _figure(curve: Curve) -> Figure:
    seen = [level for level in curve.levels if _is_finite(level)]
    lines = [(fit, _line(fit, curve)) for fit in curve.fits]
    shown = [value for fit, line in lines if _is_shown(fit, curve) for _, value in line]
    values = [*(end for level in seen for end in (level.median, level.low, level.high)), curve.least, curve.most]
    drawn = plot.scale(curve.metric, curve.unit, [*_finite(values), *shown])
    data = [*(_fit(fit, line, curve, drawn) for fit, line in lines), *_knees(curve, drawn), _levels(seen, drawn)]
    flat = plot.layout(curve.over, "", entries=len(data)) | _limits(curve, drawn)
    flat["xaxis"] |= {"type": "log"} if _is_wide(curve) else {}
    flat["yaxis"] = plot.axis(drawn.title) | {"range": drawn.range(room=0.1)}
    arm = f" [{curve.arm}]" if curve.arm else ""
    return Figure(
        title=f"How {curve.metric} goes with {curve.over}{arm}",
        words=_told(curve),
        data=data,
        layout=flat,
        note=f"No shape is fitted: {curve.unfitted}." if curve.unfitted else "",
    )


def _finite(values: list[float | None]) -> list[float]:
    return [value for value in values if value is not None and math.isfinite(value)]


def _is_wide(curve: Curve) -> bool:
    return curve.levels[0].at > 0 and curve.levels[-1].at > _WIDE * curve.levels[0].at


def _is_shown(fit: FittedShape, curve: Curve) -> bool:
    return fit is curve.fits[0] or fit.shape == curve.claimed_shape


def _line(fit: FittedShape, curve: Curve) -> list[tuple[float, float]]:
    first, last = curve.levels[0].at, curve.levels[-1].at
    shares = [step / (_STEPS - 1) for step in range(_STEPS)]
    wide = _is_wide(curve)
    xs = [first * (last / first) ** share if wide else first + (last - first) * share for share in shares]
    return [(x, fit.at(x)) for x in sorted({*xs, *([fit.knee] if fit.knee else [])})]


def _fit(fit: FittedShape, line: list[tuple[float, float]], curve: Curve, drawn: Scale) -> dict[str, Any]:
    best, claimed = fit is curve.fits[0], fit.shape == curve.claimed_shape
    said = ", ".join(word for word, holds in (("best fit", best), ("claimed", claimed)) if holds)
    return {
        "type": "scatter",
        "mode": "lines",
        "name": f"{fit.shape} ({said})" if said else fit.shape,
        "x": [plot.short(x) for x, _ in line],
        "y": [drawn(value) for _, value in line],
        "line": {"width": 2.5 if best else 1.5, "color": plot.color(0 if best else 1), "dash": _dash(best, claimed)},
        "hovertemplate": f"{fit.shape}: %{{y:.5~g}}<extra></extra>",
        "visible": True if said else "legendonly",
    }


def _dash(best: bool, claimed: bool) -> str:  # noqa: FBT001
    return "solid" if best else "dash" if claimed else "dot"


def _levels(seen: list[LevelSeen], drawn: Scale) -> dict[str, Any]:
    beyond = 2 * (drawn.high - drawn.low)
    medians = [level.median or 0.0 for level in seen]
    return {
        "type": "scatter",
        "mode": "markers",
        "name": "median of a level",
        "x": [level.at for level in seen],
        "y": [drawn(median) for median in medians],
        "error_y": {
            "type": "data",
            "symmetric": False,
            "array": [drawn(_reach(level.high, median, beyond)) for level, median in zip(seen, medians, strict=True)],
            "arrayminus": [
                drawn(_reach(median, level.low, beyond)) for level, median in zip(seen, medians, strict=True)
            ],
            "color": "var(--ink)",
            "thickness": 1.5,
            "width": 6,
        },
        "text": [escape(f"{level.arm or level.at}: n={level.n}") for level in seen],
        "hovertemplate": "%{text}, %{y:.5~g}<extra></extra>",
        "marker": {"size": 10, "color": "var(--ink)", "line": {"width": 2, "color": "var(--card)"}},
    }


def _reach(upper: float | None, lower: float | None, beyond: float) -> float:
    """From one end of an interval to the middle; an open end runs out of the plot."""
    if upper is None or lower is None:
        return 0.0
    return upper - lower if math.isfinite(upper - lower) else beyond


def _limits(curve: Curve, drawn: Scale) -> dict[str, Any]:
    """A line across at what the last level is claimed to keep within."""
    sides = (("at least", curve.least), ("at most", curve.most))
    found = [(value, words) for words, value in sides if value is not None and math.isfinite(value)]
    where = f"limit at {wording.quantity(curve.levels[-1].at, '', digits=6)}: "
    lines = [plot.line(drawn(value), "y") for value, _ in found]
    labels = [
        plot.label(drawn(value), f"{where}{words} {wording.quantity(value, curve.unit)}", "y", drawn)
        for value, words in found
    ]
    return {"shapes": lines, "annotations": labels}


def _knees(curve: Curve, drawn: Scale) -> Iterator[dict[str, Any]]:
    """Upright lines where the curve bends and before which it is claimed not to."""
    if curve.no_knee_before is not None:
        yield _upright(curve.no_knee_before, f"no knee before {curve.no_knee_before:g} (claimed)", "dash", drawn)
    if curve.knee is not None and curve.knee_range is not None:
        low, high = (wording.quantity(end, "") for end in curve.knee_range)
        yield _upright(curve.knee, f"knee at {wording.quantity(curve.knee, '')} ({low} … {high})", "solid", drawn)


def _upright(at: float, name: str, dash: str, drawn: Scale) -> dict[str, Any]:
    return {
        "type": "scatter",
        "mode": "lines",
        "name": name,
        "x": [at, at],
        "y": drawn.range(room=0.1),
        "line": {"width": 1.5, "dash": dash, "color": "var(--limit)"},
        "hovertemplate": "%{fullData.name}<extra></extra>",
    }


def _told(curve: Curve) -> str:
    levels = "; ".join(_level_told(level, curve) for level in curve.levels)
    best = curve.fits[0].shape if curve.fits else ""
    fitted = (
        f" Shown to go as {curve.shape}." if curve.shape else f" {best} fits best, but that is not shown." * bool(best)
    )
    sides = (("at least", curve.least), ("at most", curve.most))
    limits = [f"{words} {wording.quantity(value, curve.unit)}" for words, value in sides if value is not None]
    claimed = f" Claimed of the last level: {' and '.join(limits)}." if limits else ""
    knee = f" It bends at {wording.quantity(curve.knee, '')}." if curve.knee is not None else ""
    return f"Medians of {curve.metric} by {curve.over}: {levels}.{fitted}{knee}{claimed}"


def _level_told(level: LevelSeen, curve: Curve) -> str:
    if level.median is None or level.low is None or level.high is None:
        return f"{level.at:g} no value"
    bounds = wording.interval(level.low, level.high, curve.unit)
    return f"{level.at:g} {wording.quantity(level.median, curve.unit)} ({bounds}), n={level.n}"
