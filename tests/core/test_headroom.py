"""What a provider's headers say of its limits."""

from dataclasses import replace

import pytest

from pytest_llmperf.core import headroom
from pytest_llmperf.core.call import Attempt, Call
from pytest_llmperf.core.exchange import Connection, Exchange
from pytest_llmperf.core.generation import Generation
from pytest_llmperf.core.pricing import Absent

UNSEEN = Absent("no connection was seen")
DATE = "Sun, 01 Mar 2026 10:00:00 GMT"


def call(*attempts, **changes):
    """A call whose attempts were answered with these headers."""
    exchange = Exchange("POST", "https://api.test/v1/messages", (), b"", started_ns=0, status=200, **changes)
    generation = Generation(protocol="test", streamed=False)
    return Call(tuple(Attempt(replace(exchange, response_headers=tuple(a.items())), generation) for a in attempts))


@pytest.mark.parametrize(
    ("attempts", "seconds"),
    [
        ([{"retry-after": "2"}], 2.0),
        ([{"retry-after": "2", "retry-after-ms": "1500"}], 1.5),
        ([{"retry-after": "2"}, {}, {"retry-after": "0.5"}], 2.5),
        ([{"retry-after": "Sun, 01 Mar 2026 10:00:07 GMT", "date": DATE}], 7.0),
        ([{"retry-after": DATE, "date": "Sun, 01 Mar 2026 10:00:07 GMT"}], 0.0),
        ([{"retry-after": "0"}], 0.0),
    ],
)
def test_what_attempts_were_told_to_wait_adds_up(attempts, seconds):
    """In seconds, in milliseconds, or until a date of the server's own clock."""
    assert headroom.retry_after(call(*attempts)) == seconds


@pytest.mark.parametrize("told", [{}, {"retry-after": "soon"}, {"retry-after": "-1"}, {"retry-after": DATE}])
def test_what_was_not_told_is_absent(told):
    """Neither is what cannot be understood."""
    assert headroom.retry_after(call(told)) == Absent("no attempt was told to wait")


@pytest.mark.parametrize(
    ("header", "what"),
    [
        ("anthropic-ratelimit-requests-remaining", "requests"),
        ("x-ratelimit-remaining-requests", "requests"),
        ("anthropic-ratelimit-tokens-remaining", "tokens"),
        ("x-ratelimit-remaining-tokens", "tokens"),
    ],
)
def test_what_is_left_is_by_the_last_who_said_so(header, what):
    """Of Anthropic and of OpenAI; an attempt that says nothing takes nothing back."""
    left = headroom.remaining(what)
    assert left(call({header: "7"}, {header: "3"}, {})) == 3
    assert left(call({header: "many"})) == Absent(f"no answer said how many {what} were left")


@pytest.mark.parametrize(("status", "found"), [(503, 1), (529, 1), (500, 0), (429, 0), (200, 0)])
def test_overloaded_is_503_and_529(status, found):
    """What else fails is another thing."""
    one = call({})
    failed = replace(one.last, exchange=replace(one.last.exchange, status=status))
    assert headroom.overloaded(Call((failed, one.last))) == found


@pytest.mark.parametrize(
    ("state", "found"),
    [
        ("reused", 1.0),
        ("new", 0.0),
        ("unknown", Absent("no connection was seen")),
        ("none", Absent("no connection was seen")),
    ],
)
def test_a_connection_is_new_or_was_there(state, found):
    """Or nobody can tell."""
    assert headroom.reused(call({}, connection=Connection(state=state))) == found
