"""One test, several arms: how they are told apart, in what order they run, and how they are judged and shown."""

from __future__ import annotations

import xml.etree.ElementTree as ET

import jsonschema
import pytest

from pytest_llmperf.reports.json_file import schema

SOURCE = """
import asyncio, threading, pytest
from talk import *
pytestmark = pytest.mark.llmperf(rounds=12, warmup=2, stop="fixed")

@pytest.mark.arms(length=[3, 9])
def test_plain(arm, llmperf):
    ran(f"plain {llmperf.round} {arm.name} {llmperf.arm.length}")
    llmperf.record("mine", arm.length)
    ask(f"output_tokens={arm.length}")

@pytest.mark.arms(length=[3, 9], kind=["dull", "witty"])
@pytest.mark.llmperf(concurrency=4)
async def test_together(arm, llmperf):
    before = arm.name, dict(arm.factors)
    await ask_async(f"output_tokens={arm.length}")
    assert (arm.name, arm.factors) == before == (llmperf.arm.name, {"length": arm.length, "kind": arm.kind})
    assert await asyncio.to_thread(lambda: arm.name) == before[0]
    task = asyncio.get_running_loop().create_task(named(arm))
    assert await task == before[0]

async def named(arm):
    await asyncio.sleep(0.01)
    return arm.name

@pytest.mark.arms(length=[3, 9])
@pytest.mark.llmperf(concurrency=3)
def test_threads(arm, llmperf):
    found = []
    thread = threading.Thread(target=lambda: found.append(arm.length))
    thread.start(); thread.join()
    assert found == [arm.length]
    ask(f"output_tokens={arm.length}")

@pytest.mark.arms(length=[3, 9])
def test_that_never_asks():
    ask()

class TestInAClass:
    pytestmark = pytest.mark.arms(kind=["dull", "witty"])

    @pytest.mark.arms(length=[3])
    @pytest.mark.parametrize("more", [0, 1])
    @pytest.mark.anyio
    async def test_method(self, arm, more, anyio_backend):
        await ask_async(f"output_tokens={arm.length + more}")

    @pytest.fixture
    def anyio_backend(self):
        return "asyncio"

    @pytest.mark.arms(None)
    @pytest.mark.latency(p50_ms=60_000)
    def test_switched_off(self, arm):
        assert (arm.name, arm.factors) == ("", {})
        ask()
"""


@pytest.fixture
def ran(suite_once):
    """The suite, run once."""
    return suite_once("arms", SOURCE, "-v", "--junitxml=junit.xml")


def arms(test):
    """The arms of a test in the report, by name."""
    return {arm["name"]: arm for arm in test["arms"]}


def test_all_pass_as_one_test_each(ran):
    """However many arms it has, a test is one item, and its report is valid."""
    assert ran.outcomes == {"passed": 7}, ran.text
    jsonschema.Draft202012Validator(schema()).validate(ran.report)


def test_the_body_reads_its_arm(ran):
    """Every round has one, which the fixtures follow although they are made once."""
    found = arms(ran.test("test_plain"))
    assert list(found) == ["length=3", "length=9"]
    for length in (3, 9):
        arm = found[f"length={length}"]
        assert arm["factors"] == {"length": length}
        assert arm["rounds"] == {"judged": 12, "warmup": 2, "failed": 0}
        assert arm["series"]["output_tokens"] == arm["series"]["mine"] == [length] * 12


def test_rounds_are_interleaved_in_blocks(ran):
    """Warm-ups of all arms first; each block holds every arm once, in an order of its own."""
    ordered = [line.split() for line in (ran.path / "bodies.log").read_text().splitlines() if line.startswith("plain")]
    blocks = [ordered[first : first + 2] for first in range(0, len(ordered), 2)]
    assert [[int(number) for _, number, *_ in block] for block in blocks] == [[n, n] for n in range(-2, 12)]
    assert all({name for _, _, name, _ in block} == {"length=3", "length=9"} for block in blocks)
    assert len({block[0][2] for block in blocks}) == 2


@pytest.mark.parametrize("name", ["test_together", "test_threads"])
def test_rounds_that_run_at_once_have_their_own(ran, name):
    """Also in the tasks and threads that a round starts."""
    for arm in ran.test(name)["arms"]:
        assert arm["series"]["output_tokens"] == [arm["factors"]["length"]] * 12


