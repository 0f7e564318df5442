"""Sessions as a run would leave them."""

from factories import calls, environment, measurement, series, zigzag
from pytest_llmperf.baselines.document import Entry, Session, Subject

GREETING = Subject("tests/test_latency.py", "test_greeting")


def timed(scale=1.0, n=60, **fields):
    """Calls from 0.9 to 1.1 times *scale* seconds to their first token."""
    ttfts = zigzag(scale * (0.9 + 0.2 * number / (n - 1)) for number in range(n))
    return series([measurement(number, ttft=ttft) for number, ttft in enumerate(ttfts)], **fields)


def session(*series_, subject=GREETING, started="2026-03-02T09:30:00+00:00", **fields):
    """One of one test, by default with ten ordinary calls after a warm-up."""
    found = series_ or (series(calls(11), warmup=1),)
    return Session(started, "0.1.0", environment(), tuple(Entry(subject, one) for one in found), **fields)
