"""Files of cassettes: read whole or refused, written whole or not at all, journalled line by line."""

import asyncio
import json
import os
import re
import stat
import threading
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from vcr.request import Request
from vcr.serialize import deserialize
from vcr.serializers import jsonserializer, yamlserializer

from pytest_llmperf.cassettes import document, timeline
from pytest_llmperf.cassettes.document import Interaction, Journal, found, journal_of, read, recovered, write
from pytest_llmperf.cassettes.errors import CassetteMissing, CassetteUnreadable
from pytest_llmperf.cassettes.timeline import Label, Timing
from pytest_llmperf.core.exchange import Timeline


def interaction(body=b"data: 1\n\n", *, asked=b"{}", number=0):
    """An interaction of one chunk."""
    timing = Timing(Timeline(1000, (2000,), 3000), (len(body),), start_ns=number * 1000, label=Label(number))
    response = {
        "status": {"code": 200, "message": "OK"},
        "headers": {"content-type": ["text/event-stream"]},
        "body": {"string": body},
        timeline.KEY: timeline.to_plain(timing),
    }
    return Interaction(Request("POST", "https://host/v1/messages", asked, {"accept": "*/*"}), response, timing)


def same(one, other):
    """Whether two interactions say the same."""
    return document.as_plain(one) == document.as_plain(other) and one.timing == other.timing


TEXT = st.text().map(lambda text: text.encode("utf-8", "replace"))


@given(st.lists(st.tuples(st.binary() | TEXT, TEXT), max_size=3))
def test_what_was_written_is_read_again(tmp_path_factory, bodies):
    """Bodies of any bytes come back to the byte, with their timing, also for vcrpy."""
    path = tmp_path_factory.mktemp("tape") / "tape.yaml"
    kept = [interaction(body, asked=asked, number=number) for number, (body, asked) in enumerate(bodies)]
    assert write(path, kept) == path
    again = read(path)
    assert len(again) == len(kept)
    assert all(map(same, again, kept))
    _, responses = deserialize(path.read_text(), yamlserializer)
    assert [response["body"]["string"] for response in responses] == [body for body, _ in bodies]


def test_a_large_cassette_is_json(tmp_path):
    """From 500 interactions on the file is JSON, which vcrpy reads as well, and the YAML of before is gone."""
    path = tmp_path / "tape.yaml"
    kept = [interaction(b"data: \xc3\xa9\n\n", number=number) for number in range(500)]
    assert write(path, kept[:499]) == path
    assert write(path, kept) == tmp_path / "tape.json"
    assert [one.name for one in tmp_path.iterdir()] == ["tape.json"]
    assert found(path) == tmp_path / "tape.json"
    assert all(map(same, read(tmp_path / "tape.json"), kept))
    _, responses = deserialize((tmp_path / "tape.json").read_text(), jsonserializer)
    assert responses[499]["body"]["string"] == b"data: \xc3\xa9\n\n"
    assert write(tmp_path / "tape.json", kept[:3]) == path
    assert found(path) == path


def test_bytes_stay_in_yaml(tmp_path):
    """A large cassette with a compressed answer stays YAML: JSON has no bytes."""
    kept = [interaction(b"\x1f\x8b\xff", number=number) for number in range(500)]
    assert write(tmp_path / "tape.yaml", kept).suffix == ".yaml"


def test_two_files_for_one_cassette(tmp_path):
    """Nobody can know which of two files counts."""
    write(tmp_path / "tape.yaml", [interaction()])
    (tmp_path / "tape.json").write_text("{}")
    with pytest.raises(CassetteUnreadable, match=r"tape.yaml and .*tape.json are both there: delete"):
        found(tmp_path / "tape.yaml")


def test_a_failed_write_changes_nothing(tmp_path, monkeypatch):
    """Whatever goes wrong while writing, the old file is there, and nothing else."""
    path = write(tmp_path / "tape.yaml", [interaction()])
    before = path.read_bytes()

    def full(_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        write(path, [interaction(), interaction(number=1)])
    assert path.read_bytes() == before
    assert [one.name for one in tmp_path.iterdir()] == ["tape.yaml"]


def test_files_are_as_open_as_others(tmp_path):
    """A cassette has the permissions of any file that is made there."""
    (tmp_path / "other").touch()
    path = write(tmp_path / "tape.yaml", [interaction()])
    assert stat.S_IMODE(path.stat().st_mode) == stat.S_IMODE((tmp_path / "other").stat().st_mode)


def damaged(change):
    """A cassette's plain form, changed."""
    plain = {"interactions": [document.as_plain(interaction()) for _ in range(2)], "version": 1}
    change(plain["interactions"])
    return yaml.safe_dump(plain)


def longer(interactions):
    interactions[1]["response"]["body"]["string"] += "data: 2\n\n"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "it is empty"),
        ("a: 1", "it has no list of interactions"),
        ("a: [", "did not find expected node content"),
        ("interactions: [1]", "interaction 1: "),
        (damaged(lambda them: them[1].pop("response")), "interaction 2: 'response' is missing"),
        (damaged(lambda them: them[0]["request"].pop("uri")), "interaction 1: 'uri' is missing"),
        (damaged(longer), "interaction 2: x-llmperf: its chunks add up to 9 bytes, and the body has 18"),
        (damaged(lambda them: them[1]["response"]["x-llmperf"].update(v=7)), "interaction 2: x-llmperf: version 7"),
    ],
)
def test_damage_is_named(tmp_path, text, said):
    """A file that cannot be read is refused with its name, the interaction, the reason and what to do."""
    path = tmp_path / "tape.yaml"
    path.write_text(text)
    with pytest.raises(CassetteUnreadable) as refused:
        read(path)
    assert re.match(r"cannot read the cassette .*tape\.yaml: ", str(refused.value))
    assert said in str(refused.value)
    assert "mend the file, or delete it and record again" in str(refused.value)


