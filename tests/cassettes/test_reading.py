"""Files of recorded traffic, of any layout, and those that are none."""

import gzip

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from vcr.request import Request
from vcr.serialize import serialize
from vcr.serializers import jsonserializer, yamlserializer

from cassettes.files import TIMING, cassette, interaction, written
from pytest_llmperf.cassettes.contents import contents
from pytest_llmperf.cassettes.errors import CassetteError, CassetteMissing, CassetteUnreadable
from pytest_llmperf.cassettes.reading import read
from wire.attempts import CASSETTES, PING, expectations, start

FILES = {facts["file"]: facts["format"] for facts in expectations()}
COUNTS = {file: sum(facts["file"] == file for facts in expectations()) for file in FILES}


@pytest.mark.parametrize("file", FILES)
def test_recordings_of_other_projects(file):
    """Every layout that occurs in the wild is told apart and read whole."""
    found = read(CASSETTES / file)
    assert (found.path, found.layout, len(found.interactions)) == (CASSETTES / file, FILES[file], COUNTS[file])
    assert [one.number for one in found.interactions] == list(range(1, COUNTS[file] + 1))


@pytest.mark.parametrize(
    ("serializer", "body", "layout"),
    [
        (yamlserializer, b"text", "vcrpy-yaml"),
        (yamlserializer, b"\x1f\x8b\x00binary", "vcrpy-yaml"),
        (jsonserializer, "schön".encode(), "vcrpy-json"),
    ],
)
def test_what_vcrpy_writes(serializer, body, layout, tmp_path):
    """A file that vcrpy itself wrote gives back what it was given, to the byte."""
    request = Request("POST", "https://host/path?x=1", b"asked", {"X-One": "1"})
    response = {"status": {"code": 201, "message": ""}, "headers": {"X-Two": ["2", "3"]}, "body": {"string": body}}
    path = tmp_path / "cassette"
    path.write_text(serialize({"requests": [request], "responses": [response]}, serializer), "utf-8")
    found = read(path)
    (one,) = found.interactions
    assert found.layout == layout
    assert (one.method, one.uri, one.request_body) == ("POST", "https://host/path?x=1", b"asked")
    assert one.request_headers == (("x-one", "1"),)
    assert one.response_headers == (("x-two", "2"), ("x-two", "3"))
    assert (one.status, one.body, one.timing) == (201, body, None)


def test_a_compressed_file(tmp_path):
    """A file that was compressed as a whole is read as what is in it, whatever its name."""
    plain = cassette(tmp_path, interaction())
    packed = tmp_path / "packed.yaml"
    packed.write_bytes(gzip.compress(plain.read_bytes()))
    assert read(packed).interactions == read(plain).interactions
    assert read(packed).layout == "vcrpy-yaml"


def test_a_cassette_without_interactions(tmp_path):
    """It holds none, which is no error."""
    assert read(cassette(tmp_path)).interactions == ()


def test_no_file(tmp_path):
    """A name of nothing is an error of its own kind, for there the remedy is to record."""
    with pytest.raises(CassetteMissing, match=r"none\.yaml: there is no such file"):
        read(tmp_path / "none.yaml")


def test_a_directory(tmp_path):
    """A directory is not searched."""
    with pytest.raises(CassetteUnreadable, match="this is a directory: name the files in it"):
        read(tmp_path)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "the file is empty"),
        (b"\xef\xbb\xbf \n", "the file is empty"),
        (gzip.compress(b"interactions: []", mtime=0)[:-4], "damaged gzip: "),
        (b"interactions:\n- request: [\n", "not a cassette: not valid YAML: line 3: "),
        (b"\x00\x01\x02\xff", "not a cassette: not valid YAML: "),
        (b'{"interactions": [', "not a cassette: not valid JSON: "),
        (b"just words", "not a cassette: it is text, not a mapping; cassettes of vcrpy"),
        (b"- 1\n- 2\n", "not a cassette: it is a list, not a mapping"),
        (b"- request: {}\n  response: {}\n", "a cassette of vcrpy before 1.0"),
        (b"a: 1\n", "not a cassette: it has none of the keys of one"),
        (b"interactions: 5\n", "not a cassette: 'interactions' is a number, not a list"),
        (b'{"log": {"version": "1.2"}}', "not a cassette: 'log.entries' is empty, not a list"),
        (b"interactions: []\n---\na: 1\n", "not a cassette: not valid YAML: "),
        (PING, "an event stream of an API that is not known here"),
    ],
)
def test_what_is_no_cassette(content, reason, tmp_path):
    """It is refused with the file and the reason."""
    path = tmp_path / "file"
    path.write_bytes(content)
    with pytest.raises(CassetteUnreadable) as refused:
        read(path)
    assert str(refused.value).startswith(f"{path}: {reason}")


