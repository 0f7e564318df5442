"""The timed part of a recorded interaction: an extra key of VCR's response mapping, and what it means.

Other readers of the format leave the key alone. Version 1 is

    x-llmperf: {v: 1, start_us: 743796, sent_us: 4950, headers_us: 6160, end_us: 217599, end: complete,
                conn: new, tcp_us: 4208, chunks: '6461:253 99:125 200708:137', round: 3}

All times are whole microseconds. `headers_us`, `chunks` and `end_us` count from the request's last byte.

| key | meaning | left out when |
| --- | --- | --- |
| `v` | version of this mapping | never |
| `start_us` | begin of the attempt, after the begin of the recording | never |
| `sent_us` | from there to the request's last byte: pool wait, connection set-up and sending | it was never sent |
| `headers_us` | the response's head | never |
| `end_us` | the end of the body, or of the attempt | never |
| `end` | `complete`, `closed` or `dropped` by the application before its end, or `error` | never |
| `error` | `TypeName: message` of what ended it | `end` is not `error` |
| `answered` | `false`: no response ever came, and the status beside it (599) stands for that | it did |
| `conn` | the connection: `new`, `reused`, `none` or `unknown` | never |
| `wait_us`, `tcp_us`, `tls_us` | of the connection: waiting in the pool, TCP and TLS set-up | it was not seen |
| `chunks` | `delta:bytes` for each chunk of the body as read, the first delta from the request's last byte, each other from the chunk before; bytes as in the body beside it | never; empty without a body |
| `rechunked` | `decoded` or `redacted`: bytes were changed after they were read, and `chunks` was fitted to them | they were not |
| `round` | number of the round among the judged ones, from 0; warm-ups are negative, the last one -1 | no rounds were run |
| `warmup` | `true`: the round was a warm-up | it was not |
| `arm` | name of the round's arm | it has none |
| `rate` | rounds that were to begin each minute | rounds were not begun at a rate |
| `lag_us` | how late the round began, after it was due by that rate | it was a warm-up, or there was no rate |
| `source` | `simulated`: a simulated API answered, and no number here is a real API's | a real one did |

Version history: 1, the first.
"""  # noqa: E501 - a table

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from pytest_llmperf.core.exchange import Connection, End, Exchange, Timeline

KEY = "x-llmperf"
VERSION = 1
NO_RESPONSE = 599
"""The status that stands for an attempt without a response: other readers then see an error that SDKs retry as well."""

_MICROSECOND = 1000
_UNKNOWN = Connection()


@dataclass(frozen=True, slots=True)
class Label:
    """Which round of a test an interaction belongs to. Without a round it was recorded by something that runs none."""

    round: int | None = None
    """Among the judged ones, from 0; warm-ups are negative."""
    arm: str = ""
    rate: float | None = field(default=None, compare=False)
    """Rounds that were to begin each minute; None where they were not begun at a rate."""
    lag_ns: int | None = field(default=None, compare=False)
    """How late the round began, after it was due by that rate."""

    @property
    def warmup(self) -> bool:
        """Whether the round is not to be judged."""
        return self.round is not None and self.round < 0


NO_ROUND = Label()


@dataclass(frozen=True, slots=True)
class Timing:
    """When an interaction happened and how it ended, in nanoseconds that are whole microseconds."""

    timeline: Timeline
    sizes: tuple[int, ...]
    """Bytes of each chunk of the body."""
    end: End = End.COMPLETE
    error: str = ""
    answered: bool = True
    start_ns: int = 0
    """Begin of the attempt, after the begin of the recording."""
    sent_ns: int | None = 0
    """From the begin of the attempt to the request's last byte; None when that never left."""
    connection: Connection = _UNKNOWN
    label: Label = NO_ROUND
    source: str = ""
    rechunked: str = ""


def timing_of(exchange: Exchange, *, began_ns: int, label: Label = NO_ROUND, source: str = "") -> Timing:
    """The timing of an attempt that has ended.

    Args:
        exchange: the attempt, its chunks with their bytes.
        began_ns: begin of the recording, by the exchange's clock.
        label: of the attempt's round.
        source: who answered, unless it was a real API.
    """
    zero = exchange.zero_ns
    ended = zero if exchange.ended_ns is None else exchange.ended_ns
    connection = exchange.connection
    return Timing(
        Timeline(
            headers_ns=_whole((ended if exchange.headers_ns is None else exchange.headers_ns) - zero),
            chunks_ns=tuple(_whole(chunk.at_ns - zero) for chunk in exchange.chunks),
            end_ns=_whole(ended - zero),
        ),
        tuple(len(chunk.data) for chunk in exchange.chunks),
        exchange.end,
        exchange.error,
        exchange.status is not None,
        _whole(exchange.started_ns - began_ns),
        None if exchange.sent_ns is None else _whole(zero - exchange.started_ns),
        Connection(connection.state, *map(_maybe_whole, (connection.wait_ns, connection.tcp_ns, connection.tls_ns))),
        label,
        source,
    )


