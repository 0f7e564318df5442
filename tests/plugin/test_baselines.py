"""Baselines in a run of pytest: accepting sessions, and judging later runs against them."""

import json
import re

import pytest

SUITE = """
import pytest
from talk import *

@pytest.mark.llmperf(rounds={rounds}, warmup=0)
@pytest.mark.regression({claims})
def test_greeting():
    ask_streamed("workload=code")
"""
SLOW = """
extends = "claude-opus-4"
[workloads.code]
ttft_p50_ms = 1160
ttft_p95_ms = 2002
"""
"""The simulated API, with 30 % added to every wait for a first token."""


def asking(rounds=300, claims="p50=0.15"):
    return SUITE.format(rounds=rounds, claims=claims)


FEW = asking(20)


def stored(ran, name="main"):
    """The files of a baseline's sessions."""
    return sorted((ran.path / ".llmperf" / "baselines" / name).glob("*.json"))


def remarks(ran):
    return [line.removeprefix("llmperf: ") for line in ran.out.splitlines() if line.startswith("llmperf: ")]


@pytest.fixture
def profile(pytester):
    path = pytester.path / "slow.toml"
    path.write_text(SLOW)
    return f"--llmperf-profile={path}"


class TestSaving:
    def test_a_run_is_saved_and_said_so(self, suite):
        """One file, of the series of every test that was measured; the claim on a baseline is not judged without one."""
        ran = suite(FEW, "--llmperf-save=main")
        assert ran.code == 0
        (path,) = stored(ran)
        assert f"saved 1 series to baseline main, session 1: .llmperf/baselines/main/{path.name}" in remarks(ran)
        assert ran.test()["verdicts"] == []
        session = json.loads(path.read_text())
        assert [test["subject"]["test"] for test in session["tests"]] == ["test_greeting"]
        assert session["tests"][0]["series"]["rounds"]["count"] == 20

    def test_a_session_is_sampled_to_its_end(self, suite):
        """Though its other claims were settled long before."""
        source = asking(60).replace("@pytest.mark.reg", "@pytest.mark.latency(p50_ms=9000)\n@pytest.mark.reg")
        assert suite(source, "--llmperf-save=main").arm()["rounds"]["judged"] == 60
        assert suite(source, "--llmperf-seed=2").arm()["rounds"]["judged"] < 60

    @pytest.mark.parametrize(
        ("more", "why"),
        [
            ("def test_broken():\n    assert False", "the run did not pass"),
            ("def test_interrupted():\n    raise KeyboardInterrupt", "the run did not pass"),
        ],
    )
    def test_nothing_is_saved_of_a_run_that_did_not_pass(self, suite, more, why):
        """Whichever test it was, ours or another."""
        ran = suite(f"{FEW}\n{more}", "--llmperf-save=main")
        assert stored(ran) == []
        assert f"nothing was saved to baseline main: {why}" in remarks(ran)

    def test_nothing_is_saved_of_a_test_that_was_interrupted(self, suite):
        """Its series is partial."""
        source = FEW.replace('    ask_streamed("workload=code")', "    raise KeyboardInterrupt")
        ran = suite(source, "--llmperf-save=main")
        assert stored(ran) == []
        assert "nothing was saved to baseline main: the run was interrupted" in remarks(ran)

    def test_in_ci_only_the_command_line_counts(self, suite, monkeypatch):
        """A setting in the ini file saves at the desk, and is told in CI."""
        ini = "llmperf_save = main"
        assert len(stored(suite(FEW, ini=ini))) == 1
        monkeypatch.setenv("CI", "true")
        ran = suite(FEW, ini=ini)
        assert len(stored(ran)) == 1
        assert any("nothing was saved to baseline main: in CI a run is accepted only" in line for line in remarks(ran))
        assert len(stored(suite(FEW, "--llmperf-save=main"))) == 2

    @pytest.mark.parametrize(
        ("arguments", "told"),
        [
            (["--llmperf-save=../x"], "a baseline's name is of letters"),
            (["--llmperf-anchor"], "add --llmperf-save=NAME"),
        ],
    )
    def test_what_cannot_be_meant_is_refused(self, suite, arguments, told):
        """Before any call."""
        ran = suite(FEW, *arguments)
        assert ran.code == pytest.ExitCode.USAGE_ERROR
        assert told in ran.text

    def test_a_store_that_cannot_be_written_fails_the_run(self, suite, pytester):
        """With what to do; the results are shown all the same."""
        (pytester.path / "store").write_text("")
        ran = suite(FEW, "--llmperf-save=main", "--llmperf-store=store")
        assert ran.code == pytest.ExitCode.USAGE_ERROR
        assert "could not be saved to" in ran.out
        assert "no claim" in ran.out

    def test_workers_measure_and_one_process_saves(self, suite):
        """One file under pytest-xdist, with the tests of all workers."""
        source = FEW + FEW.replace("test_greeting", "test_other").partition("\n\n")[2]
        ran = suite(source, "--llmperf-save=main", "-n2")
        (path,) = stored(ran)
        assert len(json.loads(path.read_text())["tests"]) == 2


