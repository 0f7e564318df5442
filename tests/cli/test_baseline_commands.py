"""`llmperf compare`, `history` and `capacity`, over reports and baselines."""

import json
import re
from dataclasses import replace

import pytest

from baselines.accepted import session, timed
from factories import environment, measurement, report, result, series, verdict
from pytest_llmperf.baselines.library import Library
from pytest_llmperf.cli import main
from pytest_llmperf.core.environment import Source
from pytest_llmperf.reports import json_file


def save(whole, path):
    """Write a report as the option does."""
    path.write_text(json_file.text(json_file.document(whole)), encoding="utf-8")


TEST = "tests/test_latency.py::test_greeting"
STEADY = (1.0, 1.02, 0.98, 1.01, 0.99)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Where the command is run, on a terminal of 80 columns."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "80")
    return tmp_path


@pytest.fixture
def written(folder):
    """Writes a report of one test, and returns its name."""

    def write(name, *series_, nodeid=TEST, **fields):
        save(report(result(nodeid, series_=series_, **fields)), folder / f"{name}.json")
        return f"{name}.json"

    return write


@pytest.fixture
def stored(folder):
    """Stores sessions with such medians under a name."""

    def store(name, *scales, **fields):
        library = Library(folder / ".llmperf")
        for day, scale in enumerate(scales, 1):
            library.save(name, session(timed(scale), started=f"2026-03-{day:02}T09:30:00+00:00", **fields))
        return name

    return store


def words(capsys):
    """What was printed, without line breaks."""
    return " ".join(capsys.readouterr().out.split())


class TestCompare:
    def test_the_same_passes_and_a_slower_run_fails(self, written, capsys):
        """With status 0 and 1, the ratio, its interval and the ground."""
        before = written("before", timed())
        assert main(["compare", before, written("same", timed())]) == 0
        assert "passed" in capsys.readouterr().out
        assert main(["compare", before, written("slow", timed(1.4))]) == 1
        told = capsys.readouterr().out
        assert "p50 ttft at most 15 % worse than baseline before" in told
        assert "1.4 (1.35 … 1.452), n=120" in told
        assert "this run is 40 % slower, 95 % CI 35 to 45 %" in told
        assert max(map(len, told.splitlines())) <= 80

    def test_a_baseline_is_compared_with_by_its_name(self, stored, written, capsys):
        """Five sessions by how they differ, and a session's file alone."""
        stored("main", *STEADY)
        assert main(["compare", "main", written("slow", timed(1.25))]) == 1
        assert "over 5 sessions of baseline main" in capsys.readouterr().out
        assert main(["compare", ".llmperf/baselines/main/2026-03-01T09-30-00Z.json", "main"]) == 0

    def test_what_is_allowed_can_be_said(self, written):
        """Of any statistic and metric."""
        before, slow = written("before", timed()), written("slow", timed(1.4))
        assert main(["compare", before, slow, "--p50", "0.5"]) == 0
        assert main(["compare", before, slow, "--mean", "0.3", "--metric", "ttft"]) == 1
        assert main(["compare", before, slow, "--metric", "e2e"]) == 0

    def test_unlike_runs_are_refused_by_what_differs(self, written, capsys):
        """Unless the user says that this may differ; a simulation is never compared with the API."""
        before = written("before", timed())
        other = series([measurement(number, streamed=False) for number in range(20)])
        assert main(["compare", before, written("plain", other)]) == 2
        assert "streaming is no in B and yes in A: unlike numbers" in words(capsys)
        assert main(["compare", before, written("plain", other), "--across", "streaming", "--metric", "e2e"]) == 0
        assert main(["compare", before, written("live", timed(source=Source.LIVE), source=Source.LIVE)]) == 2

    def test_sessions_of_another_key_are_refused_by_its_parts(self, folder, capsys):
        """Unless the user says that the part may differ; what may is told."""
        for region in ("eu", "us"):
            one = report(result(TEST, series_=[timed()]), environment=environment(baseline_key={"region": region}))
            save(one, folder / f"{region}.json")
        assert main(["compare", "eu.json", "us.json"]) == 2
        assert "region is us in B and eu in A: sessions of different keys" in words(capsys)
        assert main(["compare", "eu.json", "us.json", "--across", "region"]) == 0
        assert main(["compare", "eu.json", "us.json", "--across", "place"]) == 2
        assert "--across place: what may differ is model, endpoint, streaming, region" in capsys.readouterr().err

    def test_tests_of_one_side_only_are_named(self, written, folder, capsys):
        """They decide nothing."""
        both = [result(TEST, series_=[timed()]), result("tests/test_new.py::test_new", series_=[timed()])]
        save(report(*both), folder / "both.json")
        one = written("one", timed())
        assert main(["compare", one, "both.json"]) == 0
        assert "in B only: tests/test_new.py::test_new" in capsys.readouterr().out
        assert main(["compare", "both.json", one]) == 0
        assert "in A only: tests/test_new.py::test_new" in capsys.readouterr().out

    def test_what_is_neither_file_nor_baseline_is_told(self, written, stored, folder, capsys):
        """With those there are; a damaged file as such."""
        stored("main", 1.0)
        one = written("one", timed())
        assert main(["compare", "mian", one]) == 2
        assert "mian is no file, and no baseline of .llmperf either (there: main)" in capsys.readouterr().err
        (path,) = (folder / ".llmperf" / "baselines" / "main").glob("*.json")
        path.write_text("{")
        assert main(["compare", "main", one]) == main(["compare", str(path), one]) == 2
        assert capsys.readouterr().err.count("is damaged") == 2

    def test_nothing_in_common_is_an_error(self, written):
        """A gate that compares nothing must not be green."""
        assert main(["compare", written("a", timed()), written("b", timed(), nodeid="x.py::test_x")]) == 2


