"""Simple questions to a smaller LLM: what it saves, and whether the answers are still right (S22)."""

import random

import pytest

import app
from documents import document

SIMPLE = f"Translate into French.\n\n{document(1_000)}"
HARD = f"{document(1_000)}\n\nAnswer from the text above. Who pays for the well, and what follows for the owner?"
QUESTIONS = random.Random(22).sample([SIMPLE] * 36 + [HARD] * 84, 120)


@pytest.mark.arms(models=["single", "routed"])
@pytest.mark.contrast(arm="routed", to="single", metric="cost", max_ratio=0.72)
@pytest.mark.contrast(arm="routed", to="single", metric="accuracy", min_added=-0.05)
@pytest.mark.accuracy(min=0.95)
@pytest.mark.llmperf(rounds=120, slack=0.1)
async def test_routing(llm, arm, llmperf):
    """Three questions of ten are simple; 28 % is what the study saves at 10,000 to 50,000 requests a day (S21)."""
    question = QUESTIONS[llmperf.round]
    if arm.models == "single":
        said = await app.reply_at_once(llm, question, max_tokens=200)
    else:
        said = await app.answer_by_route(llm, question)
    assert said.strip()
