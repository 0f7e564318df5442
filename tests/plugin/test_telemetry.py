"""What the SDK of a process is told of its tests, and that no test is the worse for it."""

from __future__ import annotations

import sys
import threading
import time

import pytest
from opentelemetry import metrics, trace
from opentelemetry.sdk.trace import SpanProcessor

from exporters import Sdk, children
from pytest_llmperf.plugin import telemetry

SOURCE = """
import asyncio, pytest
from opentelemetry import trace
from talk import *

tracer = trace.get_tracer("team")

@pytest.fixture(autouse=True)
def team(request):
    with tracer.start_as_current_span(f"team {request.node.name}"):
        yield

@pytest.mark.latency(p50_ms=60_000)
@pytest.mark.llmperf(rounds=10)
def test_passes(): ask("fault=529:1", system="SECRET words")

@pytest.mark.latency(p50_ms=1)
@pytest.mark.llmperf(rounds=10)
async def test_fails():
    with tracer.start_as_current_span("the application's own"):
        await ask_async()

@pytest.mark.arms(words=["few", "many"])
@pytest.mark.llmperf(rounds=2, fresh_fixtures=True)
def test_arms(arm): ask_streamed()

@pytest.mark.llmperf(rounds=2, warmup=0)
def test_breaks():
    assert ask().content[0].text == "SECRET answer"
"""


class Untold(SpanProcessor):
    """A processor that does with every span of ours what its author did not mean."""

    def __init__(self, doing):
        self.doing = doing

    def on_end(self, span):
        if span.instrumentation_scope.name == "pytest_llmperf":
            self.doing()


@pytest.fixture(autouse=True)
def _nothing_set_up(monkeypatch):
    monkeypatch.setattr(trace, "_TRACER_PROVIDER", None)
    monkeypatch.setattr(metrics._internal, "_METER_PROVIDER", None)


@pytest.fixture(scope="module")
def _seen():
    return {}


@pytest.fixture
def told(_seen, suite, monkeypatch):
    """A run of that source with an SDK set up, warnings as errors: what the SDK got, and what the run left."""
    if not _seen:
        sdk, began = Sdk().is_the_process(monkeypatch), time.time_ns()
        ran = suite(SOURCE, "-W", "error")
        _seen.update(sdk=sdk, ran=ran, times=(began, time.time_ns()))
    return _seen["sdk"], _seen["ran"], _seen["times"]


def test_outcomes_are_their_own(told):
    """A run that is told of ends as any other."""
    _, ran, _ = told
    assert ran.outcomes == {"passed": 2, "failed": 2}, ran.text
    assert "OpenTelemetry" not in ran.text


def test_each_test_has_a_span_within_what_was_current(told):
    """Also that of a coroutine, and of one that broke off."""
    sdk, _, _ = told
    for name, outcome in (("passes", "passed"), ("fails", "failed"), ("arms", "passed"), ("breaks", "error")):
        span = sdk.span(f"llmperf test_suite.py::test_{name}")
        team = sdk.spans(f"team test_{name}")[0]
        assert span in children(sdk.spans(), team)
        assert span.attributes["llmperf.outcome"] == outcome
        assert (span.attributes["llmperf.source"], span.attributes["llmperf.clock"]) == ("simulated", "virtual")


def test_each_call_is_told_once(told):
    """As many spans and as many durations as there were calls; retries are events of theirs."""
    sdk, ran, _ = told
    calls = [call for round_ in sdk.spans("llmperf round") for call in children(sdk.spans(), round_)]
    assert len(calls) == sum(arm["calls"] for test in ran.report["tests"] for arm in test["arms"])
    durations = sdk.points("gen_ai.client.operation.duration")
    judged = [point for point in durations if not point.attributes["llmperf.warmup"]]
    assert sum(point.count for point in judged) == len(calls)
    assert {point.attributes["llmperf.source"] for point in durations} == {"simulated"}
    again = [one for one in calls if one.attributes["test.case.name"].endswith("passes")]
    assert {one.attributes["llmperf.metric.attempts"] for one in again} == {2}
    assert {len([event for event in one.events if event.name == "llmperf.attempt"]) for one in again} == {2}
    assert {one.attributes["gen_ai.request.max_tokens"] for one in calls} == {64}


def test_times_begin_when_the_test_did_and_last_as_long_as_its_clock(told):
    """In virtual time they may end in the future, and the application's own spans lie among them."""
    sdk, _, (began, ended) = told
    for test in sdk.spans("llmperf test_suite.py"):
        rounds = children(sdk.spans(), test)
        assert began < test.start_time < ended
        assert all(test.start_time <= one.start_time <= one.end_time <= test.end_time for one in rounds)
        for one in rounds:
            inside = children(sdk.spans(), one)
            assert all(one.start_time <= call.start_time <= call.end_time <= one.end_time for call in inside)
    application, calls = sdk.spans("the application's own"), []
    for one in children(sdk.spans(), sdk.span("llmperf test_suite.py::test_fails")):
        calls += children(sdk.spans(), one)
    assert len(application) == len(calls)
    calls.sort(key=lambda one: one.start_time)
    apart = [own.start_time - call.start_time for own, call in zip(application, calls, strict=True)]
    assert max(apart) - min(apart) < 1e6  # all virtual time between them is told


