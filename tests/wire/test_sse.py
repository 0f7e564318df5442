"""Framing of event streams."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_llmperf.core.exchange import Chunk
from pytest_llmperf.wire.sse import Event, Frames, frame, looks_like


def framed(*pieces: bytes) -> Frames:
    """The frames of pieces that arrive at 1, 2, 3, … ns."""
    return frame([Chunk(at, piece) for at, piece in enumerate(pieces, 1)])


@pytest.mark.parametrize("eol", [b"\n", b"\r\n", b"\r"], ids=["LF", "CRLF", "CR"])
def test_line_ends(eol):
    """LF, CR LF and CR each end a line, and an empty line ends the event."""
    body = b"event: a\ndata: 1\n\nevent: b\ndata: 2\n\n".replace(b"\n", eol)
    assert framed(body) == Frames((Event("a", "1", 1), Event("b", "2", 1)), (), None)


def test_mixed_line_ends():
    """Lines of one event may end differently."""
    assert framed(b"event: a\r\ndata: 1\r\rdata: 2\n\r\n").events == (Event("a", "1", 1), Event("", "2", 1))


def test_a_carriage_return_and_a_line_feed_are_one_line_end():
    """CR LF in the middle of an event is no empty line."""
    assert framed(b"event: a\r\ndata: 1\r\ndata: 2\r\n\r\n").events == (Event("a", "1\n2", 1),)


def test_an_event_comes_with_the_chunk_that_completes_it():
    """The arrival of an event is that of the chunk that brought the last byte it needs, not the first."""
    events = framed(b"event: a\n", b"data: 1", b"\n", b"\nevent: b\ndata: 2\n\nevent: c\n", b"data: 3\n\n").events
    assert events == (Event("a", "1", 4), Event("b", "2", 4), Event("c", "3", 5))


def test_a_cut_between_carriage_return_and_line_feed():
    """A CR ends the empty line on its own, so the event is there with it, and the LF of the next chunk is no line."""
    assert framed(b"data: 1\r\n\r", b"\ndata: 2\r\n", b"\r", b"\n").events == (Event("", "1", 1), Event("", "2", 3))
    assert framed(b"data: 1\r", b"", b"\ndata: 2\r", b"\r").events == (Event("", "1\n2", 4),)


def test_a_cut_inside_a_character():
    """A character whose bytes come in two chunks is one character."""
    one, two = "data: é\n\n".encode()[:7], "data: é\n\n".encode()[7:]
    assert framed(one, two).events == (Event("", "é", 2),)


def test_characters_of_several_bytes():
    """Arrivals are counted in bytes: long characters move no event to an earlier chunk."""
    assert [event.at_ns for event in framed("data: ééééééééé\n\n".encode(), b"data: 2\n\n").events] == [1, 2]


def test_bytes_that_are_no_text():
    """A byte that is not UTF-8 becomes U+FFFD and moves no later event to another chunk."""
    assert framed(b"data: \xff\n\n", b"data: 2\n\n").events == (Event("", "\ufffd", 1), Event("", "2", 2))


def test_lines_of_data_are_joined():
    """Several data lines are one text with line feeds between, and only one space after the colon is left out."""
    assert framed(b"data:1\ndata:  2 \ndata\n\n").events == (Event("", "1\n 2 \n", 1),)


def test_padding_is_kept():
    """Blanks after the data belong to it."""
    assert framed(b'event: a\ndata: {"a": 1}    \n\n').events == (Event("a", '{"a": 1}    ', 1),)


def test_fields_of_no_interest():
    """id, retry and unknown fields neither make an event nor disturb one."""
    assert framed(b"id: 7\nretry: 10\nother: x\n\nid: 8\ndata: 1\nfoo\n\n").events == (Event("", "1", 1),)


def test_the_last_name_counts():
    """Of two event fields the later one names the event."""
    assert framed(b"event: a\nevent: b\ndata: 1\n\n").events == (Event("b", "1", 1),)


def test_an_event_without_data():
    """A name without data is an event with empty data, as SDKs have it."""
    assert framed(b"event: ping\n\n").events == (Event("ping", "", 1),)


def test_comments():
    """Lines that begin with a colon are comments, alone, among fields and after the last event."""
    frames = framed(b": ping\n\n:\n\nevent: a\n:two\ndata: 1\n\n: last\n")
    assert frames == Frames((Event("a", "1", 1),), ("ping", "", "two", "last"), None)


@pytest.mark.parametrize("end", [b"", b"\n", b"\r\n"])
def test_no_last_blank_line(end):
    """An event without its blank line is not among the events but is reported, with its last chunk's time."""
    frames = framed(b"data: 1\n\nevent: b\n", b"data: 2" + end)
    assert frames == Frames((Event("", "1", 1),), (), Event("b", "2", 2))


