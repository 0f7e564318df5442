"""Interactions in the layout of VCR for Ruby."""

from cassettes.files import URL
from pytest_llmperf.cassettes import ruby_vcr

ENTRY = {
    "request": {
        "method": "post",
        "uri": URL,
        "body": {"encoding": "UTF-8", "string": "{}"},
        "headers": {"A": ["b"]},
    },
    "response": {
        "status": {"code": 200, "message": "OK"},
        "headers": {},
        "body": {"encoding": "ASCII-8BIT", "base64_string": "aGk=\n"},
    },
}


def test_an_interaction():
    """Methods become upper case, bodies bytes."""
    read = ruby_vcr.interaction(1, ENTRY)
    assert (read.method, read.request_body, read.body, read.status) == ("POST", b"{}", b"hi", 200)
    assert read.request_headers == (("a", "b"),)


def test_a_symbol():
    """A method that was stored as a symbol is the same."""
    entry = ENTRY | {"request": ENTRY["request"] | {"method": ":post"}}
    assert ruby_vcr.interaction(1, entry).method == "POST"
