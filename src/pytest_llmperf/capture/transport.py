"""The one seam: every request of httpx and httpx2 asks `_transport_for_url`, and gets an observing transport from it.

From outside in: the observer, then what stands in for the network (if anything), then the client's own transport, where
other tools have their patches. Redirects and authentication ask once for each hop, retries once for each attempt.
"""

from __future__ import annotations

import functools
import sys
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import Any, Protocol

from pytest_llmperf.capture import sdk
from pytest_llmperf.capture.attribution import carry_rounds_into_threads
from pytest_llmperf.capture.imports import WhenImported
from pytest_llmperf.capture.log import never_raises
from pytest_llmperf.capture.observer import AsyncObservingTransport, ObservingTransport, SyncObservingTransport
from pytest_llmperf.capture.patches import Patches
from pytest_llmperf.capture.recorder import Recorder
from pytest_llmperf.capture.selftest import seam_fault
from pytest_llmperf.capture.streams import package_of

PACKAGES = ("httpx", "httpx2")


class Substitute(Protocol):
    """What stands in for the network."""

    def transport(self, package: ModuleType, inner: Any, *, asynchronous: bool) -> Any:
        """A transport of *package* (httpx or httpx2) in the place of *inner*, or *inner* itself to leave it.

        Asked once for each inner transport while observing lasts. What it returns is never closed; should it refer to
        *inner*, that lives as long. What it raises reaches the application: falling back to the network would send
        what was meant to stay here.
        """


@contextmanager
def observing(recorder: Recorder, substitute: Substitute | None = None) -> Iterator[None]:
    """Observe every httpx and httpx2 client of the process, also those made before, and undo it all at the end.

    Packages that nobody has imported are not imported for it: they are observed as soon as somebody does.
    """
    patches = Patches(recorder.warn)
    seam = _Seam(recorder, substitute, patches)
    follow = functools.partial(sdk.install, recorder, patches)
    callbacks = dict.fromkeys(PACKAGES, seam.install) | dict.fromkeys(sdk.KNOWN, follow)
    imports = WhenImported(callbacks)
    try:
        for name, callback in callbacks.items():
            if (module := sys.modules.get(name)) is not None:
                callback(module)
        sys.meta_path.insert(0, imports)
        carry_rounds_into_threads(patches)
        yield
    finally:
        if imports in sys.meta_path:
            sys.meta_path.remove(imports)
        patches.undo()
        recorder.stop_watching()


class _Seam:
    """Where the requests of a package pass, and by what they are served."""

    def __init__(self, recorder: Recorder, substitute: Substitute | None, patches: Patches) -> None:
        self._recorder = recorder
        self._substitute = substitute
        self._patches = patches
        self._substitutes: dict[tuple[int, bool], tuple[Callable[[], Any], Any]] = {}
        self._installed: set[Any] = set()

    def trouble(self, error: Exception) -> None:
        """Report an error of our own."""
        self._recorder.trouble(error)

    @never_raises
    def install(self, module: ModuleType) -> None:
        """Observe the clients of *module*, once (`httpx` can be another name of httpx2)."""
        if module.Client in self._installed:
            return
        self._installed.add(module.Client)
        fault = seam_fault(module)
        if not fault:
            self._patches.replace(module.Client, "_transport_for_url", self._choosing(module, asynchronous=False))
            self._patches.replace(module.AsyncClient, "_transport_for_url", self._choosing(module, asynchronous=True))
            return
        self._recorder.warn(
            f"the usual place to observe {module.__name__} cannot be used ({fault}); its transport classes are observed"
            " instead: traffic of mock, ASGI, aiohttp and custom transports is not seen"
        )
        self._patches.replace(module.HTTPTransport, "handle_request", self._handling(module))
        self._patches.replace(module.AsyncHTTPTransport, "handle_async_request", self._handling_async(module))

    def _observed(self, module: ModuleType, inner: Any, identity: Any, *, asynchronous: bool) -> Any:
        served = self._served(module, inner, identity, asynchronous=asynchronous)
        return _kind(asynchronous=asynchronous)(self._recorder, package_of(module), served)

    def _served(self, module: ModuleType, inner: Any, identity: Any, *, asynchronous: bool) -> Any:
        """What stands in for *inner*, asked for once for each *identity*."""
        if self._substitute is None:
            return inner
        key = (id(identity), asynchronous)
        known = self._substitutes.get(key)
        if known is None or known[0]() is not identity:
            chosen = self._substitute.transport(module, inner, asynchronous=asynchronous)
            known = self._substitutes[key] = (self._alive(identity, key), None if chosen is inner else chosen)
        return inner if known[1] is None else known[1]

    def _alive(self, identity: Any, key: tuple[int, bool]) -> Callable[[], Any]:
        """What returns *identity* as long as it lives; a number of `id` can come again."""
        try:
            return weakref.ref(identity, lambda _: self._substitutes.pop(key, None) and None)
        except TypeError:
            return lambda: identity

    def _choosing(self, module: ModuleType, *, asynchronous: bool) -> Callable[[Any], Any]:
        recorder, patches, substitute = self._recorder, self._patches, self._substitute
        observer, package = _kind(asynchronous=asynchronous), package_of(module)

        def make(original: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
            @functools.wraps(original)
            def _transport_for_url(client: Any, url: Any) -> Any:
                inner = original(client, url)
                if not patches.active:
                    return inner
                if substitute is not None:
                    inner = self._served(module, inner, inner, asynchronous=asynchronous)
                return observer(recorder, package, inner)

            return _transport_for_url

        return make

    def _handling(self, module: ModuleType) -> Callable[[Any], Any]:
        def make(original: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
            @functools.wraps(original)
            def handle_request(transport: Any, request: Any) -> Any:
                if not self._patches.active:
                    return original(transport, request)
                inner = _Unpatched(transport, original)
                return self._observed(module, inner, transport, asynchronous=False).handle_request(request)

            return handle_request

        return make

    def _handling_async(self, module: ModuleType) -> Callable[[Any], Any]:
        def make(original: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
            @functools.wraps(original)
            async def handle_async_request(transport: Any, request: Any) -> Any:
                if not self._patches.active:
                    return await original(transport, request)
                inner = _Unpatched(transport, original)
                return await self._observed(module, inner, transport, asynchronous=True).handle_async_request(request)

            return handle_async_request

        return make


class _Unpatched:
    """A transport whose class is patched, as it would be without."""

    def __init__(self, transport: Any, original: Callable[[Any, Any], Any]) -> None:
        self._transport = transport
        self.handle_request = self.handle_async_request = functools.partial(original, transport)

    def __getattr__(self, name: str) -> Any:
        if name == "_transport":  # not yet there: while being copied
            raise AttributeError(name)
        return getattr(self._transport, name)


def _kind(*, asynchronous: bool) -> type[ObservingTransport]:
    return AsyncObservingTransport if asynchronous else SyncObservingTransport
