"""One HTTP attempt as timed bytes.

An `Exchange` says at which nanoseconds which bytes went out and came in, over which connection, or how it failed.
It knows nothing of JSON, tokens or providers. All times are nanoseconds of one clock; only differences mean anything.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple
from urllib.parse import urlsplit


class End(StrEnum):
    """How the response body came to its end."""

    COMPLETE = "complete"
    CLOSED = "closed"
    """The consumer stopped reading and closed the response."""
    DROPPED = "dropped"
    """The consumer forgot the response; the garbage collector ended it."""
    ERROR = "error"
    OPEN = "open"
    """Still running when it was looked at."""


class Provenance(StrEnum):
    """What can be said of where the bytes came from, without the cooperation of whoever served them."""

    WIRE = "wire"
    BUFFERED = "buffered"
    """Somebody read the whole body before the client saw its first byte: no time inside the body means anything."""
    UNSERVED = "unserved"
    """No connection took part: a mock, a cassette of another tool."""
    SUBSTITUTED = "substituted"
    """Served by our own simulated API or cassette."""
    REPLAYED = "replayed"
    """Served by our own cassette at once; all times are those of the recording."""
    UNTIMED = "untimed"
    """Served by our own cassette, which holds no times."""
    UNKNOWN = "unknown"
    """The transport does not tell (aiohttp)."""


class Chunk(NamedTuple):
    """Bytes of the body and the moment they were read."""

    at_ns: int
    data: bytes


@dataclass(frozen=True, slots=True)
class Connection:
    """What the attempt spent on its connection, in nanoseconds; None where it could not be seen or did not happen."""

    state: str = "unknown"
    """`new`, `reused`, `none` (nothing was on the wire) or `unknown`."""
    wait_ns: int | None = None
    """Waiting for a free connection of the client's pool."""
    tcp_ns: int | None = None
    tls_ns: int | None = None


@dataclass(frozen=True, slots=True)
class Timeline:
    """When the parts of a served answer are due, in nanoseconds after the request's last byte.

    A transport that serves an answer without waiting (the instant clock) puts one into the response's extensions under
    `TIMELINE`, or into the request's where no response comes, and the observer takes the times from it instead of from
    its clock.
    """

    headers_ns: int
    chunks_ns: tuple[int, ...]
    """One for each chunk the response's stream yields, in order."""
    end_ns: int
    started_ns: int | None = None
    """When the attempt began, by the observer's clock; None: when it was observed to."""
    sent_ns: int | None = 0
    """From there to the request's last byte; None when that never left."""
    connection: Connection | None = None
    """What was spent on it; None where nobody noted it."""
    known: bool = True
    """False: nobody noted any time of this answer, and none of it means anything."""


TIMELINE = "llmperf_timeline"
SUBSTITUTED = "llmperf_substituted"
"""Key of a response's extensions, true when our own simulated API or cassette served it."""
WAITED = "llmperf_waited"
"""Key of a response's extensions, or of a request's that has none: nanoseconds that it waited for a place in the
client's pool, as our own simulated API found it."""


@dataclass(frozen=True, slots=True)
class Exchange:
    """One HTTP attempt. Credentials are taken out of `request_headers` before it is made."""

    method: str
    url: str
    request_headers: tuple[tuple[str, str], ...]
    """Names in lower case."""
    request_body: bytes
    started_ns: int
    """The client handed the attempt to its transport."""
    sent_ns: int | None = None
    """The last byte of the request was handed to the socket; None when it never was."""
    status: int | None = None
    response_headers: tuple[tuple[str, str], ...] = ()
    headers_ns: int | None = None
    chunks: tuple[Chunk, ...] = ()
    """The body as read, still encoded as `content-encoding` says."""
    ended_ns: int | None = None
    end: End = End.OPEN
    error: str = ""
    """`TypeName: message` of the exception that ended it."""
    connection: Connection = Connection()
    provenance: Provenance = Provenance.UNKNOWN

    @property
    def zero_ns(self) -> int:
        """The moment latencies count from: the request's last byte, or the start of an attempt that sent none."""
        return self.started_ns if self.sent_ns is None else self.sent_ns

    @property
    def host(self) -> str:
        """Host and, where given, port of the endpoint."""
        return urlsplit(self.url).netloc.rpartition("@")[2]

    @property
    def path(self) -> str:
        """Path of the request, without its query."""
        return urlsplit(self.url).path

    @property
    def retry_count(self) -> int:
        """Which retry of its call the SDK says this is (`x-stainless-retry-count`); 0 is the first attempt."""
        value = header(self.request_headers, "x-stainless-retry-count") or "0"
        return int(value) if value.isdecimal() else 0

    @property
    def throttled(self) -> bool:
        """Whether the answer was 429."""
        return self.status == 429


def header(headers: tuple[tuple[str, str], ...], name: str) -> str | None:
    """The last value of a header, whose name is given in lower case; None when absent."""
    return next((value for key, value in reversed(headers) if key == name), None)
