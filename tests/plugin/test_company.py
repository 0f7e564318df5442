"""The plugin beside other parts of pytest that may be missing, or crash."""

from __future__ import annotations

import pytest

SOURCE = """
import os, pytest
from talk import *
pytestmark = pytest.mark.llmperf(rounds=3)

@pytest.fixture
def thing():
    ran("set-up")

def test_a(thing):
    ran("a"); ask()

async def test_b(thing):
    ran("b"); await ask_async()
"""


def test_without_a_terminal(suite):
    """`-p no:terminal` has nobody to print to; the report is written all the same."""
    ran = suite(SOURCE, "-p", "no:terminal")
    assert (ran.code, ran.bodies) == (0, {"set-up": 2, "a": 4, "b": 4})
    assert [test["outcome"] for test in ran.report["tests"]] == ["passed", "passed"]


@pytest.mark.parametrize("option", ["--setup-plan", "--setup-only", "--collect-only"])
def test_runs_that_run_no_body(suite, option):
    """Nothing is measured, nothing is written, nothing breaks."""
    ran = suite(SOURCE, option)
    assert ran.code == 0, ran.text
    assert set(ran.bodies) <= {"set-up"}
    assert not (ran.path / "report.json").exists()


def test_warnings_as_errors_and_strict_marks(suite):
    """A whole run with our marks has no warning and no unknown mark."""
    ran = suite(SOURCE, "-W", "error", "--strict-markers", "--strict-config")
    assert ran.outcomes == {"passed": 2}, ran.text


def test_an_undecided_claim_where_warnings_are_errors(suite):
    """Then it fails the test, with the text of the warning."""
    source = (
        "import pytest\nfrom talk import *\n@pytest.mark.llmperf(rounds=20, stop='fixed')\n"
        "@pytest.mark.latency(p50_ms=1_100)\ndef test_a(): ask()\n"
    )
    ran = suite(source, "-W", "error")
    assert ran.outcomes == {"failed": 1}, ran.text
    assert "LLMPerfWarning: p50 e2e <= 1100 ms is not decided" in ran.out
    assert ran.test()["outcome"] == "inconclusive"


def test_a_plugin_that_runs_tests_in_its_own_way_is_found_out(suite):
    """A body that was never run must not pass for one that was measured."""
    conftest = "import pytest\n@pytest.hookimpl(tryfirst=True)\ndef pytest_pyfunc_call(pyfuncitem):\n    return True\n"
    ran = suite(SOURCE, conftest=conftest)
    assert ran.outcomes == {"failed": 2}
    assert "0 rounds were run where 4 were asked: another plugin ran the test in its own way" in ran.out


def test_others_find_the_test_as_it_was(suite):
    """The body is swapped for the call alone: before and after it, hooks of other plugins see the function itself."""
    ran = suite(
        SOURCE,
        conftest="""
            from talk import ran

            def pytest_runtest_setup(item):
                ran(f"before {hasattr(item.obj, '__wrapped__')}")

            def pytest_runtest_teardown(item):
                ran(f"after {hasattr(item.obj, '__wrapped__')}")
        """,
    )
    assert (ran.bodies["before False"], ran.bodies["after False"]) == (2, 2)


def test_without_capturing(suite):
    """With `-s` the output of all bodies comes through."""
    ran = suite(SOURCE.replace('ran("a")', 'print("aloud")'), "-s")
    assert ran.out.count("aloud") == 4


def test_a_crashed_worker_loses_its_own_test_only(suite):
    """Results travel on the reports: those of the tests before the crash are in the table and the file."""
    source = SOURCE + "\ndef test_crash():\n    ask(); os._exit(1)\n"
    ran = suite(source, "-n1", "--max-worker-restart=0")
    assert "worker 'gw0' crashed while running 'test_suite.py::test_crash'" in ran.out
    assert [test["nodeid"].rpartition("::")[2] for test in ran.report["tests"]] == ["test_a", "test_b"]
    assert "llmperf: no claim, simulated" in ran.out
