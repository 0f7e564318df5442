"""One recorded request with its answer, whichever tool recorded it and however it laid it out.

Values only: nothing here knows a file.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from pathlib import Path

from pytest_llmperf.cassettes.timeline import Timing
from pytest_llmperf.core.exchange import Chunk, Connection, End, Exchange, Provenance

Headers = tuple[tuple[str, str], ...]
"""Names in lower case."""


@dataclass(frozen=True, slots=True)
class Interaction:
    """One HTTP attempt as recorded."""

    number: int
    """Place in the file; the first is 1."""
    method: str
    uri: str
    request_headers: Headers
    request_body: bytes
    status: int | None
    """None where the recording holds no status: a bare event stream, a request without an answer."""
    response_headers: Headers
    body: bytes
    """Without transfer coding, and encoded as `content-encoding` says unless the recorder undid that."""
    timing: Timing | None = None
    """When it happened and when the body's chunks arrived; None when the file does not say."""

    def exchange(self) -> Exchange:
        """The attempt at its recorded times, or as if all of an untimed one had happened at time 0."""
        timing = self.timing
        start = timing.start_ns if timing else 0
        sent = timing.sent_ns if timing else 0
        zero = start + (sent or 0)
        return Exchange(
            method=self.method,
            url=self.uri,
            request_headers=self.request_headers,
            request_body=self.request_body,
            started_ns=start,
            sent_ns=None if sent is None else zero,
            status=self.status,
            response_headers=self.response_headers,
            headers_ns=zero + timing.timeline.headers_ns if timing else zero,
            chunks=self._chunks(zero),
            ended_ns=zero + timing.timeline.end_ns if timing else zero,
            end=timing.end if timing else End.COMPLETE,
            error=timing.error if timing else "",
            connection=timing.connection if timing else Connection(),
            provenance=Provenance.SUBSTITUTED,
        )

    def _chunks(self, zero: int) -> tuple[Chunk, ...]:
        if self.timing is None:
            return (Chunk(zero, self.body),) if self.body else ()
        ends = [0, *itertools.accumulate(self.timing.sizes)]
        pieces = [self.body[begin:end] for begin, end in itertools.pairwise(ends)]
        return tuple(Chunk(zero + at, piece) for at, piece in zip(self.timing.timeline.chunks_ns, pieces, strict=True))


@dataclass(frozen=True, slots=True)
class Cassette:
    """A file of recorded traffic."""

    path: Path
    layout: str
    """`vcrpy-yaml`, `vcrpy-json`, either with `+parsed_body`, `ruby-vcr`, `har` or `raw-sse`."""
    interactions: tuple[Interaction, ...]
    """In the order of the file."""
