"""A small application with features built on one LLM. Nothing in it knows how it is tested."""

import json
from collections.abc import Iterator
from typing import Any

from anthropic import Anthropic, AsyncAnthropic

MODEL = "claude-opus-4-1"
SMALL_MODEL = "claude-haiku-4-5"

client = Anthropic()  # one for the whole process: making another costs tens of milliseconds

ORDER = {
    "name": "keep_order",
    "description": "Keep an order that a customer wrote.",
    "input_schema": {
        "type": "object",
        "properties": {
            "customer": {"type": "string"},
            "item": {"type": "string"},
            "quantity": {"type": "integer", "minimum": 1},
        },
        "required": ["customer", "item", "quantity"],
    },
}

# --- what somebody waits for: streamed -------------------------------------------------------------------------------


def write_code(task: str) -> Iterator[str]:
    """Python code for a task, piece by piece."""
    return _streamed(f"Write a Python function for this task, with its unit tests.\n\n{task}", max_tokens=1_000)


def answer(question: str, document: str) -> Iterator[str]:
    """The answer that a document gives to a question, piece by piece."""
    return _streamed(f"{document}\n\nAnswer from the text above. {question}", max_tokens=1_000)


def tell_story(about: str) -> Iterator[str]:
    """A short story, piece by piece."""
    return _streamed(f"Tell me a short story about {about}.", max_tokens=1_500)


def translate(text: str) -> Iterator[str]:
    """The French for a text, piece by piece."""
    return _streamed(f"Translate into French.\n\n{text}", max_tokens=1_000)


def read_order(mail: str) -> dict[str, Any]:
    """The order in a customer's mail."""
    stream = client.messages.create(
        model=MODEL,
        max_tokens=500,
        tools=[ORDER],
        tool_choice={"type": "tool", "name": ORDER["name"]},
        messages=[{"role": "user", "content": mail}],
        stream=True,
    )
    return json.loads("".join(event.delta.partial_json for event in stream if event.type == "content_block_delta"))


def _streamed(prompt: str, *, max_tokens: int) -> Iterator[str]:
    messages = [{"role": "user", "content": prompt}]
    for event in client.messages.create(model=MODEL, max_tokens=max_tokens, messages=messages, stream=True):
        if event.type == "content_block_delta":
            yield event.delta.text


# --- what runs at night: in one piece --------------------------------------------------------------------------------


async def write_code_in_batch(llm: AsyncAnthropic, task: str) -> str:
    """Python code for a task."""
    return await _whole(llm, f"Write a Python function for this task, with its unit tests.\n\n{task}")


async def answer_in_batch(llm: AsyncAnthropic, question: str, document: str) -> str:
    """The answer that a document gives to a question."""
    return await _whole(llm, f"{document}\n\nAnswer from the text above. {question}")


async def continue_novel(llm: AsyncAnthropic, manuscript: str) -> str:
    """The next page of a novel."""
    return await _whole(llm, f"{manuscript}\n\nContinue this novel with one more page.")


async def translate_in_batch(llm: AsyncAnthropic, text: str, *, max_tokens: int = 1_000) -> str:
    """The French for a text."""
    return await _whole(llm, f"Translate into French.\n\n{text}", max_tokens=max_tokens)


async def _whole(llm: AsyncAnthropic, prompt: str, *, max_tokens: int = 1_000) -> str:
    messages = [{"role": "user", "content": prompt}]
    message = await llm.messages.create(model=MODEL, max_tokens=max_tokens, messages=messages)
    return message.content[0].text


# --- what is still being tried out -----------------------------------------------------------------------------------


def reply(prompt: str, *, llm: Anthropic | None = None, **parameters: Any) -> Iterator[str]:
    """The reply to any prompt, with any parameters of the API, piece by piece."""
    asked = {"model": MODEL, "max_tokens": 1_000, "messages": [{"role": "user", "content": prompt}]} | parameters
    for event in (llm or client).messages.create(**asked, stream=True):
        if event.type == "content_block_delta":
            yield event.delta.text


async def reply_at_once(llm: AsyncAnthropic, prompt: str, **parameters: Any) -> str:
    """The reply to any prompt, with any parameters of the API, in one piece."""
    asked = {"model": MODEL, "max_tokens": 1_000, "messages": [{"role": "user", "content": prompt}]} | parameters
    message = await llm.messages.create(**asked)
    return message.content[0].text


def summarise(parts: list[str]) -> str:
    """A summary of a document from the summaries of its parts."""
    summaries = ["".join(reply(f"{part}\n\nSummarise the text above.", max_tokens=200)) for part in parts]
    if len(parts) == 1:
        return summaries[0]
    return "".join(reply(f"{' '.join(summaries)}\n\nSummarise the text above.", max_tokens=200))


def relevant(passages: list[str], tokens: int) -> str:
    """As many of the passages, which a search gave in the order of their relevance, as fit into so many tokens."""
    kept, left = [], 4 * tokens
    for passage in passages:
        if len(passage) > left:
            break
        kept.append(passage)
        left -= len(passage)
    return "\n".join(kept)


async def answer_by_route(llm: AsyncAnthropic, question: str) -> str:
    """What a small LLM makes of a translation, and the large one of anything else."""
    simple = question.startswith("Translate")
    return await reply_at_once(llm, question, model=SMALL_MODEL if simple else MODEL, max_tokens=200)
