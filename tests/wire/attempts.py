"""Attempts for the tests of the wire layer: literal ones, and the recorded ones of `tests/data/cassettes`."""

import json
from dataclasses import replace
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any

import yaml

from pytest_llmperf.core.exchange import Chunk, End, Exchange

CASSETTES = Path(__file__).parents[1] / "data" / "cassettes"
URL = "https://api.anthropic.com/v1/messages"
ASKED = {"max_tokens": 100, "messages": [{"role": "user", "content": "Hi"}], "model": "claude-asked"}


def attempt(*pieces: bytes, stream: bool = True, status: int | None = 200, **fields: Any) -> Exchange:
    """An attempt whose body arrives in these pieces, at 1, 2, 3, … ns."""
    known = {
        "method": "POST",
        "url": URL,
        "request_headers": (),
        "request_body": json.dumps(ASKED | {"stream": stream}).encode(),
        "started_ns": 0,
        "end": End.COMPLETE,
        "chunks": tuple(Chunk(at, piece) for at, piece in enumerate(pieces, 1)),
    }
    return Exchange(**(known | {"status": status} | fields))


def event(name: str, **fields: Any) -> bytes:
    """One event as Anthropic sends it."""
    return f"event: {name}\ndata: {json.dumps({'type': name} | fields)}\n\n".encode()


def start(**usage: Any) -> bytes:
    message = {"id": "msg_1", "type": "message", "role": "assistant", "content": [], "model": "claude-answered"}
    return event("message_start", message=message | {"stop_reason": None, "usage": usage})


def block(index: int = 0, **content_block: Any) -> bytes:
    return event("content_block_start", index=index, content_block=content_block)


def delta(kind: str, index: int = 0, **words: Any) -> bytes:
    return event("content_block_delta", index=index, delta={"type": kind} | words)


def text(words: str) -> bytes:
    return delta("text_delta", text=words)


def change(stop_reason: str | None = "end_turn", **usage: Any) -> bytes:
    return event("message_delta", delta={"stop_reason": stop_reason, "stop_sequence": None}, usage=usage)


PING = event("ping")
STOP = event("message_stop")
TEXT_BLOCK = block(type="text", text="")


def cut(exchange: Exchange, *places: int) -> Exchange:
    """The same body in chunks that end at these places, each at its number in nanoseconds."""
    body = b"".join(chunk.data for chunk in exchange.chunks)
    bounds = [0, *sorted(places), len(body)]
    pieces = [body[begin:end] for begin, end in pairwise(bounds)]
    return replace(exchange, chunks=tuple(Chunk(at, piece) for at, piece in enumerate(pieces)))


@cache
def expectations() -> list[dict[str, Any]]:
    """What an independent parser found in each recorded interaction."""
    return [json.loads(line) for line in (CASSETTES / "expected.jsonl").read_text("utf-8").splitlines()]


@cache
def recorded(file: str, index: int) -> Exchange:
    """One interaction of a cassette, whose body comes as a single chunk."""
    return _read(file)[index]


@cache
def _read(file: str) -> list[Exchange]:
    path = CASSETTES / file
    if path.suffix == ".sse":
        return [attempt(path.read_bytes(), request_body=b"")]
    if path.suffix == ".har":
        return [_of_har(entry) for entry in json.loads(path.read_text("utf-8"))["log"]["entries"]]
    document = yaml.load(path.read_bytes(), Loader=_Loader)
    return [_of_yaml(one) for one in document.get("interactions") or document["http_interactions"]]


class _Loader(yaml.CSafeLoader):
    """Safe, and fit for header names that vcrpy wrote as objects of multidict."""


_Loader.add_constructor(
    "tag:yaml.org,2002:python/object/apply:multidict._multidict.istr",
    lambda loader, node: loader.construct_sequence(node)[0],
)


def _of_yaml(interaction: dict[str, Any]) -> Exchange:
    """Of vcrpy, of its variant with parsed bodies, or of VCR for Ruby."""
    request, response = interaction["request"], interaction["response"]
    return attempt(
        _body(response),
        method=request["method"],
        url=request["uri"],
        request_headers=_headers(request),
        request_body=_body(request),
        status=response["status"]["code"],
        response_headers=_headers(response),
    )


def _body(side: dict[str, Any]) -> bytes:
    if "parsed_body" in side:
        return json.dumps(side["parsed_body"]).encode()
    stored = side["body"]["string"] if isinstance(side["body"], dict) else side["body"]
    return stored if isinstance(stored, bytes) else (stored or "").encode()


def _headers(side: dict[str, Any]) -> tuple[tuple[str, str], ...]:
    return tuple((name.lower(), value) for name, values in side["headers"].items() for value in values)


def _of_har(entry: dict[str, Any]) -> Exchange:
    request, response = entry["request"], entry["response"]
    return attempt(
        response["content"]["text"].encode(),
        method=request["method"],
        url=request["url"],
        request_headers=tuple((header["name"].lower(), header["value"]) for header in request["headers"]),
        request_body=request["postData"]["text"].encode(),
        status=response["status"],
        response_headers=tuple((header["name"].lower(), header["value"]) for header in response["headers"]),
    )
