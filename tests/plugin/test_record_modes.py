"""What recording does to a cassette that is there, to one that is half made, and to one that cannot be whole."""

from __future__ import annotations

import signal
import subprocess
import time

import pytest
import yaml

from pytest_llmperf.simulator.server import running_server

QUICK = """
extends = "claude-opus-4"
[workloads.mixed]
ttft_p50_ms = {ms}
ttft_p95_ms = {ms}.5
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
    profile.write_text(QUICK.format(ms=5))
    with running_server(profile) as url:
        yield url


@pytest.fixture
def record(suite, server, monkeypatch):
    """Run a suite with the record backend against the server."""

    def run(source, mode="once", *arguments, **options):
        with monkeypatch.context() as patched:
            patched.setenv("ANTHROPIC_BASE_URL", server)
            mode = f"--llmperf-record-mode={mode}"
            return suite(source, mode, *arguments, backend="record", conftest=CLOSING, **options)

    return run


def interactions(ran):
    """What the cassette holds."""
    return yaml.safe_load((ran.path / "cassettes" / "test_suite" / "test_a.yaml").read_text())["interactions"]


def files(ran):
    """Names of all files among the cassettes."""
    return sorted(path.name for path in (ran.path / "cassettes").rglob("*") if path.is_file())


SOURCE = """
import pytest
from talk import *
@pytest.mark.llmperf(rounds={rounds}, warmup=1, stop="fixed")
def test_a(llmperf):
    {first}
    message = ask()
    with open("ids.log", "a") as log:
        log.write(message.id + "\\n")
"""


def source(rounds=3, first="pass"):
    """A test that notes the identifier of each answer."""
    return SOURCE.format(rounds=rounds, first=first)


def identifiers(ran):
    """Those of the last run, and no run's afterwards."""
    log = ran.path / "ids.log"
    lines = log.read_text().splitlines()
    log.unlink()
    return lines


def test_once_leaves_a_cassette_alone(record):
    """Recorded once, a cassette is replayed; no key is needed and nothing is written."""
    live = record(source())
    there, before = identifiers(live), interactions(live)
    again = record(source())
    assert identifiers(again) == there
    assert (again.test()["source"], interactions(again)) == ("replayed", before)


def test_new_episodes_are_added_to_it(record):
    """Rounds that are there are replayed, in real time; those that are not are recorded and added."""
    there = identifiers(record(source()))
    ran = record(source(5), "new_episodes")
    now = identifiers(ran)
    assert now[:4] == there
    assert len(set(now)) == 6
    assert [one["response"]["x-llmperf"]["round"] for one in interactions(ran)] == [-1, 0, 1, 2, 3, 4]
    assert (ran.test()["source"], ran.test()["clock"]) == ("recorded", "realtime")
    assert "4 exchanges came from the cassette as it was, in real time" in ran.test()["notes"]


def test_all_records_anew(record):
    """Everything is recorded again, and the old cassette is replaced."""
    there = identifiers(record(source()))
    ran = record(source(2), "all")
    now = identifiers(ran)
    assert not set(now) & set(there)
    assert [one["response"]["x-llmperf"]["round"] for one in interactions(ran)] == [-1, 0, 1]
    assert files(ran) == ["test_a.yaml"]


BREAKS = "assert llmperf.round < 1"


@pytest.mark.parametrize("how", [{"first": BREAKS}, {"cap": "--llmperf-max-calls=2"}])
def test_only_a_whole_recording_replaces_another(record, how):
    """A body that fails, or a cap, leaves the old cassette as it was; what was recorded is kept apart."""
    before = interactions(record(source()))
    arguments = [how.pop("cap")] if "cap" in how else []
    ran = record(source(**how), "all", *arguments)
    assert interactions(ran) == before
    assert files(ran) == ["test_a.new.journal", "test_a.yaml"]
    assert any("the recording is not whole" in note for note in ran.test()["notes"])


def test_a_cap_ends_a_first_recording_cleanly(record, suite):
    """What was gathered until a cap was reached is a cassette, and is replayed."""
    ran = record(source(), "once", "--llmperf-max-calls=3")
    assert [one["response"]["x-llmperf"]["round"] for one in interactions(ran)] == [-1, 0, 1]
    again = suite(source(), backend="replay")
    assert again.arm()["rounds"] == {"judged": 2, "warmup": 1, "failed": 0}


