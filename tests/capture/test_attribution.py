"""Whose traffic it is, through tasks, threads and executors."""

from __future__ import annotations

import asyncio
import contextvars
import queue
import threading
from concurrent.futures import ThreadPoolExecutor

import anyio
import httpx2
import pytest
import trio

from capture.loopback import ASKED, MESSAGE
from pytest_llmperf.capture import observing

CLIENT = httpx2.Client(transport=httpx2.MockTransport(lambda _: httpx2.Response(200, json=MESSAGE)), trust_env=False)
APPLICATIONS_OWN = contextvars.ContextVar("applications_own", default="unset")


def ask():
    CLIENT.post("http://api.test/v1/messages", json=ASKED)


async def aask():
    async with httpx2.AsyncClient(
        transport=httpx2.MockTransport(lambda _: httpx2.Response(200, json=MESSAGE))
    ) as client:
        await client.post("http://api.test/v1/messages", json=ASKED)


def in_thread():
    thread = threading.Thread(target=ask)
    thread.start()
    thread.join()


def in_thread_subclass():
    class Asking(threading.Thread):
        def run(self):
            ask()

    thread = Asking()
    thread.start()
    thread.join()


def in_timer():
    timer = threading.Timer(0, ask)
    timer.start()
    timer.join()


def in_executor():
    with ThreadPoolExecutor(1) as pool:
        pool.submit(ask).result()


def in_executor_map():
    with ThreadPoolExecutor(1) as pool:
        list(pool.map(lambda _: ask(), [0]))


def in_loops_executor():
    async def main():
        await asyncio.get_running_loop().run_in_executor(None, ask)

    asyncio.run(main())


def in_to_thread():
    async def main():
        await asyncio.to_thread(ask)

    asyncio.run(main())


def in_anyio_thread():
    async def main():
        await anyio.to_thread.run_sync(ask)

    anyio.run(main)


def in_trio_thread():
    async def main():
        await trio.to_thread.run_sync(ask)

    trio.run(main)


def in_task():
    async def main():
        await asyncio.create_task(aask())

    asyncio.run(main())


def from_thread_to_loop():
    async def main():
        loop = asyncio.get_running_loop()
        await asyncio.to_thread(lambda: asyncio.run_coroutine_threadsafe(aask(), loop).result())

    asyncio.run(main())


@pytest.mark.parametrize(
    "way",
    [
        ask,
        in_thread,
        in_thread_subclass,
        in_timer,
        in_executor,
        in_executor_map,
        in_loops_executor,
        in_to_thread,
        in_anyio_thread,
        in_trio_thread,
        in_task,
        from_thread_to_loop,
    ],
)
def test_work_belongs_to_the_round_that_starts_it(recorder, way):
    """A call made by a task, thread or executor job belongs to the round it was started in, though others run."""
    with observing(recorder), recorder.round("other"), recorder.round("mine"):
        way()
    assert len(recorder.take("mine")) == 1
    assert recorder.take("other") == recorder.take_unattributed() == ()


def test_gathered_rounds_are_told_apart(recorder):
    """Rounds that run at once in one loop each get their own calls."""

    async def one(key, count):
        with recorder.round(key):
            for _ in range(count):
                await asyncio.gather(aask(), aask())

    async def main():
        await asyncio.gather(*(one(key, key) for key in (1, 2, 3)))

    with observing(recorder):
        asyncio.run(main())
    assert [len(recorder.take(key)) for key in (1, 2, 3)] == [2, 4, 6]


def test_trio_tasks_are_told_apart(recorder):
    """Rounds in a trio nursery each get their own calls."""

    async def one(key):
        with recorder.round(key):
            await aask()

    async def main():
        async with trio.open_nursery() as nursery:
            for key in "ab":
                nursery.start_soon(one, key)

    with observing(recorder):
        trio.run(main)
    assert [len(recorder.take(key)) for key in "ab"] == [1, 1]


