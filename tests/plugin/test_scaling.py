"""How a metric goes with a factor of the arms, through the public path."""

from __future__ import annotations

import pytest

SOURCE = """
import pytest
from talk import *

@pytest.mark.arms(length=[50, 100, 200, 400, 800])
@pytest.mark.scaling(over="length", metric="e2e", max_rise=15, shape="linear")
@pytest.mark.llmperf(rounds=12)
class TestLength:
    def test_rises(self, arm):
        ask(f"output_tokens={arm.length}", max_tokens=900)

    @pytest.mark.scaling(max_rise=1, shape="flat")
    def test_rises_too_far(self, arm):
        ask(f"output_tokens={arm.length}", max_tokens=900)

@pytest.mark.arms(length=[100, 400], kind=["dull", "witty"])
@pytest.mark.scaling(over="length", metric="e2e", max_rise=9)
@pytest.mark.llmperf(rounds=15)
async def test_in_each_kind(arm):
    await ask_async(f"output_tokens={arm.length}", max_tokens=500)
"""


NAMES = ("test_rises", "test_rises_too_far")


@pytest.fixture
def ran(suite_once):
    """The suite, run once."""
    return suite_once("scaling", SOURCE, "--llmperf-seed=1")


def test_no_round_is_saved(ran):
    """Nothing is settled early, so that the curve has all values."""
    assert {arm["rounds"]["judged"] for arm in ran.test("test_rises")["arms"]} == {12}


def test_each_limit_has_a_verdict(ran):
    """One that holds, one that does not, and what the shape is."""
    claims = {name: {one["claim"]: one["outcome"] for one in ran.test(name)["verdicts"]} for name in NAMES}
    assert claims == {
        "test_rises": {"p50 e2e over length rises by at most 1500 %": "passed", "e2e over length is linear": "passed"},
        "test_rises_too_far": {
            "p50 e2e over length rises by at most 100 %": "failed",
            "e2e over length is flat": "failed",
        },
    }


def test_other_factors_stay_apart(ran):
    """One verdict at each of their values."""
    verdicts = ran.test("test_in_each_kind")["verdicts"]
    assert [(one["arm"], one["outcome"]) for one in verdicts] == [("kind=dull", "passed"), ("kind=witty", "passed")]


@pytest.mark.parametrize(
    ("mark", "said"),
    [
        ("scaling(over='size')", "give over, and at least one of max_drop, max_rise, shape, no_knee_before"),
        ("scaling(max_rise=1)", "give over, and at least one of"),
        ("scaling(over='length', max_rise=1)", "the arms mark has no factor 'length'; it has size, kind"),
        ("scaling(over='kind', max_rise=1)", "kind must be a factor whose values are numbers"),
        ("scaling(over='size', no_knee_before=2)", "3 levels of size are too few; 5 are the fewest"),
        ("scaling(over='size', metric='rpm', max_rise=1)", "rpm has no value for each call or round"),
        ("scaling(over='size', max_drop=1.5)", "max_drop must be a number at least 0 and below 1"),
        ("scaling(over='size', shape='round')", "shape must be one of 'linear', 'log', 'flat'"),
    ],
)
def test_marks_that_mean_nothing_are_usage_errors(suite, mark, said):
    """Before any call, with what is wrong and what there is."""
    arms = "arms(size=[1, 2, 3], kind=['a', 'b'])"
    ran = suite(f"import pytest\n@pytest.mark.{arms}\n@pytest.mark.{mark}\ndef test_a():\n    raise AssertionError\n")
    assert ran.code == pytest.ExitCode.USAGE_ERROR
    assert said in ran.text
