"""The hooks: each with a small plugin of its own, and with answers that cannot be used."""

from __future__ import annotations

import subprocess
import sys

import pytest

from factories import verdict
from pytest_llmperf import wire
from pytest_llmperf.simulator.profile import shipped

SOURCE = """
import pytest
from talk import *

@pytest.mark.llmperf(rounds=4, stop="fixed")
def test_a(): ask()
"""


PROTOCOL = """
from pytest_llmperf.testing import End, Generation, Usage

class Ours:
    NAME, INPUT_HOLDS_CACHED = "ours.talk", False

    def recognises(self, exchange):
        return exchange.path == "/talk"

    def decode(self, exchange):
        if exchange.status is None:
            return Generation(self.NAME, streamed=False)
        usage = Usage(input_tokens=1, output_tokens=len(exchange.chunks[0].data))
        return Generation(self.NAME, streamed=False, request_model="parrot", usage=usage, complete=True)

def pytest_llmperf_protocols(config):
    return [Ours()]
"""
PARROT = """
import httpx2, pytest

def really(request):
    print("really sent")
    return httpx2.Response(200, content=b"12345")

client = httpx2.Client(transport=httpx2.MockTransport(really))

@pytest.mark.llmperf(rounds=3)
def test_parrot():
    client.post("http://parrot.test/talk")
    client.get("http://other.test/order")
"""


@pytest.mark.parametrize("backends", [["live"], ["record", "replay"]])
def test_a_protocol(suite, backends):
    """Traffic that nobody else knows is measured by whoever says what it means, live and on a cassette."""
    for backend in backends:
        ran = suite(PARROT, conftest=PROTOCOL, backend=backend)
        assert ran.outcomes == {"passed": 1}, ran.text
        assert ran.arm()["calls"] == 3
        assert ran.arm()["metrics"]["output_tokens"]["mean"] == 5


def test_a_protocol_that_the_simulated_api_does_not_speak(suite):
    """Its calls are refused and fail the test, which keeps the refusal to itself here; none of it is sent."""
    source = PARROT.replace('    client.get("http://other.test/order")\n', "")
    ran = suite(source, "-rA", conftest=PROTOCOL)
    assert ran.outcomes == {"failed": 1}, ran.text
    assert "the simulated API does not speak ours.talk" in ran.out
    assert "to parrot.test was refused" in ran.out
    assert "really sent" not in ran.text


METRICS = """
import math
from pytest_llmperf.hookspecs import CallMetric

def words(call):
    return len(call.last.generation.text.split())

def pytest_llmperf_metrics(config):
    def reason(call):
        return "nobody knows"
    def broken(call):
        return 1 / 0
    return [
        CallMetric("words", "words", "higher", "words of the answer", words),
        CallMetric("reason", "", "", "nothing", reason),
        CallMetric("broken", "", "", "nothing", broken),
        CallMetric("unknown", "", "", "nothing", lambda call: math.nan),
        CallMetric("wait", "s", "lower", "a time", lambda call: 1.0, failed=math.inf),
    ]
"""


def test_a_metric(suite):
    """It can be claimed of and stands in the reports; a formula that fails is a reason, and no error of the test."""
    source = """
import pytest
from talk import *

@pytest.mark.llmperf(rounds=30)
@pytest.mark.claim(metric="words", statistic="p50", min=1)
def test_a(): ask()
"""
    ran = suite(source, conftest=METRICS)
    assert ran.outcomes == {"passed": 1}, ran.text
    assert ran.verdict()["metric"] == "words"
    metrics = ran.arm()["metrics"]
    assert metrics["words"]["n"] == metrics["ttft"]["missing"] == ran.arm()["calls"]
    assert metrics["words"]["unit"] == "words"
    assert metrics["reason"]["missing_reason"] == "nobody knows"
    assert metrics["broken"]["missing_reason"] == "its formula failed with ZeroDivisionError: division by zero"
    assert metrics["unknown"]["missing_reason"] == "its formula gave no number"


