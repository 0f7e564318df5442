"""The reference values of the statistics: inputs and outputs with their origins, from tests/data/statistics/cases.json.

`CALLS` is the only place that knows both vocabularies: the names used in the file and the functions of this project.
"""

import json
import math
from pathlib import Path

import numpy as np
import pytest
from scipy.special import ndtr, ndtri

from pytest_llmperf.statistics import (
    ceilings,
    comparison,
    dependence,
    evidence,
    history,
    looks,
    means,
    multiplicity,
    quantiles,
    sequential,
    sessions,
)

CASES = json.loads((Path(__file__).parents[1] / "data" / "statistics" / "cases.json").read_text(encoding="utf-8"))


def floats(values):
    """Numbers, with infinity spelled "inf" as JSON must."""
    return [float(value) for value in values]


def plan_operating(theta0, alpha, budget, theta, futility=0.0):
    outcome = sequential.operating(sequential.spending_plan(theta0, alpha, budget, futility=futility), theta)
    return outcome.p_pass, outcome.p_fail, outcome.mean_n


def lan_demets(spending):
    return lambda count, alpha: [-ndtri(p) for p in looks.look_levels(looks.equal_looks(count), alpha, spending)]


def fail_then_pass(p):
    return p.p_fail, p.p_pass


def bounds(estimate):
    return estimate.low, estimate.high


CALLS = {
    "n_min_pass": lambda theta0, alpha=0.05, bad=0: quantiles.least_n_to_pass(theta0, alpha, bad),
    "bad_needed_to_fail": lambda n, theta0: quantiles.least_bad_to_fail(n, theta0, 0.05),
    "binom_p": quantiles.binomial_p_values,
    "clopper_pearson_two_sided": lambda bad, n, confidence: bounds(quantiles.rate_estimate(bad, n, confidence)),
    "quantile_limits": quantiles.quantile_limits,
    "empirical_quantile": quantiles.quantile,
    "spending_plan_tables": lambda *args: [
        list(sequential.spending_plan(*args).pass_at),
        list(sequential.spending_plan(*args).fail_at),
    ],
    "plan_operating": plan_operating,
    "plan_operating_futile": lambda theta0, alpha, budget, gamma, theta: plan_operating(
        theta0, alpha, budget, theta, gamma
    ),
    "plan_pass_at": lambda *args: list(sequential.spending_plan(*args).passes_from),
    "plan_fail_until": lambda *args: [list(pair) for pair in sequential.spending_plan(*args).fails_until],
    "plan_error_spent": lambda *args: sequential.spending_plan(*args).error,
    "log_e": lambda n, bad, theta0, side: evidence.log_e(bad, n, theta0, side),
    "rate_confidence_sequence": lambda n, bad: evidence.rate_confidence_sequence(bad, n, 0.95),
    "bounded_mean_log_e_last": lambda *args: evidence.bounded_mean_log_e(*args)[-1],
    "ratio_p": lambda base, candidate, level, ratio: fail_then_pass(
        comparison.quantile_ratio_p_values(floats(base), floats(candidate), level, ratio)
    ),
    "ratio_ci": lambda *args: bounds(comparison.quantile_ratio_estimate(*args)),
    "group_sequential_z_lan_demets_obf": lan_demets(
        lambda alpha, fraction: 2 * ndtr(ndtri(alpha / 2) / math.sqrt(fraction))
    ),
    "group_sequential_z_lan_demets_pocock": lan_demets(
        lambda alpha, fraction: alpha * math.log(1 + (math.e - 1) * fraction)
    ),
    "group_sequential_p": looks.look_levels,
    "session_p": lambda *args: fail_then_pass(sessions.session_p_values(*args)),
    "mean_p": lambda *args: fail_then_pass(means.mean_p_values(*args)),
    "mean_ratio_p": lambda *args: fail_then_pass(means.mean_ratio_p_values(*args)),
    "indicator_corr": dependence.indicator_correlation,
    "lag1": dependence.lag1,
    "design_effect": lambda values, theta0: dependence.dependence(values, theta0).design_effect,
    "bh": multiplicity.benjamini_hochberg,
    "holm": multiplicity.holm,
    "scan_statistic": history.scan_statistic,
    "ceiling_bracket": ceilings.ceiling_bracket,
}


def test_every_obligatory_case_has_a_call():
    """Only optional cases may lack a function of this project."""
    missing = {case["call"] for case in CASES if not case.get("optional")} - CALLS.keys()
    assert not missing
    assert sum(case["call"] in CALLS for case in CASES) >= 104


@pytest.mark.parametrize("case", [case for case in CASES if case["call"] in CALLS], ids=lambda case: case["call"])
def test_reference_value(case):
    """The function gives the published or independently computed number, to the tolerance stated with it."""
    result = CALLS[case["call"]](*case["args"])
    if case["tol"] == 0:
        assert np.array_equal(result, case["expect"]) if isinstance(case["expect"], list) else result == case["expect"]
    else:
        np.testing.assert_allclose(np.asarray(result, dtype=float), case["expect"], rtol=0, atol=case["tol"])
