"""What is taken out of requests and answers, and what is never touched."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_llmperf.cassettes.redaction import (
    Edit,
    Rules,
    clean_body,
    clean_headers,
    clean_text,
    clean_url,
    edited,
    edits,
    fitted,
    rules,
    secrets_of,
)

NONE = Rules()
KEY = b"sk-ant-0123456789"


def test_headers_that_carry_credentials():
    """Credentials, cookies and organisations go by default, named headers on request; the rest stays."""
    headers = [("Authorization", "Bearer x"), ("set-cookie", "a=b"), ("X-Trace", "t"), ("content-type", "text/plain")]
    assert clean_headers(headers, rules(headers=["X-TRACE"])) == [
        ("Authorization", "[redacted]"),
        ("set-cookie", "[redacted]"),
        ("X-Trace", "[redacted]"),
        ("content-type", "text/plain"),
    ]


def test_address():
    """User, password and keys go by default, named parameters on request."""
    url = "https://me:pw@host/v1/messages?api_key=abc&Tenant+Id=42&beta=true&flag"
    assert clean_url(url, rules(parameters=["tenant id"])) == (
        "https://host/v1/messages?api_key=%5Bredacted%5D&Tenant+Id=%5Bredacted%5D&beta=true&flag"
    )


def test_named_fields_of_any_depth_and_kind():
    """A named field loses its value, whatever that is; fields that only sound alike are left alone."""
    document = {
        "user": {"email": ["a", {"b": "}]"}], "token": 1, "max_tokens": 5},
        "email": None,
        "note": 'say "email": "no"',
        "é": "x\\",
        "last": -1.5,
    }
    cleaned = json.loads(clean_body(json.dumps(document).encode(), rules(fields=["email", "token", "é", "last"])))
    assert cleaned == {
        "user": {"email": "[redacted]", "token": "[redacted]", "max_tokens": 5},
        "email": "[redacted]",
        "note": 'say "email": "no"',
        "é": "[redacted]",
        "last": "[redacted]",
    }


def test_without_rules_bodies_stay_as_they_are():
    """Token counts and everything else are untouched unless somebody names them."""
    body = b'{"max_tokens": 64, "usage": {"input_tokens": 3, "output_tokens": 5}, "token": "t"}'
    assert clean_body(body, NONE, secrets_of([("authorization", "Bearer " + KEY.decode())], NONE)) == body


def test_credentials_are_found_wherever_they_turn_up():
    """The request's own key, with or without its scheme, goes from bodies and texts; short values are left alone."""
    secrets = secrets_of([("authorization", f"Bearer {KEY.decode()}"), ("cookie", "a=1"), ("accept", "x" * 20)], NONE)
    assert clean_body(b"invalid key " + KEY + b"!", NONE, secrets) == b"invalid key [redacted]!"
    assert clean_text(f"at {KEY.decode()} a=1 {'x' * 20}", secrets) == f"at [redacted] a=1 {'x' * 20}"


@pytest.mark.parametrize("cut", [b'{"key": "val', b'{"key": {"a": [1, ', b'{"key": '])
def test_a_value_that_was_cut_goes_whole(cut):
    """Of a body that broke off inside a value nothing of the value is kept."""
    assert clean_body(cut, rules(fields=["key"])) == b'{"key": "[redacted]"'


def test_chunks_keep_their_borders():
    """Sizes follow the changes: a value inside one chunk shrinks that one, one that spans chunks goes to the last."""
    body = b'{"key": "0123456789ab", "x": 1, "key": "0123456789ab"}'
    changes = edits(body, rules(fields=["key"]))
    assert edited(body, changes) == b'{"key": "[redacted]", "x": 1, "key": "[redacted]"}'
    assert fitted((30, 15, len(body) - 45), changes) == (28, 9, 13)
    assert sum(fitted((30, 15, len(body) - 45), changes)) == len(edited(body, changes))


@given(st.binary(max_size=60), st.data())
def test_fitting_always_adds_up(body, data):
    """However chunks and changes lie, the new sizes are those of the new body, and none is negative."""
    borders = sorted(data.draw(st.lists(st.integers(0, len(body)), max_size=5)))
    sizes = [later - sooner for sooner, later in zip([0, *borders], [*borders, len(body)], strict=True)]
    places = sorted(data.draw(st.sets(st.integers(0, len(body)), max_size=6)))
    changes = [Edit(a, b, data.draw(st.binary(max_size=9))) for a, b in zip(places[::2], places[1::2], strict=False)]
    new = fitted(sizes, changes)
    assert sum(new) == len(edited(body, changes))
    assert min(new) >= 0
    if not changes:
        assert list(new) == sizes


WORDS = st.text(max_size=6)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | WORDS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(WORDS, inner, max_size=3),
    max_leaves=8,
)


@given(JSON, WORDS, st.booleans())
def test_only_named_values_change(document, name, ascii_only):
    """Of any JSON document only the values of that name are changed, and what remains is JSON."""

    def expected(value):
        if isinstance(value, dict):
            return {key: "[redacted]" if key == name else expected(inner) for key, inner in value.items()}
        return [expected(inner) for inner in value] if isinstance(value, list) else value

    body = json.dumps(document, ensure_ascii=ascii_only).encode("utf-8", "surrogatepass")
    assert json.loads(clean_body(body, rules(fields=[name]))) == expected(document)
