"""The public API as a user's type checker sees it, from outside."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys

import pytest

import pytest_llmperf

USER = '''
"""A user's suite."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from pytest_llmperf import CurrentArm, LLMPerf, LLMPerfWarning, __version__
from pytest_llmperf.hookspecs import CallMetric, Gate
from pytest_llmperf.testing import (
    Call, Chunk, End, Exchange, Generation, Kind, ManualClock, Measurement, Outcome, PriceBook, Series, Usage, Verdict,
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
    with observed(clock) as calls:
        several: tuple[Call, ...] = calls()
    assert not several


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
    call(exchange(), protocols=[Ours()])
    return [Ours()]


def pytest_llmperf_profiles(config: pytest.Config) -> Mapping[str, Path]:
    return {"staging": config.rootpath / "staging.toml"}


def pytest_llmperf_gate(item: pytest.Item, verdict: Verdict) -> Gate | None:
    return "warn" if verdict.outcome == Outcome.FAILED else None
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


def test_public_names_are_found_when_asked_for():
    """The package's own names come from the plugin, and there is no other."""
    from pytest_llmperf.plugin import LLMPerf

    assert pytest_llmperf.LLMPerf is LLMPerf
    with pytest.raises(AttributeError, match="has no attribute 'Nothing'"):
        _ = pytest_llmperf.Nothing
