"""From the merged arguments of marks that compare arms to what they claim."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pytest_llmperf.core.claims import Contrast, Kind, Scaling
from pytest_llmperf.core.metrics import METRICS
from pytest_llmperf.core.objective import SHARES, TOTALS, quantile_level
from pytest_llmperf.plugin.claims import check_metric, written
from pytest_llmperf.runner.arms import pairs
from pytest_llmperf.runner.plan import Plan

_LIMITS: dict[str, tuple[Kind, str]] = {
    "max_ratio": ("ratio", "<="),
    "min_ratio": ("ratio", ">="),
    "max_added_ms": ("added", "<="),
    "min_added_ms": ("added", ">="),
    "max_added": ("added", "<="),
    "min_added": ("added", ">="),
}
_SHARES = SHARES | {"accuracy"}


def contrasts(arguments: Mapping[str, Any], plan: Plan) -> list[Contrast]:
    """What a `contrast` mark claims: one for each limit and each pair of arms it means.

    Raises:
        ValueError: it claims nothing, its arguments cannot go together, or it names an arm that there is not.
    """
    mark = written("contrast", arguments)
    if "arm" not in arguments or "to" not in arguments or not _LIMITS.keys() & arguments.keys():
        raise ValueError(f"{mark}: give arm, to, and at least one of {', '.join(_LIMITS)}")
    metric = arguments.get("metric", "ttft|e2e")
    check_metric(metric, mark)
    statistic = _statistic(metric, arguments, mark)
    try:
        compared = pairs(plan.arms, arguments["arm"], arguments["to"])
    except ValueError as error:
        raise ValueError(f"{mark}: {error}") from None
    return [
        Contrast(
            metric=metric,
            statistic=statistic,
            arm=arm.name,
            to=to.name,
            kind=kind,
            direction=direction,
            bound=_bound(metric, statistic, key, arguments[key], mark),
            confidence=plan.confidence,
            slack=plan.slack,
            mark=mark,
        )
        for key, (kind, direction) in _LIMITS.items()
        if key in arguments
        for arm, to in compared
    ]


def _statistic(metric: str, arguments: Mapping[str, Any], mark: str) -> str:
    if metric in TOTALS or metric in ("throttle_rate", "goodput", "event_gap"):
        other = {"throttle_rate": "error_rate", "goodput": "its latencies", "event_gap": "tpot"}
        raise ValueError(f"{mark}: there is no comparison of {metric}; compare {other.get(metric, 'e2e_tps or e2e')}")
    if "statistic" in arguments and "quantile" in arguments:
        raise ValueError(f"{mark}: give quantile or statistic, not both")
    if "quantile" in arguments:
        return f"p{round(arguments['quantile'] * 100, 10):g}"
    usual = "rate" if metric in _SHARES else "mean" if metric == "cost" else "p50"
    statistic = str(arguments.get("statistic", usual))
    if statistic not in ("mean", "rate") and quantile_level(statistic) is None:
        raise ValueError(f"{mark}: statistic must be a quantile such as 'p95', or 'mean', or 'rate' of a share")
    return statistic


def _bound(metric: str, statistic: str, key: str, bound: float, mark: str) -> float:
    """The limit in the metric's base unit, or as a plain ratio."""
    row = METRICS.get(metric.partition("|")[0])
    if key.endswith("_ms"):
        if row is None or row.unit not in ("s", "s/token"):
            raise ValueError(f"{mark}: {metric} is no time; use {key.removesuffix('_ms')}, in its own unit")
        return bound / 1e3
    if key.endswith("_ratio") and statistic == "rate":
        raise ValueError(
            f"{mark}: shares are compared by their difference; use {key.replace('ratio', 'added')}, 0.05 for 5 points"
        )
    return bound


_OF_A_CURVE = ("max_drop", "max_rise", "shape", "no_knee_before")


def scalings(arguments: Mapping[str, Any], plan: Plan) -> list[Scaling]:
    """What a `scaling` mark claims, one for each limit.

    Raises:
        ValueError: it claims nothing, or is over what is no numeric factor, or over too few levels of it.
    """
    mark = written("scaling", arguments)
    limits = [key for key in _OF_A_CURVE if key in arguments]
    if "over" not in arguments or not limits:
        raise ValueError(f"{mark}: give over, and at least one of {', '.join(_OF_A_CURVE)}")
    metric = arguments.get("metric", "ttft|e2e")
    check_metric(metric, mark)
    if metric in _SHARES | TOTALS | {"event_gap"}:
        raise ValueError(f"{mark}: {metric} has no value for each call or round, to which a curve could be fitted")
    _check_levels(arguments["over"], "no_knee_before" in arguments, plan, mark)
    common: dict[str, Any] = {"confidence": plan.confidence, "slack": plan.slack, "mark": mark}
    return [Scaling(arguments["over"], metric, **{key: arguments[key]}, **common) for key in limits]


def _check_levels(over: str, knee: bool, plan: Plan, mark: str) -> None:  # noqa: FBT001 (said once, just above)
    from pytest_llmperf.statistics.trends import LEAST_LEVELS_FOR_KNEE

    if any(over not in arm.factors for arm in plan.arms):
        there_are = ", ".join(plan.arms[0].factors) or "none"
        raise ValueError(f"{mark}: the arms mark has no factor {over!r}; it has {there_are}")
    levels = list(dict.fromkeys(arm.factors[over] for arm in plan.arms))
    if any(isinstance(level, bool) or not isinstance(level, int | float) for level in levels):
        raise ValueError(f"{mark}: {over} must be a factor whose values are numbers")
    least = LEAST_LEVELS_FOR_KNEE if knee else 2
    if len(levels) < least:
        raise ValueError(f"{mark}: {len(levels)} levels of {over} are too few; {least} are the fewest")
