"""The closed loop: so many workers, each of which takes its next round when its last one has ended.

Knows how rounds are run together; what a round is, when sampling is over and what is kept, the sampling knows.
"""

from __future__ import annotations

import contextvars
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import AbstractContextManager
from typing import Protocol

from pytest_llmperf.runner.rounds import OpenRound
from pytest_llmperf.runner.schedule import Stage


class Rounds(Protocol):
    """The sampling, as far as workers need it."""

    halted: bool
    raised: BaseException | None

    def open_round(self, end: int) -> OpenRound | None:
        """The next round below *end*, unless something ended the sampling."""

    def within(self, opened: OpenRound) -> AbstractContextManager[None]:
        """Everything observed inside belongs to this round."""


def run(rounds: Rounds, body: Callable[[], object], stage: Stage) -> None:
    """Run the rounds of a plain function.

    Raises:
        BaseException: whatever the body raised for reasons of its own, as it was raised.
    """
    if stage.workers == 1:
        _work(rounds, body, stage.end)
        return
    with ThreadPoolExecutor(stage.workers, thread_name_prefix="llmperf") as pool:
        try:
            contexts = [contextvars.copy_context() for _ in range(stage.workers)]
            jobs = [pool.submit(context.run, _work, rounds, body, stage.end) for context in contexts]
            wait(jobs)
        except BaseException:
            rounds.halted = True  # after Ctrl-C no thread takes another round
            raise
    if rounds.raised is not None:
        raise rounds.raised  # the first in time
    for job in jobs:
        job.result()


async def run_async(rounds: Rounds, body: Callable[[], Awaitable[object]], stage: Stage) -> None:
    """Run the rounds of a coroutine function in the event loop that runs this.

    Raises:
        BaseException: whatever the body raised for reasons of its own, as it was raised.
    """
    if stage.workers == 1:
        await _work_async(rounds, body, stage.end)
    else:
        await _work_together(rounds, body, stage)


async def _work_together(rounds: Rounds, body: Callable[[], Awaitable[object]], stage: Stage) -> None:
    """Several workers take rounds from one queue; the first error of the body's own cancels the others."""
    import anyio

    raised: list[BaseException] = []

    async def worker() -> None:
        try:
            await _work_async(rounds, body, stage.end)
        except anyio.get_cancelled_exc_class():
            raise
        except BaseException as error:  # noqa: BLE001 (kept, and raised again below as it was)
            raised.append(error)
            group.cancel_scope.cancel()

    async with anyio.create_task_group() as group:
        for _ in range(stage.workers):
            group.start_soon(worker)
    if raised:
        raise raised[0]


def _work(rounds: Rounds, body: Callable[[], object], end: int) -> None:
    while (opened := rounds.open_round(end)) is not None:
        with rounds.within(opened):
            body()


async def _work_async(rounds: Rounds, body: Callable[[], Awaitable[object]], end: int) -> None:
    while (opened := rounds.open_round(end)) is not None:
        with rounds.within(opened):
            await body()
