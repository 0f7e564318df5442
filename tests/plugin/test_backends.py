"""Where answers come from: what is offered, what is refused, and who needs a key."""

from __future__ import annotations

import pytest

from pytest_llmperf.simulator.server import running_server

ONE = """
import pytest
from talk import *
@pytest.mark.llmperf(rounds=2)
def test_a():
    ran("a"); ask()
"""


@pytest.mark.parametrize("backend", ["live", "record"])
def test_a_real_api_answers_in_real_time(suite, backend):
    """Another clock than the wall's cannot go with a backend that asks the network."""
    ran = suite(ONE, "--llmperf-clock=virtual", backend=backend)
    assert (ran.code, dict(ran.bodies)) == (4, {})
    assert f"--llmperf-clock=virtual cannot go with --llmperf-backend={backend}" in ran.text


KEYLESS = """
import anthropic, pytest
from talk import *

repeated = pytest.mark.llmperf(rounds=2, warmup=0)
AT_IMPORT = anthropic.Anthropic()
ASYNC_AT_IMPORT = anthropic.AsyncAnthropic()

@pytest.fixture(scope="module")
def of_module():
    return anthropic.Anthropic()

@pytest.fixture
def of_function():
    return anthropic.Anthropic()

def test_unmarked_uses_the_fixture_first(of_module):
    assert "ANTHROPIC_API_KEY" not in os.environ

@repeated
def test_import():
    ask(by=AT_IMPORT)

@repeated
async def test_async_import():
    await ask_async(by=ASYNC_AT_IMPORT)

@repeated
def test_module(of_module):
    ask(by=of_module)

@repeated
def test_function(of_function):
    ask(by=of_function)

@repeated
def test_body():
    ask(by=anthropic.Anthropic())

@repeated
def test_from_the_environment():
    assert ask(by=anthropic.Anthropic(api_key=os.environ["ANTHROPIC_API_KEY"]))

@pytest.mark.llmperf(off=True)
def test_switched_off():
    assert ask(by=AT_IMPORT)

def test_afterwards_a_key_is_needed_again():
    with pytest.raises(Exception, match="Could not resolve authentication method"):
        ask(by=AT_IMPORT)
    assert "ANTHROPIC_API_KEY" not in os.environ
"""


def test_offline_no_client_needs_a_key(suite):
    """Wherever a client was made, the simulated API answers it; outside of marked tests nothing is changed."""
    ran = suite(KEYLESS)
    assert ran.outcomes == {"passed": 9}, ran.text


def test_a_key_that_is_there_is_left_alone(suite, monkeypatch):
    """The application finds its own key in the environment, not ours."""
    monkeypatch.setenv("ANTHROPIC_API_KEY", "mine")
    ran = suite("""
        import anthropic, os, pytest
        @pytest.mark.llmperf(rounds=1)
        def test_a():
            assert os.environ["ANTHROPIC_API_KEY"] == "mine"
            assert anthropic.Anthropic().api_key == "mine"
    """)
    assert ran.outcomes == {"passed": 1}


LIVE = """
import anthropic, pytest, unittest
from talk import *

pytestmark = pytest.mark.llmperf(rounds=2)

def test_plain():
    ask(by=anthropic.Anthropic())

async def test_coroutine():
    await ask_async(by=anthropic.AsyncAnthropic())

class TestCase(unittest.TestCase):
    def test_case(self):
        ask(by=anthropic.Anthropic())

@pytest.mark.llmperf(off=True)
def test_off():
    ran("off")
"""


@pytest.mark.parametrize("backend", ["live", "record"])
def test_live_without_a_key_skips(suite, backend):
    """A live test without a key is skipped with the variable to set, whatever kind of test it is; nothing is kept."""
    ran = suite(LIVE, "-rs", backend=backend)
    assert ran.outcomes == {"passed": 1, "skipped": 3}, ran.text
    assert ran.out.count(f"--llmperf-backend={backend} needs an API key: set ANTHROPIC_API_KEY") >= 1
    assert not (ran.path / "cassettes").exists()
    assert not (ran.path / "report.json").exists()


SHARED = """
import anthropic, pytest
from talk import *
pytestmark = pytest.mark.llmperf(rounds=2, warmup=0)
client_of_all = anthropic.AsyncAnthropic()

def test_plain():
    ask(by=anthropic.Anthropic())

async def test_first():
    await ask_async(by=client_of_all)

async def test_second():
    await ask_async(by=client_of_all)
"""


@pytest.fixture(scope="module")
def live(tmp_path_factory, suite_apart):
    """The suite, run against the simulated API on a socket, with answers that come in milliseconds."""
    quick = tmp_path_factory.mktemp("profile") / "quick.toml"
    quick.write_text(
        'extends = "claude-opus-4"\n[workloads.mixed]\nttft_p50_ms = 5\nttft_p95_ms = 6\n'
        "[throughput]\ncontext_tokens_per_second = [[1000, 2000]]\n"
    )
    with running_server(quick) as url:
        return suite_apart(SHARED, backend="live", ANTHROPIC_BASE_URL=url, ANTHROPIC_API_KEY="dummy")


def test_live_against_a_server(live):
    """Real connections are measured in real time, and every number says that it is live."""
    assert live.outcomes == {"passed": 3}, live.text
    assert {(test["source"], test["clock"]) for test in live.report["tests"]} == {("live", "realtime")}
    assert live.report["environment"]["backend"] == "live"
    assert live.report["environment"]["profile"] == ""
    assert 0.004 < live.arm("test_plain")["metrics"]["e2e"]["p50"] < 5
    assert "llmperf: live, realtime clock" in live.out


def test_a_client_shared_by_event_loops_is_named(live):
    """A client whose connections belong to a loop that is gone loses an attempt, and a note says so."""
    (note,) = live.test("test_second")["notes"]
    assert note.startswith("AsyncAnthropic for 127.0.0.1:")
    assert "was used from more than one event loop" in note
    assert live.test("test_first")["notes"] == []
    assert "note: AsyncAnthropic for 127.0.0.1" in live.out


PAST_SIMULATION = """
import anthropic, httpx2, pytest
from pytest_llmperf.simulator import transport
from talk import *

ANSWER = {"id": "m", "type": "message", "role": "assistant", "model": "m", "content": [], "stop_reason": "end_turn",
          "stop_sequence": None, "usage": {"input_tokens": 1, "output_tokens": 1}}

class Elsewhere(anthropic.DefaultHttpxClient):
    def send(self, request, **options):
        return httpx2.Response(200, json=ANSWER, request=request)

@pytest.mark.llmperf(rounds=2, warmup=0)
def test_unseen():
    ask()
    ask(by=anthropic.Anthropic(api_key="none", http_client=Elsewhere()))

@pytest.mark.llmperf(rounds=2, warmup=0)
def test_seen(monkeypatch):
    monkeypatch.setattr(transport, "serves", lambda *_: False)
    served = httpx2.Client(transport=httpx2.MockTransport(lambda _: httpx2.Response(200, json=ANSWER)))
    ask(by=anthropic.Anthropic(api_key="none", http_client=served))
"""


def test_a_call_that_goes_past_the_simulated_api(suite):
    """An answer of anything else fails the test that says it is simulated, and stands in no report as that."""
    ran = suite(PAST_SIMULATION)
    assert ran.outcomes == {"failed": 2}, ran.text
    assert "2 calls went past the simulated API: the SDK was answered" in ran.out
    assert "2 calls went past the simulated API, to api.anthropic.com" in ran.out
    assert ran.test("test_seen")["arms"] == []
