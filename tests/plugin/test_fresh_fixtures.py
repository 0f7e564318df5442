"""Rounds with fixtures of their own."""

from __future__ import annotations

import xml.etree.ElementTree as ET

import pytest

SOURCE = """
import unittest
import pytest, pytest_asyncio
from talk import *

pytestmark = pytest.mark.llmperf(rounds=5, fresh_fixtures=True, stop="fixed")

@pytest.fixture(scope="module", autouse=True)
def of_module():
    ran("module up")
    yield
    ran("module down")

@pytest.fixture
def of_function(tmp_path):
    assert not list(tmp_path.iterdir())
    (tmp_path / "used").touch()
    ran("function up")
    yield tmp_path
    ran("function down")

@pytest_asyncio.fixture
async def of_loop():
    ran("async up")
    yield loop()
    ran("async down")

def test_plain(of_function, capsys, record_property):
    record_property("mine", 1)
    print("said"); assert capsys.readouterr().out == "said\\n"
    ran("plain"); ask()

async def test_coroutine(of_loop):
    ran(f"coroutine {'in' if of_loop == loop() else 'beside'} its loop"); await ask_async()

class TestClass:
    @pytest.fixture(autouse=True)
    def own(self):
        self.seen = getattr(self, "seen", 0) + 1

    def test_instance(self):
        ran(f"instance seen {self.seen} times"); ask()

class TestCase(unittest.TestCase):
    def setUp(self):
        ran("case up")

    def test_case(self):
        ran("case"); ask()

class TestAsyncCase(unittest.IsolatedAsyncioTestCase):
    async def asyncSetUp(self):
        ran("async case up")

    async def test_async_case(self):
        ran("async case"); await ask_async()

@pytest.mark.anyio
@pytest.mark.parametrize("anyio_backend", ["trio"])
async def test_trio(anyio_backend, of_function):
    ran("trio"); await ask_async()

@pytest.mark.latency(p50_ms=1)
@pytest.mark.xfail(strict=True)
def test_expected():
    ran("expected"); ask()

def test_last(of_function):
    ran("last"); ask()
"""

UPS_AND_DOWNS = {
    "module up": 1,
    "module down": 1,
    "function up": 18,
    "function down": 18,
    "async up": 6,
    "async down": 6,
    "plain": 6,
    "coroutine in its loop": 6,
    "instance seen 1 times": 6,
    "case up": 6,
    "case": 6,
    "async case up": 6,
    "async case": 6,
    "trio": 6,
    "expected": 6,
    "last": 6,
}


@pytest.fixture
def ran(suite_once):
    """The suite, run once."""
    return suite_once("fresh fixtures", SOURCE, "-v", "--junitxml=junit.xml")


def test_function_fixtures_are_made_for_each_round(ran):
    """Function fixtures, instances and set-ups come once for each round, module fixtures once."""
    assert ran.outcomes == {"passed": 7, "xfailed": 1}, ran.text
    assert ran.bodies == UPS_AND_DOWNS


def test_one_report_is_logged(ran):
    """A test of six rounds is one test to everyone, with one result and one set of properties."""
    assert ran.out.count("::test_plain PASSED") == 1
    assert {test["arms"][0]["rounds"]["judged"] for test in ran.report["tests"]} == {5}
    (case,) = [case for case in ET.parse(ran.path / "junit.xml").iter("testcase") if case.get("name") == "test_plain"]
    names = [each.get("name") for each in case.iter("property")]
    assert names.count("mine") == names.count("llmperf.rounds") == 1


def test_the_clock_goes_on_between_rounds(ran):
    """Rounds that are run one by one share one series: each begins where the one before ended, or later."""
    test = ran.test("test_plain")
    assert test["clock"] == "virtual"
    assert len(test["arms"][0]["series"]["scenario"]) == 5


