"""How a judged test ends, and how that is told."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest
import xmlschema

JUNIT = Path(__file__).parent.parent / "data" / "junit" / "junit-10.xsd"

SOURCE = """
import pytest
from talk import *

pytestmark = pytest.mark.llmperf(rounds=70, stop="fixed")

@pytest.mark.latency(p95_ms=60_000)
def test_within():
    ask()

@pytest.mark.latency(p95_ms=100, p50_ms=60_000)
def test_beyond():
    ask()

@pytest.mark.llmperf(rounds=20)
@pytest.mark.latency(p95_ms=60_000)
def test_undecided():
    ask()

@pytest.mark.llmperf(concurrency=3)
async def test_without_claim():
    await ask_async("fault=status_529:1")

def test_plain():
    pass
test_plain.pytestmark = [pytest.mark.llmperf(off=True)]
"""


FILES = ("--junitxml=junit.xml", "--llmperf-markdown=r.md", "--llmperf-html=r.html", "--llmperf-csv=r.csv")


@pytest.fixture
def run(suite_once):
    """A function that gives the run of the suite in one process or in two workers."""

    def of(way):
        workers = ("-n2",) if way == "two workers" else ()
        return suite_once(f"outcomes, {way}", SOURCE, "-v", *FILES, "--llmperf-seed=1", *workers)

    return of


@pytest.fixture(params=["one process", "two workers"])
def ran(request, run):
    """The suite, run once in each way."""
    return run(request.param)


def test_two_workers_write_the_report_of_one_process(run):
    """However the tests were distributed, their report is the same."""
    spread, alone = (dict(run(way).report) for way in ("two workers", "one process"))
    del spread["started"], alone["started"]
    assert spread == alone


def test_two_workers_show_what_one_process_shows(run):
    """The table, the exit status and every file, but for when and how long and where."""
    spread, alone = run("two workers"), run("one process")
    assert spread.code == alone.code
    tables = [ran.out[ran.out.index("= llmperf: ") :].partition("= short test summary")[0] for ran in (spread, alone)]
    assert _anonymous(tables[0], spread) == _anonymous(tables[1], alone)
    for name in ("r.md", "r.html", "r.csv", "junit.xml"):
        texts = [_anonymous((ran.path / name).read_text(), ran) for ran in (spread, alone)]
        assert texts[0] == texts[1], name


def _anonymous(text, ran):
    """Without the moments and the durations of a run, and the folder it ran in; the cases of a JUnit file in order."""
    text = (
        text.replace(str(ran.path), "")
        .replace(ran.report["started"], "")
        .replace(ran.report["started"].replace("T", " "), "")
    )
    text = re.sub(r' (?:time|timestamp)="[^"]*"|-+ generated xml file.*', "", text)
    head, *cases = text.split("<testcase ") if text.startswith("<?xml") else (text,)
    return [head, *sorted(case.removesuffix("</testsuite></testsuites>") for case in cases)]


def test_three_outcomes(ran):
    """Shown within the limit passes, shown beyond it fails, and what is shown neither way warns and passes."""
    assert ran.outcomes == {"passed": 3, "failed": 1, "inconclusive": 1}
    assert ran.code == pytest.ExitCode.TESTS_FAILED
    outcomes = {test["nodeid"].partition("::")[2]: test["outcome"] for test in ran.report["tests"]}
    assert outcomes == {
        "test_beyond": "failed",
        "test_undecided": "inconclusive",
        "test_within": "passed",
        "test_without_claim": "passed",
    }


def test_the_deciding_line_stands_beside_the_test(ran):
    """`-v` shows claim, measurement and ground of each test."""
    shown = [line.partition(" ")[2] for line in ran.out.splitlines() if "test_suite.py::" in line]
    text = "\n".join(shown)
    assert "PASSED" in text
    for words in (
        " ms <= 60 s, n=70, simulated)",
        " ms > 100 ms, n=70, simulated, +1 claim)",
        "INCONCLUSIVE (p95 e2e ",
    ):
        assert words in ran.out
    assert "(no claim, 70 rounds, simulated)" in ran.out


def test_the_failure_says_all_in_its_first_line(ran):
    """Claim, measurement and ground; below it limit, interval and what to do next, and no traceback."""
    lines = ran.out.splitlines()
    heading = next(number for number, line in enumerate(lines) if line.strip("_ ") == "test_beyond")
    first = next(line for line in lines[heading + 1 :] if line.startswith("p95"))
    assert first.startswith("p95 e2e <= 100 ms does not hold: measured ")
    assert first.endswith("n=70, simulated")
    assert "execution.py" not in ran.out
    assert "Traceback" not in ran.out


def test_the_inconclusive_test_is_a_warning(ran):
    """By default an undecided claim warns with what would settle it, once."""
    assert ran.out.count("LLMPerfWarning: p95 e2e <= 60 s is not decided") == 1
    assert "59 clean calls are the fewest that can pass" in ran.out


def test_the_budget_that_cannot_pass_is_warned_of_once(ran):
    """Of several processes that collect the same test, one says so."""
    assert ran.out.count("20 rounds can fail p95 ttft or e2e <= 60 s but never pass it; 59 are needed") == 1


def test_the_table_has_every_test(ran):
    """One table at the end, whichever process ran a test."""
    assert ran.out.count("llmperf: 2 of 4 claims passed, 1 failed, 1 inconclusive, simulated") == 1


def test_junit_takes_the_failure_for_a_failure(ran):
    """The XML has the failing claim as a failure of its test case, with its text and the figures as properties."""
    cases = {case.get("name"): case for case in ET.parse(ran.path / "junit.xml").iter("testcase")}
    (failure,) = cases["test_beyond"].findall("failure")
    assert failure.get("message").startswith("ClaimFailed: p95 e2e <= 100 ms does not hold: measured")
    assert not cases["test_within"].findall("failure")
    found = {each.get("name"): each.get("value") for each in cases["test_beyond"].iter("property")}
    assert found["llmperf.outcome"] == "failed"
    assert found["llmperf.claim1"] in ("p95 e2e <= 100 ms", "p50 e2e <= 60 s")
    assert float(found["llmperf.e2e.p95_ms"]) > 100
    assert not list(cases["test_plain"].iter("property"))


def test_a_property_stands_once(ran):
    """No test case has a property twice. Properties of test cases are all that strict readers may reject."""
    tree = ET.parse(ran.path / "junit.xml")
    for case in tree.iter("testcase"):
        case[:] = [inner for inner in case if inner.tag != "properties"]
    xmlschema.XMLSchema(JUNIT).validate(tree)
    for case in ET.parse(ran.path / "junit.xml").iter("testcase"):
        names = [each.get("name") for each in case.iter("property")]
        assert len(names) == len(set(names))


TWO = """
import pytest
from talk import *
pytestmark = pytest.mark.llmperf(rounds=8, warmup=0, stop="fixed")

