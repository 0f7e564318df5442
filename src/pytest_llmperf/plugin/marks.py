"""From marks to a plan and objectives: our own walk over the levels, merged per keyword, validated at collection.

Nearer wins: `pytest.param`, function, class, base class, module, package. pytest's own order puts a parameter's marks
behind the function's and a base class before its child, so it is not used.
"""

from __future__ import annotations

import difflib
import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest

from pytest_llmperf.core.metrics import METRICS
from pytest_llmperf.core.objective import SHARES, TOTALS, Objective, quantile_level
from pytest_llmperf.plugin.options import Settings
from pytest_llmperf.runner.plan import Plan

Check = Callable[[Any], Any]
"""Returns the value to use, or raises ValueError with what is valid."""


@dataclass(frozen=True, slots=True)
class Scenario:
    """What the marks of one test ask for."""

    plan: Plan
    objectives: tuple[Objective, ...]


def _number(least: float, *, above: bool = False, below: float = math.inf) -> Check:
    def check(value: Any) -> float:
        valid = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
        if not valid or value < least or (above and value == least) or value >= below:
            bounds = f"{'above' if above else 'at least'} {least:g}" + (
                f" and below {below:g}" if below < math.inf else ""
            )
            raise ValueError(f"a number {bounds}")
        return float(value)

    return check


def _whole(least: int) -> Check:
    def check(value: Any) -> int:
        if not isinstance(value, int) or isinstance(value, bool) or value < least:
            raise ValueError(f"a whole number of at least {least}")
        return value

    return check


def _one_of(*choices: str) -> Check:
    def check(value: Any) -> str:
        if value not in choices:
            raise ValueError(f"one of {', '.join(map(repr, choices))}")
        return str(value)

    return check


def _truth(value: Any) -> bool:
    if not isinstance(value, bool):
        raise ValueError("True or False")
    return value


def _text(value: Any) -> str:
    if not isinstance(value, str) or not value:
        raise ValueError("a text")
    return value


_MILLISECONDS = _number(0, above=True)
_LATENCY_METRICS = ("ttft", "ttfat", "e2e", "tpot", "event_gap", "call", "scenario")
_LATENCY_LIMITS = {
    "p50_ms": "p50",
    "p90_ms": "p90",
    "p95_ms": "p95",
    "p99_ms": "p99",
    "mean_ms": "mean",
    "max_ms": "max",
}

ARGUMENTS: dict[str, dict[str, Check]] = {
    "llmperf": {
        "rounds": _whole(1),
        "warmup": _whole(0),
        "stop": _one_of("early", "fixed"),
        "concurrency": _whole(1),
        "confidence": _number(0.5, below=1),
        "slack": _number(0),
        "max_seconds": _number(0, above=True),
        "max_usd": _number(0, above=True),
        "fresh_fixtures": _truth,
        "name": _text,
        "off": _truth,
    },
    "latency": {**dict.fromkeys(_LATENCY_LIMITS, _MILLISECONDS), "metric": _one_of(*_LATENCY_METRICS)},
    "throughput": {
        "min_tps": _number(0, above=True),
        "quantile": _number(0, above=True, below=1),
        "metric": _one_of("output_tps", "e2e_tps"),
        "min_total_tps": _number(0, above=True),
        "min_rpm": _number(0, above=True),
    },
    "cost": {"max_usd": _number(0, above=True), "max_usd_per_mtok": _number(0, above=True)},
    "error_rate": {"max": _number(0, below=1), "throttled_max": _number(0, below=1)},
    "claim": {"metric": _text, "statistic": _text, "max": _number(0), "min": _number(0)},
}
"""Every mark's arguments; all are keyword-only."""

_LATER = {("llmperf", "rate_per_minute"): "the open loop", ("llmperf", "arrival"): "the open loop"}
"""Arguments of the public interface that this version does not have yet."""

