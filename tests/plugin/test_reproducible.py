"""The JSON report: valid, and the same whenever the same suite is run with the same seed."""

from __future__ import annotations

import difflib
import json

import jsonschema
import pytest

from pytest_llmperf.reports.json_file import schema

SOURCE = """
import asyncio, pytest, unittest
from talk import *
pytestmark = pytest.mark.llmperf(rounds=6, stop="fixed")

@pytest.mark.latency(p50_ms=60_000)
@pytest.mark.cost(max_usd=1)
@pytest.mark.llmperf(rounds=30)
def test_plain(): ask()

@pytest.mark.parametrize("x", [1, 2])
def test_streamed(x): ask_streamed()

@pytest.mark.latency(p50_ms=1)
@pytest.mark.llmperf(concurrency=3)
async def test_together():
    await asyncio.gather(ask_async(), ask_async())

@pytest.mark.llmperf(fresh_fixtures=True)
def test_fresh(): ask("fault=status_529:1")

@pytest.mark.anyio
@pytest.mark.parametrize("anyio_backend", ["trio"])
async def test_trio(anyio_backend): await ask_async()

def test_broken(llmperf):
    ask()
    assert llmperf.round < 3
"""

WAYS = {
    "first": [],
    "second": [],
    "reversed": [],
    "another seed": ["--llmperf-seed=8"],
}
REVERSED = "def pytest_collection_modifyitems(items):\n    items.reverse()\n"


@pytest.fixture
def reports(suite_once):
    """A function that gives the report of each way to run the suite, without the time it was begun at."""

    def of(way):
        conftest = REVERSED if way == "reversed" else ""
        ran = suite_once(f"report, {way}", SOURCE, "--llmperf-seed=7", *WAYS[way], conftest=conftest)
        found = {key: value for key, value in ran.report.items() if key != "started"}
        for test in found["tests"]:
            for arm in test["arms"] if test["clock"] == "instant" else ():
                del arm["timeline"]  # when calls were sent: there the machine's own time, which nothing is judged by
        return found

    return of


@pytest.mark.parametrize("way", ["second", "reversed"])
def test_one_seed_gives_one_report(reports, way):
    """Run again, or in another order: the report is the same to the last digit."""
    again, first = (json.dumps(reports(each), indent=1).splitlines() for each in (way, "first"))
    found = list(difflib.unified_diff(first, again, n=0, lineterm=""))
    assert found == [], "\n".join(found[:30])


def test_another_seed_gives_another_report(reports):
    """The numbers of every test differ."""
    first, other = (
        {test["nodeid"]: test["arms"] for test in reports(way)["tests"]} for way in ("first", "another seed")
    )
    assert first.keys() == other.keys()
    assert [name for name in first if first[name][0]["series"]["e2e"] == other[name][0]["series"]["e2e"]] == []


def test_every_test_draws_its_own_numbers(reports):
    """Two tests that do the same do not get the same answers."""
    series = {test["nodeid"]: test["arms"][0]["series"]["e2e"] for test in reports("first")["tests"]}
    assert series["test_suite.py::test_streamed[1]"] != series["test_suite.py::test_streamed[2]"]


def test_the_report_is_valid(reports, suite_once):
    """It fits the published schema, with whole, failed and broken tests in it."""
    reports("first")
    whole = suite_once("report, first", SOURCE).report
    jsonschema.Draft202012Validator(schema()).validate(whole)
    outcomes = {test["nodeid"].rpartition("::")[2]: test["outcome"] for test in whole["tests"]}
    assert outcomes == {
        "test_broken": "error",
        "test_fresh": "passed",
        "test_plain": "passed",
        "test_streamed[1]": "passed",
        "test_streamed[2]": "passed",
        "test_together": "failed",
        "test_trio[trio]": "passed",
    }


def test_the_report_says_where_a_test_is(reports):
    """File and line, as an editor counts them."""
    (plain,) = [test for test in reports("first")["tests"] if test["nodeid"].endswith("test_plain")]
    assert plain["location"]["file"] == "test_suite.py"
    assert SOURCE.splitlines()[plain["location"]["line"] - 1].startswith("@pytest.mark.latency(p50_ms=60_000)")


def test_a_report_that_cannot_be_written_is_said_so(suite):
    """The run ends as a wrong usage, and loses nothing else of what it found."""
    source = "import pytest\nfrom talk import *\n@pytest.mark.llmperf(rounds=2)\ndef test_a(): ask()\n"
    ran = suite(source, "--llmperf-json=test_suite.py/report.json")
    assert ran.code == pytest.ExitCode.USAGE_ERROR
    assert "the JSON report could not be written to" in ran.out
    assert "llmperf: no claim, simulated" in ran.out


def test_two_runs_in_one_process_know_nothing_of_each_other(suite, pytester):
    """The second run's report has its own tests only."""
    one = "import pytest\nfrom talk import *\n@pytest.mark.llmperf(rounds=2)\ndef test_one(): ask()\n"
    first = suite(one, "--llmperf-max-calls=4").report
    second = suite(one.replace("test_one", "test_two"), "--llmperf-max-calls=4")
    assert [test["nodeid"] for test in first["tests"]] == ["test_suite.py::test_one"]
    assert [test["nodeid"] for test in second.report["tests"]] == ["test_suite.py::test_two"]
    assert second.arm()["ended_by"] == ""
