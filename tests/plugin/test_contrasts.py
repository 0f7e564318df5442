"""Contrasts between the arms of one test, through the public path."""

from __future__ import annotations

import jsonschema
import pytest

from pytest_llmperf.reports.json_file import schema

SOURCE = """
import pytest
from talk import *

class TestLength:
    pytestmark = pytest.mark.arms(length=[100, 400])

    @pytest.mark.contrast(arm=100, to=400, metric="e2e", max_ratio=0.5)
    def test_shorter_is_faster(self, arm):
        ask(f"output_tokens={arm.length}", max_tokens=500)

    @pytest.mark.contrast(arm=400, to=100, max_added_ms=1_000)
    def test_longer_takes_longer(self, arm):
        ask(f"output_tokens={arm.length}", max_tokens=500)

    @pytest.mark.contrast(arm=400, to=100, metric="cost", max_ratio=5)
    @pytest.mark.llmperf(rounds=60)
    def test_cost(self, arm):
        ask(f"output_tokens={arm.length}", max_tokens=500)

@pytest.mark.arms(length=[100, 400], kind=["dull", "witty"])
@pytest.mark.contrast(arm=100, to=400, metric="e2e", max_ratio=0.5)
@pytest.mark.llmperf(concurrency=2)
async def test_in_each_kind(arm):
    await ask_async(f"output_tokens={arm.length}", max_tokens=500)

@pytest.mark.arms(kind=["dull", "witty"])
@pytest.mark.contrast(arm="dull", to="witty", metric="marks", max_ratio=2)
@pytest.mark.llmperf(fresh_fixtures=True)
def test_recorded(arm, llmperf):
    ask()
    llmperf.record("marks", 30 + llmperf.round % 3, "marks")
"""


@pytest.fixture
def ran(suite_once):
    """The suite, run once."""
    return suite_once("contrasts", SOURCE, "--llmperf-seed=3", "--junitxml=junit.xml")


def test_outcomes(ran):
    """What holds passes, what does not fails, each as one test; the report is valid."""
    assert ran.outcomes == {"passed": 4, "failed": 1}, ran.text
    jsonschema.Draft202012Validator(schema()).validate(ran.report)


def test_a_ratio_has_its_interval(ran):
    """The claim in words, both arms, and the ratio itself with an interval."""
    verdict = ran.verdict("test_shorter_is_faster")
    assert (verdict["claim"], verdict["arm"], verdict["to"]) == (
        "p50 e2e: length=100 / length=400 <= 0.5",
        "length=100",
        "length=400",
    )
    assert 0.2 < verdict["low"] < verdict["estimate"] < verdict["high"] < 0.5
    assert "faster" in verdict["reason"]


def test_arms_stop_together_at_a_look(ran):
    """A contrast that is shown at a planned look ends the sampling of both arms there."""
    judged = [arm["rounds"]["judged"] for arm in ran.test("test_shorter_is_faster")["arms"]]
    assert judged == [25, 25]


def test_added_milliseconds(ran):
    """A limit on the distance, which fails here; the text of the failure says by how much."""
    verdict = ran.verdict("test_longer_takes_longer")
    assert (verdict["outcome"], verdict["unit"], verdict["bound"]) == ("failed", "s", 1.0)
    assert "p50 e2e: length=400 - length=100 <= 1000 ms does not hold: measured" in ran.out
    assert "[length=400]" not in ran.out.partition("= llmperf: simulated")[0]


def test_costs_are_compared_by_their_mean(ran):
    """A mean is judged on more rounds than a quantile."""
    assert ran.verdict("test_cost")["statistic"] == "mean"


def test_values_of_one_factor_are_compared_at_each_value_of_the_others(ran):
    """Two kinds, two verdicts."""
    verdicts = ran.test("test_in_each_kind")["verdicts"]
    assert [(one["arm"], one["to"]) for one in verdicts] == [
        ("length=100, dull", "length=400, dull"),
        ("length=100, witty", "length=400, witty"),
    ]


def test_what_the_body_records_can_be_compared(ran):
    """Under a name of its own, with fixtures of every round's own."""
    assert ran.verdict("test_recorded")["outcome"] == "passed"


def test_junit_keeps_ratios_apart_from_figures(ran):
    """The property of an arm's median is the arm's median."""
    text = (ran.path / "junit.xml").read_text()
    assert 'name="llmperf[length=100].claim1" value="p50 e2e: length=100 / length=400 &lt;= 0.5"' in text
    assert 'name="llmperf[length=100].e2e.p50"' not in text


