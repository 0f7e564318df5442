"""Recording and replaying marked tests: against a server on loopback, then against nothing."""

from __future__ import annotations

import re

import pytest
import yaml

from pytest_llmperf.simulator.server import running_server

QUICK = """
extends = "claude-opus-4"
[workloads.mixed]
ttft_p50_ms = 5
ttft_p95_ms = 6
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
    """Address of a simulated API whose answers come in milliseconds."""
    profile = tmp_path_factory.mktemp("profile") / "quick.toml"
    profile.write_text(QUICK)
    with running_server(profile) as url:
        yield url


@pytest.fixture
def record(suite, server, monkeypatch):
    """Run a suite with the record backend against the server, and afterwards as if there were no server."""

    def run(source, *arguments, **options):
        with monkeypatch.context() as patched:
            patched.setenv("ANTHROPIC_BASE_URL", server)
            return suite(source, *arguments, backend="record", conftest=CLOSING, **options)

    return run


def interactions(ran, name="test_a", module="test_suite"):
    """What a cassette holds."""
    return yaml.safe_load((ran.path / "cassettes" / module / f"{name}.yaml").read_text())["interactions"]


STREAMED = """
import pytest
from talk import *
@pytest.mark.llmperf(rounds=4, warmup=2)
@pytest.mark.claim(metric="input_tokens", statistic="max", max=50)
def test_a():
    ran("a"); ask_streamed()
"""


def test_rounds_are_recorded_and_replayed(record, suite):
    """Every round is recorded with its number, and replay gives the same times without network, key or waiting."""
    live = record(STREAMED)
    assert live.outcomes == {"passed": 1}, live.text
    told = [one["response"]["x-llmperf"] for one in interactions(live)]
    assert [(one["round"], one.get("warmup", False)) for one in told] == [
        (-2, True),
        (-1, True),
        (0, False),
        (1, False),
        (2, False),
        (3, False),
    ]
    assert live.test()["source"] == "recorded"
    again = suite(STREAMED, backend="replay")
    assert again.outcomes == {"passed": 1}, again.text
    assert (again.test()["source"], again.test()["clock"]) == ("replayed", "instant")
    for metric in ("ttft", "e2e"):
        there, here = live.arm()["series"][metric], again.arm()["series"][metric]
        assert len(here) == 4
        assert here == pytest.approx(there, abs=5e-6)
    assert again.arm()["usage"] == live.arm()["usage"]


def test_a_simulated_api_is_never_taken_for_a_real_one(record, suite):
    """The file says who answered, and so does the note of every replay."""
    assert {one["response"]["x-llmperf"]["source"] for one in interactions(record(STREAMED))} == {"simulated"}
    (note,) = suite(STREAMED, backend="replay").test()["notes"]
    assert note == "recorded from a simulated API: nothing here is a real one's"


def test_no_cassette(suite):
    """A test without a cassette fails plainly before its body runs, and says how to get one."""
    ran = suite(STREAMED, backend="replay")
    assert (ran.outcomes, dict(ran.bodies)) == ({"failed": 1}, {})
    assert "there is no cassette for this test, and --llmperf-backend=replay never asks the network" in ran.out
    assert f"expected    {ran.path / 'cassettes' / 'test_suite' / 'test_a.yaml'}" in ran.out
    assert "record      pytest test_suite.py::test_a --llmperf-backend=record" in ran.out
    assert "or          --llmperf-backend=simulate" in ran.out
    assert "Traceback" not in ran.out


def test_a_cassette_that_cannot_be_read(record, suite):
    """A damaged file is an error with file, interaction and reason, and is left as it is, also while recording."""
    path = record(STREAMED).path / "cassettes" / "test_suite" / "test_a.yaml"
    damaged = path.read_text().replace("chunks: ", "chunks: x", 1)
    path.write_text(damaged)
    for ran in (suite(STREAMED, backend="replay"), record(STREAMED, "--llmperf-record-mode=new_episodes")):
        assert ran.outcomes == {"failed": 1}
        assert re.search(r"cannot read the cassette .*test_a\.yaml: interaction 1: x-llmperf: chunks: 'x\d+:", ran.out)
    assert path.read_text() == damaged


OTHER = STREAMED.replace("ask_streamed()", 'ask_streamed("output_tokens=5")')


def test_a_miss_fails_at_once(record, suite):
    """A request that was not recorded fails the test with what differs, the file and the command; nothing is retried."""
    record(STREAMED)
    ran = suite(OTHER, backend="replay")
    assert ran.outcomes == {"failed": 1}
    assert dict(ran.bodies) == {"a": 7}, "six to record, one to miss"
    for line in (
        "the cassette has no answer to POST /v1/messages (in warm-up round -2)",
        "nearest   interaction 1 of 6",
        "differs   metadata.user_id: 'llmperf:output_tokens=4,output_tokens=5' here, 'llmperf:output_tokens=4' recorded",
        "next      pytest test_suite.py::test_a --llmperf-backend=record --llmperf-record-mode=all",
    ):
        assert line in ran.out, line
    assert "APIConnectionError" not in ran.out


SWALLOWED = OTHER.replace('ran("a"); ask', 'ran("a")\n    try: ask').replace(
    'tokens=5")', 'tokens=5")\n    except Exception: pass'
)


def test_a_miss_that_the_body_keeps_to_itself(record, suite):
    """A test whose body swallows a miss fails all the same."""
    record(STREAMED)
    ran = suite(SWALLOWED, backend="replay")
    assert ran.outcomes == {"failed": 1}, ran.text
    assert "the cassette has no answer to POST /v1/messages" in ran.out


def test_at_most_the_recorded_rounds_are_judged(record, suite):
    """Asked for more rounds than were recorded, replay judges those there are and says so."""
    record(STREAMED)
    ran = suite(STREAMED.replace("rounds=4", "rounds=9"), backend="replay")
    assert ran.outcomes == {"passed": 1}, ran.text
    assert ran.arm()["rounds"] == {"judged": 4, "warmup": 2, "failed": 0}
    assert "4 rounds judged of the 9 asked for: the cassette holds no more" in " ".join(ran.test()["notes"])


EARLY = """
import pytest
from talk import *
@pytest.mark.latency(p90_ms=1)
def test_a():
    ran("a"); ask_streamed()