def test_a_failed_call_is_a_slow_one_for_added_metrics_too(suite):
    """It has the value that the metric says, or none."""
    source = """
import pytest
from talk import *

@pytest.mark.llmperf(rounds=4, stop="fixed")
@pytest.mark.error_rate(max=0.9)
def test_a(): ask("fault=500")
"""
    metrics = suite(source, conftest=METRICS).arm()["metrics"]
    assert metrics["wait"]["max"] == "inf"
    assert metrics["words"]["missing_reason"] == "the call failed"


def test_added_metrics_are_gone_after_the_run(suite):
    """The next run in this process knows the table alone."""
    assert "words" in suite(SOURCE, conftest=METRICS).arm()["metrics"]
    assert "words" not in suite(SOURCE, conftest="").arm()["metrics"]


def test_a_metric_under_xdist(suite):
    """Workers and their controller know it alike."""
    ran = suite(SOURCE, "-n1", conftest=METRICS)
    assert ran.arm()["metrics"]["words"]["n"] == 4, ran.text


def test_a_price(suite):
    """Another's price goes before those of the table; what it does not know is asked there."""
    conftest = """
def pytest_llmperf_price(generation):
    return 0.25 if generation.usage.output_tokens == 4 else None
"""
    ran = suite(SOURCE + "\n@pytest.mark.llmperf(rounds=2)\ndef test_b(): ask('output_tokens=5')\n", conftest=conftest)
    assert ran.arm("::test_a")["metrics"]["cost"]["mean"] == 0.25
    assert 0 < ran.arm("::test_b")["metrics"]["cost"]["mean"] < 0.25
    assert ran.report["environment"]["prices"].startswith("plugins, genai-prices")


def test_a_profile(suite, pytester):
    """A name that another plugin gives stands for its file."""
    (pytester.path / "quick.toml").write_text('extends = "claude-opus-4"\n[faults]\nstatus_500 = 1.0\n')
    conftest = "def pytest_llmperf_profiles(config): return {'broken': config.rootpath / 'quick.toml'}"
    source = SOURCE.replace("@pytest.mark.llmperf", "@pytest.mark.error_rate(max=0.9)\n@pytest.mark.llmperf")
    ran = suite(source, "--llmperf-profile=broken", conftest=conftest)
    assert ran.arm()["metrics"]["error_rate"]["mean"] == 1.0, ran.text


def test_facts_of_the_environment(suite):
    """They stand with the others in the report, as text; of two answers the one that is asked first counts."""
    conftest = """
import pytest

class Far:
    @pytest.hookimpl(trylast=True)
    def pytest_llmperf_environment(self):
        return {"region": "us", "floor": 3}

def pytest_configure(config):
    config.pluginmanager.register(Far())

def pytest_llmperf_environment():
    return {"region": "eu", "rack": 7}
"""
    facts = suite(SOURCE, conftest=conftest).report["environment"]["facts"]
    assert facts == {"floor": "3", "rack": "7", "region": "eu"}


def test_a_part_of_the_baselines_key(suite, monkeypatch):
    """A run is held against the sessions of its own key; those of another are as if they were not there, and told."""
    conftest = """
import os
def pytest_llmperf_baseline_key(): return {"region": os.environ["REGION"], "build": 7}
"""
    source = SOURCE.replace("rounds=4", "rounds=40").replace("@", "@pytest.mark.regression(p50=0.5)\n@", 1)

    def ran_in(region, *arguments):
        monkeypatch.setenv("REGION", region)
        return suite(source, *arguments, conftest=conftest)

    saved = ran_in("eu", "--llmperf-save=main")
    assert saved.report["environment"]["baseline_key"] == {"build": "7", "region": "eu"}, saved.text
    same = ran_in("eu", "--llmperf-compare=main", "--llmperf-seed=2")
    assert [one["outcome"] for one in same.test()["verdicts"]] == ["passed"], same.text
    assert same.test()["notes"][0].startswith("baseline main has 1 session with build=7, region=eu: until 5 are")
    other = ran_in("us", "--llmperf-compare=main")
    assert (other.code, other.test()["verdicts"]) == (0, [])
    (note,) = other.test()["notes"]
    assert note.startswith("baseline main does not know this test with build=7, region=us: --llmperf-save=main")
    assert "there is none with build=7, region=us (there: build=7, region=eu)" in other.out
    assert ran_in("us", "--llmperf-compare=main", "--llmperf-strict-baseline").code == pytest.ExitCode.USAGE_ERROR


