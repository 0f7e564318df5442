"""What a budget will probably do."""

import pytest

from pytest_llmperf.core.forecast import forecast
from pytest_llmperf.core.objective import Objective
from pytest_llmperf.statistics.planning import log_spread

P95 = Objective("ttft", "p95", "<=", 2.34, unit="s")


def test_the_published_table_for_a_p95_and_200_rounds():
    """Chance of a pass and a fail, and mean rounds, at multiples of the limit, for quantiles of 1120 and 2340 ms."""
    found = forecast(P95, 200, spread=log_spread(1.12, 2.34))
    assert found.least_to_pass == 59
    assert [(row.truth, round(row.p_pass, 3), round(row.p_fail, 3), round(row.rounds)) for row in found.supposed] == [
        ("0.7 × the limit", 0.987, 0.0, 114),
        ("0.85 × the limit", 0.598, 0.0, 143),
        ("1 × the limit", 0.047, 0.044, 138),
        ("1.15 × the limit", 0.0, 0.707, 126),
        ("1.3 × the limit", 0.0, 0.996, 65),
        ("1.5 × the limit", 0.0, 1.0, 32),
    ]


def test_an_error_rate_is_told_in_shares():
    """Of what is tolerated; at just that no number of rounds is enough."""
    found = forecast(Objective("error_rate", "rate", "<=", 0.02), 200)
    assert [row.truth for row in found.supposed][0::3] == ["none bad", "just what is tolerated"]
    assert [row.bad_share for row in found.supposed] == pytest.approx([0, 0.005, 0.01, 0.02, 0.04, 0.06])
    assert found.supposed[0].enough == 149
    assert found.supposed[3].enough is None


def test_a_claim_on_a_mean_cannot_be_planned():
    """There is no share in it."""
    with pytest.raises(ValueError, match="tolerates no share"):
        forecast(Objective("error_rate", "rate", "<=", 0.0), 100)
