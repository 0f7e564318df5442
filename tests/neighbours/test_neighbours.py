"""The plugin beside others that many projects have: idle it changes nothing, active it sees each exchange once.

A part of a suite is left out where its neighbour is not installed; `tox -e py311-neighbours` has them all.
"""

from __future__ import annotations

import re
from importlib.util import find_spec

import pytest

BARE = "import pytest"
TALKING = f"{BARE}\nfrom talk import *"
FAR = """
import json, pytest, ssl, threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
import anthropic

URL = "https://api.anthropic.com/v1/messages"
ASKED = {"model": "claude-opus-4-1", "max_tokens": 5, "messages": [{"role": "user", "content": "Hi"}]}
SAID = {"id": "msg_1", "type": "message", "role": "assistant", "model": "claude-opus-4-1", "stop_reason": "end_turn",
        "content": [{"type": "text", "text": "Hi"}], "usage": {"input_tokens": 1, "output_tokens": 2}}
asked = []
\"""Paths of the requests that came.\"""

class Far(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        self.rfile.read(int(self.headers["content-length"]))
        asked.append(self.path)
        body = json.dumps(SAID).encode()
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args): ...

@pytest.fixture(scope="session")
def far():
    with ThreadingHTTPServer(("127.0.0.1", 0), Far) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()

@pytest.fixture(scope="session")
def vcr_config():
    return {"match_on": ["method", "path"]}  # the service has another port each time

bare = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
anthropic.DefaultAsyncHttpxClient(verify=bare)  # imports, before anybody looks whether somebody reads files

def client(far):
    return anthropic.Anthropic(api_key="k", base_url=far, http_client=anthropic.DefaultHttpxClient(verify=bare))

def async_client(far):
    http = anthropic.DefaultAsyncHttpxClient(verify=bare)
    return anthropic.AsyncAnthropic(api_key="k", base_url=far, http_client=http)

@pytest.fixture
def watched():
    from blockbuster import blockbuster_ctx

    with blockbuster_ctx():
        yield
"""
"""A service on the loopback interface, and clients of it; for whoever asks no other service."""

IDLE = {
    "": """
def test_idle(): ...

async def helper(): ...

class TestClass:
    @pytest.mark.parametrize("x", [1, 2])
    def test_method(self, x): ...
""",
    "pytest_benchmark": "def test_idle_benchmark(benchmark): benchmark(len, 'x')",
    "pytest_codspeed": "@pytest.mark.codspeed_benchmark\ndef test_idle_codspeed(): ...",
    "pytest_repeat": "@pytest.mark.repeat(3)\ndef test_idle_repeat(): ...",
    "pytest_timeout": "@pytest.mark.timeout(60)\ndef test_idle_timeout(): ...",
    "pytest_recording": "@pytest.mark.vcr\ndef test_idle_recording(): ...",
    "hypothesis": """
from hypothesis import given, strategies

@given(strategies.integers())
def test_idle_given(x): ...
""",
    "anyio": "@pytest.mark.anyio\nasync def test_idle_anyio(anyio_backend): ...",
    "pytest_rerunfailures": "@pytest.mark.flaky(reruns=1)\ndef test_idle_flaky(): ...",
    "pytest_httpx": "def test_idle_httpx(httpx_mock): ...",
    "pytest_socket": "def test_idle_socket(socket_disabled): ...",
}
"""Tests as others write them, without a word of ours."""

SIMULATED = {
    "": """
@pytest.mark.llmperf(rounds=4)
def test_plain(): ask()

@pytest.mark.llmperf(rounds=4)
async def test_async(): await ask_async()
""",
    "anyio": """
@pytest.mark.anyio
@pytest.mark.llmperf(rounds=4)
async def test_anyio(anyio_backend):
    ran(f"{anyio_backend} {loop()}"); await ask_async()
""",
    "vcr": """
import vcr

@pytest.mark.llmperf(rounds=4)
def test_vcrpy():
    with vcr.use_cassette("a.yaml"):
        ask()
""",
    "pytest_timeout": """
@pytest.mark.timeout(100)
@pytest.mark.llmperf(rounds=4)
def test_timeout(): ask()
""",
    "pytest_socket": """
@pytest.mark.llmperf(rounds=4)
def test_socket(socket_disabled): ask()
""",
    "opentelemetry.instrumentation.anthropic": """
from opentelemetry.instrumentation.anthropic import AnthropicInstrumentor

@pytest.fixture
def instrumented():
    AnthropicInstrumentor().instrument()
    yield
    AnthropicInstrumentor().uninstrument()

@pytest.mark.filterwarnings("default")
@pytest.mark.llmperf(rounds=4)
def test_instrumented(instrumented): ask()
""",
    "pytest_rerunfailures": """
tries = []

@pytest.mark.flaky(reruns=1)
@pytest.mark.llmperf(rounds=4)
def test_reruns():
    tries.append("one"); ask()
    assert len(tries) > 1
""",
    "blockbuster": """
from blockbuster import blockbuster_ctx

@pytest.fixture
def watched():
    with blockbuster_ctx():
        yield

@pytest.mark.llmperf(rounds=4)
async def test_watched(watched): await ask_async()
""",
}
"""Tests with our marks, answered by the simulated API."""

