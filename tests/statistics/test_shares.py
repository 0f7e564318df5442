"""Two shares: exact where one is certain, numeric elsewhere."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import betaincc

from pytest_llmperf.statistics.shares import share_shift_estimate, share_shift_p_values

counts = st.integers(1, 60).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n)))


def test_a_baseline_that_is_certain_leaves_the_exact_test():
    """0 of n is a share of 0 where it is to be low: what is left is P(Beta(7, 94) >= added)."""
    assert share_shift_p_values(0, 100, 6, 100, 0.1).p_pass == pytest.approx(float(betaincc(7, 94, 0.1)))
    assert share_shift_p_values(0, 100, 0, 100, 0.05).p_pass == pytest.approx(0.95**100)
    assert share_shift_p_values(0, 100, 0, 100, -0.05).p_fail == pytest.approx(0.95**100)


def test_the_integral_is_that_of_both_distributions():
    """Against four million draws from the two beta distributions."""
    random = np.random.default_rng(1)
    high, low = random.beta(7, 94, 4_000_000), random.beta(2, 99, 4_000_000)
    assert share_shift_p_values(2, 100, 6, 100, 0.02).p_pass == pytest.approx((high >= low + 0.02).mean(), abs=1e-3)


@given(counts, counts, st.floats(-1, 1))
def test_swapping_the_samples_swaps_the_sides(base, candidate, added):
    """At most so much more is at least so much less the other way round."""
    here = share_shift_p_values(*base, *candidate, added)
    there = share_shift_p_values(*candidate, *base, -added)
    assert (here.p_pass, here.p_fail) == pytest.approx((there.p_fail, there.p_pass), abs=1e-9)


@given(counts, counts, st.floats(-1, 1), st.floats(0, 1))
def test_a_more_generous_distance_is_easier_to_pass(base, candidate, added, more):
    """And no verdict is certain of both."""
    strict = share_shift_p_values(*base, *candidate, added)
    generous = share_shift_p_values(*base, *candidate, min(1.0, added + more))
    assert generous.p_pass <= strict.p_pass + 1e-9
    assert generous.p_fail >= strict.p_fail - 1e-9
    assert sum(strict) >= 1 - 1e-9


@given(counts, counts)
def test_the_interval_holds_the_estimate(base, candidate):
    """And is that of the tests."""
    found = share_shift_estimate(*base, *candidate, 0.95)
    assert -1 <= found.low <= found.value <= found.high <= 1
    if found.high < 1:
        assert share_shift_p_values(*base, *candidate, found.high).p_pass == pytest.approx(0.025, abs=1e-4)


def test_no_data_decide_nothing():
    """(1, 1) without data on either side, and no estimate."""
    assert share_shift_p_values(0, 0, 1, 2, 0.1) == (1.0, 1.0)
    with pytest.raises(ValueError, match="no values"):
        share_shift_estimate(0, 0, 1, 2, 0.95)


def test_refuses_an_impossible_distance():
    """Two shares are never more than 1 apart."""
    with pytest.raises(ValueError, match="between -1 and 1"):
        share_shift_p_values(1, 2, 1, 2, 1.1)


@pytest.mark.slow
@pytest.mark.parametrize(("share", "added", "n"), [(0.05, 0.02, 100), (0.02, 0.0, 200), (0.85, -0.05, 60)])
def test_shares_exactly_at_the_distance(share, added, n):
    """Wrong passes and wrong fails stay within 5 % each."""
    random, runs, wrong = np.random.default_rng(2), 1500, np.zeros(2)
    for base, other in zip(random.binomial(n, share, runs), random.binomial(n, share + added, runs), strict=True):
        wrong += np.array(share_shift_p_values(int(base), n, int(other), n, added)) < 0.05
    assert wrong.max() / runs <= 0.05 + 3 * (0.05 * 0.95 / runs) ** 0.5