def test_factors_make_a_product(ran):
    """Each combination is an arm."""
    assert list(arms(ran.test("test_together"))) == [
        "length=3, dull", "length=3, witty", "length=9, dull", "length=9, witty"
    ]  # fmt: skip


def test_a_body_need_not_read_its_arm(ran):
    """It is run for each all the same."""
    assert [arm["calls"] for arm in ran.test("test_that_never_asks")["arms"]] == [12, 12]


def test_marks_of_class_and_function_go_together(ran):
    """Factors of all levels are combined, parameters make tests, and `arms(None)` switches the class's off."""
    for more in (0, 1):
        found = arms(ran.test(f"test_method[{more}]"))
        assert list(found) == ["length=3, dull", "length=3, witty"]
        assert found["length=3, dull"]["series"]["output_tokens"] == [3 + more] * 12
    assert list(arms(ran.test("test_switched_off"))) == [""]


def test_junit_sees_one_test(ran):
    """Its properties stand apart by arm."""
    cases = list(ET.parse(ran.path / "junit.xml").getroot().iter("testcase"))
    assert len(cases) == 7
    (plain,) = [case for case in cases if case.get("name") == "test_plain"]
    properties = {one.get("name"): one.get("value") for one in plain.iter("property")}
    assert properties["llmperf.rounds"] == "24"
    assert {"llmperf[length=3].e2e.p50_ms", "llmperf[length=9].e2e.p50_ms"} <= properties.keys()


CLAIMS = """
import pytest
from talk import *

@pytest.mark.arms(length=[4, 400])
@pytest.mark.latency(p50_ms=8_000)
@pytest.mark.latency(p50_ms=60_000, arm=400)
@pytest.mark.claim(metric="output_tokens", statistic="p50", min=4, arm="length=4")
def test_claims(arm):
    ask(f"output_tokens={arm.length}", max_tokens=500)

@pytest.mark.arms(load=["light", "heavy"])
@pytest.mark.latency(p50_ms=60_000)
@pytest.mark.latency(p90_ms=60_000, arm="heavy")
def test_stops_together(arm):
    ask()

@pytest.mark.arms(load=["light", "heavy"])
@pytest.mark.throughput(min_rpm=25)
@pytest.mark.llmperf(rounds=60)
def test_totals(arm):
    ask(f"output_tokens={4 if arm.load == 'light' else 800}", max_tokens=900)
"""


@pytest.fixture
def claimed(suite_once):
    """A suite with claims on arms, run once."""
    return suite_once("claims on arms", CLAIMS, "--llmperf-seed=1")


def test_a_claim_is_about_every_arm_unless_it_names_one(claimed):
    """Claim by claim, in the order of the arms; a claim that is shown not to hold for one arm fails the test."""
    judged = {(one["arm"], one["claim"]): one["outcome"] for one in claimed.test("test_claims")["verdicts"]}
    assert judged == {
        ("length=4", "p50 e2e <= 8000 ms"): "passed",
        ("length=400", "p50 e2e <= 8000 ms"): "failed",
        ("length=400", "p50 e2e <= 60 s"): "passed",
        ("length=4", "p50 output_tokens >= 4 tokens"): "passed",
    }
    assert "p50 e2e <= 8000 ms [length=400] does not hold" in claimed.out


def test_arms_stop_together(claimed):
    """The arm whose claim takes longest decides, and all arms have equally many rounds."""
    light, heavy = claimed.test("test_stops_together")["arms"]
    assert light["rounds"] == heavy["rounds"]
    assert 29 <= light["rounds"]["judged"] < 100


def test_totals_are_of_an_arms_own_time(claimed):
    """The rounds of the other arm are no part of the time in which an arm brings what it brings."""
    verdicts = {one["arm"]: one for one in claimed.test("test_totals")["verdicts"]}
    of_one = {arm["name"]: arm["series"]["scenario"] for arm in claimed.test("test_totals")["arms"]}
    for name, verdict in verdicts.items():
        assert verdict["estimate"] == pytest.approx(60 / (sum(of_one[name]) / len(of_one[name])), rel=0.1)
    assert (verdicts["light"]["outcome"], verdicts["heavy"]["outcome"]) == ("passed", "failed")


def test_the_table_has_a_row_for_each_arm(claimed):
    """At 80 columns, with the arm beside its figures."""
    table = claimed.out.partition("= llmperf: simulated")[2].splitlines()
    assert "  p50 e2e <= 8000 ms [length=400]                                   FAILED" in table
    assert max(map(len, table[:-3])) <= 80


