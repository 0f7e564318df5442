"""Streaming shortens the wait, not the work (S06)."""

import pytest

import app
from documents import document

LETTER = document(980)


@pytest.mark.llmperf(rounds=100, slack=0.35)
class TestTranslation:
    @pytest.mark.latency(p50_ms=847, metric="ttft")
    @pytest.mark.latency(p50_ms=10_200, metric="scenario")
    def test_streamed(self):
        assert "".join(app.translate(LETTER))

    @pytest.mark.latency(p50_ms=10_200)
    async def test_in_one_piece(self, llm):
        assert await app.translate_in_batch(llm, LETTER)


@pytest.mark.arms(streamed=[True, False])
@pytest.mark.contrast(arm=True, to=False, metric="scenario", max_ratio=1, min_ratio=1)
@pytest.mark.contrast(arm=True, to=False, metric="visible", max_ratio=0.083)
@pytest.mark.llmperf(rounds=80, slack=0.3)
async def test_same_work_sooner_seen(llm, arm, llmperf):
    """What is recorded is the wait until something can be seen: 847 ms of 10.2 s."""
    prompt = f"Translate into French.\n\n{LETTER}"
    if arm.streamed:
        asked = {"model": app.MODEL, "max_tokens": 1_000, "messages": [{"role": "user", "content": prompt}]}
        async with llm.messages.stream(**asked) as stream:
            assert await stream.get_final_text()
    else:
        assert await app.reply_at_once(llm, prompt)
    answer = llmperf.calls[0].last
    seen = answer.generation.deltas[0].at_ns if arm.streamed else answer.exchange.ended_ns
    llmperf.record("visible", (seen - answer.exchange.zero_ns) / 1e9, "s")


@pytest.mark.llmperf(rounds=40, slack=0.25)
class TestWaitWithoutStreaming:
    @pytest.mark.latency(p50_ms=3_200)
    async def test_shortest(self, llm):
        """The study does not say how long its shortest answer was; 95 tokens take the time it gives."""
        assert await app.translate_in_batch(llm, LETTER, max_tokens=95)

    @pytest.mark.latency(p50_ms=18_700)
    async def test_longest(self, llm):
        assert await app.continue_novel(llm, document(150_000))
