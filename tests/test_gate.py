"""A gate as a CI job uses it: nothing but the command line, one process after the other."""

import json
import shutil

import pytest

from shown import run

pytestmark = pytest.mark.slow

SUITE = """
import pytest
from anthropic import Anthropic

client = Anthropic()


@pytest.mark.llmperf(rounds=500)
@pytest.mark.regression(p50=0.15, p95=0.15)
def test_answer():
    with client.messages.stream(
        model="claude-opus-4-1",
        max_tokens=64,
        messages=[{"role": "user", "content": "Write a Python function."}],
        metadata={"user_id": "llmperf:workload=code,output_tokens=4"},
    ) as answer:
        answer.get_final_message()
"""
INI = "[pytest]\nllmperf_backend = simulate\nasyncio_default_fixture_loop_scope = function\n"
PLANTED = {"p50": (1160, 2002), "p95": (892, 2310)}
"""Milliseconds to the first token, p50 and p95: 30 % more of both, and half as much again of the p95 only."""


@pytest.fixture(scope="module")
def accepted(tmp_path_factory):
    """A project whose main branch was accepted, and the report of that run."""
    folder = tmp_path_factory.mktemp("gate")
    (folder / "test_answer.py").write_text(SUITE)
    (folder / "pytest.ini").write_text(INI)
    for name, (p50, p95) in PLANTED.items():
        table = f"[workloads.code]\nttft_p50_ms = {p50}\nttft_p95_ms = {p95}\n"
        (folder / f"{name}.toml").write_text(f'extends = "claude-opus-4"\n{table}')
    ran = run("pytest --llmperf-save=main --llmperf-seed=1 --llmperf-json=main.json", folder)
    assert ran.status == 0, ran.output + ran.errors
    return folder


@pytest.fixture(scope="module")
def same(accepted):
    """The same service on another day, held against it."""
    return run("pytest --llmperf-compare=main --llmperf-seed=2 --llmperf-json=same.json", accepted)


@pytest.fixture(scope="module", params=list(PLANTED))
def worse(request, accepted):
    """A service that has become slower, and in which statistic."""
    command = f"pytest --llmperf-compare=main --llmperf-seed=3 --llmperf-profile={request.param}.toml"
    return request.param, run(f"{command} --llmperf-json={request.param}.json", accepted)


def test_the_same_service_is_green(same):
    """No claim of an A/A run fails."""
    assert same.status == 0, same.output


def test_a_slower_service_is_red(worse, accepted):
    """30 % in the median, and 50 % in the p95, at the documented number of rounds."""
    statistic, ran = worse
    assert ran.status == 1, ran.output
    (test,) = json.loads((accepted / f"{statistic}.json").read_text())["tests"]
    outcomes = {verdict["statistic"]: verdict["outcome"] for verdict in test["verdicts"]}
    assert outcomes[statistic] == "failed"
    assert "if the change is meant, this accepts it: pytest test_answer.py::test_answer" in ran.output


def test_compare_comes_to_the_same_without_pytest(same, worse, accepted):
    """Over the reports of the same runs."""
    statistic, _ = worse
    assert run(f"llmperf compare main.json {statistic}.json --{statistic} 0.15", accepted).status == 1
    assert run(f"llmperf compare main.json same.json --{statistic} 0.15", accepted).status == 0
    assert run(f"llmperf compare main same.json --{statistic} 0.15", accepted).status == 0


@pytest.mark.parametrize("worse", ["p50"], indirect=True)
def test_what_is_told_to_accept_a_change_accepts_it(worse, accepted, tmp_path):
    """Afterwards the slower service is the new normal."""
    statistic, ran = worse
    command = next(line for line in ran.output.splitlines() if "this accepts it: " in line).partition("it: ")[2]
    folder = shutil.copytree(accepted, tmp_path / "copy")
    assert run(command, folder).status == 0
    again = run(f"pytest --llmperf-compare=main --llmperf-seed=5 --llmperf-profile={statistic}.toml", folder)
    assert again.status == 0, again.output
