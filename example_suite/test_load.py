"""What busy hours (S11), other calls (S15) and a new connection (S17) add, and where the rate limit is (S16)."""

import anthropic
import pytest

import app
from documents import document

LETTER = document(980)


@pytest.mark.arms(concurrency=[1, 5, 10, 25])
@pytest.mark.contrast(arm=5, to=1, metric="e2e", max_ratio=1.059)
@pytest.mark.contrast(arm=10, to=1, metric="e2e", max_ratio=1.186)
@pytest.mark.contrast(arm=25, to=1, metric="e2e", max_ratio=1.539)
@pytest.mark.latency(p50_ms=13_000, metric="e2e", arm=10)  # the highest level within 13 s:
@pytest.mark.claim(metric="e2e", statistic="p50", min=13, arm=25)  # the next one is not
@pytest.mark.llmperf(rounds=499, slack=0.15)
async def test_calls_in_flight(llm):
    assert await app.translate_in_batch(llm, LETTER)


@pytest.mark.arms(rate_per_minute=[40, 50, 60])
@pytest.mark.error_rate(throttled_max=0.05, arm=40)
@pytest.mark.claim(metric="throttle_rate", max=0.1, arm=50)
@pytest.mark.claim(metric="throttle_rate", min=0.1, arm=60)
@pytest.mark.llmperf(rounds=300, arrival="constant")
async def test_rate_limit(llm):
    """Calls leave at the rate whether or not others were answered; the header switches the simulated limit on."""
    limited = llm.with_options(max_retries=0, default_headers={"x-llmperf-condition": "limits=on"})
    assert await app.reply_at_once(limited, "Good morning.", max_tokens=20)


@pytest.mark.arms(hours=["quiet", "busy"])
@pytest.mark.contrast(arm="busy", to="quiet", metric="ttft", quantile=0.95, max_ratio=1.15)
@pytest.mark.llmperf(rounds=400, slack=0.5)
def test_busy_hours(arm):
    then = app.client.with_options(
        default_headers={"x-llmperf-condition": f"peak={'yes' if arm.hours == 'busy' else 'no'}"}
    )
    assert "".join(app.reply("Good morning.", llm=then, max_tokens=15))


@pytest.fixture
def clients():
    limits = type(anthropic.DEFAULT_CONNECTION_LIMITS)
    https = {most: anthropic.DefaultAsyncHttpxClient(limits=limits(max_connections=most)) for most in (6, 2)}
    return {most: anthropic.AsyncAnthropic(http_client=http) for most, http in https.items()}


@pytest.mark.arms(connections=[6, 2])
@pytest.mark.claim(metric="queue", statistic="max", max=0, arm=6)
@pytest.mark.claim(metric="queue", statistic="p50", min=1, arm=2)
@pytest.mark.contrast(arm=2, to=6, metric="e2e", max_ratio=1)
@pytest.mark.llmperf(rounds=300, concurrency=6, slack=0.1)
async def test_queue_of_our_own(clients, arm):
    """Six calls at once over two connections: they wait in the application, and the service takes no longer."""
    assert await app.reply_at_once(clients[arm.connections], "Good morning.", max_tokens=20)


@pytest.mark.arms(connection=["reused", "new"])
@pytest.mark.contrast(arm="new", to="reused", metric="ttft", max_added_ms=85)
@pytest.mark.llmperf(rounds=400, slack=1)
def test_connection_reuse(arm):
    by = app.client.with_options(default_headers={"x-llmperf-condition": f"connection={arm.connection}"})
    mail = "Extract item and number as a list: six copper valves, two oak panels."
    assert "".join(app.reply(mail, llm=by, max_tokens=15))
