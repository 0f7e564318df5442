"""Which exceptions are the provider's, and which are the test's own."""

from __future__ import annotations

import anthropic
import httpx2
import pytest

from factories import call
from pytest_llmperf.runner.tolerance import is_failed_call

REQUEST = httpx2.Request("POST", "https://api.anthropic.com/v1/messages")


def status_error(status):
    """What the SDK raises for an answer of this status."""
    return anthropic.APIStatusError("bad", response=httpx2.Response(status, request=REQUEST), body=None)


def failed_call(status=529):
    """A call that ended with this status."""
    return call(status=status)


def raised(error, *, by=None, while_handling=None):
    """The error as it comes out of a body that raised it from another, or while handling one."""
    try:
        if while_handling is None:
            raise error from by
        try:
            raise while_handling
        except BaseException:  # noqa: BLE001
            raise error  # noqa: B904 - what it was raised while handling is what is asked
    except BaseException as out:  # noqa: BLE001
        return out


@pytest.mark.parametrize(
    "error",
    [
        status_error(529),
        anthropic.APIConnectionError(request=REQUEST),
        anthropic.APITimeoutError(request=REQUEST),
        httpx2.ReadError("reset"),
        TimeoutError(),
        ConnectionResetError(),
        raised(ValueError("the agent gave up"), by=status_error(529)),
        raised(ValueError("the agent gave up"), while_handling=status_error(529)),
        ExceptionGroup("tasks", [ValueError(), status_error(529)]),
    ],
    ids=lambda error: type(error).__name__,
)
def test_how_a_failed_call_reaches_the_body(error):
    """The client's own exception, or one with it behind it or within it, is the failed call's."""
    assert is_failed_call(error, [failed_call()], errors_claimed=False)


@pytest.mark.parametrize(
    "error",
    [
        AssertionError("wrong"),
        raised(AssertionError("wrong"), while_handling=status_error(529)),
        ZeroDivisionError(),
        KeyboardInterrupt(),
        SystemExit(),
    ],
    ids=lambda error: type(error).__name__,
)
def test_what_is_the_tests_own(error):
    """An assertion, a bug or an interruption ends the test, whatever failed before it."""
    assert not is_failed_call(error, [failed_call()], errors_claimed=True)


def test_without_a_failed_call_nothing_is_the_providers():
    """An exception of the client's in a round whose calls all ended well is a bug."""
    assert not is_failed_call(status_error(529), [call()], errors_claimed=True)
    assert not is_failed_call(status_error(529), [], errors_claimed=True)


@pytest.mark.parametrize("status", [400, 401, 403, 404, 413, 422])
def test_an_invalid_request_is_the_tests_own(status):
    """Repeating it would only repeat the error; where errors are claimed it is counted like any other."""
    assert not is_failed_call(status_error(status), [failed_call(status)], errors_claimed=False)
    assert is_failed_call(status_error(status), [failed_call(status)], errors_claimed=True)


@pytest.mark.parametrize("status", [408, 409, 429, 500, 503, 529])
def test_what_may_pass_is_the_providers(status):
    """A limit or a fault of the server is counted."""
    assert is_failed_call(status_error(status), [failed_call(status)], errors_claimed=False)
