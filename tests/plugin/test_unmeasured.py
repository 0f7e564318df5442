"""Tests that end before they measured anything, and failures that a mark expects."""

from __future__ import annotations

SOURCE = """
import pytest
from talk import *

pytestmark = [pytest.mark.llmperf(rounds=8, warmup=0, stop="fixed"), pytest.mark.latency(p50_ms=60_000)]

@pytest.fixture
def broken():
    raise RuntimeError("no data base")

def test_set_up(broken): ask()

def test_no_such_fixture(nowhere): ask()

@pytest.mark.llmperf(fresh_fixtures=True)
def test_fresh(broken): ask()

def test_refused(benchmark): ask()

@pytest.mark.llmperf(off=True)
def test_off(broken): ask()

@pytest.mark.skip(reason="not today")
def test_skipped(broken): ask()

@pytest.mark.xfail(reason="a known slowness")
@pytest.mark.latency(p50_ms=1)
def test_slow(): ask()

@pytest.mark.xfail(reason="a known fault")
def test_wrong():
    ask()
    assert not "right"

@pytest.mark.xfail(reason="it is mended")
def test_mended(): ask()

@pytest.fixture
def benchmark(): ...
"""


def test_every_report_has_them(suite):
    """What failed before its first call is an error; what failed as its mark says counts as no failure."""
    ran = suite(SOURCE, "-v", "--llmperf-markdown=r.md", "--llmperf-html=r.html", "--junitxml=junit.xml")
    outcomes = {test["nodeid"].partition("::")[2]: test["outcome"] for test in ran.report["tests"]}
    errors = dict.fromkeys(("test_fresh", "test_no_such_fixture", "test_refused", "test_set_up"), "error")
    assert outcomes == {**errors, "test_mended": "passed", "test_slow": "xfailed", "test_wrong": "xfailed"}
    told = {name: ran.test(name)["error"] for name in errors}
    assert told["test_set_up"] == told["test_fresh"] == "its set-up failed: RuntimeError: no data base"
    assert told["test_no_such_fixture"] == "its set-up failed: fixture 'nowhere' not found"
    assert told["test_refused"].startswith("llmperf cannot repeat this test: its benchmark fixture already repeats it")
    assert ran.verdict("test_slow")["outcome"] == "failed"
    assert ran.test("test_set_up")["arms"] == []
    counted = "1 of 2 claims passed, 2 xfailed, 4 errors"
    assert f"llmperf: {counted}, simulated" in ran.out
    assert (ran.path / "r.md").read_text().startswith(f"## llmperf: {counted}\n")
    assert f"<h1>{counted}</h1>" in (ran.path / "r.html").read_text()
    assert (ran.code, ran.outcomes) == (
        1,
        {"failed": 1, "errors": 4, "skipped": 1, "xfailed": 2, "xpassed": 1},
    ), ran.text


def test_workers_tell_them_too(suite):
    """They travel on the report of the phase that failed."""
    alone, spread = (suite(SOURCE, "-k", "set_up or slow", *way).report["tests"] for way in ((), ("-n1",)))
    assert alone == spread
    assert [test["outcome"] for test in spread] == ["error", "xfailed"]