"""


def test_a_recording_that_was_ended_early_is_judged_by_the_same_plan(record, suite):
    """What settled a claim while it was recorded settles it in replay, after as many rounds."""
    live, again = record(EARLY), suite(EARLY, backend="replay")
    assert (live.outcomes, again.outcomes) == ({"failed": 1}, {"failed": 1})
    same = ("claim", "n", "outcome", "method", "reason")
    assert {key: live.verdict()[key] for key in same} == {key: again.verdict()[key] for key in same}
    # Where the machine's own hiccups make neighbours alike, all rounds are run.
    assert live.verdict()["n"] < 100 or "neighbours are alike" in live.verdict()["reason"]


CONCURRENT = """
import asyncio, pytest
from talk import *
@pytest.mark.llmperf(rounds=6, warmup=1, concurrency=3, stop="fixed")
async def test_a(llmperf):
    async with async_client.__wrapped__() as by:
        first, second = await asyncio.gather(
            ask_async(system="one", by=by), ask_async(system=f"two {llmperf.round % 2}", by=by)
        )
    with open("ids.log", "a") as log:
        log.write(f"{llmperf.round} {first.id} {second.id}\\n")
"""


@pytest.mark.parametrize("clock", ["instant", "virtual", "realtime"])
def test_concurrent_rounds_get_their_own_answers(record, suite, clock):
    """Each round is answered from its own recordings, however rounds and calls overlap, on every clock."""
    live = record(CONCURRENT)
    assert live.outcomes == {"passed": 1}, live.text
    log = live.path / "ids.log"
    recorded = sorted(log.read_text().splitlines())
    log.unlink()
    again = suite(CONCURRENT, f"--llmperf-clock={clock}", backend="replay")
    assert (again.outcomes, again.test()["clock"]) == ({"passed": 1}, clock)
    assert sorted(log.read_text().splitlines()) == recorded


RETRIED = """
import pytest
from talk import *
@pytest.mark.llmperf(rounds=3, warmup=0, stop="fixed")
def test_a(llmperf):
    ask_streamed("fault=529:1" if llmperf.round == 1 else "")
"""


def test_retries_replay_with_their_waits(record, suite):
    """A retried call has its attempts and, from the recording, the wait between them; nothing waits for it now."""
    live, again = record(RETRIED), suite(RETRIED, backend="replay")
    assert [len(interactions(live)), again.arm()["attempts"]] == [4, 4]
    for metric in ("attempts", "ttft", "retry_wait"):
        assert again.arm()["series"].get(metric) == pytest.approx(live.arm()["series"].get(metric), abs=5e-6)
    assert again.arm()["metrics"]["retry_wait"]["max"] > 0.1


SCENARIO = """
import time, pytest
from talk import *
@pytest.mark.llmperf(rounds=5, warmup=0, stop="fixed")
@pytest.mark.latency(p50_ms=60_000, metric="scenario")
def test_a():
    ask_streamed(); time.sleep(0.05)
