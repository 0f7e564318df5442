"""A request for a chat's completion, said in the words of the Messages API, which is what `conditions` reads.

Pure functions of the JSON document. What both APIs know is carried over; what only OpenAI's has and what would shape
the answer is refused, as it would silently do nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from pytest_llmperf.simulator.conditions import Refused
from pytest_llmperf.simulator.prompt import as_list, as_mapping

MOST_TOKENS = 16_384
"""Of an answer to a request that names no limit."""
MOST_CHOICES = 128
_SYSTEM = ("system", "developer")
_BLOCKS = {"image_url": "image", "file": "document"}
_CHOICES = {"required": "any", "auto": "auto", "none": "none"}
_NO_REASONING = (None, "none", "minimal")


def as_messages(chat: Mapping[str, Any]) -> dict[str, Any]:
    """The request as the Messages API would have it.

    Raises:
        Refused: it asks for something that is not simulated, or its messages are none.
    """
    if not isinstance(chat.get("messages"), list) or not chat["messages"]:
        raise _invalid("Invalid value for 'messages': it must be an array of at least one message")
    messages = [as_mapping(message) for message in chat["messages"]]
    system = [block for message in messages if message.get("role") in _SYSTEM for block in _blocks(message)]
    turns = [_turn(message) for message in messages if message.get("role") not in _SYSTEM]
    document: dict[str, Any] = {
        "model": chat.get("model", ""),
        "stream": chat.get("stream") is True,
        "max_tokens": chat.get("max_completion_tokens") or chat.get("max_tokens") or MOST_TOKENS,
        "system": system if turns else [],
        "messages": turns or [{"role": "user", "content": system}],
        "metadata": {"user_id": chat.get("user") or as_mapping(chat.get("metadata")).get("user_id", "")},
        "tools": [_tool(as_mapping(tool)) for tool in as_list(chat.get("tools"))],
        "tool_choice": _choice(chat.get("tool_choice")),
        "output_config": {"format": _wanted(as_mapping(chat.get("response_format")))},
    }
    if chat.get("reasoning_effort") not in _NO_REASONING:
        document["thinking"] = {"type": "adaptive"}
    for name in ("temperature", "top_p"):
        if isinstance(chat.get(name), int | float):
            document[name] = min(chat[name], 1)  # beyond 1, where nothing is known, as at 1
    return document


def choices(chat: Mapping[str, Any]) -> int:
    """How many answers the request asks for.

    Raises:
        Refused: it is no such number.
    """
    asked = chat.get("n")
    if asked is None:
        return 1
    if isinstance(asked, bool) or not isinstance(asked, int) or not 1 <= asked <= MOST_CHOICES:
        raise _invalid(f"Invalid value for 'n': it must be a whole number from 1 to {MOST_CHOICES}")
    return asked


def _turn(message: Mapping[str, Any]) -> dict[str, Any]:
    if message.get("role") == "tool":
        return {"role": "user", "content": [{"type": "tool_result", "content": list(_blocks(message))}]}
    return {"role": message.get("role"), "content": [*_blocks(message), *_called(message)]}


def _blocks(message: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    content = message.get("content")
    if isinstance(content, str):
        yield {"type": "text", "text": content}
    for part in map(as_mapping, as_list(content)):
        kind = str(part.get("type"))
        yield {"type": _BLOCKS.get(kind, kind), "text": str(part.get("text", ""))}


def _called(message: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    for call in map(as_mapping, as_list(message.get("tool_calls"))):
        yield {"type": "tool_use", "input": as_mapping(call.get("function")).get("arguments")}


def _tool(tool: Mapping[str, Any]) -> dict[str, Any]:
    function = as_mapping(tool.get("function"))
    return {
        "name": function.get("name", ""),
        "description": function.get("description", ""),
        "input_schema": as_mapping(function.get("parameters")),
    }


def _choice(choice: object) -> dict[str, Any]:
    if isinstance(choice, str):
        return {"type": _CHOICES.get(choice, "auto")}
    named = as_mapping(as_mapping(choice).get("function")).get("name")
    return {"type": "tool", "name": named} if named else {"type": "auto"}


def _wanted(response_format: Mapping[str, Any]) -> dict[str, Any]:
    schema = as_mapping(as_mapping(response_format.get("json_schema")).get("schema"))
    return {"type": "json_schema", "schema": schema} if response_format.get("type") == "json_schema" else {}


def _invalid(message: str) -> Refused:
    return Refused(400, "invalid_request_error", message)
