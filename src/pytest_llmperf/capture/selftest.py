"""Whether the private place we observe at is there and does what we think, asked of the installed package itself."""

from __future__ import annotations

import functools
import inspect
import logging
import threading
import time
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from contextvars import copy_context
from types import ModuleType
from typing import Any

from pytest_llmperf.capture.log import AttemptLog
from pytest_llmperf.capture.observer import AsyncObservingTransport, SyncObservingTransport
from pytest_llmperf.capture.recorder import Recorder
from pytest_llmperf.capture.streams import package_of

URL = "http://self.test/"
BODY = b"observed"


class _Witness(Recorder):
    """A recorder that keeps the bytes of what has ended."""

    def __init__(self) -> None:
        super().__init__(time.perf_counter_ns)
        self.seen: list[bytes] = []

    def ended(self, log: AttemptLog) -> None:
        self.seen += log.parts


@functools.cache
def seam_fault(module: ModuleType) -> str:
    """Why `_transport_for_url` of *module* (httpx or httpx2) cannot be used; an empty text when it can.

    One request goes through a mock transport of a sync and of an async client each, observed as all later ones are.
    The clients are ours alone, and what other tools patched on their classes plays no part. Asked once for each
    package and process: about a millisecond.
    """
    for name, ask in (("Client", _ask), ("AsyncClient", _ask_async)):
        client = getattr(module, name, None)
        chooser = getattr(client, "_transport_for_url", None)
        if chooser is None:
            return f"{name} has no _transport_for_url"
        try:
            inspect.signature(chooser).bind(object(), object())
            with _silent(module.__name__):
                seen = copy_context().run(ask, module)
        except Exception as error:  # noqa: BLE001 - any failure is the answer
            return f"{name}: {type(error).__name__}: {error}"
        if seen != [BODY]:
            return f"{name} does not send through what _transport_for_url returns"
    return ""


def _ask(module: ModuleType) -> list[bytes]:
    witness, mock = _Witness(), _mock(module)
    with module.Client(transport=mock, trust_env=False) as client:
        client._transport_for_url = lambda _: SyncObservingTransport(witness, package_of(module), mock)
        client.get(URL)
    return witness.seen


def _ask_async(module: ModuleType) -> list[bytes]:
    witness, mock = _Witness(), _mock(module)

    async def ask() -> None:
        async with module.AsyncClient(transport=mock, trust_env=False) as client:
            client._transport_for_url = lambda _: AsyncObservingTransport(witness, package_of(module), mock)
            await client.get(URL)

    _run_without_loop(ask())
    return witness.seen


def _mock(module: ModuleType) -> Any:
    return module.MockTransport(lambda _: module.Response(200, stream=module.ByteStream(BODY)))


def _run_without_loop(coroutine: Coroutine[Any, Any, None]) -> None:
    """Run a coroutine that never has to wait: an event loop may be running already, or none be wanted."""
    try:
        coroutine.send(None)
    except StopIteration:
        return
    coroutine.close()
    raise RuntimeError("the client waits although nothing is to be waited for")


@contextmanager
def _silent(logger_name: str) -> Iterator[None]:
    """Keep the client's log lines of this thread away from whoever tests logging."""
    thread = threading.get_ident()

    def elsewhere(record: logging.LogRecord) -> bool:
        return record.thread != thread

    logger = logging.getLogger(logger_name)
    logger.addFilter(elsewhere)
    try:
        yield
    finally:
        logger.removeFilter(elsewhere)
