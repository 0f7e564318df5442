"""One scenario in several processes, with pytest-xdist, and one verdict."""

from __future__ import annotations

import xml.etree.ElementTree as ET

import pytest

from pytest_llmperf.plugin.workers import worker_count

TOGETHER = """
import os
import pytest
from talk import *

@pytest.mark.llmperf(rounds=41, warmup=1, rate_per_minute=120)
@pytest.mark.latency(p50_ms=8000)
@pytest.mark.regression(p50=2)
async def test_rate():
    await ask_async()

@pytest.mark.llmperf(rounds=40, concurrency=5)
@pytest.mark.latency(p50_ms=1)
async def test_too_slow():
    await ask_async()

@pytest.mark.llmperf(rounds=10)
async def test_alone():
    await ask_async()

@pytest.mark.xfail(reason="it is slow", strict=True)
@pytest.mark.llmperf(rounds=20, concurrency=4)
@pytest.mark.latency(p50_ms=1)
async def test_slow_as_said():
    await ask_async()

@pytest.mark.xfail(reason="it was slow", strict=True)
@pytest.mark.llmperf(rounds=20, concurrency=4)
@pytest.mark.latency(p50_ms=8000)
async def test_slow_no_more():
    await ask_async()

@pytest.mark.llmperf(rounds=8, warmup=0)
@pytest.mark.arms(rate_per_minute=[600, 700, 800, 900])
async def test_levels(arm):
    ran(f"{os.environ['PYTEST_XDIST_WORKER']} {arm.name}")
    await ask_async()

@pytest.mark.llmperf(rounds=400, concurrency=4, max_usd=0.004)
@pytest.mark.latency(p50_ms=8000)
async def test_capped():
    await ask_async()

@pytest.mark.llmperf(rounds=40, concurrency=4)
@pytest.mark.latency(p50_ms=8000)
async def test_crash(llmperf):
    if os.environ["PYTEST_XDIST_WORKER"] == "gw1" and llmperf.round == 3:
        os._exit(1)
    await ask_async()
"""
APART = """
import os

def pytest_configure(config):
    # A worker is at home in a folder of its own, as on another machine.
    if hasattr(config, "workerinput"):
        home = config.rootpath / "homes" / config.workerinput["workerid"]
        home.mkdir(parents=True, exist_ok=True)
        os.chdir(home)
"""


WORKERS = ["--dist=each", "--max-worker-restart=0", "-v", "--llmperf-inconclusive=pass"]


@pytest.fixture
def together(suite_once):
    """The suite above, in four workers that run every test, held against a session of one process."""
    suite_once("accepted", TOGETHER, "-krate", "--llmperf-inconclusive=pass", "--llmperf-save=main")
    baselines = ["--llmperf-compare=main", "--llmperf-save=other"]
    return suite_once("together", TOGETHER, "-n4", *WORKERS, *baselines, "--junitxml=junit.xml", conftest=APART)


def verdict(ran, test, mark):
    """The verdict of a test on what a mark claims."""
    (found,) = [one for one in ran.test(test)["verdicts"] if mark in one["claim"]]
    return found


def test_the_calls_of_all_workers_make_one_verdict(together):
    """Each has its share of the rounds and of the rate, and they are judged as one series, in the order of sending."""
    arm, found = together.arm("test_rate"), verdict(together, "test_rate", "p50 e2e <=")
    assert (arm["rounds"], arm["calls"]) == ({"judged": 41, "warmup": 4, "failed": 0}, 41)
    assert (arm["rate_per_minute"], found["n"], found["outcome"]) == (120, 41, "passed")
    assert arm["metrics"]["rpm"]["mean"] == pytest.approx(120, rel=0.5)


def test_workers_draw_different_answers(together):
    """Seeds are a worker's own: the calls of one are no copies of another's."""
    values = together.arm("test_rate")["series"]["e2e"]
    assert len(set(values)) == len(values)