DESCRIPTIONS = {
    "llmperf": "how the test is repeated and judged",
    "latency": "limits on the quantiles of a latency, in milliseconds",
    "throughput": "least output tokens or calls per time",
    "cost": "most dollars per round, or per million tokens",
    "error_rate": "largest share of failed calls, or of attempts answered 429",
    "claim": "the general form: a statistic of a metric, with a limit in the metric's own unit",
}


def registered() -> Iterator[str]:
    """The lines that make the marks known to pytest."""
    for name, arguments in ARGUMENTS.items():
        yield f"{name}({', '.join(arguments)}): {DESCRIPTIONS[name]} (pytest-llmperf)"


def resolve(item: pytest.Item, settings: Settings) -> Scenario | None:
    """The scenario a test's marks describe; None when it has none of our marks, or is switched off.

    Raises:
        ValueError: a mark cannot mean anything; the text says which, and what is valid.
    """
    names = tuple(ARGUMENTS) if settings.short_marks else ("llmperf",)
    found = {name: _merged(name, _levels(item)) for name in names}
    if not any(marked for marked, _ in found.values()):
        return None
    arguments = found["llmperf"][1]
    plan = _plan(arguments[0] if arguments else {}, settings)
    if plan.off or settings.off:
        # Once and plainly; but where the API is simulated, no test reaches the real one.
        return (
            Scenario(Plan(rounds=1, warmup=0, stop="fixed", off=True), ()) if settings.backend == "simulate" else None
        )
    objectives = [
        objective
        for name, (_, groups) in found.items()
        if name in _OBJECTIVES
        for group in groups
        for objective in _OBJECTIVES[name](group, plan)
    ]
    return Scenario(plan, tuple(objectives))


# --- the walk --------------------------------------------------------------------------------------------------------


def marks_of(item: pytest.Item) -> list[pytest.Mark]:
    """All marks of a test, nearest first."""
    return [mark for level in _levels(item) for mark in level]


def _levels(item: pytest.Item) -> Iterator[list[pytest.Mark]]:
    """The marks of each level, nearest level first and, within one, nearest the function first."""
    of_parameters = list(getattr(getattr(item, "callspec", None), "marks", ()))
    yield of_parameters
    yield [mark for mark in item.own_markers if not any(mark is other for other in of_parameters)]
    for node in reversed(item.listchain()[:-1]):
        if isinstance(node, pytest.Class):
            yield from _class_levels(node)
        else:
            yield list(node.own_markers)


def _class_levels(node: pytest.Class) -> Iterator[list[pytest.Mark]]:
    written = [_unpacked(cls.__dict__.get("pytestmark", ())) for cls in node.obj.__mro__]
    known = [mark for level in written for mark in level]
    yield [mark for mark in node.own_markers if mark not in known]
    yield from written


def _unpacked(marks: Any) -> list[pytest.Mark]:
    listed: list[Any] = list(marks) if isinstance(marks, list | tuple) else [marks]
    return [getattr(mark, "mark", mark) for mark in listed]


def _merged(name: str, levels: Iterator[list[pytest.Mark]]) -> tuple[bool, list[dict[str, Any]]]:
    """Whether the mark is there, and its keyword arguments, one mapping for each separate claim, nearer ones first.

    `mark(None)` ends the walk: what stands further away is switched off.
    """
    marked, groups = False, list[dict[str, Any]]()
    for level in levels:
        beside: list[dict[str, Any]] = []
        for mark in level:
            if mark.name != name:
                continue
            marked = True
            if mark.args == (None,) and not mark.kwargs:
                return marked, groups
            _check_names(mark)
            group = next((group for group in groups if _same_claim(name, group, mark.kwargs)), None)
            if group is None or (any(group is one for one in beside) and _two_claims(group, mark.kwargs)):
                groups.append(group := {})
            beside.append(group)
            for key, value in mark.kwargs.items():
                group.setdefault(key, _checked(name, key, value))
    return marked, groups


