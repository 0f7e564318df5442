"""The bytes of OpenAI's Chat Completions: chunks of a stream, a whole completion, errors, headers, identifiers.

The form is that of recorded traffic: nameless events, a first chunk with the role, a last one with the reason, usage in
a chunk of its own when it was asked for, `[DONE]`. Several choices have a first and a last chunk each, and one usage of
all of them; the input counts once. Reasoning is counted and not shown. It knows nothing of time and of
profiles. Only the `server` header differs, on purpose: it says who answers.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from random import Random
from typing import Any

from pytest_llmperf.simulator import messages_format
from pytest_llmperf.simulator.answers import Block
from pytest_llmperf.simulator.messages_format import EPOCH, Allowance, Answer, Headers

DONE = b"data: [DONE]\n\n"
_encode = json.JSONEncoder(separators=(",", ":"), ensure_ascii=False).encode
_CREATED = int(EPOCH.timestamp())
_REASONS = {"end_turn": "stop", "max_tokens": "length", "tool_use": "tool_calls"}
_KINDS = {"rate_limit_error": "requests", "overloaded_error": "server_error", "api_error": "server_error"}
"""Kinds of errors by Anthropic's word for them; the rest is an `invalid_request_error`."""
_CODES = {"rate_limit_error": "rate_limit_exceeded", "not_found_error": "model_not_found"}
_STATUS_ERRORS = {
    429: ("rate_limit_error", "Rate limit reached for requests"),
    500: ("api_error", "The server had an error while processing your request"),
    503: ("overloaded_error", "The server is overloaded or not ready yet"),
}


@dataclass(frozen=True, slots=True)
class Chat:
    """The form of the answer to one request."""

    counted: bool = False
    """A stream carries its usage."""

    @classmethod
    def of(cls, body: bytes) -> Chat:
        """The form a request asks for, whatever its bytes are."""
        try:
            options = json.loads(body).get("stream_options")
        except (ValueError, RecursionError, AttributeError):
            options = None
        return cls(isinstance(options, dict) and options.get("include_usage") is True)

    def request_id(self, rng: Random) -> str:
        """An identifier such as ``req_…``; drawn as the other form's, so that what is drawn next is the same too."""
        return messages_format.request_id(rng).replace("req_011C", "req_")

    def message_id(self, rng: Random) -> str:
        """An identifier such as ``chatcmpl-…``."""
        return messages_format.message_id(rng).replace("msg_01", "chatcmpl-")

    def message(self, answer: Answer) -> bytes:
        """The body of a completion that is not streamed."""
        choices = [_choice(one) for one in (answer, *answer.others)]
        known = _known(answer, "chat.completion") | {"choices": choices, "usage": _usage(answer)}
        return _encode(known).encode()

    def stream(
        self, answer: Answer, sizes: Sequence[Sequence[int]], pads: Iterator[int], ping_after: Sequence[int]
    ) -> list[bytes]:
        """The head of a choice, one chunk for each delta that is shown, and its reason; no padding and no pings."""
        del pads, ping_after
        head = self._chunk(answer, {"role": "assistant", "content": "", "refusal": None})
        bodies = [body for index in range(len(answer.blocks)) for body in self._block(answer, index, sizes[index])]
        return [head, *bodies, self._chunk(answer, {}, _reason(answer))]

    def closing(self, answer: Answer) -> bytes:
        """The usage, if it was asked for, and `[DONE]`."""
        usage = _known(answer, "chat.completion.chunk") | {"choices": [], "usage": _usage(answer)}
        return (_event(usage) if self.counted else b"") + DONE

    def _block(self, answer: Answer, index: int, sizes: Sequence[int]) -> list[bytes]:
        block = answer.blocks[index]
        texts = _texts(block, sizes)
        if block.kind == "thinking":
            return [b""] * len(texts)
        if block.kind == "text":
            return [self._chunk(answer, {"content": text}) for text in texts]
        number = _tools(answer).index(index)
        named = {"index": number, **_call(answer, index), "function": {"name": block.tool, "arguments": ""}}
        bodies = [
            self._chunk(answer, {"tool_calls": [{"index": number, "function": {"arguments": text}}]}) for text in texts
        ]
        return [self._chunk(answer, {"tool_calls": [named]}) + bodies[0], *bodies[1:]] if bodies else []

    def _chunk(self, answer: Answer, delta: Mapping[str, Any], reason: str | None = None) -> bytes:
        choice = {"index": answer.choice, "delta": delta, "logprobs": None, "finish_reason": reason}
        known = _known(answer, "chat.completion.chunk") | {"choices": [choice]}
        return _event(known | {"usage": None} if self.counted else known)

    def error(self, kind: str, text: str, request: str) -> bytes:
        """The body of an error."""
        del request  # it is in a header only
        return _encode({"error": _error(kind, text)}).encode()

    def answered(self, status: int) -> int:
        """The status that a fault is answered with: OpenAI has no 529, and says 503 when it is overloaded."""
        return 503 if status == 529 else status

    def status_error(self, status: int, request: str) -> tuple[str, bytes]:
        """Content type and body of an error that has nothing to do with the request."""
        return "application/json", self.error(*_STATUS_ERRORS[self.answered(status)], request)

    def error_event(self, kind: str, text: str) -> bytes:
        """An error inside a stream of status 200."""
        return _event({"error": _error(kind, text)})

    def headers(
        self,
        content_type: str,
        *,
        status: int,
        request: str,
        elapsed_seconds: float,
        allowance: Allowance | None = None,
        length: int | None = None,
        retry_after: int | None = None,
    ) -> Headers:
        """The headers of a response: those that both APIs have, and OpenAI's words for the rest."""
        common = messages_format.headers(
            content_type,
            status=status,
            request=request,
            elapsed_seconds=elapsed_seconds,
            length=length,
            retry_after=retry_after,
        )
        lines = [("x-request-id" if name == "request-id" else name, value) for name, value in common]
        lines = [line for line in lines if not line[0].startswith("anthropic-")]
        lines.append(("openai-version", "2020-10-01"))
        if allowance is not None:
            lines += [
                ("x-ratelimit-limit-requests", str(allowance.limit)),
                ("x-ratelimit-remaining-requests", str(allowance.remaining)),
                ("x-ratelimit-reset-requests", f"{allowance.reset_seconds:.3g}s"),
            ]
        return tuple(lines)