def test_verdicts_and_arms(told):
    """What was claimed and shown is an event of the test's span; rounds say which arm they belong to."""
    sdk, _, _ = told
    failed = sdk.span("llmperf test_suite.py::test_fails")
    (event,) = failed.events
    assert (event.attributes["llmperf.verdict.claim"], event.attributes["llmperf.verdict.outcome"]) == (
        "p50 e2e <= 1 ms",
        "failed",
    )
    rounds = children(sdk.spans(), sdk.span("llmperf test_suite.py::test_arms"))
    assert sorted(one.attributes["llmperf.arm"] for one in rounds) == ["few"] * 3 + ["many"] * 3
    assert [one.name for one in rounds].count("llmperf warm-up") == 2


def test_no_word_that_was_asked_or_said_leaves(told):
    """Neither in attributes nor in errors."""
    sdk, _, _ = told
    assert "SECRET" not in "".join(span.to_json() for span in sdk.spans())


def test_live_times_are_the_real_ones(suite, monkeypatch):
    """Every span lies where it was in time, and says that it is live."""
    source = """
import httpx2, pytest
SAID = {"content": [], "usage": {"input_tokens": 1, "output_tokens": 2}, "stop_reason": "end_turn", "model": "m-1"}
client = httpx2.Client(transport=httpx2.MockTransport(lambda _: httpx2.Response(200, json=SAID)))

@pytest.mark.llmperf(rounds=2, warmup=0)
def test_a(): client.post("http://user:SECRET@gateway.test:8080/v1/messages?key=SECRET", json={"model": "m"})
"""
    sdk, began = Sdk().is_the_process(monkeypatch), time.time_ns()
    ran = suite(source, "-W", "error", backend="live")
    assert ran.outcomes == {"passed": 1}, ran.text
    spans = sdk.spans()
    assert [span.name for span in spans] == ["llmperf test_suite.py::test_a", *["llmperf round", "chat m"] * 2]
    assert all(began < span.start_time <= span.end_time < time.time_ns() for span in spans)
    assert {(span.attributes["llmperf.source"], span.attributes["llmperf.clock"]) for span in spans} == {
        ("live", "realtime")
    }
    call = spans[-1].attributes
    assert (call["server.address"], call["server.port"], call["gen_ai.response.model"]) == ("gateway.test", 8080, "m-1")
    assert "SECRET" not in "".join(span.to_json() for span in spans)


def test_every_try_is_told_and_what_was_interrupted_too(suite, monkeypatch):
    """A test that is run again has a span for each run; one that Ctrl-C ended has the rounds that there were."""
    source = """
import pytest
from talk import *

@pytest.mark.flaky(reruns=1)
@pytest.mark.llmperf(rounds=2, warmup=0)
def test_a():
    ask()
    assert False

@pytest.mark.llmperf(rounds=3, warmup=0)
def test_b(llmperf):
    ask()
    if llmperf.round:
        raise KeyboardInterrupt
"""
    sdk = Sdk().is_the_process(monkeypatch)
    suite(source)
    again, interrupted = sdk.spans("llmperf test_suite.py::test_a"), sdk.span("llmperf test_suite.py::test_b")
    assert [len(children(sdk.spans(), span)) for span in again] == [1, 1]
    assert [one.attributes.get("error.type") for one in children(sdk.spans(), interrupted)] == [
        None,
        "KeyboardInterrupt",
    ]
    assert interrupted.attributes["llmperf.interrupted"]


@pytest.mark.parametrize(
    ("doing", "patience", "said"),
    [
        (lambda: 1 / 0, 60.0, "ZeroDivisionError: division by zero at test_telemetry.py"),
        (lambda: sys.exit("no more"), 60.0, "SystemExit: no more"),
        (lambda: threading.Event().wait(3.0), 0.2, "its exporter took no span for 0.2 s"),
    ],
    ids=["raises", "exits", "hangs"],
)
def test_an_exporter_that_fails_fails_no_test(suite, monkeypatch, doing, patience, said):
    """It is said once, at the end, and nothing more is told."""
    Sdk(Untold(doing)).is_the_process(monkeypatch)
    monkeypatch.setattr(telemetry, "PATIENCE", patience)
    source = "from talk import *\nimport pytest\n@pytest.mark.llmperf(rounds=2)\ndef test_{}(): ask()\n"
    ran = suite(source.format("a") + source.format("b"), "-W", "error")
    assert (ran.code, ran.outcomes) == (0, {"passed": 2}), ran.text
    (line,) = [line for line in ran.out.splitlines() if "OpenTelemetry" in line]
    assert line.startswith(f"llmperf: no more is told to OpenTelemetry: {said}")


def test_nothing_is_told_where_it_is_switched_off(suite, monkeypatch):
    """`--llmperf-otel=off` leaves an SDK to itself."""
    sdk = Sdk().is_the_process(monkeypatch)
    assert (
        suite(
            "from talk import *\n" + SOURCE.partition("def test_passes")[0] + "def test_a(): ask()",
            "--llmperf-otel=off",
        ).code
        == 0
    )
    assert sdk.spans("llmperf") == []


def test_nothing_is_loaded_where_nobody_set_it_up(suite, monkeypatch):
    """A run with marked tests does not import OpenTelemetry, though it is installed."""
    for name in [name for name in sys.modules if name.partition(".")[0] == "opentelemetry"]:
        monkeypatch.delitem(sys.modules, name)
    conftest = """
import sys

def pytest_unconfigure(config):
    with open("loaded", "w") as file:
        print([name for name in sys.modules if name.startswith("opentelemetry")], file=file)
"""
    source = "from talk import *\nimport pytest\n@pytest.mark.llmperf(rounds=2)\ndef test_a(): ask()\n"
    ran = suite(source, conftest=conftest)
    assert ran.outcomes == {"passed": 1}, ran.text
    assert (ran.path / "loaded").read_text() == "[]\n"
