"""The README shows what really happens, and names everything there is."""

import re
import shlex

import pytest

from pytest_llmperf.core.metrics import METRICS
from pytest_llmperf.plugin.marks import ARGUMENTS
from pytest_llmperf.plugin.options import FILTERS, OPTIONS, PRICES, SHORT_MARKS
from pytest_llmperf.simulator.server import running_server
from pytest_llmperf.statistics.quantiles import least_n_to_pass
from shown import README, commands, files, run, same_every_time, write_files

TEXT = README.read_text("utf-8")


def rows(heading):
    """The cells of the first table below a heading, without its head."""
    section = TEXT.partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
    lines = [line for line in section.splitlines() if line.startswith("| ")]
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines[2:]]


class TestFirstScreen:
    def test_first_test_is_short(self):
        """The test that the README begins with has at most twelve lines."""
        (name, text), *_ = files(README).items()
        assert name.startswith("test_")
        assert len(text.strip().splitlines()) <= 12

    @pytest.mark.parametrize("command", commands(README))
    def test_output_is_real(self, command, tmp_path):
        """Every command shown prints what is shown below it."""
        write_files(README, tmp_path)
        ran = run(command, tmp_path)
        assert same_every_time(ran.output) == same_every_time(commands(README)[command])

    def test_two_commands_set_everything_up(self):
        """One line runs the example suite and one the whole test suite, each from nothing but Python."""
        example, whole = re.findall(r"^\$ (python3 -m venv .*)$", TEXT, re.MULTILINE)
        assert shlex.split(example)[-2:] == [".venv/bin/pytest", "example_suite"]
        assert shlex.split(whole)[-1] == ".venv/bin/tox"


FAST = 'extends = "claude-opus-4"\n[throughput]\ncontext_tokens_per_second = [[1000, 20000]]\n' + "".join(
    f"[workloads.{name}]\nttft_p50_ms = 5\nttft_p95_ms = 6\n"
    for name in ("mixed", "code", "qa", "extraction", "creative")
)
"""Whatever the question is taken for, nobody waits for the answer."""


class TestRecordAndReplay:
    def test_commands_do_what_their_comments_say(self, tmp_path):
        """The first asks the API and writes the cassette it names, the second needs neither API nor key."""
        block = re.search(r"^```sh\n(pytest .*?)^```$", TEXT, re.MULTILINE | re.DOTALL)[1]
        recording, replaying = (line.partition("  # ") for line in block.splitlines())
        write_files(README, tmp_path)
        (tmp_path / "fast.toml").write_text(FAST)
        with running_server(tmp_path / "fast.toml") as url:
            recorded = run(recording[0], tmp_path, ANTHROPIC_BASE_URL=url, ANTHROPIC_API_KEY="dummy")
        assert recorded.status == 0, recorded.output
        assert (tmp_path / recording[2].rpartition(" ")[2]).exists()
        replayed = run(replaying[0], tmp_path)
        assert replayed.status == 0, replayed.output
        assert "llmperf: 2 of 2 claims passed, replayed" in replayed.output


class TestTables:
    def test_marks_are_those_there_are(self):
        """Every mark with every argument, and none that does not exist."""
        shown = {row[0].strip("`"): set(re.findall(r"`(\w+)`(?: \(|,|$)", row[1])) for row in rows("Marks")}
        assert shown == {mark: set(arguments) for mark, arguments in ARGUMENTS.items()}

    def test_metrics_are_those_of_the_table(self):
        """Every metric with its unit and its definition in the words of the code."""
        shown = [(row[0].strip("`"), row[1], row[2]) for row in rows("Metrics")]
        assert shown == [(metric.name, metric.unit, metric.formula) for metric in METRICS.values()]

    def test_options_are_those_there_are(self):
        """Every option with its default and its choices."""
        shown = {row[0].strip("`").partition(" ")[0]: row[1].strip("`") for row in rows("Options")}
        assert shown == {option.cli: str(option.default or "") for option in OPTIONS}
        assert all(name in TEXT for name in (SHORT_MARKS, PRICES, *FILTERS))

    def test_fewest_rounds_are_right(self):
        """The fewest clean rounds that pass are those of the exact test at 95 % confidence."""
        (row,) = rows("How many rounds")
        shares = (0.5, 0.1, 0.05, 0.01, 0.05, 0.02, 0.01)
        assert row[1:] == [str(least_n_to_pass(share, 0.05)) for share in shares]


def test_links_lead_somewhere():
    """Every relative link names a file or folder of the repository."""
    links = re.findall(r"\]\((?!https?:|#)([^)]+)\)", TEXT)
    assert links
    assert [link for link in links if not (README.parent / link).exists()] == []
