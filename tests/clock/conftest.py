"""How the tests of this folder enter virtual time."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from pytest_llmperf.clock.virtual import VirtualClock, enter_loop


@pytest.fixture
def clock() -> VirtualClock:
    """A virtual clock that gives up soon, so that a test of that does not take long."""
    return VirtualClock(grace_seconds=0.3)


@pytest.fixture
def in_loop(clock: VirtualClock) -> Callable[..., Any]:
    """Runs a coroutine function in virtual time on a new event loop, and returns what it returns."""

    def run(main: Callable[[], Coroutine[Any, Any, Any]], **options: Any) -> Any:
        async def entered():
            with enter_loop(clock, **options):
                return await main()

        return asyncio.run(entered())

    return run
