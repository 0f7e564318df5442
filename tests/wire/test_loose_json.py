"""JSON that is not to be trusted."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_llmperf.wire.loose_json import count, load, load_all, mapping, objects, text


@pytest.mark.parametrize("document", [b"", b"{", b"\xff\xfe\xfa", "nul", "[" * 100_000, "1" * 10_000, b'{"a": "\xc3"}'])
def test_what_is_no_json_is_none(document):
    """Cut, nested beyond reason, too long a number, not UTF-8: all are None."""
    assert load(document) is None


@pytest.mark.parametrize("document", [b'\xef\xbb\xbf{"a": 1}', '{"a": 1}'.encode("utf-16"), ' {"a": 1}\n'])
def test_json_in_other_clothes(document):
    """A byte order mark, another Unicode encoding and blanks around are all right."""
    assert load(document) == {"a": 1}


def test_all_at_once():
    """Each document is read for itself, and one that is no JSON spoils no other."""
    assert load_all(['{"a": 1}', "2", "null"]) == [{"a": 1}, 2, None]
    assert load_all(['{"a": 1}', '{"a"', "2", "3, 4", ""]) == [{"a": 1}, None, 2, None, None]
    assert load_all([]) == []


@settings(deadline=None)
@given(
    st.lists(
        st.one_of(st.text(max_size=8), st.from_type(int).map(str), st.text(max_size=8).map(json.dumps)), max_size=6
    )
)
def test_all_at_once_is_one_by_one(documents):
    """Reading documents together gives what reading each alone gives."""
    assert load_all(documents) == [load(document) for document in documents]


def test_text_can_be_written_again():
    """Surrogates that are a pair become one character, single ones U+FFFD; what is no string is None."""
    assert text("plain") == "plain"
    assert text("é \ud83d\ude00 \ud83d") == "é \U0001f600 \ufffd"
    assert text(3) is None
    assert text(None) is None


@settings(deadline=None)
@given(st.text(st.characters(codec=None)))
def test_any_text_can_be_written(value):
    """Whatever a JSON string held, its text can be encoded."""
    text(value).encode("utf-8")


@pytest.mark.parametrize(
    ("value", "expected"), [(0, 0), (7, 7), (-1, None), (True, None), (1.0, None), ("1", None), (None, None)]
)
def test_count(value, expected):
    """A count is an integer of zero or more, and nothing else."""
    assert count(value) == expected
    assert type(count(value)) is type(expected)


def test_mapping():
    """What is no object is one without keys."""
    assert mapping({"a": 1}) == {"a": 1}
    assert mapping([1]) == {}
    assert mapping(None) == {}


@pytest.mark.parametrize(("value", "expected"), [([{"a": 1}, 5, None, {}], [{"a": 1}, {}]), ({"a": 1}, []), (None, [])])
def test_objects(value, expected):
    """The objects of an array; what is none, and what is no array, is left out."""
    assert objects(value) == expected
