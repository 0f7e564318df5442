"""When a comparison is looked at, and at which threshold."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_llmperf.core.objective import Levels
from pytest_llmperf.core.walk import comparison_looks
from pytest_llmperf.statistics.looks import look_levels

BOTH = Levels(0.05, 0.05)
FOUR = (0.003125, 0.01067126, 0.02220581, 0.03843108)


def rounds(*args, **fields):
    return [look.rounds for look in comparison_looks(*args, **fields)]


def test_four_looks_at_the_published_thresholds():
    """A quarter, a half, three quarters and all of the budget, spending α·t²."""
    looks = comparison_looks(100, "p50", BOTH)
    assert [look.rounds for look in looks] == [25, 50, 75, 100]
    assert [look.levels.to_fail for look in looks] == pytest.approx(FOUR, abs=1e-7)
    assert [look.last for look in looks] == [False, False, False, True]
    assert [(look.number, look.planned) for look in looks] == [(1, 4), (2, 4), (3, 4), (4, 4)]


def test_a_stored_reference_makes_early_looks_tell_more():
    """With 300 stored, 50 of 200 rounds are 36 % of the information and not 25 %."""
    looks = comparison_looks(200, "p50", BOTH, stored=300)
    shares = [(1 / (1 / 300 + 1 / n)) / (1 / (1 / 300 + 1 / 200)) for n in (50, 100, 150, 200)]
    assert shares[0] == pytest.approx(0.357, abs=1e-3)
    assert [look.levels.to_fail for look in looks] == pytest.approx(look_levels(shares, 0.05))


@pytest.mark.parametrize(
    ("budget", "expected"), [(1, [1]), (2, [1, 2]), (3, [1, 2, 3]), (5, [2, 3, 4, 5]), (10, [3, 5, 8, 10])]
)
def test_small_budgets_have_fewer_looks(budget, expected):
    """A look is at whole rounds."""
    assert rounds(budget, "p50", BOTH) == expected


def test_a_mean_is_looked_at_from_fifty_rounds_on():
    """A half, three quarters and all of the budget, but not before the fiftieth."""
    assert rounds(40, "mean", BOTH) == [40]
    assert rounds(80, "mean", BOTH) == [60, 80]
    assert rounds(200, "mean", BOTH) == [100, 150, 200]


def test_sampling_that_ended_early_is_looked_at_where_it_ended():
    """With what may be spent up to there; the looks before it keep their thresholds."""
    looks = comparison_looks(100, "p50", BOTH, ended_at=60)
    assert [look.rounds for look in looks] == [25, 50, 60]
    assert [look.levels.to_fail for look in looks[:2]] == pytest.approx(FOUR[:2], abs=1e-7)
    assert looks[-1].last
    assert looks[-1].levels.to_pass < 0.05 * 0.6**2


def test_an_end_that_hardly_adds_to_a_look_is_none_of_its_own():
    """One round after the look at a half says nothing new; and before a first look almost nothing was seen."""
    assert rounds(1000, "p50", BOTH, ended_at=501) == [250, 500]
    (look,) = comparison_looks(1000, "p50", BOTH, ended_at=1)
    assert look.levels == (0.0, 0.0)


@given(
    budget=st.integers(1, 3000),
    stored=st.one_of(st.just(0), st.integers(1, 3000)),
    ended=st.integers(0, 3000),
    statistic=st.sampled_from(["p50", "mean"]),
)
def test_there_is_always_a_last_look(budget, stored, ended, statistic):
    """Looks grow to the end of what was sampled, and what is planned before does not depend on where that is."""
    ended_at = ended if ended < budget else 0
    looks = comparison_looks(budget, statistic, BOTH, stored=stored, ended_at=ended_at)
    whole = comparison_looks(budget, statistic, BOTH, stored=stored)
    assert [look.last for look in looks] == [False] * (len(looks) - 1) + [True]
    assert looks[-1].rounds <= (ended_at or budget)
    assert whole[-1].rounds == budget
    for look, planned in zip(looks[:-1], whole, strict=False):
        assert (look.rounds, look.levels) == (planned.rounds, pytest.approx(planned.levels))