@pytest.mark.parametrize(
    ("mark", "said"),
    [
        ("contrast(arm='a', to='b')", "give arm, to, and at least one of max_ratio, min_ratio"),
        ("contrast(arm='a', max_ratio=1)", "give arm, to, and at least one of"),
        ("contrast(arm='a', to='c', max_ratio=1)", "there is no arm 'c'. Arms: 'a' · 'b'"),
        ("contrast(arm='a', to='a', max_ratio=1)", "'a' and 'a' are no two arms that differ in one factor"),
        ("contrast(arm='a', to='b', max_ratio=0)", "max_ratio must be a number above 0"),
        ("contrast(arm='a', to='b', max_added_ms='x')", "max_added_ms must be a number"),
        ("contrast(arm='a', to='b', metric='cost', max_added_ms=1)", "cost is no time; use max_added"),
        ("contrast(arm='a', to='b', metric='error_rate', max_ratio=1)", "use max_added, 0.05 for 5 points"),
        ("contrast(arm='a', to='b', metric='total_tps', max_ratio=1)", "compare e2e_tps or e2e"),
        ("contrast(arm='a', to='b', metric='event_gap', max_ratio=1)", "compare tpot"),
        ("contrast(arm='a', to='b', metric='tttft', max_ratio=1)", "did you mean ttft?"),
        ("contrast(arm='a', to='b', max_ratio=1, quantile=0.5, statistic='mean')", "quantile or statistic, not both"),
        ("contrast(arm='a', to='b', max_ratio=1, statistic='max')", "statistic must be a quantile such as 'p95'"),
        ("contrast(arm='a', to='b', max_ratio=1), llmperf(rounds=3)", "3 rounds of either arm cannot decide"),
        ("contrast(arm='a', to='b', metric='cost', max_ratio=1), llmperf(rounds=29)", "30 are the fewest for a mean"),
        ("contrast(arm='a', to='b', maxratio=1)", "there is no 'maxratio'; did you mean max_ratio?"),
    ],
)
def test_marks_that_mean_nothing_are_usage_errors(suite, mark, said):
    """Before any call, with what is wrong and what there is."""
    listed = "".join(
        f"@pytest.mark.{one}\n" for one in ("arms(kind=['a', 'b'])", *mark.replace("), ", ")\n").split("\n"))
    )
    ran = suite(f"import pytest\n{listed}def test_a():\n    raise AssertionError('never run')\n")
    assert ran.code == pytest.ExitCode.USAGE_ERROR
    assert said in ran.text


def test_contrasts_are_merged_by_arms_and_metric(suite):
    """A nearer limit wins over a further one for the same comparison; other comparisons stand beside it."""
    ran = suite(
        """
        import pytest
        from talk import *
        @pytest.mark.arms(length=[4, 40])
        @pytest.mark.contrast(arm=4, to=40, metric="e2e", max_ratio=10)
        class TestIt:
            @pytest.mark.contrast(max_ratio=2)
            def test_nearer(self, arm):
                ask(f"output_tokens={arm.length}")
            @pytest.mark.contrast(arm=40, to=4, metric="e2e", max_ratio=100)
            def test_beside(self, arm):
                ask(f"output_tokens={arm.length}")
            @pytest.mark.contrast(None)
            def test_off(self, arm):
                ask(f"output_tokens={arm.length}")
    """,
        "--llmperf-rounds=20",
    )
    claims = {
        test["nodeid"].rpartition("::")[2]: [one["claim"] for one in test["verdicts"]] for test in ran.report["tests"]
    }
    assert claims["test_nearer"] == ["p50 e2e: length=4 / length=40 <= 2"]
    assert len(claims["test_beside"]) == 2
    assert claims["test_off"] == []


@pytest.mark.slow
def test_the_same_against_the_same_is_rarely_told_apart(suite):
    """At the limit itself, where both verdicts are wrong, each is given in at most 5 % of tests: here of 40."""
    ran = suite(
        """
        import pytest
        from talk import *
        @pytest.mark.arms(name_of=["one", "other"])
        @pytest.mark.contrast(arm="one", to="other", max_ratio=1)
        @pytest.mark.llmperf(rounds=40)
        @pytest.mark.parametrize("number", range(40))
        def test_same(number, arm):
            ask()
        """,
        "--llmperf-inconclusive=pass",
        "--llmperf-multiplicity=none",
    )
    outcomes = [test["outcome"] for test in ran.report["tests"]]
    assert len(outcomes) == 40
    assert outcomes.count("passed") <= 7  # more come in one of 1,000 runs
    assert outcomes.count("failed") <= 7
