"""Rounds that do not end as they should: assertions, skips, errors of the provider, and calls nobody made."""

from __future__ import annotations

import re

import pytest

ASSERTION = """
import pytest
from talk import *
pytestmark = pytest.mark.llmperf(rounds=20, warmup=2)

count = 0

def check():
    global count
    count += 1
    ran("body")
    assert count < 5, "the third answer was wrong"

@pytest.mark.latency(p50_ms=60_000)
def test_a():
    ask()
    check()
"""

KINDS = {
    "plain": "@pytest.mark.latency(p50_ms=60_000)\ndef test_a():\n    ask(); check()\n",
    "asyncio": "@pytest.mark.latency(p50_ms=60_000)\nasync def test_a():\n    await ask_async(); check()\n",
    "unittest": (
        "import unittest\n@pytest.mark.latency(p50_ms=60_000)\nclass TestA(unittest.TestCase):\n"
        "    def test_a(self):\n        ask(); check()\n"
    ),
    "async unittest": (
        "import unittest\n@pytest.mark.latency(p50_ms=60_000)\nclass TestA(unittest.IsolatedAsyncioTestCase):\n"
        "    async def test_a(self):\n        await ask_async(); check()\n"
    ),
    "fresh": "@pytest.mark.llmperf(fresh_fixtures=True)\n@pytest.mark.latency(p50_ms=60_000)\ndef test_a():\n    ask(); check()\n",
    "in threads": "@pytest.mark.llmperf(concurrency=2)\n@pytest.mark.latency(p50_ms=60_000)\ndef test_a():\n    ask(); check()\n",
    "in tasks": "@pytest.mark.llmperf(concurrency=2)\n@pytest.mark.latency(p50_ms=60_000)\nasync def test_a():\n    await ask_async(); check()\n",
}
PREFIX = ASSERTION[: ASSERTION.index("@pytest.mark.latency")]


@pytest.mark.parametrize("kind", KINDS)
def test_a_failing_assertion_ends_the_test_at_once(suite, kind):
    """The message names the round, the traceback is the body's own, and what was measured is kept."""
    ran = suite(PREFIX + KINDS[kind])
    assert ran.outcomes == {"failed": 1}, ran.text
    overlapping = kind.startswith("in ")
    assert (ran.bodies["body"] == 5) or (overlapping and ran.bodies["body"] <= 7)
    assert "AssertionError: the third answer was wrong" in ran.out
    assert "assert count < 5" in ran.out
    (number,) = set(re.findall(r"llmperf: in round (\d) of 20", ran.out))
    assert number == "3" or overlapping
    test = ran.test()
    assert test["outcome"] == "error"
    assert test["error"].startswith(f"round {number} of 20: AssertionError: the third answer was wrong")
    assert test["verdicts"] == []
    assert test["arms"][0]["rounds"]["warmup"] == 2
    assert test["arms"][0]["rounds"]["judged"] == len(test["arms"][0]["series"]["e2e"])
    assert test["arms"][0]["calls"] >= 3


def test_an_assertion_in_a_warm_up_is_said_to_be_one(suite):
    """The round is named as it is counted."""
    ran = suite("""
        import pytest
        from talk import *
        @pytest.mark.llmperf(rounds=20, warmup=2)
        def test_a():
            assert ask() is None
    """)
    assert "llmperf: in warm-up round 1 of 2" in ran.out
    assert "FAILED (" not in ran.out


SKIPS = """
import pytest, unittest
from talk import *
pytestmark = pytest.mark.llmperf(rounds=5)

def test_at_first():
    pytest.skip("not today")

rounds = iter(range(100))

def test_later():
    ask()
    if next(rounds) == 2:
        pytest.skip("no longer")

class TestCase(unittest.TestCase):
    def test_at_first(self):
        self.skipTest("not today")

    def test_later_case(self):
        ask()
        if next(rounds) > 5:
            self.skipTest("no longer")

@pytest.mark.skip(reason="marked so")
def test_marked():
    ran("marked")
"""


def test_a_skip_counts_in_the_first_round_only(suite):
    """A test that skips at once is skipped; one that skips after rounds were measured is an error that says so."""
    ran = suite(SKIPS, "-rs", "-v")
    assert ran.outcomes == {"skipped": 3, "failed": 2}, ran.text
    assert ran.out.count("round 2 of 5 was skipped (no longer) after others had run: the measurement is not whole") >= 1
    assert "not today" in ran.out
    outcomes = {test["nodeid"].rpartition("::")[2]: test["outcome"] for test in ran.report["tests"]}
    assert outcomes == {"test_later": "error", "test_later_case": "error"}
    assert not ran.bodies


