"""Claims that share the probability of a wrong fail, and tests that are run again."""

import pytest

TWO = """
    import pytest
    from talk import *
    pytestmark = pytest.mark.llmperf(rounds=20, stop="fixed")
    @pytest.mark.latency(p50_ms=60_000)
    def test_first(): ask()
    @pytest.mark.latency(p50_ms=60_000, p90_ms=60_000)
    @pytest.mark.error_rate(max=0.2)
    def test_second(): ask()
"""


def methods(ran):
    return [verdict["method"] for name in ("test_first", "test_second") for verdict in ran.test(name)["verdicts"]]


def test_the_claims_of_all_tests_are_counted(suite):
    """Four in this run, whatever test they belong to."""
    assert all(method.count("1 of 4 claims") == 1 for method in methods(suite(TWO)))


def test_only_claims_that_are_run_count(suite):
    """A test that was left out cannot make the run red."""
    ran = suite(TWO, "-k", "test_first")
    assert [verdict["method"] for verdict in ran.test("test_first")["verdicts"]] == [
        "exact binomial test of the share beyond the limit"
    ]


@pytest.mark.parametrize("where", ["option", "ini"])
def test_each_claim_can_stand_alone(suite, where, pytester):
    """`none` leaves every claim its whole probability, as for a dashboard."""
    ran = suite(TWO, "-o", "llmperf_multiplicity=none") if where == "ini" else suite(TWO, "--llmperf-multiplicity=none")
    assert not any("claims" in method for method in methods(ran))


def test_a_test_that_is_run_again_has_less_for_each_try(suite):
    """Under pytest-rerunfailures the first try has half of the probability, the second a quarter."""
    source = """
        import pytest
        from talk import *
        @pytest.mark.llmperf(rounds=20, stop="fixed")
        @pytest.mark.latency(p50_ms=1)
        def test_a(): ask()
    """
    ran = suite(source, "-p", "rerunfailures", "--reruns=1")
    assert ran.outcomes == {"failed": 1, "rerun": 1}
    (verdict,) = ran.test("test_a")["verdicts"]
    assert verdict["method"].endswith("; try 2: errs with at most 1.25 %")
    assert ran.test("test_a")["arms"][0]["rounds"]["judged"] == 20


def test_without_reruns_there_are_no_tries(suite):
    """The plugin being there takes nothing from a claim."""
    ran = suite(TWO, "-p", "rerunfailures", "-k", "test_first")
    assert "try" not in ran.test("test_first")["verdicts"][0]["method"]


def test_a_capped_cost_may_end_after_any_round(suite):
    """With the most that a round can cost, a mean needs no fifty rounds."""
    source = """
        import pytest
        from talk import *
        @pytest.mark.cost(max_usd=1.0, cap_usd=2.0)
        def test_a(): ask()
    """
    arm = (ran := suite(source)).test("test_a")["arms"][0]
    assert ran.outcomes == {"passed": 1}
    assert arm["rounds"]["judged"] < 30


def test_a_cap_below_the_limit_is_refused(suite):
    """Nothing could ever be above the limit."""
    ran = suite(
        """
        import pytest
        from talk import *
        @pytest.mark.cost(max_usd=1.0, cap_usd=0.5)
        def test_a(): ask()
        """
    )
    assert ran.code == 4
    assert "cap_usd is the most that can occur, so it lies above the limit" in ran.text
