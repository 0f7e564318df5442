"""Whatever runs a test, its body runs once for each round, in one event loop, and its calls belong to their rounds."""

from __future__ import annotations

from collections import Counter

import pytest

SOURCE = """
import asyncio, concurrent.futures, threading, unittest
import anyio, pytest, pytest_asyncio
from talk import *

pytestmark = pytest.mark.llmperf(rounds=3)

def test_plain():
    ran("plain"); ask()

async def test_coroutine():
    ran(f"coroutine @{loop()}"); await ask_async()

@pytest.mark.asyncio
async def test_marked():
    ran(f"marked @{loop()}"); await ask_async()

@pytest.mark.anyio
@pytest.mark.parametrize("anyio_backend", ["asyncio", "trio"])
async def test_anyio(anyio_backend):
    ran(f"anyio {anyio_backend} @{loop()}"); await ask_async()

@pytest.fixture
def anyio_backend():
    return "asyncio"

async def test_fixture_of_anyio(anyio_backend):
    ran(f"fixture of anyio @{loop()}"); await ask_async()

class TestMethods:
    def test_method(self):
        ran("method"); ask()

    @staticmethod
    def test_static():
        ran("static"); ask()

    @classmethod
    def test_class(cls):
        ran("class"); ask()

    async def test_coroutine(self):
        ran(f"async method @{loop()}"); await ask_async()

@pytest.mark.parametrize("x", [1, pytest.param(2, marks=pytest.mark.llmperf(rounds=2))])
def test_parameter(x):
    ran(f"parameter {x}"); ask()

class TestCase(unittest.TestCase):
    def test_case(self):
        ran("case"); ask()

class TestAsyncCase(unittest.IsolatedAsyncioTestCase):
    async def asyncSetUp(self):
        ran("async case set-up")

    async def test_async_case(self):
        ran(f"async case @{loop()}"); await ask_async()

@pytest.mark.asyncio(loop_scope="module")
class TestOneLoop:
    async def test_first(self):
        ran(f"one loop @{loop()}"); await ask_async()

    async def test_second(self):
        ran(f"one loop @{loop()}"); await ask_async()

@pytest_asyncio.fixture
async def made():
    ran("made")
    yield loop()

async def test_fixture(made):
    ran(f"made in {'the same' if made == loop() else 'another'} loop @{loop()}"); await ask_async()

@pytest.mark.llmperf(rounds=6, warmup=0, concurrency=3)
async def test_together():
    ran(f"together @{loop()}")
    await everyone(asyncio.Event())
    await ask_async()

waiting = []

async def everyone(own):
    # Nobody goes on before three are here: bodies that do not overlap would wait for ever.
    waiting.append(own)
    if len(waiting) == 3:
        for event in waiting:
            event.set()
        waiting.clear()
    await asyncio.wait_for(own.wait(), 60)

barrier = threading.Barrier(3, timeout=20)

@pytest.mark.llmperf(rounds=6, warmup=0, concurrency=3)
def test_threads():
    ran("threads"); barrier.wait(); ask()

async def test_tasks(llmperf):
    await asyncio.gather(ask_async(), ask_async(), asyncio.to_thread(ask))
    ran(f"{len(llmperf.calls)} calls of tasks @{loop()}")

def test_workers(llmperf):
    thread = threading.Thread(target=ask)
    thread.start()
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        list(pool.map(lambda _: ask(), range(2)))
    thread.join()
    ran(f"{len(llmperf.calls)} calls of workers")

@pytest.mark.llmperf(off=True)
def test_off():
    ran("off")
"""

BODIES = {
    "plain": 4,
    "coroutine": 4,
    "marked": 4,
    "anyio asyncio": 4,
    "anyio trio": 4,
    "fixture of anyio": 4,
    "method": 4,
    "static": 4,
    "class": 4,
    "async method": 4,
    "parameter 1": 4,
    "parameter 2": 3,
    "case": 4,
    "async case set-up": 1,
    "async case": 4,
    "one loop": 8,
    "made": 1,
    "made in the same loop": 4,
    "together": 6,
    "threads": 6,
    "3 calls of tasks": 4,
    "3 calls of workers": 5,
    "off": 1,
}
"""Three rounds and a warm-up; `workers` shows in its first that virtual time is not for it, and begins anew."""


WAYS = {"one process": (), "two workers": ("-n2",), "auto mode": ("-o", "asyncio_mode=auto")}


@pytest.fixture(params=WAYS)
def way(request):
    """How the suite is run."""
    return request.param


@pytest.fixture
def ran(way, suite_once):
    """The suite, run once in each way."""
    return suite_once(f"bodies, {way}", SOURCE, "-v", *WAYS[way])


def test_every_test_passes(ran):
    """Nothing about being repeated makes a test fail or warn."""
    assert ran.outcomes == {"passed": 22}, ran.text
    assert "warning" not in ran.text


def test_every_body_runs_once_for_each_round(ran):
    """Every body runs exactly as often as its rounds and warm-ups say, whoever runs it."""
    assert Counter(name.partition(" @")[0] for name in ran.bodies.elements()) == BODIES


def test_all_rounds_share_one_event_loop(ran, way):
    """No test sees a second event loop, whichever plugin made the first."""
    loops = {tuple(name.split(" @")) for name in ran.bodies if " @" in name}
    seen = Counter(name for name, _ in loops)
    shared = seen.pop("one loop")
    assert seen == dict.fromkeys(seen, 1)
    assert len(seen) == 10
    assert shared == 1 or way == "two workers", "two tests of one module, each in a process of its own"


def test_every_call_belongs_to_its_round(ran):
    """Each judged round has exactly the calls its body made, and no call is left over."""
    calls = {"test_tasks": 9, "test_workers": 9, "test_together": 6, "test_threads": 6, "test_parameter[2]": 2}
    found = {test["nodeid"].partition("::")[2]: test["arms"][0] for test in ran.report["tests"]}
    assert {name: arm["calls"] for name, arm in found.items() if name in calls} == calls
    assert {arm["calls"] for name, arm in found.items() if name not in calls} == {3}
    assert {arm["unattributed"] for arm in found.values()} == {0}
    assert {arm["rounds"]["failed"] for arm in found.values()} == {0}


def test_each_test_lives_by_a_clock_that_can_drive_it(ran, way):
    """Virtual time for plain tests and asyncio, the instant clock on trio and for threads."""
    on_trio = set() if way == "auto mode" else {"test_anyio[trio]"}  # there pytest-asyncio takes it for itself
    clocks = {test["nodeid"].partition("::")[2]: test["clock"] for test in ran.report["tests"]}
    instant = {name for name, clock in clocks.items() if clock == "instant"}
    assert instant == {"test_threads", "test_workers"} | on_trio
    assert set(clocks.values()) == {"instant", "virtual"}
