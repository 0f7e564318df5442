"""Interactions in the layout of vcrpy, and in ours, which adds to it."""

import pytest

from cassettes.files import TIMING, interaction
from pytest_llmperf.cassettes import vcrpy
from pytest_llmperf.cassettes.fields import Unreadable
from pytest_llmperf.cassettes.timeline import from_plain


def test_httpx_of_old():
    """Before version 6, vcrpy wrote httpx's responses in keys of their own."""
    old = {"status_code": 200, "http_version": "HTTP/1.1", "headers": {"a": ["b"]}, "content": "Hi"}
    read = vcrpy.interaction(1, {"request": interaction()["request"], "response": old})
    assert (read.status, read.body, read.response_headers) == (200, b"Hi", (("a", "b"),))


def test_parsed_bodies():
    """A parsed body stands in for the body, on either side, and shows in the layout's name."""
    entry = interaction(parsed_body={"content": []}, request={"parsed_body": {"model": "m"}})
    read = vcrpy.interaction(1, entry)
    assert (read.request_body, read.body) == (b'{"model":"m"}', b'{"content":[]}')
    assert vcrpy.layout([interaction(), entry], is_json=False) == "vcrpy-yaml+parsed_body"
    assert vcrpy.layout([interaction(), None, {"request": 5}], is_json=True) == "vcrpy-json"


def test_timed():
    """Our own key gives the times."""
    assert vcrpy.interaction(1, interaction(**{"x-llmperf": TIMING})).timing == from_plain(TIMING)


def test_an_attempt_without_a_response():
    """The status that stands for no response is none."""
    timing = TIMING | {"answered": False, "chunks": "", "end": "error", "error": "ConnectError: refused"}
    entry = interaction(**{"x-llmperf": timing, "body": {"string": ""}, "status": {"code": 599, "message": ""}})
    assert vcrpy.interaction(1, entry).status is None


@pytest.mark.parametrize(
    ("timing", "reason"),
    [
        (5, "a mapping is expected"),
        (TIMING | {"v": 2}, "version 2 is not known here"),
        (TIMING | {"chunks": "1:x"}, "'1:x' is not microseconds:bytes"),
        (TIMING | {"chunks": "1:7"}, "its chunks are 7 bytes, the body "),
    ],
)
def test_times_that_mean_nothing(timing, reason):
    """Times that cannot be read, or are of another body, are refused and not dropped in silence."""
    with pytest.raises(Unreadable, match=reason):
        vcrpy.interaction(1, interaction(**{"x-llmperf": timing}))


@pytest.mark.parametrize(
    ("entry", "reason"),
    [
        (None, "the interaction is empty, not a mapping"),
        ({"request": {}}, "the interaction has no 'response'"),
        ({"request": [], "response": {}}, "'request' of the interaction is a list, not a mapping"),
        ({"request": {}, "response": {}}, "the request has no 'method'"),
        (interaction(request={"uri": 5}), "'uri' of the request is a number, not text"),
        (interaction(status={"message": "OK"}), "the status has no 'code'"),
        (interaction(status=200), "'status' of the response is a number, not a mapping"),
    ],
)
def test_what_is_missing(entry, reason):
    """A part that is missing or of a wrong type is named."""
    with pytest.raises(Unreadable, match=reason):
        vcrpy.interaction(1, entry)
