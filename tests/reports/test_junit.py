"""Properties of the JUnit report."""

from factories import calls, failed_measurement, measurement, result, series, verdict
from pytest_llmperf.reports.junit import properties


def test_a_test_with_one_claim():
    """Names are flat and carry their unit, durations in milliseconds; the order is fixed."""
    assert properties(result(verdicts=[verdict(statistic="p99", claim="p99 ttft <= 2340 ms")])) == [
        ("llmperf.outcome", "passed"),
        ("llmperf.source", "simulated"),
        ("llmperf.clock", "virtual"),
        ("llmperf.rounds", "100"),
        ("llmperf.ttft.p50_ms", "849"),
        ("llmperf.ttft.p95_ms", "895"),
        ("llmperf.e2e.p50_ms", "11000"),
        ("llmperf.e2e.p95_ms", "11000"),
        ("llmperf.output_tps.p50", "39.405"),
        ("llmperf.cost.mean_usd", "0.05"),
        ("llmperf.ttft.p99_ms", "2100"),
        ("llmperf.claim1", "p99 ttft <= 2340 ms"),
        ("llmperf.claim1.outcome", "passed"),
        ("llmperf.claim1.estimate_ms", "2100"),
    ]


def test_no_name_comes_twice():
    """A claimed figure that is also a headline is given once, as it was judged; two claims on it share it."""
    found = properties(result(verdicts=[verdict(), verdict("failed", bound=1.0, claim="p95 ttft <= 1000 ms")]))
    names = [name for name, _ in found]
    assert len(names) == len(set(names))
    assert dict(found)["llmperf.ttft.p95_ms"] == "2100"
    assert [name for name in names if name.startswith("llmperf.claim2")] == [
        "llmperf.claim2",
        "llmperf.claim2.outcome",
        "llmperf.claim2.estimate_ms",
    ]


def test_arms_are_kept_apart():
    """Every figure of an arm names it; dots in its name do no harm."""
    arms = [series(calls(5), arm="temperature=0.0"), series(calls(5, first=5), arm="temperature=0.7")]
    found = dict(properties(result(verdicts=[verdict(arm="temperature=0.7")], series_=arms)))
    assert found["llmperf[temperature=0.0].ttft.p50_ms"] == "802"
    assert found["llmperf[temperature=0.7].claim1"] == "p95 ttft <= 2340 ms"
    assert "llmperf.ttft.p50_ms" not in found


def test_what_is_absent_has_no_property():
    """No zero stands for a figure that could not be had."""
    plain = series([measurement(n, streamed=False, absent={"cost": "no price"}) for n in range(3)])
    found = dict(properties(result(verdicts=[verdict("inconclusive", estimate=None, low=None)], series_=[plain])))
    assert [name for name in found if "ttft" in name or "cost" in name or "estimate" in name] == []


def test_an_infinite_figure_is_a_word():
    """A test whose calls fail has a p95 that no number can say."""
    found = dict(properties(result(series_=[series([*calls(5), failed_measurement(5)])])))
    assert found["llmperf.ttft.p95_ms"] == "inf"
