"""GitHub's workflow commands."""

import json

from factories import report, result, verdict
from pytest_llmperf.reports import json_file
from pytest_llmperf.reports.annotations import commands


def document(*results):
    return json.loads(json_file.text(json_file.document(report(*results))))


FAILED = result(
    "tests/a.py::test_a",
    verdicts=[verdict("failed", reason="5 of 9 slow"), verdict("inconclusive")],
    location=("tests/a.py", 12),
)
UNDECIDED = result("tests/b.py::test_b", verdicts=[verdict("inconclusive", reason="100 % slow", remedy="wait")])


def test_a_failed_claim_is_an_error_at_its_test():
    """File, line and title, then the claim in one line and its ground in the next."""
    (command,) = commands(document(FAILED))
    assert command == (
        "::error file=tests/a.py,line=12,title=a.py%3A%3Atest_a::"
        "p95 ttft <= 2340 ms does not hold: measured 2100 (1980 … 2210) ms, n=100, simulated%0A5 of 9 slow"
    )


def test_an_undecided_claim_is_what_the_run_makes_of_it():
    """A warning, an error, or nothing; a test whose place is not known has none."""
    (warned,) = commands(document(UNDECIDED))
    assert warned == (
        "::warning title=b.py%3A%3Atest_b::"
        "p95 ttft <= 2340 ms is not decided: measured 2100 (1980 … 2210) ms, n=100, simulated"
        "%0A100 %25 slow; next: wait"
    )
    assert commands(document(UNDECIDED), inconclusive="error")[0].startswith("::error ")
    assert commands(document(UNDECIDED), inconclusive="") == []


def test_paths_are_those_of_the_repository():
    """Where pytest's root directory is a folder of it."""
    assert "file=packages/x/tests/a.py," in commands(document(FAILED), folder="packages/x/")[0]


def test_no_text_can_end_a_command_or_a_property():
    """Line ends, per cents, colons and commas of names and errors are encoded."""
    wild = result(
        "a,b:c.py::t\n::error::x",
        outcome="error",
        series_=[],
        error="50%\r\n::stop-commands::x",
        location=("a,b:c.py", 1),
    )
    assert commands(document(wild)) == [
        "::error file=a%2Cb%3Ac.py,line=1,title=a%2Cb%3Ac.py%3A%3At%0A%3A%3Aerror%3A%3Ax::50%25%0D%0A::stop-commands::x"
    ]


def test_errors_come_first_and_no_more_than_github_shows():
    """Ten of each."""
    many = [
        result(f"t.py::{kind}{n}", verdicts=[verdict(kind)]) for n in range(12) for kind in ("inconclusive", "failed")
    ]
    found = commands(document(*many, result(verdicts=[verdict()])))
    assert [line.split()[0] for line in found] == ["::error"] * 10 + ["::warning"] * 10