@pytest.mark.latency(p95_ms=60_000)
def test_undecided(record_property):
    record_property("mine", ["a", "list"])
    ask()

@pytest.mark.xfail(strict=True, reason="known to be slow")
@pytest.mark.latency(p50_ms=1)
def test_known():
    ask()
"""


@pytest.mark.parametrize(
    ("policy", "outcomes", "code"),
    [
        ("warn", {"inconclusive": 1, "xfailed": 1}, 0),
        ("pass", {"passed": 1, "xfailed": 1}, 0),
        ("fail", {"failed": 1, "xfailed": 1}, 1),
    ],
)
def test_an_undecided_claim_ends_as_the_run_asks(suite, policy, outcomes, code):
    """It warns, passes silently, or fails; a claim that fails as its xfail mark says is expected."""
    ran = suite(TWO, f"--llmperf-inconclusive={policy}")
    assert (ran.outcomes, ran.code) == (outcomes, code), ran.text
    assert ("is not decided" in ran.out) == (policy != "pass")
    assert ran.out.count("LLMPerfWarning: p95 e2e <= 60 s is not decided") == (policy == "warn")
    assert ran.test("test_undecided")["outcome"] == "inconclusive"


def test_an_xfail_mark_that_does_not_come_true(suite):
    """A strict xfail on a claim that holds fails, as it does on any test."""
    ran = suite("""
        import pytest
        from talk import *
        @pytest.mark.xfail(strict=True)
        @pytest.mark.llmperf(rounds=8)
        @pytest.mark.latency(p50_ms=60_000)
        def test_a(): ask()
    """)
    assert ran.outcomes == {"failed": 1}
    assert "XPASS(strict)" in ran.out


def test_the_last_failed_test_runs_again(suite, pytester):
    """`--lf` picks the test whose claim failed."""
    source = """
        import pytest
        from talk import *
        pytestmark = pytest.mark.llmperf(rounds=20, stop="fixed")
        @pytest.mark.latency(p50_ms=1)
        def test_slow(): ran("slow"); ask()
        @pytest.mark.latency(p50_ms=60_000)
        def test_fast(): ran("fast"); ask()
    """
    assert suite(source, "-p", "cacheprovider").outcomes == {"passed": 1, "failed": 1}
    again = suite(source, "-p", "cacheprovider", "--lf")
    assert again.outcomes["failed"] == 1
    assert "passed" not in again.outcomes


WILD = """