FRESH = """
import pytest
from talk import *
pytestmark = pytest.mark.llmperf(rounds=4, warmup=1, stop="fixed", fresh_fixtures=True)

@pytest.fixture
def length(arm):
    ran(f"up {arm.name}")
    yield arm.length
    ran(f"down {arm.name}")

@pytest.mark.arms(length=[3, 9])
def test_set_up(arm, length):
    assert arm.length == length
    ran(f"body {arm.name}")
    ask(f"output_tokens={length}")

@pytest.mark.arms(length=[3, 9])
async def test_coroutine(arm, length):
    assert arm.length == length
    await ask_async(f"output_tokens={length}")

@pytest.mark.arms(length=[3, 9])
@pytest.mark.llmperf(rounds=8)
def test_one_arm_with_threads(arm, length):
    import threading
    assert arm.length == length
    call = lambda: ask(f"output_tokens={length}")
    if length == 9:
        before = threading.Thread(target=call); before.start(); before.join()
    else:
        call()
"""


def test_fresh_fixtures_are_of_the_rounds_own_arm(suite):
    """What a fixture sees of the arm while it is set up and torn down is what the body sees."""
    ran = suite(FRESH)
    assert ran.outcomes == {"passed": 3}, ran.text
    for name in ("test_set_up", "test_coroutine"):
        for arm in ran.test(name)["arms"]:
            assert arm["rounds"] == {"judged": 4, "warmup": 1, "failed": 0}
            assert arm["series"]["output_tokens"] == [arm["factors"]["length"]] * 4
    assert {line: count for line, count in ran.bodies.items() if line.startswith("body")} == {
        "body length=3": 5,
        "body length=9": 5,
    }
    for arm in ran.test("test_one_arm_with_threads")["arms"]:
        assert arm["series"]["output_tokens"] == [arm["factors"]["length"]] * 8


@pytest.mark.parametrize("fixture", ["arm", "llmperf"])
def test_a_fixture_of_all_rounds_has_no_arm(suite, fixture):
    """It is set up once: whichever arm it took would be wrong for the others, so it is refused with what to do."""
    ran = suite(f"""
        import pytest
        @pytest.fixture
        def length({fixture}):
            return {"arm.length" if fixture == "arm" else "llmperf.arm.length"}
        @pytest.mark.arms(length=[3, 9])
        def test_set_up(length):
            raise AssertionError("never run")
    """)
    assert ran.outcomes == {"errors": 1}
    assert "the arm was asked for outside of a round" in ran.out
    assert "fresh_fixtures=True" in ran.out


OFF = """
import pytest
from talk import *
@pytest.mark.arms(length=[3, 9])
def test_off(arm, llmperf):
    ran(f"{arm.length} {llmperf.arm.name} {arm.name}")
"""


@pytest.mark.parametrize("backend", ["simulate", "live"])
def test_switched_off_the_first_arm_is_run_once(suite, backend):
    """A plain run has an arm to read."""
    ran = suite(OFF, "--llmperf-off", backend=backend)
    assert (ran.outcomes, ran.bodies) == ({"passed": 1}, {"3 length=3 length=3": 1})


@pytest.mark.parametrize(
    ("marks", "said"),
    [
        ("arms()", "arms(): compares nothing; give at least one factor"),
        ("arms(['cold'])", "arguments are given by name (factor=[…])"),
        ("arms(cache='cold')", "arms(cache='cold'): cache must be a list of at least one value"),
        ("arms(cache=[])", "arms(cache=[]): cache must be a list of at least one value"),
        ("arms(cache=[object])", "cache must be a list of plain values: texts, numbers, True, False, None"),
        ("arms(cache=[float('nan')])", "cache must be a list of plain values"),
        ("arms(cache=['a', 'b', 'a'])", "cache must be a list of different values; a is there twice"),
        ("arms(concurrency=[0, 1])", "concurrency must be a whole number of at least 1"),
        ("arms(rounds=[10, 20])", "rounds is an argument of llmperf and the same for all arms"),
        ("arms(rate_per_minute=[10, 0])", "rate_per_minute must be a number above 0"),
        ("arms(name=['a'])", "a factor cannot be called 'name'"),
        ("arms(_a=['a'])", "a factor cannot be called '_a'"),
        ("arms(cache=['a', 'b']), latency(p50_ms=1, arm='c')", "there is no arm 'c'. Arms: 'a' · 'b'"),
        (
            "arms(cache=['a', 'b']), latency(p50_ms=1, arm=[1])",
            "arm must be the name of an arm, or a value of a factor",
        ),
        ("latency(p50_ms=1, arm='c')", "there is no arm 'c': the test has no arms mark"),
        (
            "arms(cache=['a', 'b']), throughput(min_rpm=1), llmperf(concurrency=2)",
            "calls of several arms are in flight at once",
        ),
        ("arms(concurrency=[1, 2]), llmperf(fresh_fixtures=True)", "rounds with fixtures of their own run one by one"),
    ],
)
def test_marks_that_mean_nothing_are_usage_errors(suite, marks, said):
    """Before any call, with what is wrong and what there is."""
    listed = "".join(f"@pytest.mark.{mark}\n" for mark in marks.replace("), ", ")\n").split("\n"))
    ran = suite(f"import pytest\n{listed}def test_a():\n    raise AssertionError('never run')\n")
    assert ran.code == pytest.ExitCode.USAGE_ERROR
    assert said in ran.text


