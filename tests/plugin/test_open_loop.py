"""Rounds that are begun at a rate, whether or not others were answered."""

from __future__ import annotations

import itertools

import pytest

PACED = """
import time
import anyio, pytest
from talk import *

@pytest.mark.llmperf(rounds=30, rate_per_minute=600, arrival="constant", stop="fixed")
async def test_task():
    await ask_async()

@pytest.mark.llmperf(rounds=30, rate_per_minute=600, arrival="constant", stop="fixed")
def test_thread():
    ask()

@pytest.mark.llmperf(rounds=60, rate_per_minute=600, stop="fixed")
async def test_random():
    await ask_async()

@pytest.mark.llmperf(rounds=60, rate_per_minute=600)
@pytest.mark.latency(p50_ms=30_000)
async def test_settled():
    await ask_async()

@pytest.mark.llmperf(rounds=200, rate_per_minute=600, stop="fixed", max_seconds=5)
async def test_capped():
    await ask_async()

@pytest.mark.llmperf(rounds=20, rate_per_minute=600, arrival="constant", stop="fixed", warmup=0)
@pytest.mark.claim(metric="scenario", statistic="max", max=100)
async def test_late(llmperf):
    if llmperf.round == 5:
        time.sleep(1)  # nothing else can begin meanwhile
    await ask_async()
    await ask_async()

@pytest.mark.llmperf(rounds=20, rate_per_minute=600)
async def test_wrong(llmperf):
    await ask_async()
    assert llmperf.round < 3
"""


@pytest.fixture
def paced(suite_once):
    """The suite above, run once."""
    return suite_once("open loop", PACED)


@pytest.mark.parametrize("name", ["test_task", "test_thread"])
def test_no_round_waits_for_answers(paced, name):
    """Answers of about a second each come to rounds that begin ten times a second, in virtual time, to the moment."""
    test, arm = paced.test(name), paced.arm(name)
    assert test["clock"] == "virtual"
    assert (arm["calls"], arm["rate_per_minute"], arm["arrival"]) == (30, 600.0, "constant")
    assert arm["sending_lag"] == {"p50": 0, "p99": 0, "max": 0}
    assert arm["metrics"]["e2e"]["p50"] > 0.5  # five intervals
    assert arm["metrics"]["rpm"]["mean"] > 200  # one after the other there would be at most 120


def test_random_arrivals_are_the_same_every_time(suite):
    """The same seed gives the same run."""
    # Never beside `paced`: in the folder of the test that asked for it first, another run would replace its report.
    first, again = (suite(PACED, "-k", "test_random").arm("test_random")["series"] for _ in range(2))
    assert first == again


def test_sampling_ends_once_every_claim_is_settled(paced):
    """A claim that is easily met takes the fewest rounds, though more are in flight when that is seen."""
    verdict, arm = paced.verdict("test_settled"), paced.arm("test_settled")
    assert verdict["outcome"] == "passed"
    assert verdict["n"] < arm["calls"] < 60


def test_a_cap_ends_sending_and_keeps_what_was_sent(paced):
    """After five seconds no round begins, and those in flight come to their end."""
    arm = paced.arm("test_capped")
    assert arm["ended_by"] == "llmperf mark: max_seconds of 5 reached"
    assert 25 < arm["calls"] < 75
    assert arm["failures"] == {}


def test_a_wait_counts_from_when_its_round_was_due(paced):
    """A client that stands still for a second begins the rounds of that second late, and each of them shows it."""
    arm = paced.arm("test_late")
    assert arm["sending_lag"]["max"] == pytest.approx(0.9, abs=0.02)
    calls = arm["series"]
    late = [call - alone for call, alone in zip(calls["e2e"], calls["attempt_e2e"], strict=True)]
    assert sum(lag > 0.05 for lag in late) == 9  # of ten rounds due in that second one was due at its end
    assert sum(lag < 1e-6 for lag in late) == 31  # the others, and every second call
    assert sorted(late)[-9:] == pytest.approx([0.1 * number for number in range(1, 10)], abs=0.02)


def test_an_assertion_ends_it(paced):
    """The first error of the body's own comes out with its round."""
    test = paced.test("test_wrong")
    assert test["outcome"] == "error"
    assert "AssertionError" in test["error"]


LEVELS = """
import anthropic, pytest
from talk import *

LIMITED = {"x-llmperf-condition": "limits=on"}

@pytest.mark.arms(rate_per_minute=[40, 100])
@pytest.mark.llmperf(rounds=240, arrival="constant")
@pytest.mark.error_rate(throttled_max=0.05, arm=40)
@pytest.mark.claim(metric="throttle_rate", min=0.4, arm=100)
async def test_ceiling():
    try:
        await async_client().with_options(max_retries=0, default_headers=LIMITED).messages.create(**question())
    except anthropic.RateLimitError:
        pass
"""


def test_levels_show_the_ceiling(suite):
    """Each rate has its own stretch; what is refused and what is let through are told with their levels."""
    ran = suite(LEVELS)
    test = ran.test()
    assert [verdict["outcome"] for verdict in test["verdicts"]] == ["passed", "passed"]
    assert [arm["rate_per_minute"] for arm in test["arms"]] == [40, 100]
    found = test["ceiling"]
    assert (found["good"], found["bad"], found["share"]) == (40, 100, 0.05)
    assert found["sustained"]["value"] == pytest.approx(47.8, rel=0.03)
    assert "rate ceiling: refusals of at most 5 % are shown up to 40/min, more from 100/min on" in " ".join(
        ran.out.split()
    )


FREEZE = """
import pytest
from talk import *
import anyio, time

frozen = {}

async def served(key):
    # The service stands still from its second to its third second, for whoever comes in that time.
    began = frozen.setdefault(key, time.monotonic())
    now = time.monotonic() - began
    if 2 <= now < 3:
        await anyio.sleep(3 - now)
    await anyio.sleep(0.05)

@pytest.mark.llmperf(rounds=60, warmup=0, stop="fixed", rate_per_minute=600, arrival="constant")
async def test_open():
    await served("open")

@pytest.mark.llmperf(rounds=60, warmup=0, stop="fixed")
async def test_closed():
    await served("closed")
"""


def test_a_freeze_shows_in_every_round_that_was_due(suite):
    """An open loop meets it with all rounds of that second; a closed loop with the one that was under way."""
    ran = suite(FREEZE)
    opened, closed = (ran.arm(name)["series"]["scenario"] for name in ("test_open", "test_closed"))
    slow = [seconds for seconds in opened if seconds > 0.06]
    assert len(slow) == 10
    assert all(sooner > later for sooner, later in itertools.pairwise(slow))  # who came later waited less
    assert sum(seconds > 0.06 for seconds in closed) == 1


def test_no_rate_without_time(suite):
    """Where no time passes nothing can be sent at a rate, and the test says so."""
    body = "import pytest\nfrom talk import *\n@pytest.mark.llmperf(rate_per_minute=60)\ndef test_it():\n    ask()\n"
    ran = suite(body, "--llmperf-clock=instant")
    assert ran.outcomes == {"failed": 1}
    assert "the instant clock does not wait, so nothing can be sent at a rate" in ran.out
