"""What a mark claims, in words and in numbers."""

import pytest

from pytest_llmperf.core.errors import UsageError
from pytest_llmperf.core.objective import Objective, quantile_level


@pytest.mark.parametrize(
    ("objective", "words"),
    [
        (Objective("ttft", "p95", "<=", 2.34), "p95 ttft <= 2340 ms"),
        (Objective("ttft|e2e", "p50", "<=", 12.3), "p50 ttft or e2e <= 12.3 s"),
        (Objective("tpot", "p99.9", "<=", 0.025), "p99.9 tpot <= 25 ms/token"),
        (Objective("output_tps", "p50", ">=", 30), "p50 output_tps >= 30 tokens/s"),
        (Objective("cost", "mean", "<=", 0.05), "mean cost <= $0.05"),
        (Objective("cost", "per_mtok", "<=", 12), "cost <= $12 per million tokens"),
        (Objective("error_rate", "rate", "<=", 0.02), "error_rate <= 2 %"),
        (Objective("total_tps", "total", ">=", 300), "total_tps >= 300 tokens/s"),
        (Objective("rpm", "total", ">=", 40), "rpm >= 40 calls/min"),
        (Objective("recall", "min", ">=", 0.8), "min recall >= 0.8"),
        (Objective("size", "max", "<=", 3, unit="kB"), "max size <= 3 kB"),
    ],
)
def test_a_claim_reads_as_it_was_meant(objective, words):
    """Statistic, metric, direction and limit, in the unit people say."""
    assert objective.described() == words


def test_a_resolved_metric_takes_the_place_of_the_choice():
    """Once it is known which of two is meant, it is named alone."""
    assert Objective("ttft|e2e", "p95", "<=", 2.34).described("e2e") == "p95 e2e <= 2340 ms"


@pytest.mark.parametrize(
    ("statistic", "level"),
    [("p50", 0.5), ("p5", 0.05), ("p95", 0.95), ("p99.9", 0.999), ("p100", None), ("mean", None), ("p", None)],
)
def test_a_quantile_is_named_by_its_percentage(statistic, level):
    """p95 is the level 0.95, in decimal; what is no quantile has none."""
    assert quantile_level(statistic) == level
    assert Objective("ttft", statistic, "<=", 1).level == level


def test_the_zeroth_quantile_is_refused():
    """Nothing lies below it, so nothing can be shown of it."""
    with pytest.raises(UsageError, match="use statistic='min'"):
        quantile_level("p0")


@pytest.mark.parametrize(
    ("statistic", "direction", "tolerated"),
    [("p95", "<=", 0.05), ("p50", ">=", 0.5), ("p5", ">=", 0.05), ("p99.9", "<=", 0.001)],
)
def test_a_quantile_tolerates_a_share_of_bad_observations(statistic, direction, tolerated):
    """Below an upper limit 95 % must lie for a p95; above a lower one 95 % must lie for a p5."""
    assert Objective("m", statistic, direction, 1).tolerated == tolerated


def test_other_statistics_tolerate_no_share():
    """A mean is no question of shares."""
    with pytest.raises(ValueError, match="mean is no quantile"):
        _ = Objective("ttft", "mean", "<=", 1).tolerated


@pytest.mark.parametrize(
    ("direction", "value", "violated"),
    [("<=", 1.0, False), ("<=", 1.0000001, True), ("<=", 0.0, False), (">=", 1.0, False), (">=", 0.9999999, True)],
)
def test_the_limit_itself_is_within(direction, value, violated):
    """In both directions."""
    assert Objective("m", "p50", direction, 1.0).violated_by(value) is violated


def test_slack_widens_the_limit_of_a_pass_alone():
    """10 % above an upper limit, and as much below a lower one."""
    upper, lower = Objective("m", "p50", "<=", 2.0, slack=0.1), Objective("m", "p50", ">=", 2.2, slack=0.1)
    assert (upper.relaxed_bound, lower.relaxed_bound) == pytest.approx((2.2, 2.0))
    assert upper.violated_by(2.1)
    assert not upper.violated_by(2.1, relaxed=True)
    assert lower.violated_by(2.1)
    assert not lower.violated_by(2.1, relaxed=True)


def test_alpha_is_the_decimal_complement_of_the_confidence():
    """1 - 0.95 is not 0.05 in binary, and the tests compare with it strictly."""
    assert Objective("m", "p50", "<=", 1, confidence=0.95).alpha == 0.05