def test_a_section_of_the_report(suite):
    """It stands once below the table and in each of the files; who has nothing to say says None."""
    conftest = """
def pytest_llmperf_report_section(report):
    return ("seen", [f"{len(report.tests)} tests"]) if report.tests else None
"""
    ran = suite(SOURCE, "--llmperf-markdown=report.md", conftest=conftest)
    assert ran.out.count("llmperf: seen\n  1 tests\n") == 1
    assert ran.report["sections"] == [{"title": "seen", "lines": ["1 tests"]}]
    assert (ran.path / "report.md").read_text().endswith("### seen\n\n- 1 tests\n")


@pytest.mark.parametrize(
    ("answer", "trouble"),
    [
        ("{}['seen']", "pytest_llmperf_report_section failed with KeyError: 'seen'"),
        ("'seen'", "pytest_llmperf_report_section: 'seen' is no title with its lines"),
    ],
)
def test_a_section_that_cannot_be_made(suite, answer, trouble):
    """What was measured is reported all the same, and the hook is named."""
    ran = suite(SOURCE, conftest=f"def pytest_llmperf_report_section(): return {answer}")
    assert trouble in " ".join(ran.out.split())
    assert ran.report["tests"]
    assert ran.outcomes == {"passed": 1}


CLAIMS = """
import pytest
from talk import *

@pytest.mark.llmperf(rounds=20, stop="fixed")
@pytest.mark.latency(p50_ms=10)
def test_slow(): ask()

@pytest.mark.llmperf(rounds=20, stop="fixed")
@pytest.mark.latency(p50_ms=1_100)
def test_undecided(): ask()
"""


@pytest.mark.parametrize(
    ("gate", "outcomes"),
    [
        ("return None", {"failed": 1, "inconclusive": 1}),
        ("return 'warn'", {"passed": 1, "inconclusive": 1}),
        ("return 'fail'", {"failed": 2}),
        ("return 'fail' if verdict.outcome == 'inconclusive' else 'pass'", {"passed": 1, "failed": 1}),
    ],
)
def test_a_gate(suite, gate, outcomes):
    """It changes what becomes of the test, and never what was shown."""
    ran = suite(CLAIMS, conftest=f"def pytest_llmperf_gate(item, verdict):\n    {gate}\n")
    assert ran.outcomes == outcomes, ran.text
    assert [test["outcome"] for test in ran.report["tests"]] == ["failed", "inconclusive"]


GATED = """
import pytest
from talk import *

@pytest.mark.trial
@pytest.mark.llmperf(rounds=40, concurrency=2)
@pytest.mark.latency(p50_ms=1)
async def test_trial(): await ask_async()

@pytest.mark.llmperf(rounds=40, concurrency=2)
@pytest.mark.latency(p50_ms=1)
async def test_strict(): await ask_async()

@pytest.mark.llmperf(rounds=40, concurrency=2)
@pytest.mark.latency(p50_ms=1)
async def test_asked_for_its_item(): await ask_async()
"""