def test_no_file(tmp_path):
    """No file is another matter than one that cannot be read."""
    with pytest.raises(CassetteMissing):
        read(tmp_path / "tape.yaml")
    (tmp_path / "tape.yaml").write_bytes(b"\xff\xfe\xff")
    with pytest.raises(CassetteUnreadable):
        read(tmp_path / "tape.yaml")


OLD = """
interactions:
- request: {body: '{}', headers: {accept: ['*/*']}, method: POST, uri: https://host/}
  response: {content: hello, headers: {Content-Encoding: gzip, x-a: b}, http_version: HTTP/1.1, status_code: 200}
version: 1
"""


def test_the_layout_of_old(tmp_path):
    """What vcrpy wrote of httpx years ago is read, decoded as it was stored."""
    (tmp_path / "tape.yaml").write_text(OLD)
    (one,) = read(tmp_path / "tape.yaml")
    assert one.response["status"]["code"] == 200
    assert one.response["headers"] == {"x-a": ["b"]}
    assert one.response["body"]["string"] == b"hello"
    assert one.timing is None


class TestJournal:
    """Exchanges kept while they are recorded."""

    def test_what_ended_is_there_at_once(self, tmp_path):
        """Each exchange is in the file before the next begins, and is read back to the byte."""
        path = journal_of(tmp_path / "new" / "tape.yaml")
        journal = Journal(path)
        for number in range(3):
            journal.add(interaction(b"\xff\x00", number=number))
            assert len(recovered(path)) == number + 1
        journal.close()
        assert all(map(same, recovered(path), [interaction(b"\xff\x00", number=number) for number in range(3)]))

    def test_in_an_event_loop_a_thread_writes(self, tmp_path):
        """No disk holds up the loop; the lines come in order, and what fails is raised when all is to be there."""
        path, threads = journal_of(tmp_path / "tape.yaml"), []
        journal = Journal(path)
        written = journal._write
        journal._write = lambda line: (threads.append(threading.get_ident()), written(line))

        async def record():
            for number in range(3):
                journal.add(interaction(number=number))

        asyncio.run(record())
        journal.settle()
        assert threading.get_ident() not in threads
        assert all(map(same, recovered(path), [interaction(number=number) for number in range(3)]))
        journal.add(interaction(number=3))
        assert (len(threads), threads[-1]) == (4, threading.get_ident())
        journal.close()
        journal.path = tmp_path
        asyncio.run(record())
        with pytest.raises(IsADirectoryError):
            journal.settle()
        journal.close()

    def test_a_line_that_was_cut(self, tmp_path):
        """What was being written when the process died is left out."""
        path = tmp_path / "tape.journal"
        journal = Journal(path)
        journal.add(interaction())
        journal.add(interaction(number=1))
        journal.close()
        path.write_bytes(path.read_bytes()[:-20])
        assert len(recovered(path)) == 1

    def test_a_journal_that_was_damaged(self, tmp_path):
        """A line within that is no JSON is an error, not a recording that never was."""
        (tmp_path / "tape.journal").write_text("{\n{}\n")
        with pytest.raises(CassetteUnreadable, match="line 1 is no JSON"):
            recovered(tmp_path / "tape.journal")

    def test_none(self, tmp_path):
        """Without a journal nothing is given back, and one that was never used leaves no file."""
        assert recovered(tmp_path / "tape.journal") == []
        Journal(tmp_path / "tape.journal").discard()
        assert list(Path(tmp_path).iterdir()) == []

    def test_lines_are_json(self, tmp_path):
        """The journal is one JSON object a line."""
        journal = Journal(tmp_path / "tape.journal")
        journal.add(interaction())
        journal.close()
        (line,) = (tmp_path / "tape.journal").read_text().splitlines()
        assert json.loads(line)["request"]["uri"] == "https://host/v1/messages"
