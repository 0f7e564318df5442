"""The bytes of the Anthropic Messages API: events of a stream, a whole message, errors, headers, identifiers.

The form is that of recorded traffic: `data` lines padded with blanks before the last brace, `ping` after the first
block's start, an empty `input_json_delta` first, `message_start` with one output token, `message_delta` with all of
them. It knows nothing of time and of profiles. Only the `server` header differs, on purpose: it says who answers.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from functools import lru_cache
from itertools import accumulate
from random import Random
from typing import NamedTuple

from pytest_llmperf.simulator.answers import Block

Headers = tuple[tuple[str, str], ...]

SERVER = "pytest-llmperf"
ORGANIZATION = "00000000-0000-4000-8000-000000000000"
EPOCH = datetime(2025, 6, 2, 15, 0, tzinfo=UTC)
"""What a simulated API's own calendar shows when it starts; fixed, so that runs are alike to the byte."""

PING = b'event: ping\ndata: {"type": "ping"}\n\n'
_ALPHABET = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
PADS = 16
"""`data` lines are padded by 0 to 15 blanks."""
_PADS = tuple(" " * width for width in range(PADS))
_encode = json.JSONEncoder(separators=(",", ":"), ensure_ascii=False).encode
_quote = json.encoder.encode_basestring
_NEVER_RETRIED = frozenset({400, 401, 403, 404, 405, 413})
_ERROR_KINDS = {429: "rate_limit_error", 500: "api_error", 529: "overloaded_error"}


class CacheUse(NamedTuple):
    """Input tokens that prompt caching set apart."""

    written_5m: int = 0
    written_1h: int = 0
    read: int = 0


UNCACHED = CacheUse()


class Allowance(NamedTuple):
    """What the rate-limit headers say."""

    limit: int
    remaining: int
    reset_seconds: float
    """Until the bucket is full again."""


@dataclass(frozen=True, slots=True)
class Answer:
    """A message, apart from when its parts arrive."""

    message_id: str
    model: str
    blocks: tuple[Block, ...]
    stop_reason: str
    input_tokens: int
    """As billed at the plain price: without cache reads and writes."""
    cache: CacheUse = UNCACHED
    choice: int = 0
    """Its number among the answers to one request."""
    others: tuple["Answer", ...] = ()
    """Of the first of several: the rest of them."""

    @property
    def output_tokens(self) -> int:
        """All tokens of all blocks."""
        return sum(len(block.pieces) for block in self.blocks)

    @property
    def thinking_tokens(self) -> int:
        """The tokens of the thinking blocks."""
        return sum(len(block.pieces) for block in self.blocks if block.kind == "thinking")


def identifier(rng: Random, prefix: str, length: int) -> str:
    """An identifier such as ``msg_01…`` or ``req_011C…``."""
    return prefix + "".join(rng.choices(_ALPHABET, k=length))


def message_id(rng: Random) -> str:
    """An identifier of a message."""
    return identifier(rng, "msg_01", 22)


def request_id(rng: Random) -> str:
    """An identifier of a request."""
    return identifier(rng, "req_011C", 20)


# --- a whole message ---------------------------------------------------------------------------------------------


def message(answer: Answer) -> bytes:
    """The body of a message that is not streamed."""
    document = _envelope(answer, [_block(answer, index) for index in range(len(answer.blocks))], answer.stop_reason)
    return _encode(document | {"usage": _usage(answer, answer.output_tokens)}).encode()


def _envelope(answer: Answer, content: list[object], stop_reason: str | None) -> dict[str, object]:
    return {
        "model": answer.model, "id": answer.message_id, "type": "message", "role": "assistant", "content": content,
        "stop_reason": stop_reason, "stop_sequence": None,
    }  # fmt: skip


def _usage(answer: Answer, output_tokens: int) -> dict[str, object]:
    cache = answer.cache
    usage: dict[str, object] = {
        "input_tokens": answer.input_tokens,
        "cache_creation_input_tokens": cache.written_5m + cache.written_1h,
        "cache_read_input_tokens": cache.read,
        "cache_creation": {
            "ephemeral_5m_input_tokens": cache.written_5m,
            "ephemeral_1h_input_tokens": cache.written_1h,
        },
        "output_tokens": output_tokens,
        "service_tier": "standard",
    }
    if answer.thinking_tokens:
        usage["output_tokens_details"] = {"thinking_tokens": min(answer.thinking_tokens, output_tokens)}
    return usage


