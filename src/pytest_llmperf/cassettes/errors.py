"""What can be wrong with a cassette, split by the remedy."""

from __future__ import annotations

import sys
from functools import cache
from typing import Any

from pytest_llmperf.core.errors import LLMPerfError


class CassetteError(LLMPerfError):
    """A cassette cannot serve."""


class CassetteMissing(CassetteError):
    """There is no cassette: record one."""


class CassetteUnreadable(CassetteError):
    """There is a cassette, and it cannot be read: mend or delete it. It is never taken for a new one."""


class CassetteMiss(CassetteError):
    """The cassette holds no answer to a request that was made.

    What is raised is also an exception of vcrpy's (`cassette`, `failed_request`) and, where the SDK is loaded, an
    `anthropic.AnthropicError`: those the SDK neither retries nor wraps.
    """


def miss(text: str, cassette: Any, request: Any) -> CassetteMiss:
    """A miss that reaches the application as it is."""
    error = _miss_class(_of_sdk())(text)
    vars(error).update(cassette=cassette, failed_request=request, similar_requests=[], reason="no_match")
    return error


def cancellation(text: str) -> TimeoutError:
    """What stands for the end of a request that the application cancelled: what its time-outs raise.

    It is also an exception of the SDK's, which retries other time-outs.
    """
    return _cancellation_class(_of_sdk())(text)


def _of_sdk() -> Any:
    """The SDK's own exception, where the SDK is loaded."""
    return getattr(sys.modules.get("anthropic"), "AnthropicError", None)


@cache
def _cancellation_class(of_sdk: type[Exception] | None) -> type[TimeoutError]:
    return type("RequestWasCancelled", (TimeoutError, *([of_sdk] if of_sdk else [])), {"__module__": __name__})


@cache
def _miss_class(of_sdk: type[Exception] | None) -> type[CassetteMiss]:
    from vcr.errors import CannotOverwriteExistingCassetteException

    def _as_plain_exception(self: Exception, *args: object) -> None:
        Exception.__init__(self, *args)

    bases = (CassetteMiss, CannotOverwriteExistingCassetteException, *([of_sdk] if of_sdk else []))
    members = {"__init__": _as_plain_exception, "__module__": __name__, "__doc__": CassetteMiss.__doc__}
    return type("CassetteMiss", bases, members)