def test_concurrency_may_differ_from_arm_to_arm(suite):
    """As many rounds run at once as the arm says, and never beside another arm's."""
    ran = suite("""
        import asyncio, pytest
        from talk import *
        running, most = [], {}
        @pytest.mark.arms(concurrency=[1, 4])
        @pytest.mark.throughput(min_rpm=1)
        @pytest.mark.llmperf(rounds=60)
        async def test_load(arm):
            running.append(arm.concurrency)
            assert set(running) == {arm.concurrency}
            most[arm.name] = max(most.get(arm.name, 0), len(running))
            await ask_async()
            running.remove(arm.concurrency)
            llm = most == {"concurrency=1": 1, "concurrency=4": 4}
            ran(f"full {llm}")
    """)
    assert ran.outcomes == {"passed": 1}, ran.text
    assert ran.bodies["full True"] > 0
    one, four = ran.test()["verdicts"]
    assert four["estimate"] > 2 * one["estimate"]


BROKEN = """
import os, signal, pytest
from talk import *
@pytest.mark.arms(length=[3, 9])
@pytest.mark.llmperf(rounds=10, warmup=1)
def test_broken(arm, llmperf):
    ask(f"output_tokens={arm.length}")
    if llmperf.round == 4 and arm.length == 9:
        BREAK
"""


def test_an_assertion_names_round_and_arm(suite):
    """What was gathered until then is kept, arm by arm."""
    ran = suite(BROKEN.replace("BREAK", "assert arm.length == 8"))
    assert ran.outcomes == {"failed": 1}
    assert "llmperf: in round 5 of 10 [length=9]" in ran.out
    assert [arm["rounds"]["judged"] for arm in ran.test()["arms"]] in ([5, 5], [4, 5])


def test_ctrl_c_keeps_the_arms(suite):
    """An interrupted test has partial arms in the report."""
    ran = suite(BROKEN.replace("BREAK", "os.kill(os.getpid(), signal.SIGINT); ask()"))
    assert ran.code == pytest.ExitCode.INTERRUPTED
    test = ran.test()
    assert test["interrupted"]
    assert [arm["name"] for arm in test["arms"]] == ["length=3", "length=9"]
    assert all(4 <= arm["rounds"]["judged"] <= 5 for arm in test["arms"])


def test_a_cap_is_for_all_arms_together(suite):
    """It ends sampling once, and is told once."""
    ran = suite(BROKEN.replace("BREAK", "pass"), "--llmperf-max-calls=11")
    assert [arm["calls"] + arm["rounds"]["warmup"] for arm in ran.test()["arms"]] in ([5, 6], [6, 5])
    assert ran.out.count("sampling ended early") == 1


def test_two_workers_see_the_same_arms(suite):
    """The order of arms hangs on the seed and the test alone."""
    tests = [suite(SOURCE, "-k", "plain or never or together", *way).report["tests"] for way in ((), ("-n2",))]
    assert len(tests[0]) == 3
    assert tests[0] == tests[1]


def test_lf_and_k_see_one_test(suite, pytester):
    """A failing arm makes its test the one that failed last."""
    suite(CLAIMS, "-p", "cacheprovider", "--llmperf-seed=1")
    again = suite(CLAIMS, "-p", "cacheprovider", "--lf", "-k", "claims", "--llmperf-seed=1")
    assert again.outcomes == {"failed": 1}, again.text
