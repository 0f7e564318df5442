"""Server-sent events: where an event begins, where it ends, and when its end arrived.

The framing of the WHATWG HTML standard, section 9.2, over chunks that were cut anywhere. It knows nothing of JSON and
of what an event means. Two liberties, both also taken by SDKs: an event that has a name and no data is still an event,
and bytes that are not UTF-8 become U+FFFD.
"""

import re
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import NamedTuple

from pytest_llmperf.core.exchange import Chunk

_USUAL = re.compile(r"event: (.*)\ndata: (.*)")
"""The block that nearly all events are: a short cut past `_fields`, never to another result."""
_OPENING = re.compile(rb"(?:\xef\xbb\xbf)?[\r\n]*(?:event|data|id|retry)?:")


class Event(NamedTuple):
    """One event of a stream."""

    name: str
    """Empty when the event has none."""
    data: str
    """The data lines, joined with line feeds."""
    at_ns: int
    """Arrival of the chunk that completed the event."""


@dataclass(frozen=True, slots=True)
class Frames:
    """A stream taken apart."""

    events: tuple[Event, ...]
    comments: tuple[str, ...]
    """Lines that begin with a colon: some servers keep a stream alive with them."""
    unfinished: Event | None
    """Fields after the last blank line, which the standard never dispatches: the stream was cut or lost its end."""


def looks_like(head: bytes) -> bool:
    """Whether the first bytes of a body can only be those of an event stream."""
    return _OPENING.match(head) is not None


def frame(chunks: Sequence[Chunk]) -> Frames:
    """Split a body into its events.

    Args:
        chunks: the body, decompressed, in order of arrival.

    Returns:
        The events with their arrivals in nanoseconds, the comments, and what came after the last blank line.
    """
    pieces = [chunk.data for chunk in chunks]
    body = b"".join(pieces)
    if b"\r" in body:
        pieces = list(_with_line_feeds(pieces))
        body = b"".join(pieces)
    ends = list(accumulate(map(len, pieces)))
    *blocks, rest = body.decode("utf-8", "replace").removeprefix("\ufeff").split("\n\n")
    sizes = accumulate(len(block) + 2 for block in (blocks if body.isascii() else body.split(b"\n\n")))
    events: list[Event] = []
    comments: list[str] = []
    for block, size in zip(blocks, sizes, strict=False):
        usual = _USUAL.fullmatch(block)
        name, data = usual.groups() if usual else _fields(block, comments)
        if name or data:
            events.append(Event(name, data, chunks[bisect_right(ends, size - 1)].at_ns))
    name, data = _fields(rest, comments)
    unfinished = Event(name, data, chunks[-1].at_ns) if name or data else None
    return Frames(tuple(events), tuple(comments), unfinished)


def _with_line_feeds(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """The pieces with LF for every line end; an LF that follows a CR goes with the CR, which ends the line already."""
    after_return = False
    for piece in pieces:
        rest = piece.removeprefix(b"\n") if after_return else piece
        after_return = piece.endswith(b"\r") if piece else after_return
        yield rest.replace(b"\r\n", b"\n").replace(b"\r", b"\n")


def _fields(block: str, comments: list[str]) -> tuple[str, str]:
    """Name and data of the lines up to a blank one; comments among them are added to *comments*."""
    name = ""
    data: list[str] = []
    for line in block.split("\n"):
        field, _, value = line.partition(":")
        if field == "data":
            data.append(value.removeprefix(" "))
        elif field == "event":
            name = value.removeprefix(" ")
        elif line and not field:
            comments.append(value.removeprefix(" "))
    return name, "\n".join(data)