@pytest.mark.parametrize("depth", [400, 100_000])
def test_nesting_beyond_reason(depth, tmp_path):
    """A file that is nested too deeply is an error like any other."""
    path = tmp_path / "file"
    path.write_bytes(b'{"a":' * depth)
    with pytest.raises(CassetteError, match="not a cassette: "):
        read(path)


def test_an_interaction_that_cannot_be_read(tmp_path):
    """The error names the interaction among how many, and its reason."""
    path = cassette(tmp_path, interaction(), {"request": {}}, interaction())
    with pytest.raises(CassetteUnreadable) as refused:
        read(path)
    assert str(refused.value) == f"{path}: interaction 2 of 3: the interaction has no 'response'"


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=2), inner, max_size=3),
    max_leaves=5,
)
PLACES = [
    ("request",), ("request", "method"), ("request", "uri"), ("request", "headers"), ("request", "body"),
    ("request", "parsed_body"), ("response",), ("response", "status"), ("response", "status", "code"),
    ("response", "headers"), ("response", "headers", "Content-Encoding"), ("response", "body"),
    ("response", "body", "string"), ("response", "body", "base64_string"), ("response", "status_code"),
    ("response", "parsed_body"), ("response", "x-llmperf"), *[("response", "x-llmperf", key) for key in TIMING],
]  # fmt: skip


def facts_or_refusal(path):
    """The facts of all that a file holds, or why it cannot be read."""
    try:
        return list(contents(read(path)))
    except CassetteUnreadable as refused:
        return str(refused)


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.binary(max_size=40))
def test_any_bytes(tmp_path, content):
    """Whatever is in a file, it is no cassette, and an error says so."""
    path = tmp_path / "file"
    path.write_bytes(content)
    assert facts_or_refusal(path).startswith(f"{path}: ")


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.sampled_from(PLACES), VALUES)
def test_any_value_anywhere(tmp_path, place, value):
    """Whatever stands in the place of a part, the interaction has its facts or is refused by its number."""
    entry = interaction(**{"x-llmperf": dict(TIMING)})
    inner = entry
    for key in place[:-1]:
        inner = inner[key]
    inner[place[-1]] = value
    found = facts_or_refusal(cassette(tmp_path, interaction(), entry, name="one.json"))
    assert len(found) == 2 or found.startswith(f"{tmp_path / 'one.json'}: interaction 2 of 2: ")


def test_a_file_that_may_not_be_opened(tmp_path, monkeypatch):
    """What the system says is passed on."""
    path = cassette(tmp_path)

    def refuse(_path):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(type(path), "read_bytes", refuse)
    with pytest.raises(CassetteUnreadable, match="it cannot be opened: Permission denied"):
        read(path)


def test_json_and_yaml_say_the_same(tmp_path):
    """The notation changes the layout's name and nothing else."""
    as_json = read(cassette(tmp_path, interaction(), name="one.json"))
    as_yaml = read(cassette(tmp_path, interaction(), name="one.yaml"))
    assert as_json.interactions == as_yaml.interactions
    assert (as_json.layout, as_yaml.layout) == ("vcrpy-json", "vcrpy-yaml")


def test_a_yaml_file_is_no_event_stream(tmp_path):
    """A cassette whose first key could begin an event stream as well is still a cassette."""
    path = written(tmp_path, {"a": 0, "interactions": [interaction()]})
    assert read(path).layout == "vcrpy-yaml"
    stream = tmp_path / "stream.yaml"
    stream.write_bytes(start(input_tokens=3))
    assert read(stream).layout == "raw-sse"
