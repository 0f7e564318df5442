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