def test_byte_order_mark():
    """A byte order mark at the beginning is left out, even when it is cut."""
    assert framed(b"\xef\xbb", b"\xbfdata: 1\n\n", b"data: 2\n\n").events == (Event("", "1", 2), Event("", "2", 3))


def test_blank_lines_are_no_events():
    """More blank lines than one, also at the beginning, mean nothing."""
    assert framed(b"\n\n\n\nevent: a\ndata: 1\n\n\n\n\ndata: 2\n\n").events == (Event("a", "1", 1), Event("", "2", 1))


@pytest.mark.parametrize("pieces", [(), (b"",), (b"", b"")])
def test_nothing(pieces):
    """A body without bytes has no events."""
    assert framed(*pieces) == Frames((), (), None)


def one_at_a_time(body: bytes) -> list[tuple[str, str]]:
    """Names and data by the letter of the standard: line by line, with no thought of speed."""
    lines = body.decode("utf-8", "replace").removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n").split("\n")
    found, name, data = [], "", []
    for line in lines[:-1]:
        if line == "":
            if name or "\n".join(data):
                found.append((name, "\n".join(data)))
            name, data = "", []
        field, _, value = line.partition(":")
        value = value[1:] if value.startswith(" ") else value
        name = value if field == "event" else name
        data += [value] if field == "data" else []
    return found


FRAGMENTS = [
    b"event: a",
    b"event:b",
    b"data: 1",
    b"data:",
    b"data: \xc3\xa9",
    b"data",
    b": c",
    b"id: 1",
    b"\xff",
    b"\xef\xbb\xbf",
]
ENDS = [b"\n", b"\r", b"\r\n", b"\n\n", b"\r\n\r\n"]


@settings(deadline=None)
@given(st.lists(st.sampled_from(FRAGMENTS + ENDS), max_size=40).map(b"".join), st.data())
def test_framing_is_that_of_the_standard(body, data):
    """Any mixture of lines, cut anywhere, gives the events that reading line by line gives, in order of arrival."""
    places = sorted(data.draw(st.lists(st.integers(0, len(body)), max_size=8)))
    pieces = [body[begin:end] for begin, end in zip([0, *places], [*places, len(body)], strict=True)]
    events = framed(*pieces).events
    assert [(name, text) for name, text, _ in events] == one_at_a_time(body)
    assert [at_ns for _, _, at_ns in events] == sorted(at_ns for _, _, at_ns in events)


@settings(deadline=None)
@given(st.lists(st.binary(max_size=50), max_size=10))
def test_any_bytes(pieces):
    """No bytes make framing raise."""
    framed(*pieces)


@pytest.mark.parametrize(
    "head", [b"event: a", b"data:", b": ping", b"id: 1", b"retry:3", b"\xef\xbb\xbfdata: 1", b"\r\n\ndata: 1"]
)
def test_looks_like_a_stream(head):
    """A body that begins with a field or a comment is an event stream."""
    assert looks_like(head)


@pytest.mark.parametrize("head", [b"", b'{"type": "error"}', b"<html>", b"upstream: reset", b"even", b" data: 1"])
def test_does_not_look_like_a_stream(head):
    """A body that begins otherwise may be anything."""
    assert not looks_like(head)
