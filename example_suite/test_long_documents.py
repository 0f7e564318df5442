"""Long documents: whole or in parts (S13), and how much of them an answer needs (S14)."""

import random

import pytest

import app
from documents import document, parts

STRATEGIES = {"single pass": parts(150_000, 1), "three chunks": parts(17_200, 3), "map-reduce": parts(1_230, 8)}


@pytest.mark.arms(strategy=list(STRATEGIES))
@pytest.mark.claim(metric="aggregate_tps", statistic="p50", min=29.8, arm="single pass")
@pytest.mark.claim(metric="aggregate_tps", statistic="p50", min=38.1, arm="three chunks")
@pytest.mark.claim(metric="aggregate_tps", statistic="p50", min=42.3, arm="map-reduce")
@pytest.mark.llmperf(rounds=30, slack=0.05)
def test_summary(arm, llmperf):
    """The study gives no sizes; these are the ones at which its rates agree with those it gives by context.

    A round makes one call, four or nine. Its tokens per second are those of all its calls over the time they came in.
    """
    assert app.summarise(STRATEGIES[arm.strategy])
    answers = [call.last.generation for call in llmperf.calls]
    seconds = sum(answer.deltas[-1].at_ns - answer.deltas[0].at_ns for answer in answers) / 1e9
    llmperf.record("aggregate_tps", sum(answer.usage.output_tokens - 1 for answer in answers) / seconds, "tokens/s")


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
    found = FACT in context
    assert found
