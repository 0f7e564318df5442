"""What a run writes: reports in every format, the summary of a CI step, and GitHub's annotations."""

import csv
import json
import re

import pytest

from pytest_llmperf.reports import html_file

SOURCE = """
    import pytest
    from talk import ask

    pytestmark = pytest.mark.llmperf(rounds=12, warmup=1, stop="fixed")

    @pytest.mark.latency(p50_ms=100_000)
    def test_good(llmperf):
        ask()
        llmperf.record("words", 7)

    @pytest.mark.latency(p50_ms=0.001)
    def test_bad():
        ask()

    @pytest.mark.claim(metric="e2e", statistic="p50", max=100)
    def test_fine():
        ask()
"""
FILES = ("--llmperf-markdown=out/r.md", "--llmperf-html=out/r.html", "--llmperf-csv=out/r.csv")
BAD = "::error file=test_suite.py,line=12,title=test_suite.py%3A%3Atest_bad::p50 e2e <= 0.001 ms does not hold: "


def annotations(ran):
    return [line for line in ran.out.splitlines() if line.startswith("::")]


class TestFiles:
    def test_every_format_is_written(self, suite):
        """From the same numbers."""
        ran = suite(SOURCE, *FILES)
        markdown = (ran.path / "out/r.md").read_text(encoding="utf-8")
        assert markdown.startswith("## llmperf: 2 of 3 claims passed, 1 failed\n")
        assert "| ❌ **failed** | `test_suite.py::test_bad` |" in markdown
        page = (ran.path / "out/r.html").read_text(encoding="utf-8")
        assert page.startswith("<!DOCTYPE html>")
        with (ran.path / "out/r.csv").open(encoding="utf-8", newline="") as file:
            lines = list(csv.DictReader(file))
        assert [line["judged"] for line in lines] == ["false", *["true"] * 12] * 3
        assert [line["words"] for line in lines if line["test"].endswith("good")] == ["", *["7.0"] * 12]
        assert not annotations(ran)

    def test_the_slowest_call_is_traced(self, suite):
        """The JSON report holds its stages as they passed."""
        ran = suite(SOURCE, "-k", "good")
        waterfall = ran.arm()["waterfall"]
        (attempt,) = waterfall["attempts"]
        assert attempt["status"] == 200
        assert 0 <= attempt["sent"] <= attempt["headers"] <= attempt["ended"]
        assert max(ran.arm()["series"]["e2e"]) == pytest.approx(attempt["ended"] - attempt["sent"], rel=0.2)

    def test_one_that_cannot_be_written_loses_no_other(self, suite):
        """It fails the run and is told at its end."""
        ran = suite(SOURCE, "-k", "good", "--llmperf-markdown=.", "--llmperf-csv=r.csv")
        assert ran.code == 4
        assert re.search(r"the Markdown report could not be written to .*give --llmperf-markdown the path", ran.text)
        assert (ran.path / "r.csv").exists()

    def test_a_page_that_cannot_be_made_is_told_before_any_call(self, suite, monkeypatch):
        """With what to install."""
        monkeypatch.setattr(html_file, "find_spec", lambda name: None)
        ran = suite(SOURCE, "--llmperf-html=r.html")
        assert ran.code == 4
        assert "pip install 'pytest-llmperf[html]'" in ran.text

    def test_workers_write_nothing(self, suite, suite_apart):
        """Under xdist the files are the controller's, and those of a serial run."""
        github = {"GITHUB_STEP_SUMMARY": "summary.md", "GITHUB_ACTIONS": "true"}
        apart, serial = suite_apart(SOURCE, FILES[2], "-n", "1", **github), suite(SOURCE, FILES[2])
        summary = (apart.path / "summary.md").read_text(encoding="utf-8")
        assert summary.count("## llmperf") == 1
        assert [line.startswith(BAD) for line in annotations(apart)] == [True]
        assert (apart.path / "out/r.csv").read_text() == (serial.path / "out/r.csv").read_text()


class TestGitHub:
    @pytest.fixture(autouse=True)
    def _github(self, monkeypatch, tmp_path):
        monkeypatch.setenv("GITHUB_ACTIONS", "true")
        monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(tmp_path / "summary.md"))
        monkeypatch.delenv("GITHUB_WORKSPACE", raising=False)

    def test_the_report_is_added_to_the_summary(self, suite, tmp_path):
        """After what other tools wrote."""
        (tmp_path / "summary.md").write_text("# Others\n", encoding="utf-8")
        suite(SOURCE, "-k", "good")
        text = (tmp_path / "summary.md").read_text(encoding="utf-8")
        assert text.startswith("# Others\n## llmperf: 1 of 1 claim passed\n")

    def test_a_summary_that_cannot_be_written_is_told(self, suite, monkeypatch, tmp_path):
        """Nobody asked for it by an option, so the run does not fail."""
        monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(tmp_path))
        ran = suite(SOURCE, "-k", "good")
        assert ran.code == 0
        assert "the step's summary could not be written" in ran.text

    def test_a_failed_claim_is_annotated_at_its_test(self, suite):
        """In the summary of the terminal, a line of its own."""
        (line,) = annotations(suite(SOURCE))
        assert line.startswith(BAD)

    def test_paths_are_those_of_the_repository(self, suite, monkeypatch, pytester):
        """Where pytest runs in a folder of it."""
        monkeypatch.setenv("GITHUB_WORKSPACE", str(pytester.path.parent))
        (line,) = annotations(suite(SOURCE))
        assert f"file={pytester.path.name}/test_suite.py," in line

    @pytest.mark.parametrize(("policy", "shown"), [("warn", "::warning"), ("fail", "::error"), ("pass", "")])
    def test_a_doubt_is_what_the_run_makes_of_it(self, suite, policy, shown):
        """A warning by default."""
        source = """
            import pytest
            from talk import ask

            @pytest.mark.llmperf(rounds=5)
            @pytest.mark.claim(metric="e2e", statistic="p99", max=1000)
            def test_it():
                ask()
        """
        found = annotations(suite(source, f"--llmperf-inconclusive={policy}"))
        assert [line.split()[0] for line in found] == [shown] * bool(shown)

    def test_the_plugin_that_annotates_failures_is_left_to_it(self, suite):
        """Two messages for one failure would be one too many."""
        name = "pytest_github_actions_annotate_failures"
        ran = suite(SOURCE, "-p", name, **{name: ""})
        assert annotations(ran) == []


def test_documents_of_the_example_say_when_everything_ran(suite):
    """Columns of one length, for judged calls and for others."""
    arm = suite(SOURCE, "-k", "good").arm()
    for columns in arm["timeline"].values():
        assert {len(values) for values in columns.values()} == {13}
    assert json.dumps(arm["timeline"]["rounds"]["warmup"]) == "[true" + ", false" * 12 + "]"
