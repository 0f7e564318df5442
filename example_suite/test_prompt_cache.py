"""What a cached prefix saves, and how long it is kept (S12)."""

import asyncio

import pytest

import app
from documents import document


def instructions(text):
    """A system prompt that is to be cached."""
    return [{"type": "text", "text": text, "cache_control": {"type": "ephemeral"}}]


@pytest.mark.arms(cache=["cold", "warm"])
@pytest.mark.contrast(arm="warm", to="cold", metric="e2e")
@pytest.mark.llmperf(rounds=80, slack=0.1)
class TestSaving:
    @pytest.mark.contrast(max_ratio=0.82)
    async def test_small_prefix(self, llm, arm, llmperf):
        await self.ask(llm, arm, llmperf, document(9_000))

    @pytest.mark.contrast(max_ratio=0.92)
    async def test_large_prefix(self, llm, arm, llmperf):
        await self.ask(llm, arm, llmperf, document(50_000))

    async def ask(self, llm, arm, llmperf, contract):
        """A cold prefix begins as none before it did."""
        first = "" if arm.cache == "warm" else f"Contract number {llmperf.round}.\n"
        assert await app.reply_at_once(
            llm, "Translate into French: Good morning.", system=instructions(first + contract), max_tokens=150
        )
        (call,) = llmperf.calls
        assert (call.last.generation.usage.cache_read_input_tokens > 0) == (arm.cache == "warm" and not llmperf.warmup)


@pytest.mark.arms(idle_minutes=[30, 59, 61, 120])
@pytest.mark.claim(metric="hit", statistic="min", min=1, arm=30)
@pytest.mark.claim(metric="hit", statistic="min", min=1, arm=59)
@pytest.mark.claim(metric="hit", statistic="max", max=0, arm=61)
@pytest.mark.claim(metric="hit", statistic="max", max=0, arm=120)
@pytest.mark.llmperf(rounds=5)
async def test_time_to_live(llm, arm, llmperf):
    """Days of waiting, in virtual time."""
    contract = instructions(f"Contract {arm.name}.\n{document(2_000)}")
    await app.reply_at_once(llm, "Hello", system=contract, max_tokens=5)
    await asyncio.sleep(60 * arm.idle_minutes)
    await app.reply_at_once(llm, "Hello", system=contract, max_tokens=5)
    llmperf.record("hit", llmperf.calls[-1].last.generation.usage.cache_read_input_tokens > 0)
