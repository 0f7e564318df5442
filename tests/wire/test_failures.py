"""A failure in one line."""

import pytest

from pytest_llmperf.wire.failures import bad_status, failure


@pytest.mark.parametrize(("status", "words"), [(None, ""), (200, ""), (399, ""), (400, "HTTP 400"), (529, "HTTP 529")])
def test_bad_status(status, words):
    """From 400 on a status is a failure."""
    assert bad_status(status) == words


@pytest.mark.parametrize(
    ("fields", "body", "words"),
    [
        ({"error": {"type": "overloaded_error", "message": "Overloaded"}}, "", "overloaded_error: Overloaded"),
        ({"error": "too much"}, "", "HTTP 500: too much"),
        ({"message": "no route"}, "", "HTTP 500: no route"),
        ({"detail": "not found"}, "", "HTTP 500: not found"),
        ({}, "away\n\x1b[31m  for now", "HTTP 500: away [31m for now"),
        ({}, "", "HTTP 500"),
        ({}, "x" * 300, f"HTTP 500: {'x' * 200}"),
    ],
)
def test_failure(fields, body, words):
    """The type and the message where they are told, otherwise what the body says, short and on one line."""
    assert failure(fields, "HTTP 500", body) == words
