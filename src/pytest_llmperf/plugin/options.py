"""The options, from the command line, the environment and the ini file, as one frozen value.

The command line wins over the environment (`PYTEST_LLMPERF_…`), which wins over the ini file. Every name is the same
word in all three.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

BACKENDS = ("replay", "record", "live", "simulate")
RECORD_MODES = ("once", "new_episodes", "all")
CLOCKS = ("auto", "instant", "virtual", "realtime")


@dataclass(frozen=True, slots=True)
class Option:
    """One option in all its three places."""

    name: str
    """As in `llmperf_name`, `--llmperf-name` and `PYTEST_LLMPERF_NAME`."""
    convert: Callable[[str], Any]
    default: Any
    help: str
    choices: tuple[str, ...] = ()
    metavar: str | None = None
    flag: bool = False

    @property
    def ini(self) -> str:
        """Name in the ini file and of the parsed option."""
        return f"llmperf_{self.name}"

    @property
    def cli(self) -> str:
        """Name on the command line."""
        return f"--llmperf-{self.name.replace('_', '-')}"

    @property
    def variable(self) -> str:
        """Name in the environment."""
        return f"PYTEST_LLMPERF_{self.name.upper()}"


def _truth(text: str) -> bool:
    if text.strip().lower() in ("1", "true", "yes", "on"):
        return True
    if text.strip().lower() in ("", "0", "false", "no", "off"):
        return False
    raise ValueError("write true or false")


def _whole(least: int) -> Callable[[str], int]:
    def convert(text: str) -> int:
        number = int(text)
        if number < least:
            raise ValueError(f"must be at least {least}")
        return number

    return convert


def _positive(text: str) -> float:
    number = float(text)
    if not (math.isfinite(number) and number > 0):
        raise ValueError("must be a positive number")
    return number


def _name(text: str) -> str:
    from pytest_llmperf.baselines.library import checked_name

    return checked_name(text)


def _share(text: str) -> float:
    number = float(text)
    if not 0.5 <= number < 1:
        raise ValueError("must be at least 0.5 and below 1")
    return number


OPTIONS = (
    Option("backend", str, "replay", "where answers come from", BACKENDS),
    Option("record_mode", str, "once", "what is recorded where a cassette is there already", RECORD_MODES),
    Option("clock", str, "auto", "which clock waits and times are read from", CLOCKS),
    Option("profile", str, "claude-opus-4", "the simulated API's profile: a name or a TOML file", metavar="NAME"),
    Option("rounds", _whole(1), None, "override the marks' number of judged rounds", metavar="N"),
    Option("stop", str, None, "override the marks' stop rule", ("early", "fixed")),
    Option("confidence", _share, None, "override the marks' confidence", metavar="SHARE"),
    Option("seed", int, 0, "seed of the simulated API", metavar="N"),
    Option("max_usd", _positive, None, "most dollars the whole run may spend", metavar="USD"),
    Option("max_calls", _whole(1), None, "most HTTP attempts the whole run may send", metavar="N"),
    Option("max_seconds", _positive, None, "most seconds the whole run may sample", metavar="S"),
    Option(
        "multiplicity",
        str,
        "holm",
        "whether the claims of a run share the probability of a wrong fail",
        ("holm", "none"),
    ),
    Option("inconclusive", str, "warn", "how an inconclusive test ends", ("warn", "fail", "pass")),
    Option("save", _name, None, "accept the run as a session of this baseline, if it passes", metavar="NAME"),
    Option("compare", _name, None, "the baseline that regressions are judged against", metavar="NAME"),
    Option("store", Path, Path(".llmperf"), "where baselines live, from the root directory", metavar="DIR"),
    Option(
        "anchor",
        _truth,
        default=False,
        help="with --llmperf-save: the baseline begins anew",
        flag=True,
    ),
    Option("strict_baseline", _truth, default=False, help="a regression without a baseline is an error", flag=True),
    Option("json", Path, None, "write a JSON report (schema 1)", metavar="PATH"),
    Option("markdown", Path, None, "write a Markdown report", metavar="PATH"),
    Option("html", Path, None, "write an HTML report: one file that opens offline", metavar="PATH"),
    Option("csv", Path, None, "write the series as CSV, a line for each call", metavar="PATH"),
    Option("synthesis", _truth, default=False, help="bring the run together: a table of all tests, advice", flag=True),
    Option("reference", Path, None, "published figures (TOML) to stand beside what is measured", metavar="PATH"),
    Option("junit", str, "testcase", "where --junitxml carries the properties", ("testcase", "suite", "off")),
    Option(
        "otel",
        str,
        "auto",
        "whether spans and metrics go to the OpenTelemetry SDK, where one is set up",
        ("auto", "off"),
    ),
    Option("off", _truth, default=False, help="run marked tests once, plainly", flag=True),
)
SHORT_MARKS = "llmperf_short_marks"
PRICES = "llmperf_prices"
OF_THE_PROJECT = {
    SHORT_MARKS: "whether latency, throughput, cost, … are ours as well (default: true)",
    PRICES: "own prices: 'model = input, output' in dollars per million tokens",
}
"""Ini options only."""
FILTERS = {
    "llmperf_filter_headers": "headers whose values cassettes leave out",
    "llmperf_filter_query_parameters": "query parameters whose values cassettes leave out",
    "llmperf_filter_body_fields": "fields of JSON bodies whose values cassettes leave out",
}
"""Ini options only: what must not be in a file belongs to the project, not to one run."""


@dataclass(frozen=True, slots=True)
class Settings:
    """What the options say; None where an option leaves a matter to the marks."""

    backend: str
    record_mode: str
    clock: str
    profile: str
    rounds: int | None
    stop: str | None
    confidence: float | None
    seed: int
    max_usd: float | None
    max_calls: int | None
    max_seconds: float | None
    multiplicity: str
    inconclusive: str
    save: str | None
    compare: str | None
    store: Path
    anchor: bool
    strict_baseline: bool
    json: Path | None
    markdown: Path | None
    html: Path | None
    csv: Path | None
    synthesis: bool
    reference: Path | None
    junit: str
    otel: str
    off: bool
    prices: tuple[str, ...] = ()
    short_marks: bool = True
    filters: tuple[tuple[str, ...], ...] = ((), (), ())
    """Names that cassettes leave out: of headers, of query parameters, of body fields."""
    withheld: str = ""
    """The baseline that a setting would save to, which in CI only the command line can ask for."""


def add_options(parser: pytest.Parser) -> None:
    """Tell pytest of every option."""
    group = parser.getgroup("llmperf", "performance of LLM API calls")
    for option in OPTIONS:
        shown = option.help if option.flag or option.default is None else f"{option.help} (default: {option.default})"
        if option.flag:
            group.addoption(option.cli, dest=option.ini, action="store_const", const="true", default=None, help=shown)
        elif option.choices:
            group.addoption(option.cli, dest=option.ini, choices=option.choices, default=None, help=shown)
        else:
            group.addoption(option.cli, dest=option.ini, metavar=option.metavar, default=None, help=shown)
        parser.addini(option.ini, f"{shown}; same as {option.cli}", default=None)
    parser.addini(SHORT_MARKS, OF_THE_PROJECT[SHORT_MARKS], "bool", default=True)
    parser.addini(PRICES, OF_THE_PROJECT[PRICES], "linelist", [])
    for name, shown in FILTERS.items():
        parser.addini(name, f"{shown}, one a line, beside the usual credentials", "linelist", [])


def read_settings(config: pytest.Config, environment: Mapping[str, str] = os.environ) -> Settings:
    """The settings of this run.

    Raises:
        pytest.UsageError: an option's value cannot be read.
    """
    values = {option.name: _read(option, config, environment) for option in OPTIONS}
    withheld = ""
    if values["save"] is not None and in_ci(environment) and not _typed("--llmperf-save", config):
        # A setting that helps at the desk must not make a pipeline accept whatever it measures.
        withheld, values["save"] = values["save"], None
    settings = Settings(
        **values,
        prices=tuple(config.getini(PRICES)),
        short_marks=bool(config.getini(SHORT_MARKS)),
        filters=tuple(tuple(config.getini(name)) for name in FILTERS),
        withheld=withheld,
    )
    if settings.backend in ("live", "record") and settings.clock not in ("auto", "realtime"):
        raise pytest.UsageError(
            f"--llmperf-clock={settings.clock} cannot go with --llmperf-backend={settings.backend}: a real API answers "
            "in real time"
        )
    return settings


def in_ci(environment: Mapping[str, str] = os.environ) -> bool:
    """Whether a CI service runs this."""
    return environment.get("CI", "").lower() not in ("", "0", "false")


def _typed(option: str, config: pytest.Config) -> bool:
    """Whether it stands on the command line itself, and not in the ini file or environment."""
    return any(str(argument).partition("=")[0] == option for argument in config.invocation_params.args)


def _read(option: Option, config: pytest.Config, environment: Mapping[str, str]) -> Any:
    for place, text in (
        (option.cli, config.getoption(option.ini, None)),
        (option.variable, environment.get(option.variable)),
        (option.ini, config.getini(option.ini)),
    ):
        if text not in (None, ""):
            return _converted(option, place, str(text))
    return option.default


def _converted(option: Option, place: str, text: str) -> Any:
    if option.choices and text not in option.choices:
        raise pytest.UsageError(f"{place}: {text!r} is none of {', '.join(option.choices)}")
    try:
        return option.convert(text)
    except ValueError as error:
        raise pytest.UsageError(f"{place}: cannot use {text!r}: {error}") from None
