"""No key where none is needed: offline, clients work without one wherever they are made.

While a marked test runs, set-up and teardown included, the environment holds keys that are none. Clients made before
(at import, in wider fixtures) found no key; while the body runs they are not asked for one. OpenAI's are not even made
without: they need their variable set from the start.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

from pytest_llmperf.capture.patches import Patches

OFFLINE_KEY = "sk-llmperf-offline"
"""What `Anthropic()` and `OpenAI()` get where no key is needed and none is set."""
_VARIABLES = (("ANTHROPIC_API_KEY", "ANTHROPIC_AUTH_TOKEN"), ("OPENAI_API_KEY", "OPENAI_ADMIN_KEY"))
"""For each vendor: where its SDK finds a key. The first is set where none has a value."""
_CLIENTS = {"anthropic": ("Anthropic", "AsyncAnthropic"), "openai": ("OpenAI", "AsyncOpenAI")}


@contextmanager
def in_environment() -> Iterator[None]:
    """Set a key that is none for each vendor, unless there is one."""
    unset = [names[0] for names in _VARIABLES if not any(os.environ.get(name) for name in names)]
    os.environ.update(dict.fromkeys(unset, OFFLINE_KEY))
    try:
        yield
    finally:
        for name in unset:
            os.environ.pop(name, None)


@contextmanager
def not_asked_for(warn: Callable[[str], None]) -> Iterator[None]:
    """Let the clients there are send requests without a key."""
    patches = Patches(warn)
    try:
        for package, names in _CLIENTS.items():
            for name in names:
                with suppress(AttributeError):  # a version that asks elsewhere: it fails without a key, and says so
                    client = getattr(sys.modules.get(package), name)
                    patches.replace(client, "_validate_headers", lambda was: _unasked(patches, was))
        yield
    finally:
        patches.undo()


def missing(error: BaseException) -> str:
    """The variable that would have held the key an SDK asks for with *error*; empty for any other error."""
    text = str(error)
    if "Could not resolve authentication method" in text:
        return _VARIABLES[0][0]
    return _VARIABLES[1][0] if _VARIABLES[1][0] in text and type(error).__name__ == "OpenAIError" else ""


def _unasked(patches: Patches, original: Callable[..., None]) -> Callable[..., None]:
    def _validate_headers(client: Any, *args: Any, **kwargs: Any) -> None:
        if not patches.active:
            original(client, *args, **kwargs)

    return _validate_headers
