"""Every test here fails, each in its own way: these are the messages to expect."""

import pytest

import app


@pytest.mark.latency(p95_ms=1000)
def test_limit_too_low():
    """The p95 is 1540 ms, and 100 rounds are plenty to show that it is above 1000."""
    assert "".join(app.write_code("Join all intervals that overlap or touch."))


@pytest.mark.latency(p50_ms=892)
@pytest.mark.llmperf(rounds=40)
def test_limit_too_near():
    """The median is 892 ms: no number of rounds can show it below or above a limit of just that."""
    assert "".join(app.write_code("Join all intervals that overlap or touch."))


@pytest.mark.latency(p95_ms=5000)
def test_wrong_answer():
    """An assertion of the test's own ends it in the round where it fails."""
    story = "".join(app.tell_story("a lighthouse that misses a boat"))
    assert len(story) > 1600