class TestHistory:
    def test_a_lasting_change_is_found(self, stored, capsys):
        """Where it begins, by how much, and how likely chance makes it; thresholds follow."""
        stored("main", *STEADY, *STEADY, *(1.3 * scale for scale in (*STEADY, *STEADY)))
        assert main(["history", "main", "--last", "3"]) == 0
        told = words(capsys)
        assert re.search(
            r"change: p50 ttft \d+\.?\d* ms → 1\d{3} ms \(\+30 %\) since 2026-03-11 09:30, p = 0.00\d", told
        )
        assert "2026-03-17" not in told
        assert "2026-03-18" in told
        assert "alert: p95 ttft above " in told
        assert "alert: error_rate above 2 % (as given; normal 0 %)" in told

    def test_each_key_has_a_history_of_its_own(self, folder, capsys):
        """Named by it."""
        library = Library(folder / ".llmperf")
        for day, region in enumerate(("eu", "us", "eu"), 1):
            made = session(timed(), started=f"2026-03-{day:02}T09:30:00+00:00")
            library.save("main", replace(made, environment=environment(baseline_key={"region": region})))
        assert main(["history", "main"]) == 0
        told = words(capsys)
        assert told.index(f"{TEST}, region=eu") < told.index("2026-03-03") < told.index(f"{TEST}, region=us")
        assert "left out" not in told

    def test_a_steady_history_has_no_change(self, stored, folder, capsys):
        """A short one cannot show any; the page says so too."""
        for name, runs, words in (
            ("main", (*STEADY, *STEADY), "changes: none shown in 10 runs"),
            ("short", STEADY, "changes: 8 runs are the fewest that show one, and here are 5"),
        ):
            stored(name, *runs)
            main(["history", name, "--html", f"{name}.html"])
            assert words in capsys.readouterr().out
            assert words in (folder / f"{name}.html").read_text()

    def test_reports_and_sessions_go_together(self, stored, written, capsys):
        """And what was sampled otherwise is left out and counted."""
        stored("main", 1.0, 1.1)
        plain = series([measurement(number, streamed=False) for number in range(20)])
        assert main(["history", "main", written("one", plain), "--alert-latency", "0.25"]) == 0
        told = capsys.readouterr().out
        assert "left out: 2 runs under other conditions than the last" in told
        assert "normal + 25 %" in told

    def test_a_page_of_it(self, stored, folder, capsys):
        """Every run with its interval, the change, what the latest report claims, and the threshold for alarms."""
        stored("main", *STEADY, *STEADY, *(1.3 * scale for scale in (*STEADY, *STEADY)))
        for day, bound in (("2026-02-20", 1.6), ("2026-03-25", 1.5)):
            claimed = verdict(bound=bound, claim=f"p95 ttft <= {1000 * bound:g} ms")
            whole = report(
                result(TEST, series_=[timed(bound - 0.25)], verdicts=[claimed]), started=f"{day}T00:00:00+00:00"
            )
            save(whole, folder / f"{day}.json")
        assert main(["history", "main", "2026-03-25.json", "2026-02-20.json", "--html", "out/history.html"]) == 0
        page = (folder / "out" / "history.html").read_text()
        assert page.count('class="plot"') == 1
        assert "claimed: p95 ttft &lt;= 1500 ms" in page
        assert "1600 ms" not in page
        assert re.search(r"<li>p50 ttft \d+\.?\d* ms → 1\d{3} ms \(\+\d+ %\) since 2026-03-11 09:30", page)
        assert "alarm: p95 ttft above" in page
        assert page.count("<tr><th scope=") == 1 + 22
        capsys.readouterr()

    def test_a_name_that_no_test_has_is_told(self, stored):
        """With status 2."""
        assert main(["history", stored("main", 1.0), "--test", "nothing"]) == 2