def to_plain(timing: Timing) -> dict[str, Any]:
    """The mapping that stands under `KEY`."""
    timeline, connection, label = timing.timeline, timing.connection, timing.label
    always = {
        "v": VERSION,
        "start_us": _us(timing.start_ns),
        "headers_us": _us(timeline.headers_ns),
        "end_us": _us(timeline.end_ns),
        "end": timing.end.value,
        "conn": connection.state,
        "chunks": packed(timeline.chunks_ns, timing.sizes),
    }
    seen = {"wait_us": connection.wait_ns, "tcp_us": connection.tcp_ns, "tls_us": connection.tls_ns}
    told = {"error": timing.error, "rechunked": timing.rechunked, "arm": label.arm, "source": timing.source}
    return (
        always
        | ({} if timing.sent_ns is None else {"sent_us": _us(timing.sent_ns)})
        | {key: _us(value) for key, value in seen.items() if value is not None}
        | {key: value for key, value in told.items() if value}
        | ({} if timing.answered else {"answered": False})
        | ({} if label.round is None else {"round": label.round})
        | ({} if label.rate is None else {"rate": label.rate})
        | ({} if label.lag_ns is None else {"lag_us": _us(label.lag_ns)})
        | ({"warmup": True} if label.warmup else {})
    )


def from_plain(plain: Mapping[str, Any]) -> Timing:
    """The timing in a mapping that `to_plain` made, of any version there was.

    Raises:
        ValueError: it is none, or of a version yet to come; with the key and what is wrong with it.
    """
    if not isinstance(plain, Mapping):
        raise ValueError(f"{KEY}: a mapping is expected, not {type(plain).__name__}")
    if plain.get("v") != VERSION:
        raise ValueError(f"{KEY}: version {plain.get('v')!r} is not known here, {VERSION} is the latest")
    times, sizes = unpacked(str(plain.get("chunks", "")))
    return Timing(
        Timeline(_ns(plain, "headers_us"), times, _ns(plain, "end_us")),
        sizes,
        _end(plain),
        str(plain.get("error", "")),
        plain.get("answered", True) is not False,
        _ns(plain, "start_us"),
        _seen(plain, "sent_us"),
        Connection(str(plain.get("conn", "unknown")), *(_seen(plain, key) for key in ("wait_us", "tcp_us", "tls_us"))),
        Label(_round(plain), str(plain.get("arm", "")), _rate(plain), _seen(plain, "lag_us")),
        str(plain.get("source", "")),
        str(plain.get("rechunked", "")),
    )


def packed(times_ns: tuple[int, ...], sizes: tuple[int, ...]) -> str:
    """Chunks as one text, `delta_us:bytes` each. As a list of numbers they would take three times the room in YAML."""
    times = [_us(at) for at in times_ns]
    deltas = (later - sooner for sooner, later in itertools.pairwise([0, *times]))
    return " ".join(f"{delta}:{size}" for delta, size in zip(deltas, sizes, strict=True))


def unpacked(text: str) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """The times (nanoseconds after the request's last byte) and the sizes (bytes) of chunks that `packed` joined.

    Raises:
        ValueError: the text is not of that form; with the part that is wrong.
    """
    times, sizes, at = list[int](), list[int](), 0
    for part in text.split():
        delta, colon, size = part.partition(":")
        if not colon or not size.isdecimal() or not delta.removeprefix("-").isdecimal():
            raise ValueError(f"{KEY}: chunks: {part!r} is not microseconds:bytes")
        at += int(delta) * _MICROSECOND
        times.append(at)
        sizes.append(int(size))
    return tuple(times), tuple(sizes)


def _us(nanoseconds: int) -> int:
    return nanoseconds // _MICROSECOND


def _whole(nanoseconds: int) -> int:
    """Nanoseconds rounded to microseconds, so that what is recorded and what is read again are the same."""
    return round(nanoseconds / _MICROSECOND) * _MICROSECOND


def _maybe_whole(nanoseconds: int | None) -> int | None:
    return None if nanoseconds is None else _whole(nanoseconds)


def _ns(plain: Mapping[str, Any], key: str) -> int:
    value = plain.get(key)
    if not isinstance(value, int) or isinstance(value, bool):
        raise ValueError(f"{KEY}: {key}: whole microseconds are expected, not {value!r}")
    return value * _MICROSECOND


def _seen(plain: Mapping[str, Any], key: str) -> int | None:
    return _ns(plain, key) if key in plain else None


def _end(plain: Mapping[str, Any]) -> End:
    try:
        return End(plain.get("end", ""))
    except ValueError:
        raise ValueError(f"{KEY}: end: {plain.get('end')!r} is none of {', '.join(End)}") from None


def _round(plain: Mapping[str, Any]) -> int | None:
    number = plain.get("round")
    if number is not None and (not isinstance(number, int) or isinstance(number, bool)):
        raise ValueError(f"{KEY}: round: a whole number is expected, not {number!r}")
    return number


def _rate(plain: Mapping[str, Any]) -> float | None:
    rate = plain.get("rate")
    if rate is None:
        return None
    if not isinstance(rate, int | float) or isinstance(rate, bool) or not rate > 0:
        raise ValueError(f"{KEY}: rate: rounds a minute are expected, not {rate!r}")
    return float(rate)
