"""What a provider's headers say of its limits: how long to wait, and how much is left.

It is the provider's word, which no clock here takes part in. Where nothing was said there is nothing to tell.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from email.utils import parsedate_to_datetime

from pytest_llmperf.core.call import Attempt, Call
from pytest_llmperf.core.exchange import Exchange, header
from pytest_llmperf.core.pricing import Absent

OVERLOADED = frozenset({503, 529})
_REMAINING = {
    "requests": ("anthropic-ratelimit-requests-remaining", "x-ratelimit-remaining-requests"),
    "tokens": ("anthropic-ratelimit-tokens-remaining", "x-ratelimit-remaining-tokens"),
}
"""Anthropic's headers, then OpenAI's."""


def retry_after(call: Call) -> float | Absent:
    """Seconds that the attempts were told to wait, all together."""
    told = [seconds for attempt in call.attempts if (seconds := _told_to_wait(attempt.exchange)) is not None]
    return sum(told) if told else Absent("no attempt was told to wait")


def remaining(what: str) -> Callable[[Call], float | Absent]:
    """How much was left of what a minute allows, by the last attempt that said so; *what* is `requests` or `tokens`."""

    def left(call: Call) -> float | Absent:
        said = [count for attempt in call.attempts if (count := _left(attempt, what)) is not None]
        return said[-1] if said else Absent(f"no answer said how many {what} were left")

    return left


def overloaded(call: Call) -> float:
    """Attempts that were answered 503 or 529."""
    return float(sum(attempt.exchange.status in OVERLOADED for attempt in call.attempts))


def reused(call: Call) -> float | Absent:
    """1 where the last attempt's connection was one that was there, 0 where it was made for it."""
    state = call.last.exchange.connection.state
    return float(state == "reused") if state in ("new", "reused") else Absent("no connection was seen")


def _left(attempt: Attempt, what: str) -> float | None:
    texts = (header(attempt.exchange.response_headers, name) for name in _REMAINING[what])
    return next((count for text in texts if (count := _number(text)) is not None), None)


def _told_to_wait(exchange: Exchange) -> float | None:
    """`retry-after-ms`, as the SDKs read it first, then `retry-after`: seconds, or a date after that of the answer."""
    milliseconds = _number(header(exchange.response_headers, "retry-after-ms"))
    if milliseconds is not None:
        return milliseconds / 1000
    text = header(exchange.response_headers, "retry-after")
    seconds = _number(text)
    return seconds if seconds is not None else _between(header(exchange.response_headers, "date"), text)


def _number(text: str | None) -> float | None:
    try:
        number = float(text or "")
    except ValueError:
        return None
    return number if math.isfinite(number) and number >= 0 else None


def _between(date: str | None, later: str | None) -> float | None:
    try:
        return max(0.0, (parsedate_to_datetime(later or "") - parsedate_to_datetime(date or "")).total_seconds())
    except (ValueError, TypeError, IndexError):
        return None
