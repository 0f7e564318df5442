"""One scenario in several processes, with pytest-xdist, and one verdict."""

from __future__ import annotations

import pytest

TOGETHER = """
import os
import pytest
from talk import *

@pytest.mark.llmperf(rounds=41, warmup=1, rate_per_minute=120)
@pytest.mark.latency(p50_ms=8000)
async def test_rate():
    await ask_async()

@pytest.mark.llmperf(rounds=40, concurrency=3)
@pytest.mark.latency(p50_ms=1)
async def test_too_slow():
    await ask_async()

@pytest.mark.llmperf(rounds=10)
async def test_alone():
    await ask_async()

@pytest.mark.llmperf(rounds=40, concurrency=2)
@pytest.mark.latency(p50_ms=8000)
async def test_crash(llmperf):
    if os.environ["PYTEST_XDIST_WORKER"] == "gw1" and llmperf.round == 3:
        os._exit(1)
    await ask_async()
"""


@pytest.fixture
def together(suite_once):
    """The suite above, in two workers that run every test."""
    return suite_once("together", TOGETHER, "-n2", "--dist=each", "-v")


def test_the_calls_of_all_workers_make_one_verdict(together):
    """Each has its share of the rounds and of the rate, and they are judged as one series, in the order of sending."""
    arm, verdict = together.arm("test_rate"), together.verdict("test_rate")
    assert (arm["rounds"], arm["calls"]) == ({"judged": 41, "warmup": 2, "failed": 0}, 41)
    assert (arm["rate_per_minute"], verdict["n"], verdict["outcome"]) == (120, 41, "passed")
    assert arm["metrics"]["rpm"]["mean"] == pytest.approx(120, rel=0.5)


def test_workers_draw_different_answers(together):
    """Seeds are a worker's own: half the calls are no copies of the other half."""
    values = together.arm("test_rate")["series"]["e2e"]
    assert len(set(values)) == len(values)


def test_the_verdict_is_a_test_of_its_own(together):
    """Workers' reports are parts; the run fails by the verdict on all of them, and by a crash."""
    assert together.code == pytest.ExitCode.TESTS_FAILED
    assert together.outcomes == {"failed": 2, "passed": 3, "parts": 7}
    assert together.test("test_too_slow")["outcome"] == "failed"
    assert "p50 e2e <= 1 ms does not hold: measured" in together.out
    assert "worker 'gw1' crashed while running 'test_suite.py::test_crash'" in together.out


def test_a_crashed_worker_loses_only_its_own(together):
    """What the other measured is judged, and the report says that a part is missing."""
    test = together.test("test_crash")
    assert (test["outcome"], together.arm("test_crash")["calls"]) == ("passed", 20)
    assert test["notes"] == ["1 of 2 processes brought what they measured: the others' rounds are missing"]


def test_what_cannot_be_shared_is_run_by_one(together):
    """One round at a time is a matter of one process: the other runs none."""
    test = together.test("test_alone")
    assert together.arm("test_alone")["calls"] == 10
    assert test["notes"][0].startswith("1 of 2 processes had rounds to run")
