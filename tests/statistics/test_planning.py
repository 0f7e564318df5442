"""What a number of calls can decide, before any is made."""

import math

import pytest

from pytest_llmperf.statistics import planning


class TestDecidability:
    def test_twenty_values_can_fail_a_p95_but_never_pass_it(self):
        """20 values show a p95 too high from 4 bad ones on; 59 are needed to show it low enough."""
        answer = planning.decidability(20, 0.05, 0.05)
        assert (answer.can_pass, answer.can_fail) == (False, True)
        assert (answer.least_n_to_pass, answer.least_bad_to_fail, answer.most_bad_to_pass) == (59, 4, None)
        assert answer.highest_level == pytest.approx(0.861, abs=5e-4)

    def test_a_hundred_values_can_do_both(self):
        """100 values pass a p95 with at most one bad and fail it from ten."""
        answer = planning.decidability(100, 0.05, 0.05)
        assert (answer.can_pass, answer.most_bad_to_pass, answer.least_bad_to_fail) == (True, 1, 10)

    def test_no_values_decide_nothing(self):
        """Zero values can neither pass nor fail."""
        answer = planning.decidability(0, 0.05, 0.05)
        assert (answer.can_pass, answer.can_fail) == (False, False)

    def test_a_tolerance_of_zero_can_only_fail(self):
        """A claim of no errors at all has no passing sample size."""
        answer = planning.decidability(10_000, 0.0, 0.05)
        assert (answer.can_pass, answer.can_fail, answer.least_n_to_pass) == (False, True, None)
        assert answer.least_bad_to_fail == 1

    def test_a_policy_floor_delays_the_fail_side_only(self):
        """With a floor of 20, ten values cannot fail and fifty can."""
        assert not planning.decidability(10, 0.05, 0.05, fail_floor=20).can_fail
        assert planning.decidability(50, 0.05, 0.05, fail_floor=20).least_n_to_fail == 20

    def test_least_n_to_fail(self):
        """Bad values alone refute a median after 5, a p95 after 2, and never what tolerates everything."""
        assert [planning.least_n_to_fail(theta, 0.05) for theta in (0.5, 0.05, 1.0)] == [5, 2, None]


class TestBudgets:
    @pytest.mark.parametrize(("theta0", "factor"), [(0.5, 0.5), (0.05, 0.1), (0.05, 2.0), (0.02, 3.0)])
    @pytest.mark.parametrize("chance", [0.8, 0.95])
    def test_the_budget_gives_the_wanted_chance(self, theta0, factor, chance):
        """Sequential or fixed, the right verdict comes at least that often, within the budget."""
        theta = theta0 * factor
        for find in (planning.sequential_budget, planning.fixed_budget):
            found = find(theta0, 0.05, theta, chance)
            right = found.operating.p_pass if factor < 1 else found.operating.p_fail
            assert right >= chance
            assert found.operating.mean_n <= found.budget

    @pytest.mark.parametrize(
        ("theta0", "factor", "budget", "mean_n"), [(0.05, 0.5, 419, 292), (0.05, 2.0, 175, 113), (0.02, 3.0, 147, 92)]
    )
    def test_budgets_of_the_planning_table(self, theta0, factor, budget, mean_n):
        """Within 5 % of the tabled budgets for an 80 % chance."""
        found = planning.sequential_budget(theta0, 0.05, theta0 * factor, 0.8)
        assert found.budget == pytest.approx(budget, rel=0.05)
        assert found.operating.mean_n == pytest.approx(mean_n, rel=0.05)

    def test_a_system_at_its_limit_has_no_budget(self):
        """No number of values decides what lies exactly at the limit, nor one that is out of reach."""
        assert planning.sequential_budget(0.05, 0.05, 0.05, 0.8) is None
        assert planning.fixed_budget(0.05, 0.05, 0.045, 0.95, most=500) is None
        assert planning.fixed_budget(0.0, 0.05, 0.0, 0.8) is None

    def test_fixed_operating_is_the_binomial(self):
        """At n = 200 a p95 at 0.7 times its limit passes in 98.3 % of series."""
        outcome = planning.fixed_operating(200, 0.05, 0.05, 0.0073)
        assert outcome.p_pass == pytest.approx(0.983, abs=1e-3)
        assert planning.fixed_operating(0, 0.05, 0.05, 0.2).p_decided == 0.0
        assert planning.fixed_operating(10, 0.05, 0.05, 0.9, fail_floor=20).p_fail == 0.0


class TestMargin:
    @pytest.mark.parametrize(
        ("margin", "theta"), [(0.7, 0.0073), (0.85, 0.0223), (1.0, 0.05), (1.15, 0.0913), (1.5, 0.2297)]
    )
    def test_share_above_a_limit(self, margin, theta):
        """For p50/p95 of 1120/2340 ms, as tabled."""
        spread = planning.log_spread(1120, 2340)
        assert planning.bad_share_at_margin(margin, 0.95, spread) == pytest.approx(theta, abs=5e-5)

    def test_refuses_impossible_shapes(self):
        """A p95 below the p50, and margins that are not positive, are errors."""
        with pytest.raises(ValueError, match="p50 < p95"):
            planning.log_spread(2.0, 1.0)
        with pytest.raises(ValueError, match="positive"):
            planning.bad_share_at_margin(0.0, 0.95, 0.4)


class TestGrowth:
    @pytest.mark.parametrize(("p_value", "growth"), [(0.05, 1.0), (0.001, 1.0), (0.2, 3.82), (0.4, 42.2)])
    def test_growth_until_a_p_value_is_small_enough(self, p_value, growth):
        """Z grows with the root of the sample size."""
        assert planning.growth_to_settle(p_value, 0.05) == pytest.approx(growth, rel=1e-2)

    def test_what_points_the_other_way_never_settles(self):
        """One half and more is no evidence that could grow."""
        assert planning.growth_to_settle(0.5, 0.05) == math.inf
        assert planning.growth_to_settle(0.9, 0.05) == math.inf
