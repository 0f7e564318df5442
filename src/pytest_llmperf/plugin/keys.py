"""No key where none is needed: offline, clients work without one wherever they are made.

While a marked test runs, set-up and teardown included, the environment holds a key that is none. Clients made before
(at import, in wider fixtures) found no key; while the body runs they are not asked for one.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

from pytest_llmperf.capture.patches import Patches

OFFLINE_KEY = "sk-llmperf-offline"
"""What `Anthropic()` gets where no key is needed and none is set."""
_VARIABLES = ("ANTHROPIC_API_KEY", "ANTHROPIC_AUTH_TOKEN")


@contextmanager
def in_environment() -> Iterator[None]:
    """Set a key that is none, unless there is one."""
    if any(os.environ.get(name) for name in _VARIABLES):
        yield
        return
    os.environ[_VARIABLES[0]] = OFFLINE_KEY
    try:
        yield
    finally:
        os.environ.pop(_VARIABLES[0], None)


@contextmanager
def not_asked_for(warn: Callable[[str], None]) -> Iterator[None]:
    """Let the Anthropic clients there are send requests without a key."""
    patches = Patches(warn)
    anthropic = sys.modules.get("anthropic")
    try:
        for name in ("Anthropic", "AsyncAnthropic"):
            with suppress(AttributeError):  # a version that asks elsewhere: a client without a key fails, and says so
                patches.replace(getattr(anthropic, name), "_validate_headers", lambda was: _unasked(patches, was))
        yield
    finally:
        patches.undo()


def _unasked(patches: Patches, original: Callable[..., None]) -> Callable[..., None]:
    def _validate_headers(client: Any, *args: Any, **kwargs: Any) -> None:
        if not patches.active:
            original(client, *args, **kwargs)

    return _validate_headers
