"""The spending plan: its table, its exact errors, futility, and what it does at any true share."""

import itertools
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_llmperf.statistics import quantiles, sequential
from pytest_llmperf.statistics.sequential import operating, spending_plan

thetas = st.sampled_from([0.5, 0.3, 0.11, 0.1, 0.05, 0.02, 0.01])
budgets = st.integers(1, 250)
alphas = st.sampled_from([0.01, 0.05, 0.1])


def by_enumeration(plan, theta):
    """P(pass), P(fail) and E[n] from every sequence of good and bad values there is."""
    p_pass = p_fail = mean_n = 0.0
    for sequence in itertools.product((0, 1), repeat=plan.budget):
        probability = math.prod(theta if bad else 1 - theta for bad in sequence)
        bad = 0
        for n, is_bad in enumerate(sequence, 1):
            bad += is_bad
            step = plan.step(bad, n)
            if step != "continue":
                break
        p_pass += probability * (step == "pass")
        p_fail += probability * (step == "fail")
        mean_n += probability * n
    return p_pass, p_fail, mean_n


class TestTable:
    @given(thetas, alphas, budgets, st.sampled_from([1.0, 1.5, 2.0, 3.0]))
    def test_error_is_within_alpha_on_both_sides(self, theta0, alpha, budget, rho):
        """The error at θ₀ is computed exactly and never exceeds α."""
        plan = spending_plan(theta0, alpha, budget, rho=rho)
        exact = operating(plan, theta0)
        assert max(plan.error) <= alpha
        assert exact.p_pass <= plan.error.p_pass + 1e-12
        assert exact.p_fail <= plan.error.p_fail + 1e-12

    @given(thetas, alphas, budgets)
    def test_tables_are_monotone_and_apart(self, theta0, alpha, budget):
        """What passes once passes later too, the fail bound grows by at most one per value, and they never meet."""
        plan = spending_plan(theta0, alpha, budget)
        assert all(late >= early for early, late in itertools.pairwise(plan.pass_at))
        assert all(late <= early + 1 for early, late in itertools.pairwise(plan.fail_at))
        assert all(low < high for low, high in zip(plan.pass_at, plan.fail_at, strict=True))

    @given(thetas, alphas, budgets)
    def test_error_by_every_n_stays_within_what_is_released(self, theta0, alpha, budget):
        """A plan cut short has spent no more than α·(n / budget)²."""
        plan = spending_plan(theta0, alpha, budget)
        half = max(1, budget // 2)
        cut = sequential.SpendingPlan(
            theta0,
            alpha,
            half,
            2.0,
            1,
            0.0,
            plan.pass_at[:half],
            plan.fail_at[:half],
            (1,) * half,
            (0,) * half,
            plan.error,
        )
        assert operating(cut, theta0).p_pass <= alpha * (half / budget) ** 2 + 1e-12
        assert operating(cut, theta0).p_fail <= alpha * (half / budget) ** 2 + 1e-12

    def test_shortest_clean_series_that_passes(self):
        """90 clean values pass a p95 within 200, 72 within 100, 59 within 59, and 58 within 58 do not."""
        assert [spending_plan(0.05, 0.05, budget).passes_from[:1] for budget in (200, 100, 59, 58)] == [
            (90,),
            (72,),
            (59,),
            (),
        ]

    def test_counts_that_use_up_the_allowance_exactly_fit(self):
        """Four good values have probability 1/16 under a median, and α = 1/16 lets them pass at the end."""
        assert spending_plan(0.5, 0.0625, 4).passes_from == (4,)

    def test_mirror_image_at_one_half(self):
        """For a median, passing and failing are each other's mirror image."""
        plan = spending_plan(0.5, 0.05, 60)
        assert all(n - a == r for n, (a, r) in enumerate(zip(plan.pass_at, plan.fail_at, strict=True), 1))

    def test_a_budget_of_one_decides_nothing_at_one_half(self):
        """One value cannot settle a median, and the table says so."""
        plan = spending_plan(0.5, 0.05, 1)
        assert (plan.pass_at, plan.fail_at, plan.passes_from, plan.fails_until) == ((-1,), (2,), (), ())

    @pytest.mark.parametrize(
        "arguments", [(0.0, 0.05, 10), (1.0, 0.05, 10), (0.05, 0.5, 10), (0.05, 0.0, 10), (0.05, 0.05, 0)]
    )
    def test_refuses_what_no_plan_can_do(self, arguments):
        """θ₀ and 2α lie strictly between 0 and 1, and a budget has one value at least."""
        with pytest.raises(ValueError, match="must"):
            spending_plan(*arguments)


class TestStep:
    def test_reads_the_table(self):
        """Pass, fail, go on, and the end of the budget."""
        plan = spending_plan(0.05, 0.05, 200)
        assert [plan.step(*seen) for seen in ((0, 0), (0, 89), (0, 90), (3, 5), (4, 5), (17, 200), (10, 200))] == [
            "continue",
            "continue",
            "pass",
            "continue",
            "fail",
            "fail",
            "futile",
        ]

    def test_a_floor_ignores_early_failures(self):
        """With a floor of 20, four bad of five do not fail, and six of 20 do."""
        plan = spending_plan(0.05, 0.05, 200, fail_floor=20)
        assert [plan.step(*seen) for seen in ((4, 5), (19, 19), (6, 20))] == ["continue", "continue", "fail"]
        assert plan.fails_until[0] == (6, 21)

    def test_refuses_counts_beyond_the_budget(self):
        """A plan knows nothing past its end."""
        with pytest.raises(ValueError, match="ends at 200"):
            spending_plan(0.05, 0.05, 200).step(0, 201)


class TestOperating:
    @pytest.mark.parametrize("options", [{}, {"fail_floor": 4}, {"futility": 0.3}, {"fail_floor": 5, "futility": 0.2}])
    @pytest.mark.parametrize("theta", [0.02, 0.3, 0.55, 1.0])
    def test_equals_the_enumeration_of_all_sequences(self, options, theta):
        """Forward recursion agrees with all 2¹⁰ sequences, with floor and futility too."""
        plan = spending_plan(0.25, 0.1, 10, **options)
        outcome = operating(plan, theta)
        assert (outcome.p_pass, outcome.p_fail, outcome.mean_n) == pytest.approx(by_enumeration(plan, theta), abs=1e-12)

    @given(thetas, budgets, st.floats(0.0, 1.0), st.floats(0.0, 1.0))
    def test_more_bad_values_pass_less_and_fail_more(self, theta0, budget, one, other):
        """Both chances are monotone in the true share, so the error at θ₀ bounds the error everywhere."""
        plan = spending_plan(theta0, 0.05, budget)
        low, high = operating(plan, min(one, other)), operating(plan, max(one, other))
        assert high.p_pass <= low.p_pass + 1e-12
        assert high.p_fail >= low.p_fail - 1e-12

    @pytest.mark.parametrize("theta0", [0.02, 0.05, 0.11, 0.5])
    def test_floor_and_futility_raise_no_error(self, theta0):
        """Neither may raise either error at θ₀ above what the plan spends."""
        plan = spending_plan(theta0, 0.05, 200, fail_floor=20, futility=0.02)
        outcome = operating(plan, theta0)
        assert outcome.p_pass <= plan.error.p_pass
        assert outcome.p_fail <= plan.error.p_fail

    @pytest.mark.parametrize(
        ("margin_theta", "p_pass", "p_fail", "mean_n"),
        [(0.0073, 0.987, 0.0, 114), (0.05, 0.047, 0.045, 138), (0.0913, 0.0, 0.707, 126), (0.1448, 0.0, 0.996, 65)],
    )
    def test_two_hundred_values_of_a_p95(self, margin_theta, p_pass, p_fail, mean_n):
        """Chances and mean length at 0.7, 1, 1.15 and 1.3 times the limit, with futility."""
        outcome = operating(spending_plan(0.05, 0.05, 200, futility=0.02), margin_theta)
        assert (outcome.p_pass, outcome.p_fail) == pytest.approx((p_pass, p_fail), abs=1e-3)
        assert outcome.mean_n == pytest.approx(mean_n, abs=0.6)
        assert outcome.p_decided == outcome.p_pass + outcome.p_fail

    def test_passes_more_often_than_the_fixed_test_and_sooner(self):
        """At 0.85 of the limit the plan passes 60 %, the exact test at n = 200 54 %."""
        plan = operating(spending_plan(0.05, 0.05, 200), 0.0223)
        most = quantiles.most_bad_to_pass(200, 0.05, 0.05)
        fixed = quantiles.binomial_p_values(most, 200, 0.0223).p_pass
        assert plan.p_pass > fixed + 0.05
        assert plan.mean_n < 170


class TestFutility:
    @given(thetas, budgets, st.sampled_from([0.02, 0.1, 0.5]), st.integers(1, 30))
    def test_futile_counts_form_one_range_clear_of_the_verdicts(self, theta0, budget, futility, floor):
        """From the predictive probability itself: futile are exactly the counts of the stored range."""
        plan = spending_plan(theta0, 0.05, budget, futility=futility, fail_floor=floor)
        a, b = 0.5, (1 - theta0) / (2 * theta0)
        ahead = [0.0] * (budget + 2)
        for n in range(budget, 0, -1):
            now = []
            for bad in range(n + 1):
                p = (a + bad) / (a + b + n)
                verdict = plan.passes(bad, n) or plan.fails(bad, n)
                now.append(1.0 if verdict else p * ahead[bad + 1] + (1 - p) * ahead[bad])
                in_range = plan.futile_from[n - 1] <= bad <= plan.futile_to[n - 1]
                assert in_range == (now[bad] < futility) or math.isclose(now[bad], futility, rel_tol=1e-9)
            ahead = [*now, 0.0]

    def test_it_shortens_hopeless_runs(self):
        """At the limit, futility cuts 194 of 200 values to 138."""
        assert operating(spending_plan(0.05, 0.05, 200), 0.05).mean_n == pytest.approx(194.4, abs=0.1)
        assert operating(spending_plan(0.05, 0.05, 200, futility=0.02), 0.05).mean_n == pytest.approx(137.7, abs=0.1)

    def test_the_end_of_the_budget_is_always_futile(self):
        """Undecided at the budget is undecided for good, also without a futility rule."""
        assert spending_plan(0.05, 0.05, 60).step(2, 60) == "futile"
