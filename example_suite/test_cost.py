"""What a request costs, from the usage on the wire and a dated price table (S20).

The published medians, $0.0198, $0.0847 and $0.0134, contradict the prices published beside them: 1,200 tokens in and
450 out are $0.05175 at $15 and $75 per million, and so on. Claimed is what the prices make of the token counts.
"""

import pytest

import app
from documents import document

pytestmark = pytest.mark.llmperf(rounds=40, slack=0.05)


@pytest.mark.cost(max_usd=0.05175)
def test_code_of_1200_tokens_in_and_450_out():
    assert "".join(app.write_code("Join all intervals that overlap or touch.\n" + document(1_170)))


@pytest.mark.cost(max_usd=0.771)
async def test_answer_of_50000_tokens_in_and_280_out(llm):
    assert await app.answer_in_batch(llm, "Who drains the pump, and when?", document(49_980))


@pytest.mark.cost(max_usd=0.13125)
def test_extraction_of_8000_tokens_in_and_150_out():
    assert app.read_order("Please send me six copper valves. My contract says:\n\n" + document(7_900))
