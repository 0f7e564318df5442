"""How often calls fail in the end, and what the retries of the SDK hide on the way (S26)."""

import pytest

import app

pytestmark = pytest.mark.llmperf(rounds=150)


@pytest.mark.error_rate(max=0.02, throttled_max=0.02)
async def test_errors_are_rare(llm):
    assert await app.translate_in_batch(llm, "Good morning.")


@pytest.mark.error_rate(max=0.02)
@pytest.mark.claim(metric="attempts", statistic="max", max=2)
@pytest.mark.claim(metric="retry_wait", statistic="max", max=1)
def test_one_refusal_is_survived(monkeypatch):
    overloaded = app.client().with_options(default_headers={"x-llmperf-condition": "fault=529:1"})
    monkeypatch.setattr(app, "client", lambda: overloaded)
    assert "".join(app.translate("Good morning."))
