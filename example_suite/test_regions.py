"""What a far region adds to the wait for the first token (S10)."""

import pytest

import app


@pytest.mark.arms(region=["us-east", "us-west", "eu", "asia-pacific"])
@pytest.mark.contrast(arm="us-west", to="us-east", metric="ttft", max_added_ms=140)
@pytest.mark.contrast(arm="eu", to="us-east", metric="ttft", max_added_ms=220)
@pytest.mark.contrast(arm="asia-pacific", to="us-east", metric="ttft", max_added_ms=380)
@pytest.mark.llmperf(rounds=200, slack=0.8)
def test_far_regions(arm):
    there = app.client.with_options(base_url=f"https://{arm.region}.api.example")
    mail = "Extract item and number as a list: six copper valves, two oak panels."
    assert "".join(app.reply(mail, llm=there, max_tokens=15))