class TestJudging:
    def test_a_slower_service_is_red_and_the_same_one_green(self, suite, profile):
        """30 % in the median, at 300 rounds; the summary tells the one command that accepts the change."""
        assert suite(asking(), "--llmperf-save=main").code == 0
        same = suite(asking(), "--llmperf-compare=main", "--llmperf-seed=2")
        assert (same.code, same.verdict()["outcome"]) == (0, "passed")
        assert same.verdict()["claim"] == "p50 ttft at most 15 % worse than baseline main"
        assert "note: baseline main has 1 session: until 5 are accepted, nobody knows" in same.out
        slow = suite(asking(), "--llmperf-compare=main", "--llmperf-seed=3", profile)
        assert (slow.code, slow.verdict()["outcome"]) == (1, "failed")
        assert "p50 ttft at most 15 % worse than baseline main does not hold: measured 1." in slow.out
        (accepting,) = [line for line in remarks(slow) if line.startswith("if the change is meant")]
        command = accepting.partition(": ")[2].split()
        assert command[:2] == ["pytest", "test_suite.py::test_greeting"]
        assert command[-2:] == ["--llmperf-save=main", "--llmperf-anchor"]
        assert any("profile claude-opus-4 → " in line for line in remarks(slow))
        accepted = suite(asking(), *command[2:])
        assert accepted.code == 0
        again = suite(asking(), "--llmperf-compare=main", "--llmperf-seed=5", profile)
        assert again.code == 0

    def test_a_test_without_a_baseline_is_a_note(self, suite):
        """Or an error where the run is strict, before any call."""
        ran = suite(FEW, "--llmperf-compare=main")
        assert ran.code == 0
        assert "note: baseline main does not know this test: --llmperf-save=main accepts it" in ran.out
        assert any("there is none (baselines in .llmperf: none yet)" in line for line in remarks(ran))
        strict = suite(FEW, "--llmperf-compare=main", "--llmperf-strict-baseline")
        assert strict.code == pytest.ExitCode.USAGE_ERROR
        assert "test_greeting: baseline main does not know this test" in strict.text

    def test_a_claim_that_no_baseline_is_named_for_is_a_note(self, suite):
        """It says how one is named."""
        ran = suite(FEW)
        assert ran.code == 0
        assert "note: regression(p50=0.15) is not judged: --llmperf-compare=NAME" in ran.out

    def test_the_mark_may_name_the_baseline(self, suite):
        """Then it is judged without the option, and the option does not move it."""
        assert suite(FEW, "--llmperf-save=release").code == 0
        ran = suite(asking(20, "p50=0.5, baseline='release'"), "--llmperf-compare=main")
        assert ran.verdict()["claim"] == "p50 ttft at most 50 % worse than baseline release"

    def test_five_sessions_are_judged_by_how_they_differ(self, suite):
        """By a t prediction test, without the note on days."""
        for seed in range(5):
            suite(FEW, "--llmperf-save=main", f"--llmperf-seed={seed}")
        ran = suite(FEW, "--llmperf-compare=main", "--llmperf-seed=9")
        assert ran.verdict()["method"].startswith("t prediction over 5 earlier sessions")
        assert "nobody knows how much one day" not in ran.out

    def test_slow_drift_is_caught_at_the_anchor(self, suite):
        """Two steps of 14 % are little each, and much together."""
        for seed, wait in enumerate((892, 1017)):
            suite(asking(), "--llmperf-save=main", f"--llmperf-seed={seed}", profile_of(suite, wait))
        ran = suite(asking(claims="p50=0.2"), "--llmperf-compare=main", "--llmperf-seed=7", profile_of(suite, 1220))
        outcomes = {verdict["claim"]: verdict["outcome"] for verdict in ran.test()["verdicts"]}
        assert outcomes["p50 ttft at most 20 % worse than baseline main, its anchor"] == "failed"
        assert outcomes["p50 ttft at most 20 % worse than baseline main"] != "failed"

    def test_numbers_of_another_model_are_refused(self, suite):
        """By the field that differs, with what accepts them."""
        suite(FEW, "--llmperf-save=main")
        other = FEW.replace('ask_streamed("workload=code")', 'ask_streamed("workload=code", by=None)')
        ran = suite(other.replace("ask_streamed(", "ask("), "--llmperf-compare=main")
        assert ran.code == 1
        assert ran.test()["outcome"] == "error"
        assert "streaming is no in this run and yes in baseline main: unlike numbers are not compared" in ran.out
        assert "--llmperf-save=main --llmperf-anchor" in ran.out

    @pytest.mark.parametrize(("content", "told"), [("{", "is damaged"), ('{"schema": 99}', "upgrade pytest-llmperf")])
    def test_a_file_that_cannot_be_read_ends_the_run(self, suite, content, told):
        """Before any call, and it stays as it is."""
        (path,) = stored(suite(FEW, "--llmperf-save=main"))
        path.write_text(content)
        ran = suite(FEW, "--llmperf-compare=main")
        assert ran.code == pytest.ExitCode.USAGE_ERROR
        assert told in ran.text
        assert path.name in ran.text
        assert path.read_text() == content

    def test_each_arm_has_its_own_history(self, suite):
        """One verdict for each."""
        source = FEW.replace("@pytest.mark.reg", "@pytest.mark.arms(kind=['a', 'b'])\n@pytest.mark.reg")
        source = source.replace("def test_greeting()", "def test_greeting(arm)")
        suite(source, "--llmperf-save=main")
        ran = suite(source, "--llmperf-compare=main", "--llmperf-seed=2")
        assert [verdict["arm"] for verdict in ran.test()["verdicts"]] == ["a", "b"]

    def test_under_xdist_the_verdicts_are_the_same(self, suite):
        """Workers read the baseline."""
        suite(FEW, "--llmperf-save=main")
        alone, spread = (suite(FEW, "--llmperf-compare=main", "--llmperf-seed=2", *n) for n in ([], ["-n2"]))
        assert alone.verdict() == spread.verdict()