def test_a_recording_that_broke_off_is_continued(record, suite):
    """What was recorded before the body failed is not asked for again once it is mended."""
    broken = record(source(first=BREAKS))
    assert (broken.outcomes, files(broken)) == ({"failed": 1}, ["test_a.journal"])
    there = identifiers(broken)
    missing = suite(source(), backend="replay")
    assert "recording was cut off after 2 exchanges; to record again continues it" in missing.out
    mended = record(source())
    assert identifiers(mended)[:2] == there
    assert files(mended) == ["test_a.yaml"]
    assert [one["response"]["x-llmperf"]["round"] for one in interactions(mended)] == [-1, 0, 1, 2]


def test_what_a_broken_recording_asked_in_vain_is_forgotten(record):
    """Recorded exchanges that the mended test does not ask for are not kept."""
    record(source(first=f'ask(system="once"); {BREAKS}'))
    mended = record(source())
    assert len(interactions(mended)) == 4


SLOW = source(50, first="ran('begun')")


def test_killed_while_recording(laid_out, suite, tmp_path):
    """Killed outright, a recording loses what was under way; the next one goes on from there."""
    profile = tmp_path / "slow.toml"
    profile.write_text(QUICK.format(ms=40))
    with running_server(profile) as url:
        how = laid_out(SLOW, backend="record", ANTHROPIC_BASE_URL=url, ANTHROPIC_API_KEY="dummy")
        process = subprocess.Popen(**how, stdout=subprocess.DEVNULL)
        log = how["cwd"] / "ids.log"
        deadline = time.monotonic() + 60
        while not (log.exists() and len(log.read_text().splitlines()) >= 4):
            assert time.monotonic() < deadline
            time.sleep(0.01)
        process.send_signal(signal.SIGKILL)
        process.wait(10)
    seen = len(log.read_text().splitlines())
    (journal,) = (how["cwd"] / "cassettes" / "test_suite").iterdir()
    assert journal.name == "test_a.journal"
    assert len(journal.read_bytes().splitlines()) >= seen


def test_nothing_answered(suite, monkeypatch):
    """A recording in which no attempt was ever answered is none."""
    monkeypatch.setenv("ANTHROPIC_BASE_URL", "http://127.0.0.1:9")
    ran = suite(source(2), backend="record", conftest=CLOSING)
    assert not (ran.path / "cassettes" / "test_suite" / "test_a.yaml").exists()
    assert any("nothing was answered, so no cassette was written" in note for note in ran.test()["notes"])


FILTERS = """
llmperf_filter_headers =
    x-team
llmperf_filter_body_fields =
    user_id
"""


def test_what_the_project_leaves_out(record, suite):
    """Headers and fields named in the ini file are in no file, and the recording is found all the same."""
    text = source().replace("ask()", 'ask(extra_headers={"x-team": "mine"})')
    ran = record(text, ini=FILTERS)
    asked = interactions(ran)[0]["request"]
    assert asked["headers"]["x-team"] == ["[redacted]"]
    assert '"user_id":"[redacted]"' in asked["body"].replace(" ", "")
    assert '"max_tokens":64' in asked["body"]
    assert suite(text, backend="replay", ini=FILTERS).outcomes == {"passed": 1}


OFF = """
import pytest
from talk import *
@pytest.mark.llmperf(rounds=2, warmup=0)
def test_a():
    ran("a"); assert ask().id
"""


def test_switched_off_a_test_is_still_offline(record, suite):
    """Run once and plainly, a test with a cassette is answered from it."""
    record(OFF)
    ran = suite(OFF, "--llmperf-off", backend="replay")
    assert (ran.outcomes, dict(ran.bodies)) == ({"passed": 1}, {"a": 3})
    assert not (ran.path / "report.json").exists() or ran.report["tests"] != []


FRESH = """
import pytest
from talk import *

@pytest.fixture
def number(request):
    return id(request)

@pytest.mark.llmperf(rounds=3, warmup=1, fresh_fixtures=True)
@pytest.mark.parametrize("word", ["a/b", "x:y"])
class TestIt:
    def test_a(self, number, word):
        ask(system=word)
"""


def test_fresh_fixtures_classes_and_parameters(record, suite):
    """Rounds with fixtures of their own are recorded in one cassette for each test, under a name any system allows."""
    live = record(FRESH)
    assert live.outcomes == {"passed": 2}, live.text
    assert files(live) == ["TestIt.test_a[a-b].yaml", "TestIt.test_a[x-y].yaml"]
    again = suite(FRESH, backend="replay")
    assert again.outcomes == {"passed": 2}, again.text
    assert {test["source"] for test in again.report["tests"]} == {"replayed"}
    assert again.arm("test_a[a/b]")["rounds"]["judged"] == 3
