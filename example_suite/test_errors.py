"""How often calls fail in the end (S26), and what the SDK's retries hide on the way (S25)."""

import pytest

import app


@pytest.mark.error_rate(max=0.02, throttled_max=0.02)
@pytest.mark.llmperf(rounds=150)  # 149 calls without an error are the fewest that show less than 2 %
async def test_errors_are_rare(llm):
    assert await app.translate_in_batch(llm, "Good morning.")


@pytest.mark.claim(metric="attempts", statistic="max", max=3)
@pytest.mark.llmperf(rounds=30)
def test_two_refusals_are_survived(monkeypatch):
    """The header asks the simulated API to answer the first two attempts of every call with 503."""
    unlucky = app.client.with_options(default_headers={"x-llmperf-condition": "fault=503:2"})
    monkeypatch.setattr(app, "client", unlucky)
    assert "".join(app.translate("Good morning."))
