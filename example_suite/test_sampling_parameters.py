"""What temperature and top-p do to the speed of an answer, against temperature 0.7 and top-p 0.9 (S07)."""

import pytest

import app

STORY = "Tell me a short story about a lighthouse that misses a boat."

pytestmark = [pytest.mark.llmperf(rounds=50, slack=0.03)]


@pytest.mark.arms(temperature=[0.0, 0.7, 1.0])
@pytest.mark.contrast(arm=0.0, to=0.7, metric="output_tps", min_ratio=1.07)
@pytest.mark.contrast(arm=1.0, to=0.7, metric="output_tps", max_ratio=0.96)
def test_temperature(arm):
    assert "".join(app.reply(STORY, max_tokens=150, extra_body={"temperature": arm.temperature}))


@pytest.mark.arms(top_p=[0.5, 0.9, 1.0])
@pytest.mark.contrast(arm=1.0, to=0.9, metric="output_tps", max_ratio=0.97)
@pytest.mark.contrast(arm=0.5, to=0.9, metric="output_tps", max_ratio=1.0)
def test_top_p(arm):
    assert "".join(app.reply(STORY, max_tokens=150, extra_body={"top_p": arm.top_p}))
