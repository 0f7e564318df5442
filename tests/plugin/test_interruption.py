"""Ctrl-C in the middle of sampling: the run ends as interrupted, and what was measured is shown and written."""

from __future__ import annotations

import signal
import subprocess
import time

import pytest

PREFIX = """
import os, signal
import pytest
from talk import *
pytestmark = pytest.mark.llmperf(rounds=50, warmup=1)

@pytest.fixture
def interrupt(llmperf):
    def interrupt():
        if llmperf.round == 5:
            os.kill(os.getpid(), signal.SIGINT)
    return interrupt

def test_before():
    ask()

"""
KINDS = {
    "plain": "def test_a(interrupt):\n    ask(); interrupt(); ask()\n",
    "asyncio": "async def test_a(interrupt):\n    await ask_async(); interrupt(); await ask_async()\n",
    "together": (
        "@pytest.mark.llmperf(concurrency=3)\n"
        "async def test_a(interrupt):\n    await ask_async(); interrupt(); await ask_async()\n"
    ),
    "trio": (
        "@pytest.fixture\ndef anyio_backend():\n    return 'trio'\n"
        "async def test_a(anyio_backend, interrupt):\n    await ask_async(); interrupt(); await ask_async()\n"
    ),
    "threads": (
        "import time\n@pytest.mark.llmperf(concurrency=3)\n"
        "def test_a(interrupt, llmperf):\n    ask(); interrupt(); ask(); time.sleep(llmperf.round >= 5 and 0.5)\n"
    ),
    "open": (
        "@pytest.mark.llmperf(rate_per_minute=600)\n"
        "async def test_a(interrupt):\n    await ask_async(); interrupt(); await ask_async()\n"
    ),
    "open-threads": (
        "@pytest.mark.llmperf(rate_per_minute=600)\ndef test_a(interrupt):\n    ask(); interrupt(); ask()\n"
    ),
    "fresh": "@pytest.mark.llmperf(fresh_fixtures=True)\ndef test_a(interrupt):\n    ask(); interrupt(); ask()\n",
    "unittest": (
        "import unittest\nclass TestA(unittest.TestCase):\n    count = 0\n    def test_a(self):\n        ask()\n"
        "        TestA.count += 1\n        if TestA.count == 7:\n            os.kill(os.getpid(), signal.SIGINT)\n"
        "        ask()\n"
    ),
}
RANGES = {"asyncio": (5, 6), "together": (3, 8), "threads": (5, 49), "open": (5, 49), "open-threads": (5, 49)}
"""How many rounds are judged, where it is not the five before: some were in flight, and threads go on until the main
one has woken."""


@pytest.mark.parametrize("kind", KINDS)
def test_what_was_gathered_is_kept(suite, kind):
    """The exit code is 2, and table and JSON have the whole rounds, marked as interrupted; the test before is whole."""
    ran = suite(PREFIX + KINDS[kind] + "\ndef test_after(): ran('after')\n")
    assert ran.code == pytest.ExitCode.INTERRUPTED, ran.text
    assert "KeyboardInterrupt" in ran.out
    assert not ran.bodies
    before, test = ran.test("test_before"), ran.test("test_a")
    assert (before["outcome"], before["interrupted"], before["arms"][0]["rounds"]["judged"]) == ("passed", False, 50)
    assert (test["outcome"], test["interrupted"], test["verdicts"]) == ("error", True, [])
    judged = test["arms"][0]["rounds"]["judged"]
    least, most = RANGES.get(kind, (5, 5))
    assert least <= judged <= most
    assert "partial: interrupted before all rounds were run" in ran.out
    assert "::test_a" in ran.out


def test_a_signal_from_outside(laid_out, left_in):
    """The same for a process of its own that gets SIGINT while it samples in real time."""
    how = laid_out(
        """
        import pytest
        from talk import *
        @pytest.mark.llmperf(rounds=100_000, warmup=0)
        async def test_a():
            ran("a"); await ask_async("output_tokens=1")
        """,
        "--llmperf-clock=realtime",
    )
    ran = left_in(how["cwd"])
    with subprocess.Popen(**how, stdout=subprocess.PIPE, text=True) as process:
        deadline = time.monotonic() + 90
        while ran.bodies["a"] < 3 and process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.1)
        process.send_signal(signal.SIGINT)
        out, _ = process.communicate(timeout=60)
    assert process.returncode == pytest.ExitCode.INTERRUPTED, out
    assert ran.test()["interrupted"]
    assert ran.arm()["rounds"]["judged"] >= 2
    assert ran.test()["clock"] == "realtime"
    assert "partial: interrupted before all rounds were run" in out