def _same_claim(name: str, group: Mapping[str, Any], arguments: Mapping[str, Any]) -> bool:
    """Claims about different metrics stand beside each other, and so do both limits of one; other marks are one."""
    if name == "claim" and {"max", "min"} <= group.keys() ^ arguments.keys():
        return False
    keys = ("metric", "statistic") if name == "claim" else ("metric",)
    return all(group.get(key) == arguments.get(key) or None in (group.get(key), arguments.get(key)) for key in keys)


def _two_claims(group: Mapping[str, Any], arguments: Mapping[str, Any]) -> bool:
    """Whether two marks that stand side by side mean two metrics: one names its metric, the other leaves it open."""
    limits = [set(marked) - {"metric", "quantile"} for marked in (group, arguments)]
    return group.get("metric") != arguments.get("metric") and all(limits)


def _check_names(mark: pytest.Mark) -> None:
    valid = ARGUMENTS[mark.name]
    if mark.args:
        raise ValueError(
            f"{written(mark)}: arguments are given by name ({', '.join(valid)}). "
            f"If this {mark.name!r} mark is not ours, set llmperf_short_marks = false in the ini file"
        )
    for key in mark.kwargs:
        if (mark.name, key) in _LATER:
            raise ValueError(f"{written(mark)}: {key} belongs to {_LATER[mark.name, key]}, which this version has not")
        if key not in valid:
            near = difflib.get_close_matches(key, valid, n=1)
            hint = f"; did you mean {near[0]}?" if near else "."
            raise ValueError(f"{written(mark)}: there is no {key!r}{hint} Valid names: {', '.join(valid)}")


def _checked(name: str, key: str, value: Any) -> Any:
    try:
        return ARGUMENTS[name][key](value)
    except ValueError as error:
        raise ValueError(f"{name}({key}={value!r}): {key} must be {error}") from None


def written(mark: pytest.Mark) -> str:
    """The mark as its author wrote it."""
    positional = [repr(value) for value in mark.args]
    return f"{mark.name}({', '.join([*positional, *(f'{key}={value!r}' for key, value in mark.kwargs.items())])})"


# --- plan and objectives ---------------------------------------------------------------------------------------------


def _plan(arguments: Mapping[str, Any], settings: Settings) -> Plan:
    overrides = {"rounds": settings.rounds, "stop": settings.stop, "confidence": settings.confidence}
    plan = Plan(**{**arguments, **{key: value for key, value in overrides.items() if value is not None}})
    if plan.fresh_fixtures and plan.concurrency > 1:
        raise ValueError(
            "llmperf(fresh_fixtures=True, concurrency=…): rounds with fixtures of their own run one by one"
        )
    return plan


@dataclass(frozen=True, slots=True)
class _Claims:
    """Makes objectives that share a plan and a mark."""

    name: str
    arguments: Mapping[str, Any]
    plan: Plan
    common: dict[str, Any] = field(init=False)

    def __post_init__(self) -> None:
        shown = ", ".join(
            f"{key}={value:g}" if isinstance(value, float) else f"{key}={value!r}"
            for key, value in self.arguments.items()
        )
        common = {"confidence": self.plan.confidence, "slack": self.plan.slack, "mark": f"{self.name}({shown})"}
        object.__setattr__(self, "common", common)

    def one(self, metric: str, statistic: str, direction: str, bound: float, *, unit: str = "") -> Objective:
        return Objective(metric, statistic, direction, bound, unit=unit, **self.common)

    def nothing(self, what: str) -> ValueError:
        return ValueError(f"{self.common['mark']}: claims nothing; give {what}")


def _latency(arguments: Mapping[str, Any], plan: Plan) -> list[Objective]:
    claims = _Claims("latency", arguments, plan)
    metric = arguments.get("metric", "ttft|e2e")
    objectives = [
        claims.one(metric, statistic, "<=", arguments[key] / 1e3)
        for key, statistic in _LATENCY_LIMITS.items()
        if key in arguments
    ]
    if not objectives:
        raise claims.nothing(f"at least one of {', '.join(_LATENCY_LIMITS)}")
    return objectives


