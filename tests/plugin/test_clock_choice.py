"""Which clock keeps a scenario's time, and what it cannot answer."""

from __future__ import annotations

import time

CLAIMS = """
import anthropic, pytest
from talk import *
pytestmark = pytest.mark.llmperf(rounds=6, warmup=0, stop="fixed")

@pytest.fixture
def anyio_backend():
    return "trio"

@pytest.mark.latency(p50_ms=60_000, metric="scenario")
def test_scenario(): ran("body"); ask()

@pytest.mark.latency(p50_ms=60_000, metric="call")
async def test_call(): ran("body"); await ask_async()

@pytest.mark.throughput(min_rpm=1)
@pytest.mark.llmperf(rounds=30)
def test_total(): ran("body"); ask()

@pytest.mark.latency(p50_ms=60_000, metric="scenario")
async def test_trio(anyio_backend): ran("body"); await ask_async()

@pytest.mark.latency(p50_ms=60_000, metric="scenario")
@pytest.mark.llmperf(concurrency=2)
def test_threads(): ran("body"); ask()
"""


def test_the_instant_clock_refuses_what_it_cannot_give(suite):
    """Wall times and totals are refused with the claim, the reason and the clocks that can, and no body is run."""
    ran = suite(CLAIMS, "--llmperf-clock=instant")
    assert ran.outcomes == {"failed": 5}
    assert not ran.bodies
    for claim, metric in (
        ("latency(p50_ms=60000, metric='scenario')", "scenario"),
        ("latency(p50_ms=60000, metric='call')", "call"),
        ("throughput(min_rpm=1)", "rpm"),
    ):
        assert f"{claim}: the instant clock does not wait, so it cannot give {metric}; use --llmperf-clock=" in ran.out


def test_auto_takes_the_instant_clock_where_it_must(suite):
    """On trio and for threads there is no virtual time, and such a claim is refused there alone."""
    ran = suite(CLAIMS)
    assert ran.outcomes == {"passed": 3, "failed": 2}, ran.text
    assert ran.bodies == {"body": 42}
    outcomes = {test["nodeid"].rpartition("::")[2]: (test["outcome"], test["clock"]) for test in ran.report["tests"]}
    assert {name for name, (outcome, _) in outcomes.items() if outcome == "error"} == {"test_trio", "test_threads"}
    assert {clock for outcome, clock in outcomes.values() if outcome == "passed"} == {"virtual"}


def test_virtual_time_that_is_asked_for_is_given_or_refused(suite):
    """Where it is not possible the reason is said; nothing is measured on another clock in its place."""
    ran = suite(CLAIMS, "--llmperf-clock=virtual")
    assert ran.outcomes == {"passed": 3, "failed": 2}
    assert "--llmperf-clock=virtual: trio keeps its own time" in ran.out
    assert "--llmperf-clock=virtual: a plain (not async) test cannot run several rounds at once in virtual" in ran.out


THREADS = """
import threading, pytest
from talk import *

def in_a_thread():
    thread = threading.Thread(target=ask)
    thread.start()
    thread.join()

@pytest.mark.llmperf(rounds=3, warmup=1)
def test_plain(): ran("plain"); in_a_thread()

@pytest.mark.llmperf(rounds=3, warmup=1)
async def test_coroutine(): ran("coroutine"); in_a_thread()

@pytest.mark.llmperf(rounds=3, warmup=1, fresh_fixtures=True)
def test_fresh(): ran("fresh"); in_a_thread()
"""


def test_threads_of_the_test_make_the_rounds_begin_anew(suite):
    """A request from a bare thread shows that virtual time is not possible: all rounds are run on the instant clock."""
    ran = suite(THREADS)
    assert ran.outcomes == {"passed": 3}, ran.text
    assert ran.bodies == {"plain": 5, "coroutine": 5, "fresh": 5}
    assert "warning" not in ran.out
    for test in ran.report["tests"]:
        (arm,) = test["arms"]
        assert (test["clock"], arm["calls"], arm["unattributed"]) == ("instant", 3, 0)
        (note,) = test["notes"]
        assert note.startswith("the instant clock was used, and the rounds begun anew: thread 'Thread-")


def test_threads_of_the_test_where_virtual_time_is_asked_for(suite):
    """Then it is refused, with the thread's name and the clocks that can."""
    ran = suite(THREADS, "--llmperf-clock=virtual", "-k", "plain")
    assert ran.outcomes == {"failed": 1}
    assert "--llmperf-clock=virtual: thread 'Thread-" in ran.out
    assert "cannot live in virtual time; use --llmperf-clock=instant or realtime" in ran.out


SLOW = """
import pytest
from talk import *

@pytest.fixture
def anyio_backend():
    return "asyncio"

@pytest.mark.llmperf(rounds=100, stop="fixed")
@pytest.mark.latency(p95_ms=10_600, p50_ms=9_000, metric="scenario")
def test_plain():
    ask("output_tokens=400", max_tokens=500)

@pytest.mark.llmperf(rounds=100, stop="fixed", concurrency=10)
@pytest.mark.latency(p50_ms=20_000, metric="scenario")
async def test_coroutine():
    await ask_async("output_tokens=400", max_tokens=500)

@pytest.mark.llmperf(rounds=10, stop="fixed")
async def test_anyio(anyio_backend):
    await ask_async("output_tokens=400", max_tokens=500)
"""


def test_a_hundred_rounds_of_ten_seconds(suite):
    """In virtual time they take no longer than their computing, and the wall time of a round is the scenario's."""
    before = time.perf_counter()
    ran = suite(SLOW, "--llmperf-inconclusive=pass")
    assert time.perf_counter() - before < sum(ran.arm("test_plain")["series"]["scenario"]) / 10
    plain = ran.arm("test_plain")["metrics"]["scenario"]
    assert 9 < plain["p50"] < 12
    assert {test["clock"] for test in ran.report["tests"]} == {"virtual"}
    assert ran.arm("test_anyio")["metrics"]["scenario"]["p50"] > 9
    assert ran.arm("test_coroutine")["rounds"]["judged"] == 100


def test_realtime_is_real(suite):
    """With the realtime clock even the simulated API takes its time."""
    source = """
        import pytest
        from talk import *
        @pytest.mark.llmperf(rounds=1, warmup=0)
        async def test_a(): await ask_async("output_tokens=1")
    """
    before = time.perf_counter()
    ran = suite(source, "--llmperf-clock=realtime")
    taken = time.perf_counter() - before
    assert taken > ran.arm()["metrics"]["scenario"]["p50"] > 0.1
    assert (ran.test()["clock"], ran.test()["source"]) == ("realtime", "simulated")


def test_limits_of_the_simulated_api_live_by_the_scenarios_clock(suite, pytester):
    """A rate limit that refills in virtual time throttles no one who asks once in ten virtual minutes."""
    (pytester.path / "limited.toml").write_text(
        'extends = "claude-opus-4"\n[limits]\nenabled = true\nrequests_per_minute = 1\nburst = 1\n'
    )
    source = """
        import asyncio, time, pytest
        from talk import *
        pytestmark = pytest.mark.llmperf(rounds=5, warmup=0)
        async def test_coroutine(): await ask_async(); await asyncio.sleep(600)
        def test_plain(): ask(); time.sleep(600)
    """
    ran = suite(source, "--llmperf-profile=limited.toml")
    assert [test["arms"][0]["attempts"] for test in ran.report["tests"]] == [5, 5]