def _block(answer: Answer, index: int) -> dict[str, object]:
    block = answer.blocks[index]
    text = "".join(block.pieces)
    if block.kind == "thinking":
        return {"type": "thinking", "thinking": text, "signature": signature(answer, index)}
    if block.kind == "tool_use":
        return {"type": "tool_use", "id": tool_id(answer, index), "name": block.tool, "input": _parsed(text)}
    return {"type": "text", "text": text}


def _parsed(text: str) -> object:
    """A tool's input; what `max_tokens` cut open does not parse, and the API then gives an empty one."""
    try:
        return json.loads(text)
    except ValueError:
        return {}


def tool_id(answer: Answer, index: int) -> str:
    """The identifier of a tool call, told apart by its block."""
    return f"toolu_01{_ALPHABET[index % len(_ALPHABET)]}{answer.message_id[7:]}"


def signature(answer: Answer, index: int) -> str:
    """What stands for the proof of a thinking block."""
    return f"Eu{index}{answer.message_id[6:] * 4}=="


# --- a stream ----------------------------------------------------------------------------------------------------


def event(name: str, data: Mapping[str, object], padding: int = 0) -> bytes:
    """One event, its data padded before the last brace."""
    text = _encode(data)
    return f"event: {name}\ndata: {text[:-1]}{_PADS[padding]}}}\n\n".encode()


def message_start(answer: Answer, padding: int) -> bytes:
    """The head of a stream: input tokens are final, one output token is counted already."""
    envelope = _envelope(answer, [], None) | {"usage": _usage(answer, 1)}
    return event("message_start", {"type": "message_start", "message": envelope}, padding)


def block_start(answer: Answer, index: int, padding: int) -> bytes:
    """The start of a block, before any of its content."""
    block = answer.blocks[index]
    empty: dict[str, object] = {"type": "text", "text": ""}
    if block.kind == "thinking":
        empty = {"type": "thinking", "thinking": "", "signature": ""}
    if block.kind == "tool_use":
        empty = {"type": "tool_use", "id": tool_id(answer, index), "name": block.tool, "input": {}}
    start = event(
        "content_block_start", {"type": "content_block_start", "index": index, "content_block": empty}, padding
    )
    return start + _delta(index, "input_json_delta", "partial_json", "", padding) if block.kind == "tool_use" else start


def deltas(block: Block, index: int, sizes: Sequence[int], pads: Iterator[int]) -> list[bytes]:
    """A block's content, one event for each group of its tokens."""
    kind, field = _DELTAS[block.kind]
    opening = _delta_opening(index, kind, field)
    ends = list(accumulate(sizes))
    texts = ["".join(block.pieces[end - size : end]) for size, end in zip(sizes, ends, strict=True)]
    return [f"{opening}{_quote(text)}{_DELTA_CLOSINGS[pad]}".encode() for text, pad in zip(texts, pads, strict=False)]


_DELTAS = {
    "text": ("text_delta", "text"),
    "thinking": ("thinking_delta", "thinking"),
    "tool_use": ("input_json_delta", "partial_json"),
}
_DELTA_CLOSINGS = tuple(f"}}{pad}}}\n\n" for pad in _PADS)


def _delta_opening(index: int, kind: str, field: str) -> str:
    return (
        f'event: content_block_delta\ndata: {{"type":"content_block_delta","index":{index},'
        f'"delta":{{"type":"{kind}","{field}":'
    )


def _delta(index: int, kind: str, field: str, text: str, padding: int) -> bytes:
    return f"{_delta_opening(index, kind, field)}{_quote(text)}{_DELTA_CLOSINGS[padding]}".encode()


def block_stop(answer: Answer, index: int, padding: int) -> bytes:
    """The end of a block; a thinking block's signature comes just before."""
    stop = event("content_block_stop", {"type": "content_block_stop", "index": index}, padding)
    if answer.blocks[index].kind != "thinking":
        return stop
    return _delta(index, "signature_delta", "signature", signature(answer, index), padding) + stop


def message_end(answer: Answer, padding: int) -> bytes:
    """`message_delta` with the final usage, and `message_stop`."""
    usage = {
        key: value for key, value in _usage(answer, answer.output_tokens).items() if key.endswith(("tokens", "details"))
    }
    last = {"stop_reason": answer.stop_reason, "stop_sequence": None}
    return event("message_delta", {"type": "message_delta", "delta": last, "usage": usage}) + event(
        "message_stop", {"type": "message_stop"}, padding
    )


