"""The benchmark of a published study: four workloads over five lengths of context, streamed and in one piece.

What `llmperf benchmark` runs: data of this package, an ordinary test file like a user's, which nothing here imports.
2,500 calls of each workload are 250 of each of its ten conditions, in blocks that hold each condition once. The prompts
are as long as the conditions say, to the token, and leave as real requests of the real SDK. `study.toml` holds what the
study published. Claimed is the first token of each workload at the context that the study says, or the nearest; of 250
calls a p95 is known to a fifth or two, hence the slack.
"""

from __future__ import annotations

import json
from typing import Any

import pytest
from anthropic import Anthropic

CHARACTERS_PER_TOKEN = 4
"""As the simulated API counts them."""
CONTEXTS = [1_000, 10_000, 50_000, 100_000, 150_000]
PARAGRAPH = (
    "The tenant keeps the garden, the paths and the two sheds in the state in which they were handed over. Repairs up "
    "to a value of one hundred crowns a year are the tenant's, all others the owner's. The well may be used between "
    "March and October; the pump is to be drained before the first frost. Dogs are kept on a lead near the orchard. "
    "Whoever leaves the gate open pays for what the sheep have eaten.\n"
)
MATERIAL = PARAGRAPH * (CONTEXTS[-1] * CHARACTERS_PER_TOKEN // len(PARAGRAPH) + 1)
DUTY = {
    "name": "keep_duty",
    "description": "Keep a duty that the contract names.",
    "input_schema": {
        "type": "object",
        "properties": {"whose": {"type": "string"}, "what": {"type": "string"}},
        "required": ["whose", "what"],
    },
}

client = Anthropic()
pytestmark = [
    pytest.mark.arms(context_tokens=CONTEXTS, streamed=[True, False]),
    pytest.mark.llmperf(rounds=250, warmup=0, stop="fixed", slack=0.25),
]


@pytest.mark.llmperf(name="code generation")
@pytest.mark.latency(p50_ms=892, p95_ms=1540, metric="ttft", arm="context_tokens=1000, streamed=True")
def test_code_generation(arm: Any) -> None:
    """A function that has to do with a text."""
    ask(arm, "Write a Python function that finds the duties in the text above, with its unit tests.")


@pytest.mark.llmperf(name="long-context Q&A", slack=0.4)
@pytest.mark.latency(p50_ms=1120, p95_ms=2340, metric="ttft", arm="context_tokens=50000, streamed=True")
def test_long_context_questions(arm: Any) -> None:
    """A question that a text answers."""
    ask(arm, "Answer from the text above. Who drains the pump, and when?")


@pytest.mark.llmperf(name="structured extraction")
@pytest.mark.latency(p50_ms=780, p95_ms=1280, metric="ttft", arm="context_tokens=10000, streamed=True")
def test_structured_extraction(arm: Any) -> None:
    """What a text says, as the input of a tool."""
    ask(arm, "Keep the first duty above.", tool=DUTY)


@pytest.mark.llmperf(name="creative writing", slack=0.5)
@pytest.mark.latency(p50_ms=1040, p95_ms=2890, metric="ttft", arm="context_tokens=1000, streamed=True")
def test_creative_writing(arm: Any) -> None:
    """A page that goes on from a text."""
    ask(arm, "Continue this novel with one more page.")


def ask(arm: Any, task: str, tool: dict[str, Any] | None = None) -> None:
    """Send one request of exactly so many tokens as the arm says, and read the answer to its end."""
    asked: dict[str, Any] = {"tools": [tool], "tool_choice": {"type": "tool", "name": tool["name"]}} if tool else {}
    told = f"\n\n{task}" + (json.dumps(tool) if tool else "")
    text = MATERIAL[: arm.context_tokens * CHARACTERS_PER_TOKEN - len(told)]
    answer = client.messages.create(
        model="claude-opus-4-1",
        max_tokens=1_000,
        messages=[{"role": "user", "content": f"{text}\n\n{task}"}],
        stream=arm.streamed,
        extra_body={"temperature": 0.7},
        **asked,
    )
    if arm.streamed:
        for _ in answer:
            pass
