"""Tests that something else already repeats are refused, and nothing of them is measured."""

from __future__ import annotations

import pytest

SOURCE = """
import pytest
from hypothesis import given, settings, strategies as st
from talk import *

pytestmark = pytest.mark.llmperf(rounds=3)

@given(st.integers())
@settings(max_examples=2, database=None)
def test_hypothesis(number):
    ran("body")

@pytest.fixture
def benchmark():
    return lambda function: function()

def test_benchmark_fixture(benchmark):
    ran("body")

@pytest.mark.benchmark(group="x")
def test_benchmark_mark():
    ran("body")

@pytest.mark.codspeed_benchmark
def test_codspeed_mark():
    ran("body")

@pytest.fixture(params=[1, 2])
def __pytest_repeat_step_number(request):
    return request.param

@pytest.mark.usefixtures("__pytest_repeat_step_number")
def test_repeat():
    ran("body")

@pytest.mark.llmperf(fresh_fixtures=True)
def test_fresh_benchmark(benchmark):
    ran("body")
"""

REASONS = {
    "test_hypothesis": "hypothesis already repeats it with many examples",
    "test_benchmark_fixture": "its benchmark fixture already repeats it",
    "test_benchmark_mark": "the mark 'benchmark' already repeats it",
    "test_codspeed_mark": "the mark 'codspeed_benchmark' already repeats it",
    "test_repeat": "pytest-repeat already repeats it",
    "test_fresh_benchmark": "its benchmark fixture already repeats it",
}


@pytest.fixture
def ran(suite_once):
    """The suite, run once."""
    markers = "markers =\n    benchmark(group): of another plugin\n    codspeed_benchmark: of another plugin\n"
    return suite_once("refusals", SOURCE, "-v", ini=markers)


def test_no_body_is_run(ran):
    """Every refused test fails before its body is run once."""
    assert ran.outcomes == {"failed": 7}
    assert not ran.bodies


@pytest.mark.parametrize("name", REASONS)
def test_the_reason_is_said(ran, name):
    """The message names what repeats the test and what to do, without a traceback of ours."""
    lines = ran.out.splitlines()
    heading = next(number for number, line in enumerate(lines) if line.strip("_ ").partition("[")[0] == name)
    assert lines[heading + 1] == f"llmperf cannot repeat this test: {REASONS[name]}. Use one or the other"
    assert "execution.py" not in ran.out
