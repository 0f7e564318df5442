"""Planned looks: thresholds that together spend α."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_llmperf.statistics import looks


class TestLookLevels:
    def test_one_look_is_the_plain_test(self):
        """A single look at the end has the whole α."""
        assert looks.look_levels([1.0], 0.05) == pytest.approx((0.05,))

    def test_the_first_look_gets_what_is_released(self):
        """Nothing precedes the first look, so its threshold is the spending function itself."""
        assert looks.look_levels([0.3, 1.0], 0.05)[0] == pytest.approx(0.05 * 0.09)

    @given(st.lists(st.integers(1, 50), min_size=1, max_size=6, unique=True), st.sampled_from([0.01, 0.025, 0.05]))
    @settings(max_examples=40)
    def test_no_look_gets_more_than_has_been_released(self, places, alpha):
        """Each threshold is at most α·t² and positive."""
        fractions = [place / 50 for place in sorted(places)]
        levels = looks.look_levels(fractions, alpha)
        assert all(0 < p <= alpha * t**2 * (1 + 1e-9) for p, t in zip(levels, fractions, strict=True))

    @pytest.mark.parametrize("fractions", [[], [0.5, 0.5], [0.5, 0.4], [0.0, 1.0], [0.5, 1.1], [0.5, 0.501, 1.0]])
    def test_refuses_looks_out_of_order_or_too_close(self, fractions):
        """Fractions grow by 0.002 at least within (0, 1]."""
        with pytest.raises(ValueError, match="increase"):
            looks.look_levels(fractions, 0.05)

    @pytest.mark.slow
    def test_together_they_spend_alpha(self):
        """A Brownian motion crosses the four thresholds in 5 % of 400 000 runs."""
        rng = np.random.default_rng(20240611)
        fractions = (0.1, 0.35, 0.8, 1.0)
        steps = np.sqrt(np.diff(fractions, prepend=0.0))
        motion = np.cumsum(rng.standard_normal((400_000, 4)) * steps, axis=1) / np.sqrt(fractions)
        p = np.vectorize(lambda z: 0.5 * math.erfc(z / math.sqrt(2)))
        crossed = (motion > 0) & (p(motion) < np.array(looks.look_levels(fractions, 0.05)))
        assert crossed.any(axis=1).mean() == pytest.approx(0.05, abs=0.0015)


class TestFractions:
    def test_equal_looks(self):
        """Four looks are at a quarter, a half, three quarters and the end."""
        assert looks.equal_looks(4) == (0.25, 0.5, 0.75, 1.0)

    def test_growing_together_is_in_step(self):
        """Two arms that grow alike have information in proportion to their size."""
        assert looks.information_fractions([50, 100, 200], [50, 100, 200]) == pytest.approx((0.25, 0.5, 1.0))

    def test_a_stored_baseline_gives_more_information_early(self):
        """With 500 fixed baseline values, half of 200 candidate values carry 58 % of the information."""
        assert looks.information_fractions([500, 500], [100, 200]) == pytest.approx((7 / 12, 1.0))

    def test_refuses_empty_samples(self):
        """No information comes from a sample of none."""
        with pytest.raises(ValueError, match="at least 1"):
            looks.information_fractions([0], [5])
        with pytest.raises(ValueError, match="at least 1"):
            looks.information_fractions([], [])