"""


def test_what_is_on_no_cassette_takes_virtual_time(record, suite):
    """A claim on the wall time of rounds is answered in virtual time without being told; at once it is refused."""
    record(SCENARIO)
    ran = suite(SCENARIO, backend="replay")
    assert (ran.outcomes, ran.test()["clock"]) == ({"passed": 1}, "virtual")
    took = [wall - e2e for wall, e2e in zip(*(ran.arm()["series"][m] for m in ("scenario", "e2e")), strict=True)]
    assert all(0.05 <= pause < 0.1 for pause in took), "virtual time passed for the answer and for the pause after it"
    assert ran.arm()["metrics"]["e2e"]["min"] > 0.005
    refused = suite(SCENARIO, "--llmperf-clock=instant", backend="replay")
    assert refused.outcomes == {"failed": 1}
    assert "the instant clock does not wait, so it cannot give scenario" in refused.out


PAST = """
import anthropic, pytest
from talk import *

class Elsewhere(anthropic.DefaultHttpxClient):
    def send(self, request, **options):
        import httpx2
        return httpx2.Response(200, json=ANSWER, request=request)

ANSWER = {"id": "m", "type": "message", "role": "assistant", "model": "m", "content": [], "stop_reason": "end_turn",
          "stop_sequence": None, "usage": {"input_tokens": 1, "output_tokens": 1}}

@pytest.mark.llmperf(rounds=2, warmup=0)
def test_a():
    ask()
    ask(by=anthropic.Anthropic(api_key="none", http_client=Elsewhere()))
"""


def test_a_call_that_goes_past_the_cassette(record, suite):
    """An answer that did not come from the cassette fails the test that says it is replayed."""
    record(PAST)
    ran = suite(PAST, backend="replay")
    assert ran.outcomes == {"failed": 1}, ran.text
    assert "2 calls went past the cassette" in ran.out


PLAIN = """
import pytest
from talk import *
@pytest.mark.llmperf(rounds=5, warmup=1)
@pytest.mark.latency(p50_ms=1, metric="e2e")
@pytest.mark.error_rate(max=0.5)
def test_a(): ask()
"""


def test_untimed(record, suite):
    """Without timing every interaction counts as a round, times are inconclusive, and the rest is judged."""
    live = record(PLAIN)
    path = live.path / "cassettes" / "test_suite" / "test_a.yaml"
    data = yaml.safe_load(path.read_text())
    for one in data["interactions"]:
        del one["response"]["x-llmperf"]
    path.write_text(yaml.safe_dump(data))
    ran = suite(PLAIN.replace("rounds=5", "rounds=9"), backend="replay")
    assert ran.outcomes == {"inconclusive": 1}, ran.text
    time, errors = ran.test()["verdicts"]
    assert (time["outcome"], errors["outcome"]) == ("inconclusive", "passed")
    assert "the cassette is untimed" in time["reason"]
    assert ran.arm()["rounds"] == {"judged": 6, "warmup": 0, "failed": 0}


IMPATIENT = """
import asyncio, pytest
from talk import *
@pytest.mark.llmperf(rounds=3, warmup=0, stop="fixed")
@pytest.mark.error_rate(max=0.999)
async def test_a(llmperf):
    async with async_client.__wrapped__() as by:
        try:
            async with asyncio.timeout(0.5 if llmperf.round == 1 else 30):
                await ask_async("fault=hang:1" if llmperf.round == 1 else "", by=by)
        except TimeoutError:
            llmperf.record("impatient", 1)
"""


@pytest.mark.parametrize("clock", ["instant", "virtual"])
def test_time_outs_of_the_application(record, suite, clock):
    """A time-out around a call comes again where time passes; where it stands, the same exception stands for it."""
    source = IMPATIENT.replace("fault=hang:1", "fault=connect_timeout")
    live = record(source)
    again = suite(source, f"--llmperf-clock={clock}", backend="replay")
    assert (live.outcomes, again.outcomes) == (
        {"inconclusive": 1},
        {"inconclusive": 1},
    ) or again.outcomes == live.outcomes
    assert again.arm()["series"]["e2e"][1] == live.arm()["series"]["e2e"][1] == "inf"


def test_workers_of_xdist(record, suite_apart, laid_out, suite):
    """Tests in several processes each find their own cassette."""
    many = "import pytest\nfrom talk import *\n" + "\n".join(
        f"@pytest.mark.llmperf(rounds=2, warmup=0)\ndef test_{name}(): ask(system={name!r})" for name in "abcd"
    )
    record(many)
    ran = suite(many, "-n", "2", backend="replay")
    assert ran.outcomes == {"passed": 4}, ran.text
    assert {test["source"] for test in ran.report["tests"]} == {"replayed"}


THREADS = """
import pytest
from talk import *
@pytest.mark.llmperf(rounds=8, warmup=1, concurrency=4, stop="fixed")
def test_a(llmperf):
    message = ask(system=str(llmperf.round % 2))
    with open("ids.log", "a") as log:
        log.write(f"{llmperf.round} {message.id}\\n")
