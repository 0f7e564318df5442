"""Marked tests that are switched off run once, plainly, and never leave a simulated API."""

SOURCE = """
import pytest, unittest
from anthropic import Anthropic
from talk import *

@pytest.mark.latency(p95_ms=1)
def test_answer():
    answer = Anthropic(base_url="http://127.0.0.1:9").messages.create(**question("output_tokens=20"))
    assert answer.usage.output_tokens == 20
    ran("answer")

@pytest.mark.latency(p95_ms=1)
async def test_coroutine():
    await ask_async(); ran("coroutine")

@pytest.mark.latency(p95_ms=1)
class TestCase(unittest.IsolatedAsyncioTestCase):
    async def test_case(self):
        await ask_async(); ran("case")

@pytest.mark.latency(p95_ms=1)
def test_broken():
    ask(); assert not ran("broken"), "wrong"
    raise ValueError("of its own")

@pytest.mark.latency(p95_ms=1)
def test_skipped():
    pytest.skip("not today")
"""


def test_a_test_that_is_off_is_answered_by_the_simulated_api(suite):
    """Nothing listens at the address: without the simulated API the call would fail. No verdict is given."""
    ran = suite(SOURCE, "--llmperf-off", "-rs")
    assert ran.outcomes == {"passed": 3, "failed": 1, "skipped": 1}, ran.text
    assert ran.bodies == {"answer": 1, "coroutine": 1, "case": 1, "broken": 1}
    assert "ValueError: of its own" in ran.out
    assert "llmperf: " not in ran.out.replace("llmperf: in round 1 of 1", "")
    assert not (ran.path / "report.json").exists()


def test_a_doctest_under_a_modules_mark_is_left_alone(suite):
    """A mark of the module is inherited by its doctests, which nobody can repeat."""
    ran = suite(
        '''
        import pytest

        pytestmark = pytest.mark.latency(p95_ms=1000)

        def one():
            """
            >>> one()
            1
            """
            return 1
        ''',
        "--doctest-modules",
    )
    assert ran.outcomes == {"passed": 1}
