"""One logical call: which attempt decides, and what counts as a failure."""

import pytest

from factories import attempt, call


def test_the_first_attempt_starts_it_and_the_last_decides_it():
    """Latencies count from the first attempt; the outcome is the last one's."""
    first, last = attempt(sent=10, status=429), attempt(sent=900, deltas=[(1000, "text", 5)])
    retried = call(first, last)
    assert (retried.first, retried.last, retried.dispatched_ns) == (first, last, 10_000_000)
    assert retried.failure == ""


def test_a_call_streams_when_its_last_attempt_was_to():
    """An error answer in one piece does not turn a stream into none."""
    assert call(status=429).streamed
    assert not call(body=500).streamed


@pytest.mark.parametrize(
    ("fields", "failure"),
    [
        ({}, ""),
        ({"failure": "overloaded_error: Overloaded"}, "overloaded_error: Overloaded"),
        ({"status": 429, "failure": "rate_limit_error: slow down"}, "rate_limit_error: slow down"),
        ({"end": "error", "error": "ReadTimeout: "}, "ReadTimeout: "),
        ({"end": "error", "error": ""}, "the exchange broke off"),
        ({"end": "open"}, "still running when its round ended"),
        ({"complete": False, "missing": ("no message_stop", "no usage")}, "no message_stop; no usage"),
        ({"complete": False}, "the answer is incomplete"),
        ({"end": "closed"}, ""),
        ({"end": "dropped"}, ""),
        ({"end": "closed", "complete": True}, ""),
        ({"end": "error", "error": "ReadError: reset", "complete": True}, ""),
    ],
    ids=str,
)
def test_failures_are_told_in_words(fields, failure):
    """What was cut, timed out, refused or never ended has failed; what was read whole, or left early, has not."""
    assert call(**fields).failure == failure


def test_an_error_status_is_a_failure_even_when_nobody_read_its_body():
    """A response that was closed unread is not one that the application had enough of."""
    unread = call(status=503, end="closed", failure="")
    assert unread.failure == "HTTP 503"
    assert not unread.abandoned


@pytest.mark.parametrize(
    ("fields", "abandoned"),
    [
        ({"end": "closed"}, True),
        ({"end": "dropped"}, True),
        ({}, False),
        ({"end": "closed", "complete": True}, False),
        ({"end": "closed", "failure": "api_error: x"}, False),
        ({"end": "error", "error": "ReadError: "}, False),
        ({"end": "open"}, False),
    ],
    ids=str,
)
def test_a_reader_that_stopped_early_has_left(fields, abandoned):
    """Only an answer without an error and without its end was left."""
    assert call(**fields).abandoned is abandoned
