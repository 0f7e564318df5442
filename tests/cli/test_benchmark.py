"""The benchmark in one command, with as few calls as it takes."""

import json
import os
import subprocess
import sys

import pytest

from pytest_llmperf.cli import main

CALLS = 200


@pytest.fixture(scope="module")
def ran(tmp_path_factory):
    """The real command, once: its output and the folder it wrote to. Settings of other suites are none of its own."""
    folder = tmp_path_factory.mktemp("benchmark")
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "pytest_llmperf.cli",
            "benchmark",
            f"--calls={CALLS}",
            "--json=r.json",
            "--markdown=r.md",
        ],
        cwd=folder,
        env=os.environ | {"COLUMNS": "80", "PYTEST_ADDOPTS": "--no-such-option", "PYTEST_LLMPERF_BACKEND": "live"},
        capture_output=True,
        text=True,
        encoding="utf-8",
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout, folder


@pytest.fixture(scope="module")
def report(ran):
    return json.loads((ran[1] / "r.json").read_text("utf-8"))


def test_every_condition_has_its_share(report):
    """Four workloads, five contexts, streamed and in one piece, in virtual time and without a failure."""
    arms = [(test, arm) for test in report["tests"] for arm in test["arms"]]
    assert {(test["source"], test["clock"], arm["calls"]) for test, arm in arms} == {
        ("simulated", "virtual", CALLS // 40)
    }
    assert len(arms) == 40
    assert not any(arm["failures"] for _, arm in arms)


def test_requests_are_as_long_as_they_say(report):
    """Every prompt has exactly so many tokens as its condition says, by the usage on the wire."""
    for test in report["tests"]:
        for arm in test["arms"]:
            assert set(arm["series"]["input_tokens"]) == {arm["factors"]["context_tokens"]}, test["nodeid"]


def test_answers_are_those_of_the_workload(report):
    """Each test is taken for what it is: its answers have about as many tokens as the study says of its workload."""
    usual = {
        "code_generation": 450,
        "long_context_questions": 280,
        "structured_extraction": 150,
        "creative_writing": 492,
    }
    for test in report["tests"]:
        tokens = [number for arm in test["arms"] for number in arm["series"]["output_tokens"]]
        expected = usual[test["nodeid"].partition("::test_")[2]]
        assert sum(tokens) / len(tokens) == pytest.approx(expected, rel=0.1)


def test_published_figures_stand_beside(report):
    """Nothing is unmeasured; what contradicts the study's own rates and prices is outside, and marked."""
    rows = {row["name"]: row for table in report["beside"]["tables"] for row in table["rows"]}
    assert "not measured" not in {row["standing"] for row in rows.values()}
    assert rows["150,000 over 1,000"]["standing"] == "outside"
    assert rows["150,000 over 1,000"]["notes"] == [1]
    costs = next(table for table in report["beside"]["tables"] if table["title"] == "Cost of a call")
    assert [row["standing"] for row in costs["rows"]] == ["outside"] * 3
    assert all(row["notes"] for row in costs["rows"])


def test_the_terminal_shows_tables_and_what_it_took(ran):
    """The synthesis with its advice, the study's figures, and the command's own time and memory in the last line."""
    shown, folder = ran
    assert "= llmperf: synthesis (simulated, virtual clock) =" in shown
    assert "advice: stream where somebody waits" in shown
    assert "= llmperf: beside a published study of 10,000 calls to Claude Opus 4 =" in shown
    assert shown.splitlines()[-1].startswith(f"{CALLS} calls in ")
    assert "### beside a published study" in (folder / "r.md").read_text("utf-8")


@pytest.mark.parametrize("calls", ["100", "201", "many"])
def test_calls_that_cannot_be_parted_are_refused(calls, capsys):
    """Every condition has equally many, and enough for a claim to fail."""
    with pytest.raises(SystemExit, match="2"):
        main(["benchmark", f"--calls={calls}"])
    assert "--calls" in capsys.readouterr().err


def test_what_cannot_be_run_is_status_2(capfd):
    """An unknown profile is told by the suite, and no figures are printed."""
    assert main(["benchmark", "--calls=200", "--profile=no-such-profile"]) == 2
    assert "calls in" not in capfd.readouterr().out
