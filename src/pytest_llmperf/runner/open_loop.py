"""The open loop: every round is begun when it is due, whether or not those before it were answered.

A loop that waits for answers sends less while the service is slow, and so misses what its users would have waited for.
Here a round that could not begin in time begins late, and its wait counts from when it was due. In one event loop each
round is a task. Plain functions run in threads that an event loop of our own starts, so that they too live in virtual
time; only so many threads are made, and rounds that find none are counted, not kept back in silence.
"""

from __future__ import annotations

import contextvars
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Protocol

from pytest_llmperf.clock import Clock
from pytest_llmperf.runner.rounds import OpenRound
from pytest_llmperf.runner.schedule import Stage

if TYPE_CHECKING:
    from concurrent.futures import ThreadPoolExecutor

MOST_THREADS = 1_000
"""Rounds of a plain function that can be in flight at once."""


class Rounds(Protocol):
    """The sampling, as far as sending needs it."""

    clock: Clock
    halted: bool
    raised: BaseException | None

    def open_round(self, end: int, due_ns: int | None = None) -> OpenRound | None:
        """The next round below *end*, unless something ended the sampling."""

    def within(self, opened: OpenRound) -> AbstractContextManager[None]:
        """Everything observed inside belongs to this round."""

    def count_crowded(self, most: int) -> None:
        """Take note that more rounds than *most* are open, so that the newest has to wait."""

    def next_lag_ns(self) -> int:
        """How late the next round is to begin: as late as it did when it was recorded."""


async def run_async(rounds: Rounds, body: Callable[[], Awaitable[object]], stage: Stage) -> None:
    """Begin the rounds of a coroutine function when they are due; the first error of the body's own cancels the others.

    Raises:
        BaseException: whatever the body raised for reasons of its own, as it was raised.
    """
    import anyio

    raised: list[BaseException] = []

    async def one(opened: OpenRound) -> None:
        try:
            with rounds.within(opened):
                await body()
        except anyio.get_cancelled_exc_class():
            raise
        except BaseException as error:  # noqa: BLE001 (kept, and raised again below as it was)
            raised.append(error)
            group.cancel_scope.cancel()

    async with anyio.create_task_group() as group:
        async for opened in _due(rounds, stage):
            group.start_soon(one, opened)
    if raised:
        raise raised[0]


def run(rounds: Rounds, body: Callable[[], object], stage: Stage) -> None:
    """Begin the rounds of a plain function when they are due.

    Raises:
        BaseException: whatever the body raised for reasons of its own, as it was raised.
    """
    import asyncio
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(min(MOST_THREADS, len(stage.due_ns)), thread_name_prefix="llmperf") as pool:
        asyncio.run(_send_to_threads(rounds, body, stage, pool))
    if rounds.raised is not None:
        raise rounds.raised


async def _send_to_threads(rounds: Rounds, body: Callable[[], object], stage: Stage, pool: ThreadPoolExecutor) -> None:
    """Whatever ends the sending, rounds that were begun come to their end; after Ctrl-C no other is begun."""
    import asyncio

    def one(opened: OpenRound) -> None:
        with rounds.within(opened):
            body()

    loop, begun = asyncio.get_running_loop(), []
    try:
        async for opened in _due(rounds, stage):
            rounds.count_crowded(MOST_THREADS)
            begun.append(loop.run_in_executor(pool, contextvars.copy_context().run, one, opened))
    except BaseException:
        rounds.halted = True
        raise
    finally:
        await asyncio.gather(*begun, return_exceptions=True)  # what a body raised, the sampling knows


async def _due(rounds: Rounds, stage: Stage) -> AsyncIterator[OpenRound]:
    """Each round at the time it is due, or as soon after it as the client can."""
    import anyio

    began_ns = rounds.clock.now_ns()
    for due_ns in stage.due_ns:
        await anyio.sleep(0)  # where all are late, those begun already get their turn
        begins_ns = began_ns + due_ns + rounds.next_lag_ns()
        while (left_ns := begins_ns - rounds.clock.now_ns()) > 0:
            await anyio.sleep(left_ns / 1e9)
        opened = rounds.open_round(stage.end, began_ns + due_ns)
        if opened is None:
            return
        yield opened
