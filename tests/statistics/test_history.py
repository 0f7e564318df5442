"""Change points in a history of runs."""

import math
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_llmperf.statistics import history

STEP = [1.0, 2.0, 3.0, 4.0, 11.0, 12.0, 13.0, 14.0]


def noisy(levels, seed=1):
    rng = np.random.default_rng(seed)
    return np.array(levels) * np.exp(0.05 * rng.standard_normal(len(levels)))


class TestScan:
    def test_exact_permutation_p_of_a_clean_step(self):
        """Of the 70 ways to put four of eight ranks first, two reach the statistic of a clean step."""
        z, k = history.scan_statistic(STEP)
        totals = [sum(chosen) for chosen in combinations(range(1, 9), 4)]
        reached = sum(abs(total - 18) / math.sqrt(12) >= z - 1e-9 for total in totals)
        assert (k, reached, len(totals)) == (4, 2, 70)

    @given(st.lists(st.floats(0.1, 10.0), min_size=8, max_size=40))
    def test_only_the_ranks_matter(self, values):
        """Doubling every run leaves the statistic and the place unchanged; reversing mirrors the direction only."""
        z, k = history.scan_statistic(values)
        assert history.scan_statistic([2 * v for v in values]) == (z, k)
        assert history.scan_statistic(values[::-1])[0] == pytest.approx(z)

    @pytest.mark.parametrize("values", [[], [1.0] * 7, [1.0] * 30])
    def test_nothing_to_split(self, values):
        """Too few runs, or all alike, have no statistic."""
        assert history.scan_statistic(values) == (0.0, 0)


class TestFindChanges:
    def test_finds_a_step_where_it_is(self):
        """+30 % after 20 of 40 runs is found there, with its medians."""
        (change,) = history.find_changes(noisy([1.0] * 20 + [1.3] * 20))
        assert abs(change.index - 20) <= 1
        assert change.ratio == pytest.approx(1.3, abs=0.05)
        assert (change.p_value, change.dependent) == (0.001, False)

    def test_finds_two_steps_in_order(self):
        """Up by half and up again: each at its place, and the second is not taken for dependence around the first."""
        changes = history.find_changes(noisy([1.0] * 20 + [1.5] * 20 + [2.2] * 20))
        assert [round(change.index, -1) for change in changes] == [20, 40]
        assert not any(change.dependent for change in changes)

    def test_parts_are_split_at_half_the_level(self):
        """A second change with p = 0.005 is reported at α = 0.02, not at 0.006."""
        left = [1.0, 1.1, 1.05, 1.02, 1.08, 1.06, 1.03, 1.09, 1.01, 1.07, 1.04, 1.05]
        values = [*left, 3.0, 3.1, 3.05, 3.02, 3.08, 3.06, 3.33, 3.39, 3.31, 3.37, 3.34, 3.35]
        first, second = history.find_changes(values, alpha=0.02)
        assert (first.index, second.index) == (12, 18)
        assert 0.003 < second.p_value <= 0.006
        assert [change.index for change in history.find_changes(values, alpha=0.006)] == [12]

    def test_a_flat_history_has_none(self):
        """Noise alone, and a constant, show no change."""
        assert history.find_changes(noisy([1.0] * 60)) == ()
        assert history.find_changes([1.0] * 60) == ()
        assert history.find_changes([]) == ()

    def test_a_small_change_is_not_worth_reporting(self):
        """A certain change of 2 % stays below the 5 % that is reported, and appears when asked for."""
        values = [1.0 + 0.0001 * (i % 3) for i in range(20)] + [1.02 + 0.0001 * (i % 3) for i in range(20)]
        assert history.find_changes(values) == ()
        assert [change.index for change in history.find_changes(values, least_change=0.01)] == [20]

    def test_one_outlier_is_no_change(self):
        """A single run ten times as slow moves no rank sum far."""
        values = noisy([1.0] * 40)
        values[25] *= 10
        assert history.find_changes(values) == ()

    def test_the_same_history_gives_the_same_answer(self):
        """The shuffles are seeded."""
        values = noisy([1.0] * 15 + [1.1] * 15, seed=3)
        assert history.find_changes(values) == history.find_changes(values)
        assert history.find_changes(values, seed=1) == history.find_changes(values, seed=1)

    def test_dependent_runs_are_shuffled_in_blocks(self):
        """Runs that resemble their neighbours lead single shuffles astray and blocks of four much less."""
        rng = np.random.default_rng(6)
        wandering = np.zeros((100, 60))
        for i in range(1, 60):
            wandering[:, i] = 0.5 * wandering[:, i - 1] + 0.1 * rng.standard_normal(100)
        found = [history.find_changes(np.exp(series), permutations=199) for series in wandering]
        plain = [history._segmented(np.exp(series), 0.01, 4, 1, 199, 0) for series in wandering]
        assert sum(map(bool, found)) < 0.6 * sum(map(bool, plain))
        assert any(change.dependent for changes in found for change in changes)

    def test_blocks_keep_neighbours_together(self):
        """Shuffled in blocks of four, most neighbours stay neighbours; nothing is lost."""
        ranks = np.arange(1.0, 41.0)
        shuffled = history._shuffled(ranks, 4, 50, np.random.default_rng(0))
        assert (np.sort(shuffled, axis=1) == ranks).all()
        together = (np.abs(np.diff(shuffled, axis=1)) == 1).mean()
        assert 0.7 < together < 0.85

    def test_refuses_what_has_no_ratio(self):
        """Runs are positive numbers."""
        with pytest.raises(ValueError, match="positive"):
            history.find_changes([1.0, 0.0])