LIVE = {
    "": """
@pytest.mark.llmperf(rounds=4)
def test_far(far):
    with client(far) as one:
        one.messages.create(**ASKED)
""",
    "vcr": """
import vcr

@pytest.mark.llmperf(rounds=4)
def test_vcrpy(far, llmperf):
    before = len(asked)
    with vcr.use_cassette("a.yaml"), client(far) as one:
        one.messages.create(**ASKED)
    assert len(asked) - before == llmperf.warmup  # afterwards it plays what it recorded then
""",
    "blockbuster": """
@pytest.mark.llmperf(rounds=8, concurrency=6)
@pytest.mark.latency(p50_ms=60_000)
async def test_watched(far, watched):
    async with async_client(far) as one:
        await one.messages.create(**ASKED)
""",
    "respx": """
import httpx, respx

@pytest.mark.llmperf(rounds=4)
def test_respx():
    with respx.mock:
        route = respx.post(URL).mock(return_value=httpx.Response(200, json=SAID))
        httpx.post(URL, json=ASKED)
        assert route.call_count == 1
""",
    "pytest_httpx": """
import httpx

@pytest.mark.llmperf(rounds=4)
def test_httpx(httpx_mock, llmperf):
    if llmperf.warmup:
        httpx_mock.add_response(url=URL, json=SAID, is_reusable=True)
    httpx.post(URL, json=ASKED)
    assert len(httpx_mock.get_requests()) == llmperf.round + 2
""",
    "opentelemetry.instrumentation.httpx": """
import httpx
from opentelemetry.instrumentation.httpx import HTTPXClientInstrumentor
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

spans = InMemorySpanExporter()
provider = TracerProvider()
provider.add_span_processor(SimpleSpanProcessor(spans))
traced = httpx.Client(transport=httpx.MockTransport(lambda _: httpx.Response(200, json=SAID)))
HTTPXClientInstrumentor.instrument_client(traced, tracer_provider=provider)

@pytest.mark.llmperf(rounds=4)
def test_traced(llmperf):
    traced.post(URL, json=ASKED)
    assert len(spans.get_finished_spans()) == llmperf.round + 2
    spans.clear() if llmperf.round == 3 else None

@pytest.fixture
def everywhere():
    HTTPXClientInstrumentor().instrument(tracer_provider=provider)
    yield
    HTTPXClientInstrumentor().uninstrument()
    spans.clear()

@pytest.mark.llmperf(rounds=4)
def test_traced_everywhere(far, everywhere, llmperf):
    with httpx.Client(verify=bare) as one:
        one.post(f"{far}/v1/messages", json=ASKED)
    assert len(spans.get_finished_spans()) == llmperf.round + 2
""",
}
"""Tests with our marks, answered by others' mocks or by a service."""

RECORDED = {
    "blockbuster": """
@pytest.mark.llmperf(rounds=4)
async def test_watched(far, watched):
    async with async_client(far) as one:
        await one.messages.create(**ASKED)
""",
    "": """
@pytest.mark.llmperf(rounds=4)
def test_far(far):
    with client(far) as one:
        one.messages.create(**ASKED)
""",
    "pytest_recording": """
@pytest.mark.vcr
@pytest.mark.llmperf(rounds=4)
def test_recording(far):
    with client(far) as one:
        one.messages.create(**ASKED)

@pytest.mark.vcr
def test_unmarked(far):
    with client(far) as one:
        one.messages.create(**ASKED)
""",
}
"""Tests that are recorded, and replayed; first the one that finds out what the first test alone reads from files."""

REFUSED = {
    "pytest_benchmark": "@pytest.mark.llmperf\ndef test_benchmark(benchmark): benchmark(ask)",
    "pytest_codspeed": "@pytest.mark.llmperf\n@pytest.mark.codspeed_benchmark\ndef test_codspeed(): ask()",
    "pytest_repeat": "@pytest.mark.llmperf\n@pytest.mark.repeat(2)\ndef test_repeat(): ask()",
    "hypothesis": "from hypothesis import given, strategies\n@pytest.mark.llmperf\n"
    "@given(strategies.integers())\ndef test_given(x): ask()",
}
"""Tests that another plugin repeats already."""


def installed(parts):
    """The parts whose neighbours are there."""

    def there(name):
        try:
            return not name or find_spec(name) is not None
        except ModuleNotFoundError:
            return False

    return {name: text for name, text in parts.items() if there(name)}