FAULTS = """
import pytest, unittest
from talk import *
pytestmark = pytest.mark.llmperf(rounds=10, warmup=0, stop="fixed")

@pytest.fixture
def fault(llmperf):
    # Every third round has it, in each of its attempts.
    return lambda kind, attempts=9: f"fault={kind}:{attempts}" if llmperf.round % 3 == 0 else ""

def once():
    return client().with_options(max_retries=0)

def test_overloaded(fault):
    ask(fault("status_529"), by=once())

def test_cut(fault):
    ask_streamed(fault("disconnect"), by=once())

def test_wrapped(fault):
    try:
        ask(fault("status_500"), by=once())
    except Exception as error:
        raise ValueError("the agent gave up") from error

async def test_asyncio(fault):
    await ask_async(fault("connect"), by=async_client().with_options(max_retries=0))

def test_retried(fault):
    ask(fault("status_529", 1), by=client().with_options(max_retries=2))

def test_handled(fault):
    try:
        ask(fault("status_500"), by=once())
    except Exception:
        pass

def test_bug_after_a_failed_call():
    try:
        ask("fault=status_500:9", by=once())
    except Exception:
        pass
    raise ZeroDivisionError("a bug")

def test_invalid():
    ask("nonsense=yes")

@pytest.mark.error_rate(max=0.5)
def test_invalid_and_counted(fault):
    ask("nonsense=yes" if fault("") else "")
"""


def test_errors_of_the_provider_are_counted(suite_once):
    """A call that failed in the end is a failed call and a failed round, not the end of the test."""
    ran = suite_once("faults", FAULTS)
    found = {test["nodeid"].partition("::")[2]: test for test in ran.report["tests"]}
    of_the_provider = ["test_overloaded", "test_cut", "test_wrapped", "test_asyncio", "test_invalid_and_counted"]
    for name in of_the_provider:
        (arm,) = found[name]["arms"]
        assert (arm["calls"], sum(arm["failures"].values()), arm["rounds"]["failed"]) == (10, 4, 4), name
    (handled,) = found["test_handled"]["arms"]
    assert (handled["calls"], sum(handled["failures"].values()), handled["rounds"]["failed"]) == (10, 4, 0)


def test_a_bug_is_no_error_of_the_provider(suite_once):
    """An exception of the body's own ends the test although a call of its round failed."""
    test = suite_once("faults", FAULTS).test("test_bug_after_a_failed_call")
    assert test["error"].startswith("round 1 of 10: ZeroDivisionError: a bug")


def test_an_invalid_request_ends_the_test(suite_once):
    """A request the provider calls invalid would be so each time: it ends the test, unless errors are claimed."""
    ran = suite_once("faults", FAULTS)
    assert ran.test("test_invalid")["error"].startswith("round 1 of 10: BadRequestError")
    assert ran.test("test_invalid_and_counted")["outcome"] != "error"


def test_retries_are_part_of_their_call(suite_once):
    """An attempt that was answered 529 and repeated makes one call of two attempts."""
    arm = suite_once("faults", FAULTS).arm("test_retried")
    assert (arm["calls"], arm["attempts"]) == (10, 14)


PROFILE = """
extends = "claude-opus-4"
[faults]
status_529 = 1.0
"""


def test_a_profile_can_have_faults(suite, pytester):
    """With a profile whose every answer is an error, all calls fail, and a claim on their latency with them."""
    (pytester.path / "down.toml").write_text(PROFILE)
    source = """
        import pytest
        from talk import *
        @pytest.mark.llmperf(rounds=30, stop="fixed")
        @pytest.mark.error_rate(max=0.1)
        @pytest.mark.latency(p95_ms=60_000)
        def test_a():
            ask(by=client().with_options(max_retries=0))
    """
    ran = suite(source, "--llmperf-profile=down.toml")
    assert ran.outcomes == {"failed": 1}
    assert [verdict["outcome"] for verdict in ran.test()["verdicts"]] == ["failed", "failed"]
    assert "error_rate <= 10 % does not hold: measured 100 %" in ran.out


def test_a_profile_that_is_not_there_is_named(suite):
    """It is a slip of the run's settings, found before any test."""
    source = "import pytest\n@pytest.mark.llmperf(rounds=1)\ndef test_a(): ..."
    ran = suite(source, "--llmperf-profile=no-such")
    assert (ran.code, "no profile is called 'no-such'" in ran.text) == (pytest.ExitCode.USAGE_ERROR, True)


NO_CALL = """
import pytest
from talk import *
pytestmark = pytest.mark.llmperf(rounds=8)

@pytest.mark.latency(p50_ms=100)
def test_forgotten(): ran("forgotten")

@pytest.mark.claim(metric="steps", statistic="p50", max=3)
def test_own_number(llmperf):
    llmperf.record("steps", 2)

@pytest.mark.latency(p50_ms=100, metric="scenario")
def test_wall_time(): ...

def test_without_claim(): ...
"""


def test_a_claim_on_calls_needs_calls(suite):
    """When no LLM call was seen the claim is an error that says where calls must be made; other claims stand."""
    ran = suite(NO_CALL)
    assert ran.outcomes == {"failed": 1, "passed": 3}, ran.text
    assert "latency(p50_ms=100): no LLM call was seen in 9 rounds: the call must be made in this process" in ran.out
    assert ran.test("test_forgotten")["outcome"] == "error"
    assert ran.test("test_own_number")["outcome"] == "passed"


def test_a_mixture_of_streams_asks_for_the_metric(suite):
    """Some calls streamed and some not: the claim does not say what it means, and the data is kept."""
    ran = suite("""
        import pytest
        from talk import *
        @pytest.mark.llmperf(rounds=8)
        @pytest.mark.latency(p50_ms=100)
        def test_a():
            ask(); ask_streamed()
    """)
    assert 'say which with metric="ttft" or metric="e2e"' in ran.out
    assert (ran.test()["outcome"], ran.arm()["calls"]) == ("error", 16)
