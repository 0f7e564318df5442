"""What the marks take: their names, their arguments, and what each argument may be.

Imported in every run, to make the marks known to pytest: it imports nothing of the layers below.
"""

from __future__ import annotations

import difflib
import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
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


@dataclass(frozen=True, slots=True)
class Argument:
    """One argument of a mark: what it may be, and what it says. The documentation is made of these."""

    check: Check
    meaning: str
    default: Any = None
    """What counts where it is left out; None where nothing does, or where its meaning says what."""


def _limits(names: Mapping[str, str], meaning: str) -> dict[str, Argument]:
    return {key: Argument(_MILLISECONDS, meaning.format(_STATISTICS.get(of, of))) for key, of in names.items()}


def _allowed(*statistics: str) -> dict[str, Argument]:
    meaning = "largest share by which the {} may be worse than in the baseline: 0.15 allows 15 %"
    return {name: Argument(_number(0), meaning.format(_STATISTICS[name])) for name in statistics}


_STATISTICS = {
    "p50": "median",
    "p90": "90 % quantile",
    "p95": "95 % quantile",
    "p99": "99 % quantile",
    "mean": "mean",
    "max": "largest value",
}
_OF_STREAMED_OR_NOT = "`ttft` when every judged call streamed, `e2e` when none did; of a mixture it has to be said"

