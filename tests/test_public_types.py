"""The public API as a user's type checker sees it, from outside."""

from __future__ import annotations

import importlib.util
import json
import re
import subprocess
import sys

import pytest

import pytest_llmperf
from pytest_llmperf import hookspecs, testing

USER = '''
"""A user's suite."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

import pytest

from pytest_llmperf import CurrentArm, LLMPerf, LLMPerfWarning, __version__
from pytest_llmperf.hookspecs import CallMetric, Gate
from pytest_llmperf.testing import (
    Absent, Attempt, Call, Chunk, Clock, Delta, End, Exchange, Generation, Kind, ManualClock, Measurement, Outcome,
    PriceBook, Protocol, Provenance, Report, Round, Series, Source, TestResult, Usage, Verdict,
    call, exchange, judge, measure, observed, series, series_of,
)


@pytest.mark.llmperf(rounds=20)
@pytest.mark.latency(p95_ms=2340)
def test_body(llmperf: LLMPerf, arm: CurrentArm) -> None:
    number: int = llmperf.round
    calls: tuple[Call, ...] = llmperf.calls
    llmperf.score(1.0)
    llmperf.record("words", number + len(calls), "words")
    warning: type[Warning] = LLMPerfWarning
    version: str = __version__
    assert warning and version and arm.name


def test_by_hand() -> None:
    clock = ManualClock()
    clock.advance(0.5)
    one: Exchange = exchange([0.8, 0.9], output_tokens=2)
    made: Call = call(one)
    found: Measurement = measure(made, prices=PriceBook())
    seen: Series = series([0.8, None], metric="ttft")
    verdict: Verdict = judge(series_of([made]), metric="ttft", statistic="p95", max=2.34)
    assert verdict.outcome is Outcome.INCONCLUSIVE and seen.judged and found.values["ttft"] > 0
    kept: Clock = clock
    with observed(kept) as calls:
        several: tuple[Call, ...] = calls()
    assert not several
    rounds: tuple[Round, ...] = seen.rounds
    attempt: Attempt = made.last
    deltas: tuple[Delta, ...] = attempt.generation.deltas
    dollars: float | Absent = PriceBook().cost(attempt.generation)
    assert not isinstance(dollars, Absent)
    assert rounds and deltas and seen.source is Source.SIMULATED and one.provenance is Provenance.WIRE


class Ours:
    NAME = "ours.talk"
    INPUT_HOLDS_CACHED = False

    def recognises(self, exchange: Exchange) -> bool:
        return exchange.path == "/talk" and exchange.end is End.COMPLETE

    def decode(self, exchange: Exchange) -> Generation:
        chunks: tuple[Chunk, ...] = exchange.chunks
        return Generation(self.NAME, streamed=False, usage=Usage(output_tokens=len(chunks)))


def words(one: Call) -> float | str:
    return float(len([delta for delta in one.last.generation.deltas if delta.kind is Kind.TEXT])) or "it is silent"


def pytest_llmperf_metrics(config: pytest.Config) -> Sequence[CallMetric]:
    return [CallMetric("words", "words", "", "words of the answer", words)]


def pytest_llmperf_protocols() -> Sequence[Ours]:
    ours: Protocol = Ours()
    call(exchange(), protocols=[ours])
    return [Ours()]


def pytest_llmperf_profiles(config: pytest.Config) -> Mapping[str, Path]:
    return {"staging": config.rootpath / "staging.toml"}


def pytest_llmperf_price(config: pytest.Config, generation: Generation) -> float | None:
    return 0.0 if generation.model == "ours" else None


def pytest_llmperf_environment(config: pytest.Config) -> Mapping[str, str]:
    return {"rack": "7"}


def pytest_llmperf_baseline_key() -> Mapping[str, str]:
    return {"region": "eu"}


def pytest_llmperf_report_section(report: Report) -> tuple[str, Sequence[str]] | None:
    failed: list[TestResult] = [test for test in report.tests if test.outcome == "failed"]
    return "failed", [test.nodeid for test in failed]


def pytest_llmperf_gate(item: pytest.Item | None, keywords: Collection[str], verdict: Verdict) -> Gate | None:
    return "warn" if "trial" in keywords and verdict.outcome == Outcome.FAILED else None
'''
WRONG = "\n\nseries(5)\njudge(series([1.0]), metric=7, statistic='p95', max=1)\nManualClock().advance('x')\n"


@pytest.fixture
def checked(tmp_path):
    """A function that writes a file and lets a checker look at it: exit status and what it says."""

    def check(text, *command):
        (tmp_path / "user_suite.py").write_text(text)
        (tmp_path / "pyrightconfig.json").write_text(json.dumps({"typeCheckingMode": "strict"}))
        ran = subprocess.run(
            [sys.executable, "-m", *command, "user_suite.py"], cwd=tmp_path, capture_output=True, text=True, timeout=250
        )
        return ran.returncode, ran.stdout + ran.stderr

    return check


CHECKERS = [
    pytest.param(("mypy", "--strict", "--no-incremental"), id="mypy"),
    pytest.param(("basedpyright", "--pythonpath", sys.executable), id="pyright"),
]


@pytest.mark.slow
@pytest.mark.parametrize("command", CHECKERS)
def test_a_user_s_file_is_well_typed(checked, command):
    """Everything public can be used under the strictest rules, and what is wrong is found."""
    if importlib.util.find_spec(command[0]) is None:
        pytest.skip(f"{command[0]} is not installed")
    status, said = checked(USER, *command)
    assert status == 0, said
    status, said = checked(USER + WRONG, *command)
    assert status == 1
    assert said.count("error:") == 3, said


@pytest.mark.parametrize("module", [pytest_llmperf, hookspecs, testing])
def test_every_public_name_is_checked(module):
    """What a module offers stands in the file that the checkers read, and what stands in the module is offered."""
    used = set(re.findall(r"\w+", USER))
    assert set(module.__all__) <= used, set(module.__all__) - used
    defined = {
        name
        for name, value in vars(module).items()
        if not name.startswith("_") and getattr(value, "__module__", None) == module.__name__
    }
    assert defined <= set(module.__all__)


def test_public_names_are_found_when_asked_for():
    """The package's own names come from the plugin, and there is no other."""
    from pytest_llmperf.plugin import LLMPerf

    assert pytest_llmperf.LLMPerf is LLMPerf
    with pytest.raises(AttributeError, match="has no attribute 'Nothing'"):
        _ = pytest_llmperf.Nothing