def source(*kinds, head=TALKING):
    return "\n".join([head, *(text for parts in kinds for text in installed(parts).values())])


def names(parts):
    return set(re.findall(r"def (test_\w+)", "\n".join(installed(parts).values())))


def calls(ran):
    return {test["nodeid"].rpartition("::")[2]: test["arms"][0]["calls"] for test in ran.report["tests"]}


def test_idle(suite):
    """A run that does not use us has the outcomes it would have without us, no word of us, and no warning."""
    here, without = (suite(name, source(IDLE, head=BARE), without=name == "without") for name in ("idle", "without"))
    assert here.code == without.code == 0, here.text + without.text
    assert here.outcomes == without.outcomes
    words = [line for line in here.text.splitlines() if "llmperf" in line]
    assert [line for line in words if not line.startswith(("plugins: ", "rootdir: ", "configfile: "))] == []
    assert not (here.path / "report.json").exists()


@pytest.fixture
def simulated(suite):
    """A run of everything that the simulated API answers."""
    strict = {"pytest_socket": ["--disable-socket", "--allow-unix-socket"], "pytest_timeout": ["--timeout=100"]}
    asked = [argument for arguments in installed(strict).values() for argument in arguments]
    return suite("simulated", source(SIMULATED, IDLE), *asked)


def test_each_call_is_seen_once(simulated):
    """Four judged rounds have four calls, whoever else stands in the way; nothing warns, and no socket is opened."""
    assert simulated.code == 0, simulated.text
    found = calls(simulated)
    assert {name.partition("[")[0] for name in found} == names(SIMULATED)
    assert set(found.values()) == {4}


def test_virtual_time_is_kept(simulated):
    """Only trio, and nothing of the neighbours, makes the clock another."""
    clocks = {test["nodeid"].rpartition("::")[2]: test["clock"] for test in simulated.report["tests"]}
    assert {name for name, clock in clocks.items() if clock != "virtual"} == {name for name in clocks if "trio" in name}


def test_nothing_is_written_to_the_cassette_of_another(simulated):
    """Our simulated API answers above vcrpy, which sees no request."""
    assert not (simulated.path / "a.yaml").exists()


def test_one_loop_for_all_rounds(simulated):
    """Under anyio, on each backend."""
    if "anyio" in installed(SIMULATED):
        assert set(simulated.bodies.values()) == {5}


def test_tests_without_our_marks_are_left_alone(simulated, suite):
    """In a run with marked tests, others have the outcomes that they have without us."""
    without = suite("without", "")
    assert simulated.outcomes["passed"] == without.outcomes["passed"] + len(simulated.report["tests"])
    assert {name: count for name, count in simulated.outcomes.items() if name != "passed"} == (
        {"rerun": 1} if installed({"pytest_rerunfailures": ""}) else {}
    )


def test_answers_of_others(suite):
    """Each exchange is seen once, by them and by us, and nothing blocks the event loop."""
    ran = suite("live", source(LIVE, head=FAR), backend="live")
    assert ran.code == 0, ran.text
    assert calls(ran) == dict.fromkeys(names(LIVE), 4) | dict.fromkeys(({"test_watched"} & names(LIVE)), 8)


def test_recording_and_replaying(suite):
    """Beside pytest-recording, and without blocking the loop; what one run recorded the next one replays."""
    asked = source(RECORDED, head=FAR)
    order = ("-p", "no:randomly")
    before = suite("recorded", asked, *order, "--record-mode=once", backend="record")
    again = suite("recorded", asked, *order, "--block-network", backend="replay", again="replayed")
    for ran, kind in ((before, "recorded"), (again, "replayed")):
        assert ran.code == 0, ran.text
        assert calls(ran) == dict.fromkeys(names(RECORDED) - {"test_unmarked"}, 4)
        assert {test["source"] for test in ran.report["tests"]} == {kind}


def test_two_that_repeat(suite):
    """A test that another plugin repeats is refused before its first call."""
    ran = suite("refused", source(REFUSED, head=f"{BARE}\nask = None"), "-W", "default")
    assert set(ran.outcomes) == {"failed"}, ran.text
    for name in names(REFUSED):
        assert f"FAILED test_suite.py::{name}" in ran.out
    assert ran.out.count("already repeats it") >= len(names(REFUSED))


def test_other_seeds_and_another_order(suite, simulated):
    """Pytest-randomly changes neither what is simulated nor what is counted."""
    pytest.importorskip("pytest_randomly")
    again = suite("seeded", source({"": SIMULATED[""]}), "--randomly-seed=7")
    assert again.code == 0, again.text
    for test in again.report["tests"]:
        (same,) = [one for one in simulated.report["tests"] if one["nodeid"] == test["nodeid"]]
        assert test["arms"][0]["series"] == same["arms"][0]["series"]
