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
LATENCY_LIMITS = {
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
    "claim": {"metric": _text, "statistic": _text, "max": _number(0), "min": _number(0), "cap": _number(0, above=True)},
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


def check_names(mark: pytest.Mark) -> None:
    """Refuse arguments that the mark has not.

    Raises:
        ValueError: with the names it has.
    """
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


def checked(name: str, key: str, value: Any) -> Any:
    """The value to use for one argument of a mark.

    Raises:
        ValueError: with what is valid.
    """
    try:
        return ARGUMENTS[name][key](value)
    except ValueError as error:
        raise ValueError(f"{name}({key}={value!r}): {key} must be {error}") from None


def written(mark: pytest.Mark) -> str:
    """The mark as its author wrote it."""
    positional = [repr(value) for value in mark.args]
    return f"{mark.name}({', '.join([*positional, *(f'{key}={value!r}' for key, value in mark.kwargs.items())])})"
