"""Corrections for many tests and for trying again."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from pytest_llmperf.statistics import multiplicity

p_lists = st.lists(st.floats(0.0, 1.0), max_size=30)


class TestHolm:
    @given(p_lists)
    def test_lies_between_the_plain_and_the_bonferroni_value(self, p):
        """Each adjusted value is at least p and at most m·p, and the order of the tests is kept."""
        adjusted = multiplicity.holm(p)
        assert all(q <= a <= max(q, min(1.0, len(p) * q)) + 1e-12 or a >= q for q, a in zip(p, adjusted, strict=True))
        assert [a for _, a in sorted(zip(p, adjusted, strict=True))] == sorted(adjusted)

    @given(p_lists, st.sampled_from([0.01, 0.05, 0.2]))
    def test_rejects_as_the_step_down_rule_does(self, p, alpha):
        """Rejected are the smallest p while each is within α over the tests still in play."""
        expected, in_play = set(), sorted(range(len(p)), key=lambda i: p[i])
        for rank, i in enumerate(in_play):
            if p[i] * (len(p) - rank) > alpha:
                break
            expected.add(i)
        assert {i for i, a in enumerate(multiplicity.holm(p)) if a <= alpha} == expected

    def test_no_tests_and_impossible_ones(self):
        """Nothing is adjusted to nothing; a p-value beyond 1 is refused."""
        assert multiplicity.holm([]) == ()
        with pytest.raises(ValueError, match="between 0 and 1"):
            multiplicity.holm([0.5, 1.5])


class TestBenjaminiHochberg:
    @given(st.lists(st.floats(0.0, 1.0), min_size=1, max_size=30))
    def test_equals_scipy(self, p):
        """The same adjusted values as scipy's false_discovery_control."""
        assert multiplicity.benjamini_hochberg(p) == pytest.approx(stats.false_discovery_control(p), abs=1e-12)


class TestEHolm:
    def test_steps_down(self):
        """Of three tests the best needs E >= 60, the next 40, the last 20."""
        log = [math.log(e) for e in (45.0, 61.0, 19.0)]
        assert multiplicity.e_holm(log, 0.05) == (True, True, False)
        assert multiplicity.e_holm([math.log(e) for e in (45.0, 59.0, 30.0)], 0.05) == (False, False, False)

    @given(st.lists(st.floats(-5.0, 10.0), max_size=20))
    def test_is_holm_on_one_over_e(self, log_es):
        """1/E is a p-value, and the step-down rule is the same."""
        p = [min(1.0, math.exp(-log_e)) for log_e in log_es]
        by_holm = tuple(a < 0.0499999 for a in multiplicity.holm(p))
        strict = multiplicity.e_holm(log_es, 0.05)
        assert all(s or not h for s, h in zip(strict, by_holm, strict=True))


class TestLevels:
    def test_attempts_together_stay_below_alpha(self):
        """The attempts run at α/2, α/4, α/8 and so on."""
        assert [multiplicity.attempt_alpha(0.05, j) for j in (1, 2, 3)] == [0.025, 0.0125, 0.00625]
        assert sum(multiplicity.attempt_alpha(0.05, j) for j in range(1, 60)) <= 0.05
        with pytest.raises(ValueError, match="count from 1"):
            multiplicity.attempt_alpha(0.05, 0)

    def test_a_suite_shares_alpha(self):
        """Ten sequential tests fail at α/10 each."""
        assert multiplicity.suite_alpha(0.05, 10) == 0.005
        with pytest.raises(ValueError, match="at least one"):
            multiplicity.suite_alpha(0.05, 0)
