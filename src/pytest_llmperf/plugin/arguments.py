"""What the marks take: their names, their arguments, and what each argument may be.

Imported in every run, to make the marks known to pytest: it imports nothing of the layers below.
"""

from __future__ import annotations

import difflib
import math
from collections.abc import Callable, Iterator
from typing import Any

import pytest

Check = Callable[[Any], Any]
"""Returns the value to use, or raises ValueError with what is valid."""


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


def _share(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value <= 1:
        raise ValueError("a share above 0 and at most 1")
    return float(value)


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


def _any_number(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise ValueError("a number")
    return float(value)


def _truth(value: Any) -> bool:
    if not isinstance(value, bool):
        raise ValueError("True or False")
    return value


def _text(value: Any) -> str:
    if not isinstance(value, str) or not value:
        raise ValueError("a text")
    return value


def _baseline(value: Any) -> str:
    if not isinstance(value, str):
        raise ValueError("the name of a baseline")
    from pytest_llmperf.baselines.library import checked_name

    return checked_name(value)


def _factor(name: str) -> Check:
    """The check of a list of values, each plain: anything else has no name that a report could hold."""

    def check(values: Any) -> tuple[Any, ...]:
        if not isinstance(values, list | tuple) or not values:
            raise ValueError("a list of at least one value")
        if not all(value is None or isinstance(value, str | int) or _finite(value) for value in values):
            raise ValueError("a list of plain values: texts, numbers, True, False, None. Look anything else up by them")
        shown = [f"{value}" for value in values]
        if twice := [text for number, text in enumerate(shown) if text in shown[:number]]:
            raise ValueError(f"a list of different values; {twice[0]} is there twice")
        for value in values:
            _FACTORS_THAT_SET.get(name, _plain)(value)
        return tuple(values)  # as they were written: an arm is called by them

    return check


def _finite(value: Any) -> bool:
    return isinstance(value, float) and math.isfinite(value)


def _plain(value: Any) -> Any:
    if value is not None and not isinstance(value, str | int) and not _finite(value):
        raise ValueError("the name of an arm, or a value of a factor")
    return value


_MILLISECONDS = _number(0, above=True)
_LATENCY_METRICS = ("ttft", "ttfat", "e2e", "tpot", "event_gap", "call", "scenario")
LATENCY_LIMITS = {
    "p50_ms": "p50",
    "p90_ms": "p90",
    "p95_ms": "p95",
    "p99_ms": "p99",
    "mean_ms": "mean",
    "max_ms": "max",
}

GOOD_LIMITS = {"ttft_ms": "ttft", "tpot_ms": "tpot", "e2e_ms": "e2e"}

ARGUMENTS: dict[str, dict[str, Check]] = {
    "llmperf": {
        "rounds": _whole(1),
        "warmup": _whole(0),
        "stop": _one_of("early", "fixed"),
        "concurrency": _whole(1),
        "rate_per_minute": _number(0, above=True),
        "arrival": _one_of("poisson", "constant"),
        "confidence": _number(0.5, below=1),
        "slack": _number(0),
        "max_seconds": _number(0, above=True),
        "max_usd": _number(0, above=True),
        "fresh_fixtures": _truth,
        "name": _text,
        "off": _truth,
    },
    "arms": {},
    "latency": {**dict.fromkeys(LATENCY_LIMITS, _MILLISECONDS), "metric": _one_of(*_LATENCY_METRICS)},
    "throughput": {
        "min_tps": _number(0, above=True),
        "quantile": _number(0, above=True, below=1),
        "metric": _one_of("output_tps", "e2e_tps"),
        "min_total_tps": _number(0, above=True),
        "min_rpm": _number(0, above=True),
    },
    "cost": {
        "max_usd": _number(0, above=True),
        "max_usd_per_mtok": _number(0, above=True),
        "cap_usd": _number(0, above=True),
    },
    "error_rate": {"max": _number(0, below=1), "throttled_max": _number(0, below=1)},
    "accuracy": {"min": _share},
    "goodput": {"min": _share, **dict.fromkeys(GOOD_LIMITS, _MILLISECONDS)},
    "contrast": {
        "arm": _plain,
        "to": _plain,
        "metric": _text,
        "quantile": _number(0, above=True, below=1),
        "statistic": _text,
        "max_ratio": _number(0, above=True),
        "min_ratio": _number(0, above=True),
        "max_added_ms": _any_number,
        "min_added_ms": _any_number,
        "max_added": _any_number,
        "min_added": _any_number,
    },
    "scaling": {
        "over": _text,
        "metric": _text,
        "max_drop": _number(0, below=1),
        "max_rise": _number(0),
        "shape": _one_of("linear", "log", "flat"),
        "no_knee_before": _number(0, above=True),
    },
    "regression": {
        **dict.fromkeys(("p50", "p90", "p95", "mean"), _number(0)),
        "metric": _text,
        "baseline": _baseline,
    },
    "claim": {"metric": _text, "statistic": _text, "max": _number(0), "min": _number(0), "cap": _number(0, above=True)},
}
"""Every mark's arguments; all are keyword-only. Those of `arms` are the names of factors, any the author likes."""
_ARM_ATTRIBUTES = ("name", "factors")
_FACTORS_THAT_SET = {key: ARGUMENTS["llmperf"][key] for key in ("concurrency", "rate_per_minute")}
"""Arguments of `llmperf` that may differ from arm to arm."""

OF_ONE_ARM = ("latency", "throughput", "cost", "error_rate", "accuracy", "goodput", "regression", "claim")
"""Marks whose claim is about every arm, unless it names one."""
for _name in OF_ONE_ARM:
    ARGUMENTS[_name]["arm"] = _plain

DESCRIPTIONS = {
    "llmperf": "how the test is repeated and judged",
    "arms": "conditions compared in one test: factors, each with its values; their product is sampled interleaved",
    "latency": "limits on the quantiles of a latency, in milliseconds",
    "throughput": "least output tokens or calls per time",
    "cost": "most dollars per round, or per million tokens",
    "error_rate": "largest share of failed calls, or of attempts answered 429",
    "accuracy": "least share of rounds answered right; a failing assertion is then a wrong answer",
    "goodput": "least share of calls that meet all of some limits, in milliseconds",
    "contrast": "how two arms differ, as a ratio or by what the one adds to the other",
    "scaling": "how a metric goes with a numeric factor of the arms",
    "regression": "how much worse a metric may be than in a baseline, 0.15 for 15 %",
    "claim": "the general form: a statistic of a metric, with a limit in the metric's own unit",
}


def registered() -> Iterator[str]:
    """The lines that make the marks known to pytest."""
    for name, arguments in ARGUMENTS.items():
        yield f"{name}({', '.join(arguments) or '**factors'}): {DESCRIPTIONS[name]} (pytest-llmperf)"


def check_names(mark: pytest.Mark) -> None:
    """Refuse arguments that the mark has not.

    Raises:
        ValueError: with the names it has.
    """
    valid = ARGUMENTS[mark.name]
    if mark.args:
        raise ValueError(
            f"{written(mark)}: arguments are given by name ({', '.join(valid) or 'factor=[…]'}). "
            f"If this {mark.name!r} mark is not ours, set llmperf_short_marks = false in the ini file"
        )
    if mark.name == "arms":
        _check_factors(mark)
        return
    for key in mark.kwargs:
        if key not in valid:
            near = difflib.get_close_matches(key, valid, n=1)
            hint = f"; did you mean {near[0]}?" if near else "."
            raise ValueError(f"{written(mark)}: there is no {key!r}{hint} Valid names: {', '.join(valid)}")


def _check_factors(mark: pytest.Mark) -> None:
    if not mark.kwargs:
        raise ValueError(f"{written(mark)}: compares nothing; give at least one factor, such as cache=['cold', 'warm']")
    for key in mark.kwargs:
        if key in _ARM_ATTRIBUTES or key.startswith("_"):
            raise ValueError(
                f"{written(mark)}: a factor cannot be called {key!r}; it would hide what an arm has of its own"
            )
        if key in ARGUMENTS["llmperf"] and key not in _FACTORS_THAT_SET:
            raise ValueError(
                f"{written(mark)}: {key} is an argument of llmperf and the same for all arms; only "
                f"{', '.join(_FACTORS_THAT_SET)} may differ. Call the factor something else"
            )


def checked(name: str, key: str, value: Any) -> Any:
    """The value to use for one argument of a mark.

    Raises:
        ValueError: with what is valid.
    """
    check = _factor(key) if name == "arms" else ARGUMENTS[name][key]
    try:
        return check(value)
    except ValueError as error:
        raise ValueError(f"{name}({key}={value!r}): {key} must be {error}") from None


def written(mark: pytest.Mark) -> str:
    """The mark as its author wrote it."""
    positional = [repr(value) for value in mark.args]
    return f"{mark.name}({', '.join([*positional, *(f'{key}={value!r}' for key, value in mark.kwargs.items())])})"
