"""One LLM against others, interleaved in one test (S04).

Whoever sends this to the real API needs an endpoint that knows all three. The study also says that Claude Opus 4 costs
40 % more than Claude 3 Opus; their published prices are the same, so nothing is claimed of it.
"""

import pytest

import app
from documents import document

pytestmark = pytest.mark.llmperf(rounds=80, slack=0.1)


@pytest.mark.arms(model=["claude-opus-4-1", "claude-3-opus-latest"])
@pytest.mark.contrast(arm="claude-opus-4-1", to="claude-3-opus-latest", metric="e2e", max_ratio=0.77)
async def test_faster_than_its_predecessor(llm, arm):
    assert await app.reply_at_once(llm, "Translate into French: Good morning.", model=arm.model)


@pytest.mark.arms(model=["claude-opus-4-1", "gpt-4-turbo"])
@pytest.mark.contrast(arm="gpt-4-turbo", to="claude-opus-4-1", metric="e2e")
class TestAgainstGpt4Turbo:
    @pytest.mark.contrast(min_ratio=1.15)
    async def test_code(self, llm, arm):
        task = "Write a Python function that joins all intervals that overlap or touch."
        assert await app.reply_at_once(llm, task, model=arm.model)

    @pytest.mark.contrast(min_ratio=1.31)
    async def test_long_context(self, llm, arm):
        question = f"{document(60_000)}\n\nAnswer from the text above. Who pays for the well?"
        assert await app.reply_at_once(llm, question, model=arm.model)