def _event(data: Mapping[str, Any]) -> bytes:
    return f"data: {_encode(data)}\n\n".encode()


def _known(answer: Answer, kind: str) -> dict[str, Any]:
    return {"id": answer.message_id, "object": kind, "created": _CREATED, "model": answer.model}


def _usage(answer: Answer) -> dict[str, Any]:
    """The input includes what was read from a cache, the output its reasoning and every choice."""
    cache = answer.cache
    prompt = answer.input_tokens + cache.read + cache.written_5m + cache.written_1h
    completion = sum(one.output_tokens for one in (answer, *answer.others))
    return {
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        "total_tokens": prompt + completion,
        "prompt_tokens_details": {"cached_tokens": cache.read},
        "completion_tokens_details": {"reasoning_tokens": sum(one.thinking_tokens for one in (answer, *answer.others))},
    }


def _choice(answer: Answer) -> dict[str, Any]:
    said = "".join(["".join(block.pieces) for block in answer.blocks if block.kind == "text"])
    message: dict[str, Any] = {"role": "assistant", "content": said or None, "refusal": None}
    if calls := [_call(answer, index) for index in _tools(answer)]:
        message["tool_calls"] = calls
    return {"index": answer.choice, "message": message, "logprobs": None, "finish_reason": _reason(answer)}


def _reason(answer: Answer) -> str:
    return _REASONS.get(answer.stop_reason, "stop")


def _tools(answer: Answer) -> list[int]:
    return [index for index, block in enumerate(answer.blocks) if block.kind == "tool_use"]


def _call(answer: Answer, index: int) -> dict[str, Any]:
    block = answer.blocks[index]
    function = {"name": block.tool, "arguments": "".join(block.pieces)}
    identifier = messages_format.tool_id(answer, index).replace("toolu_01", "call_")
    return {"id": f"{identifier}{answer.choice or ''}", "type": "function", "function": function}


def _texts(block: Block, sizes: Sequence[int]) -> list[str]:
    return ["".join(block.pieces[end - size : end]) for size, end in zip(sizes, accumulate(sizes), strict=True)]


def _error(kind: str, text: str) -> dict[str, Any]:
    return {
        "message": text,
        "type": _KINDS.get(kind, "invalid_request_error"),
        "param": None,
        "code": _CODES.get(kind),
    }