def test_a_gate_of_what_several_processes_measured(suite):
    """It knows the test by node id and keywords, and has no item: the process that judges has collected nothing."""
    conftest = """
def pytest_configure(config):
    config.addinivalue_line("markers", "trial: a claim on trial")

def pytest_llmperf_gate(item, nodeid, keywords, verdict):
    if "item" in nodeid:
        return item.get_closest_marker("trial")
    if "trial" in keywords:
        return "warn"
"""
    ran = suite(GATED, "-n2", "--dist=each", conftest=conftest)
    assert ran.outcomes == {"failed": 2, "passed": 1, "parts": 6}, ran.text
    assert "PASSED" not in ran.out
    outcomes = {test["nodeid"].rpartition("::")[2]: test["outcome"] for test in ran.report["tests"]}
    assert outcomes == {"test_trial": "failed", "test_strict": "failed", "test_asked_for_its_item": "error"}
    assert "LLMPerfWarning: p50 e2e <= 1 ms does not hold" in ran.out
    (broken,) = [test for test in ran.report["tests"] if test["outcome"] == "error"]
    assert broken["error"].startswith("pytest_llmperf_gate, asked for no item since")


def test_a_failed_claim_that_is_let_pass_is_named(suite):
    """The line beside the test does not hide it."""
    ran = suite(CLAIMS, "-v", conftest="def pytest_llmperf_gate(item, verdict): return 'pass'")
    assert "PASSED, although a claim does not hold (p50 e2e" in ran.out


@pytest.mark.parametrize(
    ("conftest", "said"),
    [
        ("def pytest_llmperf_gate(): return 'maybe'", "pytest_llmperf_gate: 'maybe' is none of pass, warn, fail"),
        ("def pytest_llmperf_metrics(): return 5", "pytest_llmperf_metrics: 5 is no list"),
        ("def pytest_llmperf_metrics(): return ['x']", "pytest_llmperf_metrics: 'x' is no CallMetric"),
        (METRICS.replace('"words", "words"', '"ttft", "words"'), "'ttft': another metric has that name"),
        (METRICS.replace('"words", "words"', '"two words", ""'), "'two words': that is no identifier"),
        ("def pytest_llmperf_protocols(): return [7]", "pytest_llmperf_protocols: 7 has no NAME"),
        ("def pytest_llmperf_profiles(): return [7]", "pytest_llmperf_profiles: [7] is no mapping"),
        ("def pytest_llmperf_environment(): return 'x'", "pytest_llmperf_environment: 'x' is no mapping"),
        ("def pytest_llmperf_baseline_key(): return 5", "pytest_llmperf_baseline_key: 5 is no mapping"),
        ("def pytest_llmperf_nonsense(): return 1", "unknown hook 'pytest_llmperf_nonsense'"),
    ],
)
def test_answers_that_cannot_be_used(suite, conftest, said):
    """They end the run or the test, with the name of the hook."""
    ran = suite(CLAIMS, conftest=conftest)
    assert ran.code != 0
    assert said in ran.text


def test_our_own_parts_are_answers_to_the_same_hooks(pytestconfig):
    """The last ones."""
    hook = pytestconfig.hook
    assert hook.pytest_llmperf_protocols(config=pytestconfig)[-1] == wire.PROTOCOLS
    assert sorted(hook.pytest_llmperf_profiles(config=pytestconfig)[-1]) == shipped()
    asked = {"config": pytestconfig, "item": None, "nodeid": "", "keywords": ()}
    assert hook.pytest_llmperf_gate(**asked, verdict=verdict("failed")) == "fail"


def test_no_hook_is_asked_without_marked_tests(suite):
    """Only metrics are, as marks may name them."""
    names = ("protocols", "price", "profiles", "environment", "baseline_key", "report_section", "gate")
    conftest = "\n".join(f"def pytest_llmperf_{name}(): raise RuntimeError('asked')" for name in names)
    ran = suite("def test_plain(): ...", conftest=conftest)
    assert ran.outcomes == {"passed": 1}, ran.text


def test_importing_the_hooks_is_light():
    """The specifications are loaded in every run, and load nothing of ours but themselves."""
    code = "import sys, pytest_llmperf.hookspecs; print([m for m in sys.modules if m.startswith('pytest_llmperf.')])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "['pytest_llmperf._version', 'pytest_llmperf.hookspecs']\n"
