"""One HTTP attempt as timed bytes: its zero, its address, its headers."""

import pytest

from pytest_llmperf.core.exchange import Exchange, header


def exchange(url="https://api.anthropic.com/v1/messages", headers=(), **fields):
    return Exchange("POST", url, headers, b"", **({"started_ns": 100} | fields))


def test_latencies_count_from_the_last_byte_of_the_request():
    """The time before it, of pool, connection and upload, is not the provider's."""
    assert exchange(started_ns=100, sent_ns=250).zero_ns == 250


def test_an_attempt_that_sent_nothing_counts_from_its_start():
    """A connection that was refused has no other beginning."""
    assert exchange(started_ns=100, sent_ns=None).zero_ns == 100


def test_the_first_instant_of_a_clock_is_a_moment_like_any():
    """Nanosecond 0 is not "never"."""
    assert exchange(started_ns=-5, sent_ns=0).zero_ns == 0


@pytest.mark.parametrize(
    ("url", "host", "path"),
    [
        ("https://api.anthropic.com/v1/messages?beta=true", "api.anthropic.com", "/v1/messages"),
        ("http://127.0.0.1:8080/v1/messages", "127.0.0.1:8080", "/v1/messages"),
        ("https://user:secret@gateway.example/v1/messages", "gateway.example", "/v1/messages"),
        ("http://[::1]:8080/", "[::1]:8080", "/"),
        ("https://api.anthropic.com", "api.anthropic.com", ""),
    ],
)
def test_the_address_is_told_without_credentials_and_query(url, host, path):
    """Host with its port, and the path."""
    assert (exchange(url).host, exchange(url).path) == (host, path)


@pytest.mark.parametrize(
    ("value", "count"), [("0", 0), ("2", 2), ("", 0), ("two", 0), ("-1", 0), ("²", 0), (None, 0)], ids=repr
)
def test_the_retry_count_is_the_sdks(value, count):
    """What is no count is a first attempt."""
    headers = () if value is None else (("x-stainless-retry-count", value),)
    assert exchange(headers=headers).retry_count == count


@pytest.mark.parametrize(
    ("status", "throttled"), [(429, True), (529, False), (503, False), (200, False), (None, False)]
)
def test_only_429_is_throttling(status, throttled):
    """An overloaded server is not a rate limit."""
    assert exchange(status=status).throttled is throttled


def test_of_repeated_headers_the_last_counts():
    """A name is looked up in lower case; an absent one is None."""
    headers = (("retry-after", "1"), ("date", "today"), ("retry-after", "2"))
    assert header(headers, "retry-after") == "2"
    assert header(headers, "retry-after-ms") is None
