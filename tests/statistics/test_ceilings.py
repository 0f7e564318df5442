"""Rate ceilings."""

import math

import pytest
from scipy import stats

from pytest_llmperf.statistics.ceilings import ceiling_bracket, sustained_estimate


class TestBracket:
    def test_between_the_last_good_and_the_first_bad_level(self):
        """60 per minute is shown good, 140 bad, 100 neither."""
        assert ceiling_bracket([20, 60, 100, 140], [60, 180, 300, 420], [0, 1, 9, 118], 0.05, 0.05) == (60, 140)

    def test_order_of_the_levels_does_not_matter(self):
        """Levels may have been run in any order."""
        assert ceiling_bracket([140, 60, 100, 20], [420, 180, 300, 60], [118, 1, 9, 0], 0.05, 0.05) == (60, 140)

    def test_an_open_side_is_none(self):
        """Only good levels have no upper end, too few calls have neither, no level has neither."""
        assert ceiling_bracket([20, 60], [200, 300], [0, 0], 0.05, 0.05) == (60, None)
        assert ceiling_bracket([20, 60], [10, 10], [0, 0], 0.05, 0.05) == (None, None)
        assert ceiling_bracket([], [], [], 0.05, 0.05) == (None, None)

    def test_a_good_level_above_a_bad_one_does_not_count(self):
        """A clean level beyond the first bad one leaves the bracket in order."""
        assert ceiling_bracket([20, 60, 100], [200, 200, 200], [0, 60, 0], 0.05, 0.05) == (20, 60)

    def test_levels_share_alpha(self):
        """59 clean calls show one level good, and not one of two."""
        assert ceiling_bracket([20], [59], [0], 0.05, 0.05) == (20, None)
        assert ceiling_bracket([20, 30], [59, 59], [0, 0], 0.05, 0.05) == (None, None)


class TestSustained:
    def test_is_a_t_interval(self):
        """Mean and Student's t over the saturated levels."""
        estimate = sustained_estimate([99.0, 101.0, 100.5, 98.5], 0.95)
        expected = stats.ttest_1samp([99.0, 101.0, 100.5, 98.5], 0).confidence_interval(0.95)
        assert (estimate.value, estimate.n) == (99.75, 4)
        assert (estimate.low, estimate.high) == pytest.approx((expected.low, expected.high))

    def test_one_level_has_no_interval(self):
        """A single saturated level gives a number without bounds; none gives none."""
        assert sustained_estimate([99.0], 0.95).high == math.inf
        with pytest.raises(ValueError, match="at least 1"):
            sustained_estimate([], 0.95)
