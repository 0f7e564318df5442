"""Which exceptions of a test body are the provider's, to be counted, and which are the test's own, to end it.

A call that failed is an observation: a slow call, an error of the error rate. An assertion, or a request the provider
calls invalid, says that the test is wrong.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from pytest_llmperf.core.call import Call

_CLIENTS = frozenset({"anthropic", "openai", "httpx", "httpx2", "httpcore", "httpcore2", "aiohttp", "anyio"})
_OURS_TO_MEND = frozenset({400, 401, 403, 404, 413, 422})
"""Statuses that say the request is wrong: repeating it would only repeat them."""


def is_failed_call(error: BaseException, calls: Sequence[Call], *, errors_claimed: bool) -> bool:
    """Whether *error* is how a failed call of this round reached the body.

    Args:
        error: what the body raised.
        calls: the round's calls.
        errors_claimed: the test makes a claim on its error rate, so that invalid requests are counted as well.
    """
    if not isinstance(error, Exception) or isinstance(error, AssertionError):
        return False
    failed = [call for call in calls if call.failure]
    if not failed or not any(_is_clients(link) for link in _chain(error)):
        return False
    return errors_claimed or not any(call.last.exchange.status in _OURS_TO_MEND for call in failed)


def is_wrong_answer(error: BaseException) -> bool:
    """Whether *error* is a failing assertion, or a group of nothing else: a wrong answer, where answers are graded."""
    if isinstance(error, BaseExceptionGroup):
        return all(map(is_wrong_answer, error.exceptions))
    return isinstance(error, AssertionError)


def _is_clients(error: BaseException) -> bool:
    return isinstance(error, TimeoutError | ConnectionError) or type(error).__module__.partition(".")[0] in _CLIENTS


def _chain(error: BaseException) -> Iterator[BaseException]:
    """The error, what it was raised from and, of a group, what is inside."""
    seen: set[int] = set()
    waiting: list[BaseException | None] = [error]
    while waiting:
        link = waiting.pop()
        if link is None or id(link) in seen:
            continue
        seen.add(id(link))
        yield link
        waiting += [link.__cause__, link.__context__]
        if isinstance(link, BaseExceptionGroup):
            waiting += link.exceptions
