"""YAML and JSON as plain values."""

import pytest

from pytest_llmperf.cassettes.documents import parsed
from pytest_llmperf.cassettes.fields import Unreadable


@pytest.mark.parametrize(
    ("content", "value"),
    [
        (b"? !!python/object/apply:multidict._multidict.istr\n- Accept\n: - any\n", {"Accept": ["any"]}),
        (b"!!python/object/apply:builtins.iter\nargs:\n- [one, two]\n", ["one", "two"]),
        (b"!!python/object/new:_io.BytesIO\nstate: !!python/tuple\n- !!binary aGk=\n- 0\n- null\n", b"hi"),
        (b"a: !!python/unicode words\n", {"a": "words"}),
        (b"a: !binary |-\n  aGk=\n", {"a": b"hi"}),
        (b"a: !ruby/object:Some::Class\n  b: 1\n", {"a": {"b": 1}}),
        (b"a: !ruby/sym post\n", {"a": "post"}),
        (b"day: 2026-02-30\nat: 2026-01-01 00:00:00\n", {"day": "2026-02-30", "at": "2026-01-01 00:00:00"}),
        (b' {"a": [1, null]}', {"a": [1, None]}),
    ],
)
def test_values(content, value):
    """What a tag stands for is the plain value below it, and a date is the text it was."""
    assert parsed(content) == value


@pytest.mark.parametrize(
    "content",
    [
        b"!!bool perhaps",
        b"!!timestamp soon",
        b"!!float ''",
        b"!!int x",
        b"!!binary \xc3\xa4",
        b"? [a]\n: b",
        b"a: [" * 5000,
    ],
)
def test_values_that_are_none(content):
    """A value that is not what its tag says, a key that cannot be one and nesting beyond reason are unreadable."""
    with pytest.raises(Unreadable):
        parsed(content)


def test_no_tag_is_executed(tmp_path):
    """A tag that names a function calls nothing."""
    mark = tmp_path / "mark"
    assert parsed(f"a: !!python/object/apply:os.mkdir ['{mark}']".encode()) == {"a": str(mark)}
    assert parsed(f"a: !!python/object/apply:os.mkdir {{args: ['{mark}']}}".encode()) == {"a": str(mark)}
    assert parsed(b"a: !!python/name:os.system ''") == {"a": ""}
    assert not mark.exists()
