"""Baselines, history and capacity of the example suite: the commands of its README, one after the other."""

import os
import re
import shlex
import shutil
import subprocess
import sys

import pytest

from shown import EXAMPLES, ROOT

BLOCK = re.compile(r"^## From version to version\n.*?^```sh\n(.*?)^```$", re.MULTILINE | re.DOTALL)
PROGRAMS = {"pytest": ["-m", "pytest", "-p", "no:cacheprovider"], "llmperf": ["-m", "pytest_llmperf.cli"]}


def run(command, folder):
    """The status and the output of a command, which may begin with variables of its environment."""
    words = shlex.split(command)
    variables = dict(
        word.split("=", 1) for word in words[: next(n for n, word in enumerate(words) if word in PROGRAMS)]
    )
    program, *arguments = words[len(variables) :]
    environment = {name: value for name, value in os.environ.items() if name in ("PATH", "HOME", "LANG")}
    ended = subprocess.run(
        [sys.executable, *PROGRAMS[program], *arguments],
        cwd=folder,
        env=environment | {"COLUMNS": "80", "PYTHONUTF8": "1"} | variables,
        capture_output=True,
        text=True,
        encoding="utf-8",
        check=False,
    )
    return ended.returncode, ended.stdout + ended.stderr


@pytest.fixture(scope="module")
def ran(tmp_path_factory):
    """What each command of the README came to."""
    folder = tmp_path_factory.mktemp("examples")
    shutil.copytree(EXAMPLES, folder / EXAMPLES.name, ignore=shutil.ignore_patterns("__pycache__", ".llmperf"))
    commands = BLOCK.search((ROOT / "example_suite" / "README.md").read_text("utf-8"))[1].splitlines()
    return {command: run(command, folder) for command in commands}


def told(ran, words):
    """Status and output of the one command that holds these words."""
    (found,) = [result for command, result in ran.items() if words in command]
    return found[0], " ".join(found[1].split())


@pytest.mark.slow
class TestVersions:
    def test_only_the_first_release_is_red(self, ran):
        """S29: 8 % fewer tokens a second, against five sessions."""
        red = [command for command, (status, _) in ran.items() if status != 0]
        assert red == [command for command in ran if command.startswith("RELEASE=first")], ran
        _, output = told(ran, "RELEASE=first")
        assert "p50 output_tps at most 3 % worse than baseline main FAILED" in output
        assert "--llmperf-save=main --llmperf-anchor" in output

    def test_thresholds_follow_from_what_is_normal(self, ran):
        """S26: p95 + 50 %, errors above 2 %."""
        _, output = told(ran, "llmperf history")
        latency = re.search(r"alert: p95 ttft above ([\d.]+) ms \(normal \+ 50 %; normal ([\d.]+) ms\)", output)
        assert float(latency[1]) == pytest.approx(1.5 * float(latency[2]), rel=1e-3)
        assert 1540 * 0.8 < float(latency[2]) < 1540 * 1.2
        assert "alert: error_rate above 2 % (as given; normal 0 %)" in output

    def test_capacity_of_the_published_volume(self, ran):
        """S19, S21, S27: five to ten workers for 50,000 requests a day, and 28 % saved by routing."""
        _, output = told(ran, "llmperf capacity")
        workers = re.findall(r" m?s [\d.]+ m?s [\d.]+ \d+ (\d+) \d+ \d+ ", output)
        assert len(workers) == 2, output
        assert all(5 <= int(number) <= 10 for number in workers)
        saved = float(re.search(r"([\d.]+) %", output.partition("dollars a month")[2])[1])
        assert saved == pytest.approx(28, abs=4)
