"""Several questions in one prompt: fewer calls, and a longer wait for the first answer (S18)."""

import pytest

import app

QUESTIONS = [f"Who was the {number}th tenant?" for number in range(5)]


@pytest.mark.arms(batch=[1, 5])
@pytest.mark.contrast(arm=5, to=1, metric="scenario", max_ratio=1)
@pytest.mark.contrast(arm=5, to=1, metric="cost", max_ratio=1)
@pytest.mark.contrast(arm=5, to=1, metric="e2e", min_ratio=1)
@pytest.mark.claim(metric="prompts_sent", statistic="max", max=1, arm=5)
@pytest.mark.llmperf(rounds=40)
async def test_five_questions(llm, arm, llmperf):
    """One after the other, or at once: then each waits for the answers to all."""
    for first in range(0, 5, arm.batch):
        questions = QUESTIONS[first : first + arm.batch]
        assert await app.reply_at_once(llm, "\n".join(questions), max_tokens=40 * len(questions))
    llmperf.record("prompts_sent", len(llmperf.calls))
