"""`llmperf report`."""

import pytest

from factories import calls, report, result, series, verdict
from pytest_llmperf.cli import main
from pytest_llmperf.reports import json_file


@pytest.fixture
def written(tmp_path):
    """The path of a JSON report."""
    path = tmp_path / "run.json"
    added = (("seen", ("one test",)),)
    made = report(result(verdicts=[verdict("failed")], series_=[series(calls(3))]), sections=added)
    path.write_text(json_file.text(json_file.document(made)), encoding="utf-8")
    return path


def test_every_format_is_written_from_the_numbers(written, tmp_path):
    """Folders on the way are made, and nothing is printed."""
    out = tmp_path / "out"
    asked = [f"--html={out / 'r.html'}", f"--markdown={out / 'r.md'}", f"--csv={out / 'r.csv'}"]
    assert main(["report", str(written), *asked]) == 0
    assert (out / "r.html").read_text(encoding="utf-8").startswith("<!DOCTYPE html>")
    markdown = (out / "r.md").read_text(encoding="utf-8")
    assert markdown.startswith("## llmperf: 0 of 1 claim passed, 1 failed\n")
    assert markdown.endswith("### seen\n\n- one test\n")
    assert len((out / "r.csv").read_text(encoding="utf-8").splitlines()) == 4


def test_it_asks_what_to_write(written, capsys):
    """A report alone is no question."""
    assert main(["report", str(written)]) == 2
    assert "say what to write: --html PATH, --markdown PATH, --csv PATH" in capsys.readouterr().err


def test_a_path_that_cannot_be_written_is_named_with_its_option(written, tmp_path, capsys):
    """As the command knows it."""
    assert main(["report", str(written), f"--csv={tmp_path}"]) == 2
    assert f"the CSV file could not be written to {tmp_path}" in (told := capsys.readouterr().err)
    assert "give --csv the path" in told


def test_a_file_that_is_no_report_is_told(tmp_path, capsys):
    """With its name."""
    (tmp_path / "x.json").write_text("[]", encoding="utf-8")
    assert main(["report", str(tmp_path / "x.json"), "--csv=x.csv"]) == 2
    assert "is no report of pytest-llmperf" in capsys.readouterr().err
