"""How fast tokens come once they come: slower, the longer the context (S05)."""

import pytest

import app
from documents import document


@pytest.mark.llmperf(rounds=30, slack=0.05)
@pytest.mark.parametrize(
    "tokens",
    [
        pytest.param(1_000, marks=pytest.mark.throughput(min_tps=42.7)),
        pytest.param(10_000, marks=pytest.mark.throughput(min_tps=38.3)),
        pytest.param(50_000, marks=pytest.mark.throughput(min_tps=34.1)),
        pytest.param(150_000, marks=pytest.mark.throughput(min_tps=29.8)),
    ],
)
def test_answers_flow(tokens):
    assert "".join(app.answer("May the well be used in April?", document(tokens)))


@pytest.mark.arms(context_tokens=[1_000, 10_000, 50_000, 150_000])
@pytest.mark.scaling(over="context_tokens", metric="output_tps", max_drop=0.302)
@pytest.mark.llmperf(rounds=30, slack=0.05)
def test_how_far_it_falls(arm):
    """From 42.7 to 29.8 tokens/s, in one test whose rounds are interleaved."""
    assert "".join(app.answer("May the well be used in April?", document(arm.context_tokens)))
