"""Read a recording, whichever of the known tools wrote it, into one kind of value.

It finds out the layout by what is in the file, never by its name, and leaves each to a module of its own. A file is
read whole or not at all: what cannot be read is an error that names file, interaction and reason.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Protocol

from pytest_llmperf.cassettes import documents, event_stream, fields, har, ruby_vcr, vcrpy
from pytest_llmperf.cassettes.errors import CassetteMissing, CassetteUnreadable
from pytest_llmperf.cassettes.fields import Unreadable
from pytest_llmperf.cassettes.interaction import Cassette, Interaction
from pytest_llmperf.wire import sse

_KNOWN = "cassettes of vcrpy (YAML, JSON) and of VCR for Ruby, HTTP archives and bare event streams can be read"


class Layout(Protocol):
    """A module for one layout whose document is a mapping."""

    PLACE: tuple[str, ...]
    """Keys that lead from the document to the list of interactions."""

    def layout(self, entries: list[Any], *, is_json: bool) -> str:
        """Its name, as in `Cassette.layout`."""
        ...

    def interaction(self, number: int, entry: object) -> Interaction:
        """One interaction."""
        ...


LAYOUTS: tuple[Layout, ...] = (vcrpy, ruby_vcr, har)


def read(path: Path) -> Cassette:
    """Everything that a file of recorded traffic holds, in time linear in its size.

    Raises:
        CassetteMissing: there is no such file.
        CassetteUnreadable: it, or one of its interactions, cannot be read.
    """
    if not path.exists():
        raise CassetteMissing(f"{path}: there is no such file")
    try:
        return _of_content(path, documents.unpacked(_content(path)))
    except Unreadable as reason:
        raise CassetteUnreadable(f"{path}: {reason}") from reason


def _content(path: Path) -> bytes:
    if path.is_dir():
        raise Unreadable("this is a directory: name the files in it")
    try:
        return path.read_bytes()
    except OSError as error:
        raise Unreadable(f"it cannot be opened: {error.strerror or error}") from error


def _of_content(path: Path, content: bytes) -> Cassette:
    if not documents.is_json(content) and sse.looks_like(content):
        return Cassette(path, event_stream.LAYOUT, (event_stream.interaction(content),))
    document = _document(content)
    layout = next((layout for layout in LAYOUTS if layout.PLACE[0] in document), None)
    if layout is None:
        raise Unreadable(f"not a cassette: it has none of the keys of one; {_KNOWN}")
    entries = _entries(document, layout.PLACE)
    name = layout.layout(entries, is_json=documents.is_json(content))
    return Cassette(path, name, tuple(_interactions(layout, entries)))


def _document(content: bytes) -> dict[str, Any]:
    try:
        document = documents.parsed(content)
    except Unreadable as reason:
        raise Unreadable(f"not a cassette: {reason}") from reason
    if isinstance(document, list) and document and isinstance(document[0], dict) and "request" in document[0]:
        raise Unreadable("a cassette of vcrpy before 1.0, which no vcrpy of today reads either: record it again")
    if not isinstance(document, dict):
        raise Unreadable(f"not a cassette: it is {fields.kind(document)}, not a mapping; {_KNOWN}")
    return document


def _entries(document: Any, place: tuple[str, ...]) -> list[Any]:
    for key in place:
        document = document.get(key) if isinstance(document, dict) else None
    if not isinstance(document, list):
        raise Unreadable(f"not a cassette: {'.'.join(place)!r} is {fields.kind(document)}, not a list")
    return document


def _interactions(layout: Layout, entries: list[Any]) -> list[Interaction]:
    interactions = []
    for number, entry in enumerate(entries, 1):
        try:
            interactions.append(layout.interaction(number, entry))
        except Unreadable as reason:
            raise Unreadable(f"interaction {number} of {len(entries)}: {reason}") from reason
    return interactions
