"""Rows as columns and back."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_llmperf.baselines.columns import from_columns, to_columns


def test_what_all_rows_share_is_written_once():
    """What differs has a list, and a mapping has columns of its own."""
    rows = [{"model": "opus", "n": 1, "values": {"a": 1.0}}, {"model": "opus", "n": 2, "values": {"a": 1.0, "b": 3.0}}]
    columns = to_columns(rows)
    assert columns == {
        "model": {"all": "opus"},
        "n": {"each": [1, 2]},
        "values": {"of": {"a": {"all": 1.0}, "b": {"each": [None, 3.0]}}},
    }
    assert from_columns(columns, 2) == rows


def test_no_rows_have_no_columns():
    """And come back as none."""
    assert to_columns([]) == {}
    assert from_columns({}, 0) == []


VALUES = st.none() | st.integers() | st.text() | st.lists(st.integers()) | st.dictionaries(st.text(), st.integers())


@given(
    st.lists(st.fixed_dictionaries({"a": VALUES, "b": st.dictionaries(st.text(), st.text())}), min_size=1, max_size=5)
)
@settings(max_examples=50)
def test_rows_come_back(rows):
    """Whatever they hold."""
    assert from_columns(to_columns(rows), len(rows)) == rows


@pytest.mark.parametrize("column", [None, {}, {"each": [1]}, {"each": 3}, {"of": 1}, {"of": {"a": {"each": []}}}])
def test_what_is_no_column_is_refused(column):
    """With its name."""
    with pytest.raises(ValueError, match="is no column of 2 rows"):
        from_columns({"model": column}, 2)