class Worker:
    """A thread that works through a queue, as session fixtures have it."""

    def __init__(self):
        self.jobs = queue.Queue()
        self.thread = threading.Thread(target=self.work)
        self.thread.start()

    def work(self):
        while (job := self.jobs.get()) is not None:
            job()
            self.jobs.task_done()

    def ask(self):
        self.jobs.put(ask)
        self.jobs.join()

    def stop(self):
        self.jobs.put(None)
        self.thread.join()


@pytest.fixture
def worker():
    worker = Worker()
    yield worker
    worker.stop()


def test_an_old_worker_serves_the_only_round(recorder, worker):
    """A thread older than the round can only work for it when no other runs."""
    with observing(recorder), recorder.round("only"):
        worker.ask()
    assert len(recorder.take("only")) == 1
    assert recorder.warnings == []


def test_an_old_worker_among_two_rounds_is_not_guessed_at(recorder, worker):
    """With two rounds running nobody knows for which one an older thread works."""
    with observing(recorder), recorder.round("one"), recorder.round("two"):
        worker.ask()
    assert recorder.take("one") == recorder.take("two") == ()
    assert len(recorder.take_unattributed()) == 1


def test_traffic_outside_rounds_belongs_to_none(recorder):
    """What a fixture asks between rounds is kept apart."""
    with observing(recorder):
        ask()
    assert len(recorder.take_unattributed()) == 1


def test_a_worker_that_outlives_its_round_serves_the_next_and_is_named(recorder):
    """A thread that the first round started works for the second one too, counts there, and a warning says so."""
    with observing(recorder):
        with recorder.round("first"):
            worker = Worker()
            worker.ask()
        with recorder.round("second"):
            worker.ask()
        worker.stop()
    assert [len(recorder.take(key)) for key in ("first", "second")] == [1, 1]
    assert len(recorder.warnings) == 1
    assert "an earlier round had started" in recorder.warnings[0]


def test_a_pool_older_than_the_rounds_keeps_them_apart(recorder):
    """Each job of a shared executor belongs to the round that submitted it."""
    with ThreadPoolExecutor(1) as pool, observing(recorder):
        for key in "abab":
            with recorder.round("always there"), recorder.round(key):
                pool.submit(ask).result()
    assert [len(recorder.take(key)) for key in "ab"] == [2, 2]
    assert recorder.warnings == []


def test_an_executor_job_without_a_round_does_not_inherit_its_workers(recorder):
    """A worker thread that a round started does not lend that round to jobs submitted from elsewhere."""
    with ThreadPoolExecutor(1) as pool, observing(recorder):
        with recorder.round("first"):
            pool.submit(ask).result()
        pool.submit(ask).result()
    assert len(recorder.take("first")) == 1
    assert len(recorder.take_unattributed()) == 1
    assert recorder.warnings == []


def test_the_applications_own_context_does_not_travel(recorder):
    """Threads and jobs still start with the application's context variables unset."""
    seen = []
    with observing(recorder), recorder.round("round"), ThreadPoolExecutor(1) as pool:
        contextvars.copy_context().run(lambda: [APPLICATIONS_OWN.set("set"), _look_from_both(pool, seen)])
    assert seen == ["unset", "unset"]


def _look_from_both(pool, seen):
    thread = threading.Thread(target=lambda: seen.append(APPLICATIONS_OWN.get()))
    thread.start()
    thread.join()
    pool.submit(lambda: seen.append(APPLICATIONS_OWN.get())).result()


def test_a_thread_keeps_a_run_of_its_own(recorder):
    """A `run` set on the instance runs, and is what the thread holds afterwards."""
    ran = []
    thread = threading.Thread()
    thread.run = own = lambda: ran.append(1)
    with observing(recorder), recorder.round("round"):
        thread.start()
        thread.join()
    assert ran == [1]
    assert thread.run is own


def test_threads_and_executors_are_unpatched_afterwards(recorder):
    """Observing leaves the classes as they were."""
    before = threading.Thread.start, ThreadPoolExecutor.submit
    with observing(recorder):
        assert threading.Thread.start is not before[0]
    assert (threading.Thread.start, ThreadPoolExecutor.submit) == before
