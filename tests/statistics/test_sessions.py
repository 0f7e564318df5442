"""The t prediction test against earlier sessions."""

import math

import pytest
from scipy import stats

from pytest_llmperf.statistics.sessions import session_p_values, session_ratio_estimate

EARLIER = [1000.0, 1100.0, 950.0, 1050.0, 1000.0]


class TestSessionPValues:
    def test_equals_a_t_test_of_one_against_many(self):
        """The prediction test is the pooled two-sample t-test with a single new value."""
        logs = [math.log(value) for value in EARLIER]
        t = (math.log(1300 / 1.15) - sum(logs) / 5) / (stats.tstd(logs) * math.sqrt(1.2))
        assert session_p_values(EARLIER, 1300.0, 1.15).p_fail == pytest.approx(stats.t.sf(t, 4), rel=1e-12)

    def test_unit_and_order_do_not_matter(self):
        """Seconds or milliseconds, in any order of the earlier sessions."""
        plain = session_p_values(EARLIER, 1300.0, 1.15)
        assert session_p_values([v / 1000 for v in reversed(EARLIER)], 1.3, 1.15) == pytest.approx(plain, rel=1e-9)

    def test_one_session_shows_nothing(self):
        """Variation between sessions cannot be known from one."""
        assert session_p_values([1000.0], 5000.0, 1.15) == (1.0, 1.0)
        assert session_p_values([], 5000.0, 1.15) == (1.0, 1.0)

    def test_equal_sessions_decide_for_certain(self):
        """Without any variation a new session is within the ratio or beyond it; exactly at it is within."""
        assert session_p_values([2.0] * 5, 2.2, 1.15) == (0.0, 1.0)
        assert session_p_values([2.0] * 5, 2.4, 1.15) == (1.0, 0.0)
        assert session_p_values([2.0] * 5, 2.3, 1.15) == (0.0, 1.0)

    def test_an_unbounded_new_quantile_fails(self):
        """A session whose quantile is a failed call is slower than any ratio allows."""
        assert session_p_values(EARLIER, math.inf, 1.15) == (1.0, 0.0)

    @pytest.mark.parametrize(
        ("earlier", "new", "ratio"),
        [([1.0, 0.0], 1.0, 1.0), ([1.0, math.inf], 1.0, 1.0), ([1.0, 2.0], 0.0, 1.0), ([1.0, 2.0], 1.0, math.nan)],
    )
    def test_refuses_what_has_no_logarithm(self, earlier, new, ratio):
        """Quantiles and ratio are positive; only the new one may be infinite."""
        with pytest.raises(ValueError, match="must be positive"):
            session_p_values(earlier, new, ratio)


class TestSessionRatioEstimate:
    def test_the_interval_is_the_inverted_test(self):
        """At each bound the one-sided p-value is half of what the confidence leaves."""
        estimate = session_ratio_estimate(EARLIER, 1300.0, 0.9)
        assert session_p_values(EARLIER, 1300.0, estimate.low).p_fail == pytest.approx(0.05)
        assert session_p_values(EARLIER, 1300.0, estimate.high).p_pass == pytest.approx(0.05)
        assert estimate.low < estimate.value < estimate.high

    def test_one_session_gives_a_ratio_without_bounds(self):
        """The value is known, the interval is everything; none has no ratio."""
        estimate = session_ratio_estimate([1000.0], 1300.0, 0.95)
        assert (estimate.value, estimate.low, estimate.high) == (pytest.approx(1.3), 0.0, math.inf)
        with pytest.raises(ValueError, match="at least 1"):
            session_ratio_estimate([], 1300.0, 0.95)