def test_the_verdict_is_a_test_of_its_own(together):
    """Workers' reports are parts; the run fails by the verdict on all of them, and by a crash."""
    assert together.code == pytest.ExitCode.TESTS_FAILED
    assert together.outcomes == {"failed": 3, "passed": 5, "xfailed": 1, "parts": 31}
    assert together.test("test_too_slow")["outcome"] == "failed"
    assert "p50 e2e <= 1 ms does not hold: measured" in together.out
    assert "worker 'gw1' crashed while running 'test_suite.py::test_crash'" in together.out


def test_a_crashed_worker_loses_only_its_own(together):
    """What the others measured is judged, and the report says that a part is missing."""
    test = together.test("test_crash")
    assert (test["outcome"], together.arm("test_crash")["calls"]) == ("passed", 30)
    assert test["notes"] == ["3 of 4 processes brought what they measured: the others' rounds are missing"]


def test_what_cannot_be_shared_is_run_by_one(together):
    """One round at a time is a matter of one process: the others run none."""
    test = together.test("test_alone")
    assert together.arm("test_alone")["calls"] == 10
    assert test["notes"][0].startswith("1 of 4 processes had rounds to run")


def test_a_cap_is_for_all_workers_together(together):
    """Each has its share of the dollars; all together they go beyond it by less than what was in flight."""
    arm = together.arm("test_capped")
    assert arm["ended_by"].startswith("llmperf mark: max_usd of $0.001 reached ($0.001")
    assert arm["ended_by"].endswith(", the share of one of 4 processes")
    assert 0.003 < arm["usage"]["cost_usd"] < 0.004 + 4 * 0.0002  # without the warm-ups, which count as well


def test_all_workers_run_load_levels_in_one_order(together):
    """The service meets one level at a time: the order is drawn by the seed of the test, not of a worker's part."""
    lines = (together.path / "bodies.log").read_text().splitlines()
    orders = {tuple(dict.fromkeys(line for line in lines if line.startswith(f"gw{place} "))) for place in range(4)}
    assert len({tuple(line.partition(" ")[2] for line in order) for order in orders}) == 1


def test_junit_has_the_figures_of_the_whole(together):
    """Of the cases of one name, the one with the verdict has its properties."""
    cases = ET.parse(together.path / "junit.xml").getroot().iter("testcase")
    found = [one.get("name") for case in cases if case.get("name") == "test_rate" for one in case.iter("property")]
    assert "llmperf.outcome" in found
    assert len(found) == len(set(found))


def test_xfail_is_said_of_the_whole(together):
    """Parts, which judge nothing, neither fail by the mark nor pass by it; the verdict on all of them does."""
    assert together.test("test_slow_as_said")["outcome"] == "xfailed"
    assert together.test("test_slow_no_more")["outcome"] == "passed"
    assert together.out.count("[XPASS(strict)] it was slow") == 1


def test_recordings_are_not_shared(suite):
    """All workers would write the same cassette: it is refused before any call, in words that say what to do."""
    ran = suite(TOGETHER, "-n2", "--dist=each", backend="record")
    assert ran.code == pytest.ExitCode.USAGE_ERROR
    assert "--llmperf-backend=record with --dist=each: 2 processes would write the same cassettes" in ran.out
    assert not ran.bodies


def test_the_workers_of_a_tx_are_counted(pytester):
    """A multiplier asks for several at once."""
    config = pytester.parseconfig("--tx=3*popen", "--tx=ssh=one", "--dist=each")
    assert worker_count(config) == 4


def test_what_all_measured_is_held_against_a_baseline(together):
    """Baselines are the controller's: workers, each in a folder of its own, read and write none, nor any other file."""
    found = verdict(together, "test_rate", "baseline main")
    assert (found["outcome"], found["n"]) == ("passed", 41 + 41)
    assert any(note.startswith("baseline main has 1 session") for note in together.test("test_rate")["notes"])
    assert together.out.count("nothing was saved to baseline other: the run did not pass") == 1
    assert sorted(path.name for path in (together.path / "homes").iterdir()) == ["gw0", "gw1", "gw2", "gw3"]
    assert not [path for path in (together.path / "homes").rglob("*") if path.is_file()]