@pytest.mark.arms(prompt=["<b>&'\\"", "ä\\x00\\ud800"])
@pytest.mark.latency(p50_ms=1)
def test_wild(arm):
    ask()

@pytest.mark.parametrize("text", ["]]>\\x1b[0m"])
def test_broken(text):
    raise RuntimeError(text)
"""


@pytest.mark.parametrize("where", ["suite", "off"])
def test_junit_properties_go_where_they_are_wanted(suite, where):
    """On the suite, for readers that reject properties of test cases; or nowhere. Strict readers take both."""
    ran = suite(
        TWO.replace('    record_property("mine", ["a", "list"])\n', "") + WILD,
        "--junitxml=junit.xml",
        f"--llmperf-junit={where}",
    )
    xmlschema.XMLSchema(JUNIT).validate(ran.path / "junit.xml")
    tree = ET.parse(ran.path / "junit.xml")
    (whole,) = tree.iter("testsuite")
    own = whole.find("properties")
    names = [each.get("name") for each in own] if own is not None else []
    assert len(names) == len(set(names))
    assert any(name.endswith("test_undecided llmperf.outcome") for name in names) == (where == "suite")
    assert not [each for case in tree.iter("testcase") for each in case.iter("property")]


RERUN = """
import copy
import pytest
from _pytest.runner import runtestprotocol

@pytest.hookimpl(tryfirst=True)
def pytest_runtest_protocol(item, nextitem):
    item.ihook.pytest_runtest_logstart(nodeid=item.nodeid, location=item.location)
    runtestprotocol(item, nextitem=copy.copy(item), log=False)
    for report in runtestprotocol(item, nextitem=nextitem, log=False):
        item.ihook.pytest_runtest_logreport(report=report)
    item.ihook.pytest_runtest_logfinish(nodeid=item.nodeid, location=item.location)
    return True
"""
"""As a plugin does that runs a test again: the reports of the second run count."""


def test_a_rerun_has_its_own_properties(suite):
    """A plugin that runs a failed test again finds one property for each figure, not one for each attempt."""
    ran = suite(
        TWO,
        "--junitxml=junit.xml",
        "--llmperf-inconclusive=fail",
        conftest=RERUN,
    )
    assert ran.outcomes == {"failed": 1, "xfailed": 1}
    case = next(
        case for case in ET.parse(ran.path / "junit.xml").iter("testcase") if case.get("name") == "test_undecided"
    )
    names = [each.get("name") for each in case.iter("property")]
    assert names.count("llmperf.outcome") == names.count("mine") == 1
    assert ran.test("test_undecided")["arms"][0]["rounds"]["judged"] <= 8


def test_a_rerun_that_skips_has_no_result(suite):
    """What the run before it showed is not passed off as its own."""
    source = """
        import pytest
        from talk import *
        runs = []
        @pytest.mark.llmperf(rounds=8, warmup=0, stop="fixed")
        @pytest.mark.latency(p50_ms=1)
        def test_a(llmperf):
            if llmperf.round == 0:
                runs.append(1)
            if len(runs) == 2:
                pytest.skip("not again")
            ask()
        def test_other(): ...
    """
    ran = suite(source, conftest=RERUN)
    assert ran.outcomes == {"skipped": 1, "passed": 1}, ran.text
    assert not (ran.path / "report.json").exists()