def stream(
    answer: Answer, sizes: Sequence[Sequence[int]], pads: Iterator[int], ping_after: Sequence[int]
) -> list[bytes]:
    """The events of an answer: the head, one piece for each delta of each block, and the end.

    Args:
        answer: with at least one block.
        sizes: how many tokens each delta has, block by block.
        pads: how far each `data` line is padded.
        ping_after: numbers of the deltas, over all blocks, that a further ping follows.
    """
    bodies: list[bytes] = []
    for index, block in enumerate(answer.blocks):
        events = deltas(block, index, sizes[index], pads)
        if index:
            turn = block_stop(answer, index - 1, next(pads)) + block_start(answer, index, next(pads))
            events[0] = turn + events[0]
        bodies += events
    bodies[-1] += block_stop(answer, len(answer.blocks) - 1, next(pads))
    for after in ping_after:
        bodies[after] += PING
    head = message_start(answer, next(pads)) + block_start(answer, 0, next(pads)) + PING
    return [head, *bodies, message_end(answer, next(pads))]


def closing(answer: Answer) -> bytes:
    """Nothing: the end of the message is that of the stream."""
    del answer
    return b""


def error_event(kind: str, text: str) -> bytes:
    """An error inside a stream of status 200."""
    return event("error", {"type": "error", "error": {"details": None, "type": kind, "message": text}}, 12)


# --- errors and headers ------------------------------------------------------------------------------------------


def error(kind: str, text: str, request: str) -> bytes:
    """The body of an error."""
    return _encode({"type": "error", "error": {"type": kind, "message": text}, "request_id": request}).encode()


def answered(status: int) -> int:
    """The status that a fault of this number is answered with: itself."""
    return status


def status_error(status: int, request: str) -> tuple[str, bytes]:
    """Content type and body of an error that has nothing to do with the request.

    A 503 comes from a proxy in front of the API, as plain text.
    """
    if status == 503:
        return (
            "text/plain",
            b"upstream connect error or disconnect/reset before headers. reset reason: connection termination",
        )
    texts = {
        429: "This request would exceed your organization's rate limit.",
        500: "Internal server error",
        529: "Overloaded",
    }
    return "application/json", error(_ERROR_KINDS[status], texts[status], request)


def headers(
    content_type: str,
    *,
    status: int,
    request: str,
    elapsed_seconds: float,
    allowance: Allowance | None = None,
    length: int | None = None,
    retry_after: int | None = None,
) -> Headers:
    """The headers of a response.

    Args:
        content_type: of the body.
        status: decides whether a client may retry.
        request: the identifier of the request.
        elapsed_seconds: since the simulated API began, for its calendar.
        allowance: what is left of the rate limit; None leaves these headers out.
        length: of the body; None for a stream, which is chunked.
        retry_after: seconds to wait, on a 429.
    """
    second = int(elapsed_seconds)
    framing = ("transfer-encoding", "chunked") if length is None else ("content-length", str(length))
    lines = [
        ("date", _date(second)),
        ("content-type", content_type),
        framing,
        ("server", SERVER),
        ("request-id", request),
    ]
    lines += [
        ("anthropic-organization-id", ORGANIZATION),
        ("strict-transport-security", "max-age=31536000; includeSubDomains; preload"),
    ]
    if length is None:
        lines.append(("cache-control", "no-cache"))
    if status >= 400:
        lines.append(("x-should-retry", "false" if status in _NEVER_RETRIED else "true"))
    if retry_after is not None:
        lines.append(("retry-after", str(retry_after)))
    if allowance is not None:
        reset = _rfc3339(int(elapsed_seconds + allowance.reset_seconds))
        lines += [
            ("anthropic-ratelimit-requests-limit", str(allowance.limit)),
            ("anthropic-ratelimit-requests-remaining", str(allowance.remaining)),
            ("anthropic-ratelimit-requests-reset", reset),
        ]
    return tuple(lines)


@lru_cache(16)
def _date(second: int) -> str:
    return format_datetime(EPOCH + timedelta(seconds=second), usegmt=True)


@lru_cache(16)
def _rfc3339(second: int) -> str:
    return (EPOCH + timedelta(seconds=second)).strftime("%Y-%m-%dT%H:%M:%SZ")