def _throughput(arguments: Mapping[str, Any], plan: Plan) -> list[Objective]:
    claims = _Claims("throughput", arguments, plan)
    objectives = []
    if "min_tps" in arguments:
        statistic = f"p{round(arguments.get('quantile', 0.5) * 100, 10):g}"
        objectives.append(
            claims.one(arguments.get("metric", "output_tps|e2e_tps"), statistic, ">=", arguments["min_tps"])
        )
    if "min_total_tps" in arguments:
        objectives.append(claims.one("total_tps", "total", ">=", arguments["min_total_tps"]))
    if "min_rpm" in arguments:
        objectives.append(claims.one("rpm", "total", ">=", arguments["min_rpm"]))
    if not objectives:
        raise claims.nothing("min_tps, min_total_tps or min_rpm")
    return objectives


def _cost(arguments: Mapping[str, Any], plan: Plan) -> list[Objective]:
    claims = _Claims("cost", arguments, plan)
    objectives = []
    if "max_usd" in arguments:
        objectives.append(claims.one("cost", "mean", "<=", arguments["max_usd"]))
    if "max_usd_per_mtok" in arguments:
        objectives.append(claims.one("cost", "per_mtok", "<=", arguments["max_usd_per_mtok"], unit="USD/Mtok"))
    if not objectives:
        raise claims.nothing("max_usd or max_usd_per_mtok")
    return objectives


def _error_rate(arguments: Mapping[str, Any], plan: Plan) -> list[Objective]:
    claims = _Claims("error_rate", arguments, plan)
    objectives = []
    if "max" in arguments:
        objectives.append(claims.one("error_rate", "rate", "<=", arguments["max"]))
    if "throttled_max" in arguments:
        objectives.append(claims.one("throttle_rate", "rate", "<=", arguments["throttled_max"]))
    if not objectives:
        raise claims.nothing("max or throttled_max")
    return objectives


def _claim(arguments: Mapping[str, Any], plan: Plan) -> list[Objective]:
    claims = _Claims("claim", arguments, plan)
    mark = claims.common["mark"]
    if "metric" not in arguments or ("max" in arguments) == ("min" in arguments):
        raise ValueError(f"{mark}: give metric, statistic, and either max or min")
    metric = arguments["metric"]
    _check_metric(metric, mark)
    statistic = _statistic(metric, arguments.get("statistic", ""), mark)
    direction, bound = ("<=", arguments["max"]) if "max" in arguments else (">=", arguments["min"])
    if metric in SHARES and bound > 1:
        raise ValueError(f"{mark}: {metric} is a share from 0 to 1")
    return [claims.one(metric, statistic, direction, bound)]


def _check_metric(metric: str, mark: str) -> None:
    """A name that is nearly a metric's is a slip; any other is one that the body records."""
    near = difflib.get_close_matches(metric, METRICS, n=1, cutoff=0.75)
    if metric not in METRICS and near:
        raise ValueError(f"{mark}: there is no metric {metric!r}; did you mean {near[0]}? Valid: {', '.join(METRICS)}")
    if not metric.isidentifier():
        raise ValueError(f"{mark}: {metric!r} is no metric. Valid: {', '.join(METRICS)}, or a name the body records")


def _statistic(metric: str, statistic: str, mark: str) -> str:
    if metric in SHARES or metric in TOTALS:
        expected = "rate" if metric in SHARES else "total"
        if statistic not in ("", "rate", expected):
            raise ValueError(f"{mark}: {metric} belongs to the whole series; its statistic is {expected!r}")
        return expected
    if statistic not in ("mean", "max", "min") and quantile_level(statistic) is None:
        raise ValueError(f"{mark}: statistic must be a quantile such as 'p95', or 'mean', 'max', 'min'")
    return statistic


_OBJECTIVES: dict[str, Callable[[Mapping[str, Any], Plan], list[Objective]]] = {
    "latency": _latency,
    "throughput": _throughput,
    "cost": _cost,
    "error_rate": _error_rate,
    "claim": _claim,
}