class TestCapacity:
    def test_workers_triggers_and_cost(self, written, capsys):
        """With every assumption below."""
        assert main(["capacity", written("one", timed()), "--requests-per-day", "50000", "--peak-factor", "1"]) == 0
        told = capsys.readouterr().out
        assert told.splitlines()[1].split()[1:] == ["11.5", "s", "11.5", "s", "6.7", "11", "14", "9", "8"]
        assert "$76,000 a month; at the peak 35 calls and 13,924" in told
        assert "50,000 requests a day; at the peak 1 times the mean rate" in " ".join(told.split())
        assert max(map(len, told.splitlines())) <= 80

    def test_arms_are_held_against_each_other(self, folder, capsys):
        """By volume, with the share saved and the volume from which it pays."""
        arms = [
            series([measurement(n, cost=usd) for n in range(30)], arm=arm)
            for arm, usd in (("single", 0.05), ("routed", 0.036))
        ]
        save(report(result(TEST, series_=arms)), folder / "arms.json")
        asked = ["capacity", "arms.json", "--requests-per-day", "20000", "--fixed-usd", "1500"]
        assert main([*asked, "--against", "single"]) == 0
        told = capsys.readouterr().out
        assert "28.0 %" in told
        assert "3,525/day" in told
        assert main([*asked, "--against", "none"]) == 2

    def test_what_has_no_time_is_told(self, written, capsys):
        """As on the instant clock."""
        assert (
            main(["capacity", written("one", timed(clock="instant"), clock="instant"), "--requests-per-day", "9"]) == 2
        )
        assert "no round of it has a time" in capsys.readouterr().err


def test_a_report_by_the_published_shape_alone_is_enough(written, folder, capsys):
    """Without what this version adds to it."""
    name = written("one", timed())
    document = json.loads((folder / name).read_text())
    for test in document["tests"]:
        del test["parameters"]
        for arm in test["arms"]:
            for key in ("call_rounds", "model", "endpoint", "streaming"):
                del arm[key]
    (folder / "bare.json").write_text(json.dumps(document))
    assert main(["compare", "bare.json", name]) == 0
    assert "passed" in capsys.readouterr().out
