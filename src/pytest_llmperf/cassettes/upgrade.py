"""Cassettes of a `VCR` object that is somebody else's, timed: what pytest-recording opens then records and replays so.

Only the traffic of httpx and httpx2 passes our seam; vcrpy's own patches of them are left out, all its other ones stay.
Without this the same tests run as they always did, on the same files.
"""

from __future__ import annotations

import inspect
import os
import sys
import time
from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any

from vcr.cassette import Cassette

from pytest_llmperf.capture.selftest import seam_fault
from pytest_llmperf.capture.transport import PACKAGES
from pytest_llmperf.cassettes.cassette import TimedCassette
from pytest_llmperf.cassettes.deck import Deck, Mode
from pytest_llmperf.cassettes.redaction import NONE, Rules
from pytest_llmperf.core.exchange import Exchange


class LentCassette(TimedCassette):
    """A cassette that puts itself at the seam while it is in use.

    Args:
        path: of the file.
        mode: whether replaying waits.
        source: who answered an exchange that is recorded.
        remedy: the command that records anew.
        options: as `TimedCassette` takes them.
    """

    def __init__(
        self,
        path: Any,
        *,
        mode: Mode = "instant",
        source: Callable[[Exchange], str] = lambda _: "",
        remedy: str = "",
        **options: Any,
    ) -> None:
        super().__init__(path, **options)
        self.deck = Deck(self, now_ns=time.perf_counter_ns, takes=lambda _: True, source=source, remedy=remedy)
        self.deck.mode = mode
        packages = _packages()
        # A transport of httpx that uses aiohttp would be recorded twice.
        twice = {"aiohttp"} if "httpx_aiohttp" in sys.modules else set[str]()
        skipped, added = frozenset(options.get("skip_patchers", ())), tuple(options.get("custom_patches", ()))
        self.skip_patchers: Any = skipped | twice | {package.__name__ for package in packages}
        self.custom_patches: Any = (*added, *(patch for each in packages for patch in _seams(each, self.deck)))

    def _save(self, force: bool = False) -> None:  # noqa: FBT001, FBT002 - vcrpy's signature
        self.deck.check()
        super()._save(force=force)


def can_upgrade() -> bool:
    """Whether the installed vcrpy lets its own patches be left out: 9.4 does, 9.2 does not."""
    return "skip_patchers" in inspect.signature(Cassette.__init__).parameters


def upgrade(
    vcr: Any,
    *,
    mode: Mode = "instant",
    rules: Rules = NONE,
    source: Callable[[Exchange], str] = lambda _: "",
    remedy: str = "",
) -> None:
    """Let the cassettes that a `VCR` object opens be timed ones.

    Args:
        vcr: the object; its `use_cassette` is replaced.
        mode: whether replaying waits.
        rules: what is left out of files beside the usual credentials and what the object itself filters.
        source: who answered an exchange that is recorded.
        remedy: the command that records anew.
    """
    plain = vcr.use_cassette
    own = {"mode": mode, "rules": rules, "source": source, "remedy": remedy}

    def use_cassette(path: Any = None, **options: Any) -> Any:
        if not isinstance(path, str | os.PathLike):  # used to decorate a function
            return plain(path, **options)
        return LentCassette.use_arg_getter(lambda: vcr.get_merged_config(path=path, **options) | own)

    vcr.use_cassette = use_cassette


def _packages() -> list[ModuleType]:
    """Those of httpx and httpx2 that are loaded and can be observed; vcrpy loads those that are installed."""
    loaded = [sys.modules[name] for name in PACKAGES if name in sys.modules]
    distinct = {package.Client: package for package in loaded}
    return [package for package in distinct.values() if not seam_fault(package)]


def _seams(package: ModuleType, deck: Deck) -> Iterator[tuple[Any, str, Any]]:
    """What vcrpy is to patch, and with what."""
    for client, asynchronous in ((package.Client, False), (package.AsyncClient, True)):
        yield (
            client,
            "_transport_for_url",
            _choosing(package, client._transport_for_url, deck, asynchronous=asynchronous),
        )


def _choosing(package: ModuleType, original: Any, deck: Deck, *, asynchronous: bool) -> Any:
    def _transport_for_url(client: Any, url: Any) -> Any:
        return deck.transport(package, original(client, url), asynchronous=asynchronous)

    return _transport_for_url
