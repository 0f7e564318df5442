"""Evidence of several runs, put together."""

import math

import numpy as np
import pytest

from factories import calls, series
from pytest_llmperf.core.judge import judge
from pytest_llmperf.core.objective import Objective
from pytest_llmperf.core.pooling import Evidence, pooled
from pytest_llmperf.core.verdict import Outcome
from pytest_llmperf.statistics.evidence import log_e

P95 = Objective("ttft", "p95", "<=", 2.34)


def evidence(to_pass=0.0, to_fail=0.0, *, claim="p95 ttft <= 2340 ms", test="test_a.py::test_a", n=30):
    return Evidence(test, "", claim, 0.95, to_pass, to_fail, n)


def of(bad, n, claim="p95 ttft <= 2340 ms"):
    verdict = judge(series(calls(n, slow=bad)), P95)
    assert verdict.evidence is not None
    return evidence(*verdict.evidence, claim=claim, n=n)


def test_a_verdict_leaves_its_evidence():
    """That of the mixture e-process at its counts."""
    assert judge(series(calls(40, slow=1)), P95).evidence == pytest.approx(
        (log_e(1, 40, 0.05, "pass"), log_e(1, 40, 0.05, "fail"))
    )


def test_runs_that_show_nothing_alone_show_it_together():
    """Forty clean calls are too few for a p95; three times forty are not."""
    alone = of(0, 40)
    assert pooled([alone])[0].outcome is Outcome.INCONCLUSIVE
    (together,) = pooled([alone] * 3)
    assert (together.outcome, together.runs, together.n) == (Outcome.PASSED, 3, 120)


def test_a_fail_is_held_to_the_number_of_claims():
    """Odds of 30 to 1 refute one claim, not one of ten."""
    refuted = evidence(to_fail=math.log(30))
    others = [evidence(claim=f"p{n} ttft <= 1 s") for n in range(9)]
    assert pooled([refuted])[0].outcome is Outcome.FAILED
    assert pooled([refuted, *others])[0].outcome is Outcome.INCONCLUSIVE


def test_claims_are_kept_apart():
    """By test, arm and words."""
    found = pooled([evidence(1.0), evidence(2.0, claim="p50 ttft <= 1 s"), evidence(3.0)])
    assert [(one.claim, one.to_pass) for one in found] == [("p95 ttft <= 2340 ms", 4.0), ("p50 ttft <= 1 s", 2.0)]


@pytest.mark.slow
def test_looking_after_every_run_keeps_the_error_probability():
    """At the limit, up to forty runs of thirty calls, looked at after each: neither verdict in more than 5 %."""
    random, runs = np.random.default_rng(2), 3000
    table = {(bad, side): log_e(bad, 30, 0.05, side) for bad in range(31) for side in ("pass", "fail")}
    for side in ("pass", "fail"):
        bad = random.binomial(30, 0.05, (runs, 40))
        sums = np.cumsum(np.vectorize(lambda one, side=side: table[one, side])(bad), axis=1)
        wrong = (sums.max(axis=1) >= math.log(20)).mean()
        assert wrong <= 0.05 + 3 * math.sqrt(0.05 * 0.95 / runs)
        assert wrong > 0