"""


def test_rounds_in_threads(record, suite):
    """Rounds of a plain test that run at once are recorded apart and get their own answers again."""
    live = record(THREADS)
    assert live.outcomes == {"passed": 1}, live.text
    log = live.path / "ids.log"
    recorded = sorted(log.read_text().splitlines())
    log.unlink()
    again = suite(THREADS, backend="replay")
    assert again.outcomes == {"passed": 1}, again.text
    assert sorted(log.read_text().splitlines()) == recorded


ARMS = """
import pytest
from talk import *
@pytest.mark.arms(effort=["low", "high"], size=[1, 2])
@pytest.mark.llmperf(rounds=4, warmup=1, stop="fixed")
def test_a(arm, llmperf):
    message = ask(system=arm.effort)
    with open("ids.log", "a") as log:
        log.write(f"{arm.name} {llmperf.round} {message.id}\\n")
"""


def test_arms_get_their_own_answers(record, suite):
    """Rounds are recorded with their arm, and each arm is answered from its own, though arms ask for the same."""
    live = record(ARMS)
    assert live.outcomes == {"passed": 1}, live.text
    told = [one["response"]["x-llmperf"] for one in interactions(live)]
    assert len(told) == 20
    assert {one["arm"] for one in told} == {"low, size=1", "low, size=2", "high, size=1", "high, size=2"}
    log = live.path / "ids.log"
    recorded = sorted(log.read_text().splitlines())
    log.unlink()
    again = suite(ARMS.replace("rounds=4", "rounds=9"), backend="replay")
    assert again.outcomes == {"passed": 1}, again.text
    assert sorted(log.read_text().splitlines()) == recorded
    assert [arm["rounds"]["judged"] for arm in again.test()["arms"]] == [4, 4, 4, 4]
    assert "4 rounds judged of the 9 asked for: the cassette holds no more" in " ".join(again.test()["notes"])


PACED = """
import anthropic, pytest, pytest_asyncio, time
from talk import *

@pytest_asyncio.fixture
async def llm():
    async with anthropic.AsyncAnthropic(api_key="none") as llm:
        yield llm

@pytest.mark.arms(rate_per_minute=[600, 1200])
@pytest.mark.llmperf(rounds=6, warmup=1, stop="fixed", arrival="constant")
@pytest.mark.error_rate(throttled_max=0.5)
async def test_a(llmperf, arm, llm):
    if llmperf.round == 3:
        time.sleep(0.25)  # the next two or more cannot begin in time
    await ask_async(by=llm)

@pytest.mark.llmperf(rounds=6, warmup=0, stop="fixed", rate_per_minute={rate})
@pytest.mark.claim(metric="e2e", statistic="max", max=100)
def test_b():
    ask()
"""


def test_what_was_recorded_at_a_rate_is_judged_as_it_was_sent(record, suite):
    """Rounds are as late in replay as they were, and wait as long, one by one on the instant clock or each in its time."""
    live = record(PACED.format(rate=900))
    assert live.outcomes == {"passed": 2}, live.text
    assert arms(live)[0]["sending_lag"]["max"] > 0.1
    for asked, taken in (("auto", "instant"), ("virtual", "virtual")):
        again = suite(PACED.format(rate=450), f"--llmperf-clock={asked}", backend="replay")
        assert again.outcomes == {"passed": 2}, again.text
        assert {test["clock"] for test in again.report["tests"]} == {taken}
        for here, there in zip(arms(again), arms(live), strict=True):
            assert (here["rate_per_minute"], here["calls"]) == (there["rate_per_minute"], there["calls"])
            assert here["sending_lag"] == pytest.approx(there["sending_lag"], abs=2e-6)
            assert here["series"]["e2e"] == pytest.approx(there["series"]["e2e"], abs=1e-5)
        assert "; begun late by p50 " in again.out
        note = "recorded at 900 rounds a minute, not at the 450 asked for: record again for those"
        assert note in again.test("test_b")["notes"]


def arms(ran):
    """All arms of all tests."""
    return [arm for test in ran.report["tests"] for arm in test["arms"]]


def test_what_was_recorded_at_no_rate_has_none(record, suite):
    """A rate that was put into the mark later is none of the recording's."""
    record(STREAMED)
    ran = suite(STREAMED.replace("rounds=4", "rounds=4, rate_per_minute=60"), backend="replay")
    assert ran.outcomes == {"passed": 1}, ran.text
    told = "the recording does not say that its rounds were begun at a rate, nor when they were due"
    assert told in ran.test()["notes"]
    assert ran.arm()["sending_lag"] is None
