"""Tests that pytest-recording serves: timed while both plugins are there, unchanged when ours is gone."""

from __future__ import annotations

import pytest
import yaml

from pytest_llmperf.cassettes.upgrade import can_upgrade
from pytest_llmperf.simulator.server import running_server

pytestmark = pytest.mark.skipif(not can_upgrade(), reason="this vcrpy does not let its own patches be left out")
QUICK = """
extends = "claude-opus-4"
[workloads.mixed]
ttft_p50_ms = 400
ttft_p95_ms = 410
[throughput]
context_tokens_per_second = [[1000, 2000]]
"""
CLOSING = """
import pytest, talk
@pytest.fixture(scope="session", autouse=True)
def closing():
    yield
    talk.client().close()
"""


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """Address of a simulated API whose first token takes 400 ms."""
    profile = tmp_path_factory.mktemp("profile") / "quick.toml"
    profile.write_text(QUICK)
    with running_server(profile) as url:
        yield url


@pytest.fixture(autouse=True)
def _base_url(_environment, server, monkeypatch):
    """By default vcrpy tells hosts apart, so all runs ask the same one."""
    monkeypatch.setenv("ANTHROPIC_BASE_URL", server)


@pytest.fixture
def recorded(suite):
    """Run a suite with pytest-recording's record mode."""

    def run(source, *arguments):
        return suite(source, "--record-mode=once", *arguments, backend="replay", conftest=CLOSING)

    return run


@pytest.fixture
def without_us(suite, pytester):
    """Run a suite in which our plugin does not exist."""

    def run(source, *arguments):
        suite(source, "--collect-only", backend="replay", conftest=CLOSING)
        (pytester.path / "plain.ini").write_text("[pytest]\nasyncio_default_fixture_loop_scope = function\n")
        return pytester.runpytest_inprocess("-c", "plain.ini", "-p", "no:llmperf", "-p", "no:cacheprovider", *arguments)

    return run


def interactions(ran):
    """What the cassette holds."""
    return yaml.safe_load((ran.path / "cassettes" / "test_suite" / "test_a.yaml").read_text())["interactions"]


TIMED = """
import pytest, time
from talk import *
@pytest.mark.vcr
def test_a():
    began, seen = time.perf_counter(), []
    for event in client().messages.create(**question(), stream=True):
        seen.append(time.perf_counter() - began)
    with open("times.log", "a") as log:
        log.write(f"{seen[0]} {seen[-1]}\\n")
"""


def times(ran):
    """When each run saw its first and its last event, in seconds."""
    return [[float(one) for one in line.split()] for line in (ran.path / "times.log").read_text().splitlines()]


def test_a_stream_is_recorded_while_it_streams(recorded, suite):
    """The application sees the first event long before the last, and the file says when which came."""
    ran = recorded(TIMED)
    assert ran.outcomes == {"passed": 1}, ran.text
    (one,) = interactions(ran)
    told = one["response"]["x-llmperf"]
    assert len(told["chunks"].split()) > 1
    assert "round" not in told
    assert one["request"]["headers"]["authorization"] == ["[redacted]"]
    assert suite(TIMED, backend="replay", conftest=CLOSING).outcomes == {"passed": 1}
    assert suite(TIMED, "--llmperf-clock=realtime", backend="replay", conftest=CLOSING).outcomes == {"passed": 1}
    live, instant, paced = times(ran)
    assert instant[1] < told["end_us"] / 1e6 / 2
    assert paced[1] >= told["end_us"] / 1e6 - 0.001
    assert live[0] < live[1]


def test_without_our_plugin_the_same_files_replay(recorded, without_us):
    """Plain pytest-recording, its network blocked, plays what was recorded with us."""
    recorded(TIMED)
    without_us(TIMED, "--block-network").assert_outcomes(passed=1)


def test_with_our_plugin_files_of_old_replay(without_us, suite):
    """What plain pytest-recording recorded is played with us."""
    without_us(TIMED, "--record-mode=once").assert_outcomes(passed=1)
    ran = suite(TIMED, backend="replay", conftest=CLOSING)
    assert ran.outcomes == {"passed": 1}, ran.text
    assert len(times(ran)) == 2


BOTH = """
import pytest
from talk import *
@pytest.mark.vcr
@pytest.mark.llmperf(rounds=5, warmup=1, stop="fixed")
@pytest.mark.latency(p50_ms=5000)
def test_a():
    ran("a"); ask_streamed()
"""


def test_a_test_with_both_marks(recorded, suite):
    """The cassette of pytest-recording holds the rounds, and replay judges their recorded times."""
    live = recorded(BOTH)
    assert (live.outcomes, live.test()["source"]) == ({"passed": 1}, "recorded"), live.text
    assert [one["response"]["x-llmperf"]["round"] for one in interactions(live)] == [-1, 0, 1, 2, 3, 4]
    again = suite(BOTH, backend="replay", conftest=CLOSING)
    assert (again.outcomes, again.test()["source"]) == ({"passed": 1}, "replayed"), again.text
    assert again.arm()["series"]["ttft"] == pytest.approx(live.arm()["series"]["ttft"], abs=5e-6)


UNTIMED = """
import pytest
from talk import *
@pytest.mark.vcr
{marks}
def test_a():
    ran("a"); ask_streamed()
"""
CLAIMS = """
@pytest.mark.llmperf(rounds=60)
@pytest.mark.latency(p95_ms=1)
@pytest.mark.claim(metric="input_tokens", statistic="max", max=50)
"""


def test_a_plain_cassette_is_untimed(without_us, suite):
    """One plain recording is one judged round: nothing is said of its time, and its usage is judged."""
    without_us(UNTIMED.format(marks=""), "--record-mode=once").assert_outcomes(passed=1)
    ran = suite(UNTIMED.format(marks=CLAIMS), backend="replay", conftest=CLOSING)
    assert ran.outcomes in ({"passed": 1}, {"inconclusive": 1}), ran.text
    time, tokens = ran.test()["verdicts"]
    assert time["outcome"] == "inconclusive"
    assert "the cassette is untimed" in time["reason"]
    assert ran.arm()["rounds"] == {"judged": 1, "warmup": 0, "failed": 0}
    assert ran.arm()["usage"]["input_tokens"] > 0
    assert tokens["n"] == 1
    assert any("test_a.yaml is untimed: another tool recorded it" in note for note in ran.test()["notes"])
