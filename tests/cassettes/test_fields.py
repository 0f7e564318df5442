"""Headers, bodies and statuses in the forms that recorders write them."""

import pytest

from pytest_llmperf.cassettes import fields
from pytest_llmperf.cassettes.fields import Unreadable


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (None, ()),
        ({"X-A": "1"}, (("x-a", "1"),)),
        ({"X-A": ["1", "2"], "x-b": []}, (("x-a", "1"), ("x-a", "2"))),
        ({b"X-A": [b"\xe4"]}, (("x-a", "ä"),)),
        ({"X-A": [5, None, True]}, (("x-a", "5"), ("x-a", ""), ("x-a", "True"))),
    ],
)
def test_headers(value, expected):
    """One value or many, text or bytes: a pair for each, its name in lower case."""
    assert fields.headers(value, "the request") == expected


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ([], "the headers of the request are a list, not a mapping"),
        ({5: "a"}, "a header's name of the request is a number, not text"),
        ({"a": {"b": "c"}}, "a header's value of the request is a mapping, not text"),
    ],
)
def test_headers_of_wrong_types(value, reason):
    """What cannot be a header is not made into one."""
    with pytest.raises(Unreadable, match=reason):
        fields.headers(value, "the request")


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (None, b""),
        ("schön", "schön".encode()),
        (b"\xff", b"\xff"),
        (["a", b"b", None], b"ab"),
        ({}, b""),
        ({"string": "a", "encoding": "UTF-8"}, b"a"),
        ({"string": None}, b""),
        ({"base64_string": "aG\nk="}, b"hi"),
        ({"base64_string": b"aGk="}, b"hi"),
    ],
)
def test_body(value, expected):
    """Text, binary, a list of either, or a mapping of one of them becomes bytes."""
    assert fields.body(value, "the response") == expected


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (5, "the body of the response is a number, neither text nor binary"),
        ({"string": {"a": 1}}, "the body of the response is a mapping, neither text nor binary"),
        ({"json": {}}, "the body of the response is a mapping with neither 'string' nor 'base64_string'"),
        ({"base64_string": "a"}, "the body of the response is no base64"),
    ],
)
def test_bodies_of_wrong_types(value, reason):
    """What cannot be a body is not made into one."""
    with pytest.raises(Unreadable, match=reason):
        fields.body(value, "the response")


@pytest.mark.parametrize(("value", "expected"), [(200, 200), ("429", 429), (0, None)])
def test_status(value, expected):
    """A number, or text that is one; 0 stands for no answer."""
    assert fields.status(value) == expected


@pytest.mark.parametrize("value", [None, True, "OK", 2.5, "²"])
def test_what_is_no_status(value):
    """Nothing else is a status."""
    with pytest.raises(Unreadable, match="the status is "):
        fields.status(value)


def test_a_parsed_body_is_written_as_json():
    """A body that was stored as its JSON's value is JSON again, in the order of its keys."""
    assert fields.written({"b": "ö", "a": [1, None]}, "the request") == '{"b":"ö","a":[1,null]}'.encode()


def test_a_parsed_body_that_is_no_json():
    """A value that JSON does not have is refused."""
    circle = []
    circle.append(circle)
    for value in (b"\xff", {1: object()}, circle):
        with pytest.raises(Unreadable, match="the parsed body of the request is no JSON"):
            fields.written(value, "the request")


def test_an_address_that_is_none():
    """An address that cannot be split into host and path is refused where it is read."""
    with pytest.raises(Unreadable, match="'uri' of the request is no URL"):
        fields.uri({"uri": "https://[half"}, "uri")
    with pytest.raises(Unreadable, match="'uri' of the request is empty, not text"):
        fields.uri({"uri": None}, "uri")
