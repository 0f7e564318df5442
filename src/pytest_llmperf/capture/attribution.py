"""Which round traffic belongs to: a context variable, and its way into threads.

Tasks, `gather` and `to_thread` carry the variable by themselves; bare threads and executors do not, so while observing
their start is patched to carry it, and it alone: the application's own context variables stay as they are.
"""

from __future__ import annotations

import functools
import threading
import weakref
from collections.abc import Callable, Hashable
from concurrent.futures import Future, ThreadPoolExecutor
from contextvars import ContextVar
from typing import Any

from pytest_llmperf.capture.patches import Patches


class Owner:
    """A round as the code inside it knows it. The recorder is held weakly: an idle thread must not keep it alive."""

    __slots__ = ("key", "recorder")

    def __init__(self, recorder: object, key: Hashable) -> None:
        self.recorder = weakref.ref(recorder)
        self.key = key


ROUND: ContextVar[Owner | None] = ContextVar("llmperf_round", default=None)


def carry_rounds_into_threads(patches: Patches) -> None:
    """Make threads and executor jobs belong to the round that starts them, until *patches* are undone."""
    patches.replace(threading.Thread, "start", functools.partial(_carrying_start, patches))
    patches.replace(ThreadPoolExecutor, "submit", functools.partial(_carrying_submit, patches))


def _carrying_start(patches: Patches, original: Callable[..., None]) -> Callable[..., None]:
    @functools.wraps(original)
    def start(self: threading.Thread, *args: Any, **kwargs: Any) -> None:
        owner = ROUND.get() if patches.active else None
        if owner is not None:
            _enter_round_when_run(self, owner)
        original(self, *args, **kwargs)

    return start


def _enter_round_when_run(thread: threading.Thread, owner: Owner) -> None:
    own = vars(thread).get("run")
    run = thread.run

    def run_in_round() -> None:
        if own is None:
            del thread.run
        else:
            thread.run = own  # type: ignore[method-assign]
        ROUND.set(owner)
        run()

    thread.run = run_in_round  # type: ignore[method-assign]


def _carrying_submit(patches: Patches, original: Callable[..., Future[Any]]) -> Callable[..., Future[Any]]:
    @functools.wraps(original)
    def submit(self: ThreadPoolExecutor, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        if not patches.active:
            return original(self, fn, *args, **kwargs)
        return original(self, _run_in_round, ROUND.get(), fn, args, kwargs)

    return submit


def _run_in_round(owner: Owner | None, fn: Callable[..., Any], args: Any, kwargs: Any) -> Any:
    # Also with no round at all: the worker may have been started inside one and would still count as part of it.
    token = ROUND.set(owner)
    try:
        return fn(*args, **kwargs)
    finally:
        ROUND.reset(token)