ARGUMENTS: dict[str, dict[str, Argument]] = {
    "llmperf": {
        "rounds": Argument(_whole(1), "the most rounds that are judged, of each arm", 100),
        "warmup": Argument(_whole(0), "rounds that are run first and not judged, of each arm", 1),
        "stop": Argument(
            _one_of("early", "fixed"),
            "`early` ends sampling as soon as every claim is settled, `fixed` runs all rounds",
            "early",
        ),
        "concurrency": Argument(_whole(1), "rounds in flight at once: a closed loop", 1),
        "rate_per_minute": Argument(
            _number(0, above=True), "rounds that begin in a minute, whether or not others were answered: an open loop"
        ),
        "arrival": Argument(
            _one_of("poisson", "constant"),
            "of an open loop: rounds begin after random intervals, as those of independent users, or after equal ones",
            "poisson",
        ),
        "confidence": Argument(
            _number(0.5, below=1), "1 − the probability with which a verdict may be wrong at most", 0.95
        ),
        "slack": Argument(
            _number(0),
            "share of a limit by which it may be exceeded for a pass: with 0.1 a claim passes when the calls show that "
            "it holds with a limit ten per cent wider",
            0.0,
        ),
        "max_seconds": Argument(
            _number(0, above=True), "seconds of the test's own clock after which no further attempt is sent"
        ),
        "max_usd": Argument(_number(0, above=True), "US dollars spent at which no further attempt is sent"),
        "fresh_fixtures": Argument(
            _truth, "whether function-scoped fixtures are set up anew for every round", default=False
        ),
        "name": Argument(_text, "what reports call the test; without it, its own name", ""),
        "off": Argument(_truth, "whether the test is run once, plainly, without any verdict", default=False),
    },
    "arms": {},
    "latency": {
        **_limits(LATENCY_LIMITS, "most milliseconds of the {}"),
        "metric": Argument(_one_of(*_LATENCY_METRICS), f"which latency; without it {_OF_STREAMED_OR_NOT}"),
    },
    "throughput": {
        "min_tps": Argument(_number(0, above=True), "least output tokens a second of a call, at the quantile"),
        "quantile": Argument(
            _number(0, above=True, below=1), "of the calls' rates, the one that `min_tps` is about", 0.5
        ),
        "metric": Argument(
            _one_of("output_tps", "e2e_tps"),
            "which rate `min_tps` is about; without it `output_tps` when every judged call streamed, `e2e_tps` when "
            "none did",
        ),
        "min_total_tps": Argument(
            _number(0, above=True), "least output tokens a second of all calls together, over the time they took"
        ),
        "min_rpm": Argument(_number(0, above=True), "least calls a minute that did not fail, over the time they took"),
    },
    "cost": {
        "max_usd": Argument(_number(0, above=True), "most US dollars of a round, on average"),
        "max_usd_per_mtok": Argument(
            _number(0, above=True), "most US dollars of a million tokens, input and output together"
        ),
        "cap_usd": Argument(
            _number(0, above=True),
            "the most US dollars that one round can cost, its tokens times their price: the average then needs fewer "
            "rounds, and no distribution is assumed",
        ),
    },
    "error_rate": {
        "max": Argument(_number(0, below=1), "largest share of calls that fail in the end"),
        "throttled_max": Argument(_number(0, below=1), "largest share of attempts that are answered 429"),
    },
    "accuracy": {
        "min": Argument(_share, "least share of rounds that are answered right, or least mean of their scores")
    },
    "goodput": {
        "min": Argument(_share, "least share of calls that meet every limit beside it; a failed call meets none"),
        **_limits(GOOD_LIMITS, "most milliseconds of a good call's `{}`"),
    },
    "contrast": {
        "arm": Argument(_plain, "the arm that is compared: its name, or a value of a factor"),
        "to": Argument(_plain, "the arm it is compared with, likewise"),
        "metric": Argument(_text, f"what is compared; without it {_OF_STREAMED_OR_NOT}"),
        "quantile": Argument(
            _number(0, above=True, below=1),
            "which quantile is compared; without it the median, of `cost` the mean, of a share the share",
        ),
        "statistic": Argument(_text, "the same in words, in place of `quantile`: `p95`, `mean`, or `rate` of a share"),
        "max_ratio": Argument(
            _number(0, above=True), "most that the arm's number may be of the other's: 1.1 allows 10 % more"
        ),
        "min_ratio": Argument(_number(0, above=True), "least that it may be of the other's"),
        "max_added_ms": Argument(_any_number, "most milliseconds that the arm adds to the other"),
        "min_added_ms": Argument(_any_number, "least milliseconds that it adds"),
        "max_added": Argument(_any_number, "most that the arm adds to the other, in the metric's own unit"),
        "min_added": Argument(_any_number, "least that it adds, in the metric's own unit"),
    },
    "scaling": {
        "over": Argument(_text, "the factor of the `arms` mark whose values are the levels, all of them numbers"),
        "metric": Argument(_text, f"the metric whose median is looked at; without it {_OF_STREAMED_OR_NOT}"),
        "max_drop": Argument(
            _number(0, below=1), "largest fall from the first level to the last, as a share of the first"
        ),
        "max_rise": Argument(_number(0), "largest rise, likewise"),
        "shape": Argument(_one_of("linear", "log", "flat"), "the form in which the metric goes with the factor"),
        "no_knee_before": Argument(_number(0, above=True), "the level before which the metric does not bend"),
    },
    "regression": {
        **_allowed("p50", "p90", "p95", "mean"),
        "metric": Argument(_text, f"what is held against the baseline; without it {_OF_STREAMED_OR_NOT}"),
        "baseline": Argument(_baseline, "against which baseline; without it that of `--llmperf-compare`"),
    },
    "claim": {
        "metric": Argument(_text, "any metric of the table, or a number that the body records"),
        "statistic": Argument(
            _text,
            "`p95` or any other quantile, `mean`, `max`, `min`; of shares and totals it may be left out",
        ),
        "max": Argument(_number(0), "the limit from above, in the metric's own unit"),
        "min": Argument(_number(0), "the limit from below; this or `max`"),
        "cap": Argument(
            _number(0, above=True),
            "the largest value that can occur: a mean of costs, tokens or scores then needs fewer rounds",
        ),
    },
}
"""Every mark's arguments; all are keyword-only. Those of `arms` are the names of factors, any the author likes."""
_ARM_ATTRIBUTES = ("name", "factors")
_FACTORS_THAT_SET = {key: ARGUMENTS["llmperf"][key].check for key in ("concurrency", "rate_per_minute")}
"""Arguments of `llmperf` that may differ from arm to arm."""

OF_ONE_ARM = ("latency", "throughput", "cost", "error_rate", "accuracy", "goodput", "regression", "claim")
"""Marks whose claim is about every arm, unless it names one."""
for _name in OF_ONE_ARM:
    ARGUMENTS[_name]["arm"] = Argument(
        _plain, "the arm it is about: its name, or a value of a factor; without it, every arm"
    )

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
    check = _factor(key) if name == "arms" else ARGUMENTS[name][key].check
    try:
        return check(value)
    except ValueError as error:
        raise ValueError(f"{name}({key}={value!r}): {key} must be {error}") from None


def written(mark: pytest.Mark) -> str:
    """The mark as its author wrote it."""
    positional = [repr(value) for value in mark.args]
    return f"{mark.name}({', '.join([*positional, *(f'{key}={value!r}' for key, value in mark.kwargs.items())])})"
