"""Long documents: whole or in parts (S13), and how much of them an answer needs (S14)."""

import random

import pytest

import app
from documents import document, parts

STRATEGIES = {
    "single pass": (parts(150_000, 1), 1),
    "three chunks": (parts(10_800, 3), 1),
    "map-reduce": (parts(1_230, 8), 8),
}


@pytest.mark.arms(strategy=list(STRATEGIES))
@pytest.mark.throughput(min_tps=29.8, metric="output_tps", arm="single pass")
@pytest.mark.throughput(min_tps=38.1, metric="output_tps", arm="three chunks")
@pytest.mark.throughput(min_tps=42.3, metric="output_tps", arm="map-reduce")
@pytest.mark.llmperf(rounds=30, slack=0.08)
async def test_summary(llm, arm):
    """The study gives no sizes; these are the ones at which its rates agree with those it gives by context."""
    texts, most_at_once = STRATEGIES[arm.strategy]
    assert await app.summarise(llm, texts, most_at_once=most_at_once)


FACT = "The pump was made in Malmö. "


@pytest.mark.arms(context_tokens=[1_000, 3_000, 10_000])
@pytest.mark.contrast(arm=1_000, to=3_000, metric="accuracy", max_added=-0.1)
@pytest.mark.contrast(arm=10_000, to=3_000, metric="accuracy", max_added=0.05, min_added=-0.05)
@pytest.mark.accuracy(min=0.9, arm=3_000)
@pytest.mark.llmperf(rounds=80)
async def test_enough_context(llm, arm, llmperf):
    """A search ranks the passage that matters among the first fifteen: more than 3,000 tokens add nothing.

    No simulated API knows the answer, so what is graded is whether the context would tell it.
    """
    passages = [document(200)] * 60
    passages[random.Random(llmperf.round).randrange(15)] = FACT
    context = app.relevant(passages, arm.context_tokens)
    assert await app.reply_at_once(llm, f"{context}\n\nAnswer from the text above. Where was it made?", max_tokens=20)
    assert FACT in context
