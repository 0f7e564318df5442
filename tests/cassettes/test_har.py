"""Entries of HTTP archives."""

import base64
import json

import pytest

from cassettes.files import URL
from pytest_llmperf.cassettes import har
from pytest_llmperf.cassettes.fields import Unreadable


def made(content, status=200):
    return {
        "request": {
            "method": "POST",
            "url": URL,
            "headers": [{"name": "A", "value": "b"}],
            "postData": {"text": "{}"},
        },
        "response": {"status": status, "headers": [], "content": content},
    }


@pytest.mark.parametrize(
    ("content", "body"),
    [
        ({"text": "schön"}, "schön".encode()),
        ({}, b""),
        ({"text": "aGk=", "encoding": "base64"}, b"hi"),
        (
            {"text": json.dumps([base64.b64encode(one).decode() for one in (b"h", b"i")]), "encoding": "base64"},
            b"hi",
        ),
    ],
)
def test_bodies(content, body):
    """Text, base64, and Polly's list of base64 chunks."""
    read = har.interaction(1, made(content))
    assert (read.body, read.request_body, read.request_headers) == (body, b"{}", (("a", "b"),))


def test_no_answer():
    """Status 0 says that none came."""
    assert har.interaction(1, made({}, status=0)).status is None


@pytest.mark.parametrize("headers", [None, [], {}])
def test_no_headers(headers):
    """An entry may have none."""
    entry = made({})
    entry["response"]["headers"] = headers
    assert har.interaction(1, entry).response_headers == ()


@pytest.mark.parametrize(("headers", "reason"), [(5, "are a number, not a list"), ([{}], "a header has no 'name'")])
def test_headers_of_wrong_types(headers, reason):
    """Headers are a list of names and values, and nothing else."""
    entry = made({})
    entry["response"]["headers"] = headers
    with pytest.raises(Unreadable, match=reason):
        har.interaction(1, entry)
