"""From the merged arguments of the marks to a plan and objectives."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from pytest_llmperf.core.metrics import METRICS
from pytest_llmperf.core.objective import SHARES, TOTALS, Objective, quantile_level
from pytest_llmperf.plugin.arguments import GOOD_LIMITS, LATENCY_LIMITS
from pytest_llmperf.plugin.options import Settings
from pytest_llmperf.runner.arms import matching, product
from pytest_llmperf.runner.plan import Plan


def plan(arguments: Mapping[str, Any], settings: Settings, factors: Mapping[str, Any] | None = None) -> Plan:
    """How the test is to be run, by its marks and the options.

    Raises:
        ValueError: the arguments cannot go together.
    """
    overrides = {"rounds": settings.rounds, "stop": settings.stop, "confidence": settings.confidence}
    given = {**arguments, **{key: value for key, value in overrides.items() if value is not None}}
    chosen = Plan(**given, arms=product(factors or {}))
    _check_loop(chosen, {*given, *(factors or {})})
    if chosen.fresh_fixtures and chosen.most_workers > 1:
        raise ValueError(
            "llmperf(fresh_fixtures=True, concurrency=…): rounds with fixtures of their own run one by one"
        )
    return chosen


def _check_loop(chosen: Plan, said: set[str]) -> None:
    """Refuse what a closed loop has no use for, and what an open one has none for.

    Raises:
        ValueError: with the reason.
    """
    if not chosen.is_open:
        if "arrival" in said and not chosen.off:
            raise ValueError(
                "llmperf(arrival=…): a closed loop sends when it was answered; arrivals need rate_per_minute"
            )
        return
    if "concurrency" in said:
        raise ValueError(
            "llmperf(rate_per_minute=…, concurrency=…): an open loop never waits for answers, so as many rounds are in "
            "flight as there are; use one or the other"
        )
    if chosen.fresh_fixtures:
        raise ValueError(
            "llmperf(fresh_fixtures=True, rate_per_minute=…): rounds with fixtures of their own run one by one"
        )


def plainly_once(plan: Plan) -> Plan:
    """How a test is run that is switched off: of several arms, the first."""
    return Plan(rounds=1, warmup=0, stop="fixed", off=True, arms=plan.arms[:1])


def objectives(name: str, arguments: Mapping[str, Any], plan: Plan) -> list[Objective]:
    """What one mark claims; a claim that names arms is one for each of them.

    Raises:
        ValueError: the arguments claim nothing, cannot go together, or name an arm that there is not.
        UsageError: a quantile of level 0 is claimed.
    """
    if name not in _OBJECTIVES:
        return []
    claimed = _OBJECTIVES[name](arguments, plan)
    _check_apart(claimed, plan)
    if "arm" not in arguments:
        return claimed
    try:
        meant = matching(plan.arms, arguments["arm"])
    except ValueError as error:
        raise ValueError(f"{claimed[0].mark}: {error}") from None
    return [replace(objective, arm=arm.name) for arm in meant for objective in claimed]


def _check_apart(claimed: list[Objective], plan: Plan) -> None:
    """Refuse totals of arms that share their moments: what one brings in a second would hang on the others."""
    totals = [objective for objective in claimed if objective.metric in TOTALS]
    groups = [plan.load_of(arm) for arm in plan.arms]
    mixed = any((plan.is_open or load.concurrency > 1) and groups.count(load) > 1 for load in groups)
    if totals and mixed:
        told = "at a rate" if plan.is_open else "with concurrency"
        instead = (
            "make rate_per_minute the only factor, or leave it out"
            if plan.is_open
            else ("use concurrency=1, or make concurrency the only factor")
        )
        raise ValueError(
            f"{totals[0].mark}: {told}, calls of several arms are in flight at once, so {totals[0].metric} "
            f"of one arm means nothing; {instead}"
        )


def written(name: str, arguments: Mapping[str, Any]) -> str:
    """A mark as a reader writes it, with what it inherits."""
    shown = (f"{key}={value:g}" if isinstance(value, float) else f"{key}={value!r}" for key, value in arguments.items())
    return f"{name}({', '.join(shown)})"


@dataclass(frozen=True, slots=True)
class _Claims:
    """Makes objectives that share a plan and a mark."""

    name: str
    arguments: Mapping[str, Any]
    plan: Plan
    common: dict[str, Any] = field(init=False)

    def __post_init__(self) -> None:
        mark = written(self.name, self.arguments)
        common = {"confidence": self.plan.confidence, "slack": self.plan.slack, "mark": mark}
        object.__setattr__(self, "common", common)

    def one(self, metric: str, statistic: str, direction: str, bound: float, **more: Any) -> Objective:
        return Objective(metric, statistic, direction, bound, **more, **self.common)

    def cap(self, key: str, bound: float) -> float | None:
        """The largest value that can occur, where the mark says it."""
        cap: float | None = self.arguments.get(key)
        if cap is not None and cap <= bound:
            raise ValueError(f"{self.common['mark']}: {key} is the most that can occur, so it lies above the limit")
        return cap

    def nothing(self, what: str) -> ValueError:
        return ValueError(f"{self.common['mark']}: claims nothing; give {what}")


def _latency(arguments: Mapping[str, Any], plan: Plan) -> list[Objective]:
    claims = _Claims("latency", arguments, plan)
    metric = arguments.get("metric", "ttft|e2e")
    objectives = [
        claims.one(metric, statistic, "<=", arguments[key] / 1e3)
        for key, statistic in LATENCY_LIMITS.items()
        if key in arguments
    ]
    if not objectives:
        raise claims.nothing(f"at least one of {', '.join(LATENCY_LIMITS)}")
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
        cap = claims.cap("cap_usd", arguments["max_usd"])
        objectives.append(claims.one("cost", "mean", "<=", arguments["max_usd"], cap=cap))
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


def _accuracy(arguments: Mapping[str, Any], plan: Plan) -> list[Objective]:
    claims = _Claims("accuracy", arguments, plan)
    if "min" not in arguments:
        raise claims.nothing("min")
    return [claims.one("accuracy", "rate", ">=", arguments["min"])]


def _goodput(arguments: Mapping[str, Any], plan: Plan) -> list[Objective]:
    claims = _Claims("goodput", arguments, plan)
    limits = tuple((metric, arguments[key] / 1e3) for key, metric in GOOD_LIMITS.items() if key in arguments)
    if "min" not in arguments or not limits:
        raise claims.nothing(f"min, and at least one of {', '.join(GOOD_LIMITS)}")
    return [replace(claims.one("goodput", "rate", ">=", arguments["min"]), limits=limits)]


def _claim(arguments: Mapping[str, Any], plan: Plan) -> list[Objective]:
    claims = _Claims("claim", arguments, plan)
    mark = claims.common["mark"]
    if "metric" not in arguments or ("max" in arguments) == ("min" in arguments):
        raise ValueError(f"{mark}: give metric, statistic, and either max or min")
    metric = arguments["metric"]
    check_metric(metric, mark)
    if metric == "goodput":
        raise ValueError(f"{mark}: what a good call is, the goodput mark says: goodput(min=…, ttft_ms=…)")
    statistic = _statistic(metric, arguments.get("statistic", ""), mark)
    direction, bound = ("<=", arguments["max"]) if "max" in arguments else (">=", arguments["min"])
    if metric in SHARES and bound > 1:
        raise ValueError(f"{mark}: {metric} is a share from 0 to 1")
    if "cap" in arguments and (statistic != "mean" or getattr(METRICS.get(metric), "unit", "") in ("s", "s/token")):
        raise ValueError(f"{mark}: cap belongs to the mean of costs, tokens, scores and recorded numbers")
    return [claims.one(metric, statistic, direction, bound, cap=claims.cap("cap", bound))]


def check_metric(metric: str, mark: str) -> None:
    """A name that is nearly a metric's is a slip; any other is one that the body records.

    Raises:
        ValueError: it is a slip, or no name.
    """
    if metric == "ttft|e2e":
        return
    near = difflib.get_close_matches(metric, METRICS, n=1, cutoff=0.75)
    if metric not in METRICS and near:
        raise ValueError(f"{mark}: there is no metric {metric!r}; did you mean {near[0]}? Valid: {', '.join(METRICS)}")
    if not metric.isidentifier():
        raise ValueError(f"{mark}: {metric!r} is no metric. Valid: {', '.join(METRICS)}, or a name the body records")


def _statistic(metric: str, statistic: str, mark: str) -> str:
    if metric in SHARES or metric in TOTALS:
        expected = "rate" if metric in SHARES else "total"
        if statistic not in ("", "rate", expected) and (metric, statistic) != ("accuracy", "mean"):
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
    "accuracy": _accuracy,
    "goodput": _goodput,
    "claim": _claim,
}
