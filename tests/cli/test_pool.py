"""`llmperf pool`."""

import json

import pytest

from factories import calls, report, result, series
from pytest_llmperf.cli import main
from pytest_llmperf.core.judge import judge
from pytest_llmperf.core.objective import Objective
from pytest_llmperf.reports import json_file

P95 = Objective("ttft", "p95", "<=", 2.34)


@pytest.fixture
def written(tmp_path):
    """Writes a report of one test, with so many slow calls of so many."""

    def write(name, slow, n, **changes):
        verdict = judge(series(calls(n, slow=slow)), P95)
        document = json_file.document(report(result(verdicts=[verdict])))
        document["environment"]["seed"] = changes.pop("seed", name)
        for test in document["tests"]:
            test.update(changes)
        path = tmp_path / f"{name}.json"
        path.write_text(json.dumps(document), encoding="utf-8")
        return str(path)

    return write


def test_runs_pass_together(written, capsys):
    """Two of sixty clean calls."""
    assert main(["pool", written("a", 0, 60), written("b", 0, 60)]) == 0
    told = capsys.readouterr().out
    assert "120" in told
    assert "passed" in told


def test_a_claim_that_is_refuted_ends_with_status_1(written, capsys):
    """As a gate needs it."""
    assert main(["pool", written("a", 9, 40), written("b", 9, 40)]) == 1
    assert "FAILED" in capsys.readouterr().out


def test_one_simulation_is_not_counted_twice(written, capsys):
    """The same seed is the same run."""
    assert main(["pool", written("a", 0, 60, seed=3), written("b", 0, 60, seed=3)]) == 2
    assert "give each run a --llmperf-seed of its own" in capsys.readouterr().err


def test_live_and_simulated_numbers_do_not_mix(written, capsys):
    """And the message names both."""
    assert main(["pool", written("a", 0, 60), written("b", 0, 60, source="live")]) == 2
    assert "live and simulated" in capsys.readouterr().err


def test_a_recording_is_not_counted_twice(written, capsys):
    """A replay says what it said before."""
    assert main(["pool", written("a", 0, 60, source="replayed"), written("b", 0, 60, source="replayed")]) == 2
    assert "not counted twice" in capsys.readouterr().err


def test_a_file_that_is_no_report_is_told(tmp_path, capsys):
    """Missing, no JSON, another JSON, a newer schema: each with its reason."""
    for name, text, told in [
        ("b.json", "{", "is no JSON"),
        ("c.json", "[]", "is no report"),
        ("d.json", '{"schema": 99, "tests": []}', "upgrade"),
    ]:
        (tmp_path / name).write_text(text, encoding="utf-8")
        assert main(["pool", str(tmp_path / name)]) == 2
        assert told in capsys.readouterr().err
    assert main(["pool", str(tmp_path / "none.json")]) == 2
    assert "cannot be read" in capsys.readouterr().err