@pytest.mark.parametrize(
    ("how", "said", "judged"),
    [
        ("caplog.set_level(10); assert rounds.append(1) or len(rounds) < 3", "llmperf: in round 2 of 4", 2),
        ("rounds.append(1); len(rounds) < 3 or pytest.skip('no longer')", "round 2 of 4 was skipped (no longer)", 1),
    ],
)
def test_a_round_that_breaks_off_leaves_the_next_test_whole(suite, how, said, judged):
    """After a round that fails or skips everything is torn down as after any test."""
    ran = suite(f"""
        import pytest
        from talk import *
        rounds = []
        @pytest.fixture(scope="class")
        def of_class():
            ran("class up"); yield; ran("class down")

        class TestA:
            @pytest.mark.llmperf(rounds=4, fresh_fixtures=True)
            def test_broken(self, of_class, caplog, tmp_path):
                ask()
                {how}

            def test_in_class(self, of_class):
                ran("in class")

        def test_next(caplog, tmp_path):
            ran("next")
    """)
    assert ran.outcomes == {"failed": 1, "passed": 2}, ran.text
    assert ran.bodies == {"class up": 1, "in class": 1, "class down": 1, "next": 1}
    assert said in ran.out
    assert ran.test()["outcome"] == "error"
    assert ran.arm()["rounds"]["judged"] == judged


BROKEN_FIXTURE = """
import pytest
from talk import *
rounds = []

@pytest.fixture
def of_function():
    rounds.append(1)
    if len(rounds) == 3:
        {how}
    yield
    if len(rounds) == 3:
        {later}

@pytest.mark.llmperf(rounds=4, fresh_fixtures=True)
def test_a(of_function):
    ran("a"); ask()

def test_next(tmp_path): ran("next")
"""


@pytest.mark.parametrize(
    ("how", "later", "outcomes", "bodies", "said"),
    [
        ("raise OSError('no room')", "pass", {"errors": 1, "passed": 1}, 2, "round 2 of 4: its setup did not pass"),
        ("pytest.skip('busy')", "pass", {"errors": 1, "passed": 1}, 2, "round 2 of 4 was skipped ("),
        ("pass", "raise OSError('no room')", {"errors": 1, "passed": 2}, 3, "round 2 of 4: its teardown did not pass"),
    ],
)
def test_a_fixture_that_breaks_in_a_later_round(suite, how, later, outcomes, bodies, said):
    """The error of set-up or teardown is reported with its round, and what was measured before is kept."""
    ran = suite(BROKEN_FIXTURE.format(how=how, later=later))
    assert ran.outcomes == outcomes, ran.text
    assert ran.bodies == {"a": bodies, "next": 1}
    assert said in ran.text
    assert ran.test("test_a")["outcome"] == "error"
    assert ran.arm("test_a")["rounds"]["judged"] == bodies - 1


def test_a_wider_fixture_that_fails_to_end(suite):
    """Its error is reported as it is without repetition, after the verdict."""
    ran = suite("""
        import pytest
        from talk import *
        @pytest.fixture(scope="module")
        def of_module():
            yield
            raise OSError("cannot end")
        @pytest.mark.llmperf(rounds=2, fresh_fixtures=True)
        def test_a(of_module): ask()
    """)
    assert ran.outcomes == {"passed": 1, "errors": 1}, ran.text
    assert "OSError: cannot end" in ran.out


def test_early_stops_and_caps_end_the_rounds(suite):
    """Rounds end where nothing is left to be run, and no fixture is made for one that never comes."""
    ran = suite(
        """
        import pytest
        from talk import *
        @pytest.fixture
        def made(): ran("made")
        @pytest.mark.llmperf(rounds=50, fresh_fixtures=True)
        def test_a(made): ran("a"); ask()
        """,
        "--llmperf-max-calls=4",
    )
    assert ran.bodies == {"made": 4, "a": 4}
    assert ran.arm()["rounds"]["judged"] == 3


def test_a_plan_of_the_set_up_runs_no_round(suite):
    """`--setup-plan` shows the fixtures of one round and runs nothing."""
    ran = suite(SOURCE, "--setup-plan", "-k", "test_plain")
    assert ran.code == 0
    assert ran.out.count("SETUP    F of_function") == 1
    assert not ran.bodies