def profile_of(suite, wait):
    """A profile whose median wait for code is so many milliseconds, with the spread of the usual one."""
    from pathlib import Path

    path = Path(f"wait{wait}.toml").resolve()
    path.write_text(
        f'extends = "claude-opus-4"\n[workloads.code]\nttft_p50_ms = {wait}\nttft_p95_ms = {wait * 1.726}\n'
    )
    return f"--llmperf-profile={path}"


class TestIdentity:
    ORDERED = FEW.replace(
        "def test_greeting()",
        "@pytest.mark.parametrize('n', [1, 2])\n@pytest.mark.parametrize('kind,size', [('x', 1), ('y', 2)])\n"
        "def test_greeting(n, kind, size)",
    )

    def test_parameters_may_change_their_order(self, suite):
        """Of decorators and of values."""
        suite(self.ORDERED, "--llmperf-save=main")
        first, second, function = re.search(
            r"(@pytest.mark.parametrize\('n'.*\n)(@pytest.mark.parametrize\('kind.*\n)(def)", self.ORDERED
        ).groups()
        turned = self.ORDERED.replace(
            f"{first}{second}{function}", f"{second}{first.replace('[1, 2]', '[2, 1]')}{function}"
        )
        ran = suite(turned, "--llmperf-compare=main", "--llmperf-strict-baseline")
        assert ran.code == 0
        assert len(ran.report["tests"]) == 4
        assert (
            ran.test("[1-x-1]" if "[1-x-1]" in ran.out else ran.report["tests"][0]["nodeid"])["parameters"] is not None
        )

    def test_tests_that_are_no_more_are_listed(self, suite):
        """Unless they were only not chosen."""
        both = FEW + FEW.replace("test_greeting", "test_other").partition("\n\n")[2]
        suite(both, "--llmperf-save=main")
        chosen = suite(both, "--llmperf-compare=main", "-k", "greeting")
        single = suite(FEW, "--llmperf-compare=main", "test_suite.py::test_greeting")
        for ran in (chosen, single):
            assert "has no more" not in ran.out
        for how in ([], ["-n2"]):
            assert "baseline main knows 1 test that the suite has no more: test_suite.py::test_other" in remarks(
                suite(FEW, "--llmperf-compare=main", *how)
            )
