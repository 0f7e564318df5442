"""From marks to a plan and objectives."""

from __future__ import annotations

import dataclasses

import pytest

from pytest_llmperf.core.errors import UsageError
from pytest_llmperf.core.objective import Objective
from pytest_llmperf.plugin.arguments import ARGUMENTS
from pytest_llmperf.plugin.marks import resolve
from pytest_llmperf.plugin.stash import SETTINGS


@pytest.fixture
def collected(pytester):
    """A function that collects a source."""

    def run(source):
        pytester.makeini("[pytest]\nasyncio_default_fixture_loop_scope = function")
        return pytester.getitems(f"import pytest\nfrom pytest import mark\n{source}")

    return run


@pytest.fixture
def resolved(collected):
    """A function that says what the marks of each test in a source come to; None for a test that has none of ours."""

    def run(source, **settings):
        return {
            item.name: resolve(item, dataclasses.replace(item.config.stash[SETTINGS], **settings))
            for item in collected(source)
        }

    return run


_collected = {}


@pytest.fixture
def marked(collected):
    """A function that collects a test for each mark of a table, once, and gives the one of a mark."""

    def run(table, mark):
        if mark not in _collected:
            source = "".join(f"@mark.{each}\ndef test_{number}(): ...\n" for number, each in enumerate(table))
            _collected.update(zip(table, collected(source), strict=True))
        return _collected[mark]

    return run


def claims(scenario):
    """The claims in words."""
    return [objective.described() for objective in scenario.objectives]


LEVELS = """
pytestmark = mark.llmperf(rounds=1, warmup=1, concurrency=1, slack=0.1, confidence=0.91)

@mark.llmperf(rounds=2, warmup=2, concurrency=2, slack=0.2)
class Base:
    @mark.parametrize("x", [pytest.param(0, marks=mark.llmperf(rounds=5))])
    @mark.llmperf(rounds=4, warmup=4)
    def test_all(self, x): ...

    @mark.llmperf(rounds=4, warmup=4)
    def test_four(self): ...

    def test_three(self): ...

@mark.llmperf(rounds=3, warmup=3, concurrency=3)
class TestChild(Base): ...

class TestBase(Base): ...

def test_module(): ...
"""


def test_nearer_wins_for_each_keyword(resolved):
    """Parameter, function, child class, base class, module: each keyword is the nearest level's that has it."""
    found = resolved(LEVELS)
    plan = found["test_all[0]"].plan
    assert (plan.rounds, plan.warmup, plan.concurrency, plan.slack, plan.confidence) == (5, 4, 2, 0.2, 0.91)
    assert found["test_module"].plan.rounds == 1


def test_a_child_class_beats_its_base(collected):
    """What stands on the class itself is nearer than what it inherits."""
    children = [item for item in collected(LEVELS) if "TestChild" in item.nodeid]
    of_child = {item.name: resolve(item, item.config.stash[SETTINGS]) for item in children}
    plans = {name: scenario.plan for name, scenario in of_child.items()}
    assert {name: plan.rounds for name, plan in plans.items()} == {"test_all[0]": 5, "test_four": 4, "test_three": 3}
    assert plans["test_all[0]"].concurrency == 3


def test_claims_of_several_levels_all_hold(resolved):
    """A limit on the function stands beside another one on the class, and replaces the same one."""
    found = resolved("""
@mark.latency(p50_ms=1, p95_ms=2)
class TestA:
    @mark.latency(p95_ms=3, p99_ms=4)
    def test_a(self): ...
""")
    assert claims(found["test_a"]) == [
        "p50 ttft or e2e <= 1 ms",
        "p95 ttft or e2e <= 3 ms",
        "p99 ttft or e2e <= 4 ms",
    ]


def test_claims_on_different_metrics_stand_beside_each_other(resolved):
    """Two marks of one name are two claims when they name different metrics, or the other side of one."""
    found = resolved("""
@mark.latency(metric="ttft", p95_ms=1000)
@mark.latency(metric="e2e", p95_ms=9000)
@mark.claim(metric="output_tokens", statistic="mean", max=90)
@mark.claim(metric="output_tokens", statistic="mean", min=10)
def test_a(): ...
""")
    assert claims(found["test_a"]) == [
        "p95 e2e <= 9000 ms",
        "p95 ttft <= 1000 ms",
        "mean output_tokens >= 10 tokens",
        "mean output_tokens <= 90 tokens",
    ]


def test_none_switches_an_inherited_claim_off(resolved):
    """`latency(None)` ends the walk: what stands further away does not count, what stands nearer does."""
    found = resolved("""
@mark.latency(p95_ms=2)
@mark.cost(max_usd=1)
class TestA:
    @mark.latency(None)
    def test_off(self): ...

    @mark.parametrize("x", [pytest.param(0, marks=mark.latency(p50_ms=1))])
    @mark.latency(None)
    def test_other(self, x): ...
""")
    assert claims(found["test_off"]) == ["mean cost <= $1.00"]
    assert claims(found["test_other[0]"]) == ["p50 ttft or e2e <= 1 ms", "mean cost <= $1.00"]


def test_off_leaves_a_test_alone(resolved):
    """A test that is switched off, by its mark or by the option, is an ordinary test; nearer wins here as well."""
    source = """
pytestmark = mark.llmperf(off=True)
@mark.latency(p95_ms=2)
def test_off(): ...
@mark.llmperf(off=False)
def test_on(): ...
"""
    assert {name: bool(scenario) for name, scenario in resolved(source).items()} == {"test_off": False, "test_on": True}
    assert set(resolved(source, off=True).values()) == {None}


def test_a_test_without_our_marks_has_no_scenario(resolved):
    """Other marks, and a `latency` of the user's own where ours is switched off, mean nothing to us."""
    assert resolved("@mark.skipif(False, reason='')\ndef test_a(): ...") == {"test_a": None}
    assert resolved("@mark.latency('high')\ndef test_a(): ...", short_marks=False) == {"test_a": None}


def test_options_win_over_marks(resolved):
    """Rounds, stop rule and confidence of the run replace those of every mark."""
    found = resolved("@mark.llmperf(rounds=7)\ndef test_a(): ...", rounds=9, stop="fixed", confidence=0.9)
    assert (found["test_a"].plan.rounds, found["test_a"].plan.stop, found["test_a"].plan.confidence) == (
        9,
        "fixed",
        0.9,
    )


def test_a_claim_without_the_main_mark_runs_with_the_defaults(resolved):
    """A claim alone makes a scenario of 100 rounds and one warm-up."""
    plan = resolved("@mark.cost(max_usd=1)\ndef test_a(): ...")["test_a"].plan
    assert (plan.rounds, plan.warmup, plan.stop, plan.concurrency, plan.confidence) == (100, 1, "early", 1, 0.95)


CLAIMS = {
    "latency(mean_ms=5)": Objective("ttft|e2e", "mean", "<=", 0.005),
    "latency(max_ms=5, metric='scenario')": Objective("scenario", "max", "<=", 0.005),
    "throughput(min_tps=30)": Objective("output_tps|e2e_tps", "p50", ">=", 30.0),
    "throughput(min_tps=30, quantile=0.05)": Objective("output_tps|e2e_tps", "p5", ">=", 30.0),
    "throughput(min_total_tps=30)": Objective("total_tps", "total", ">=", 30.0),
    "throughput(min_rpm=30)": Objective("rpm", "total", ">=", 30.0),
    "cost(max_usd_per_mtok=9)": Objective("cost", "per_mtok", "<=", 9.0, unit="USD/Mtok"),
    "error_rate(max=0.02)": Objective("error_rate", "rate", "<=", 0.02),
    "error_rate(throttled_max=0)": Objective("throttle_rate", "rate", "<=", 0.0),
    "claim(metric='tpot', statistic='p99.9', max=1)": Objective("tpot", "p99.9", "<=", 1.0),
    "claim(metric='error_rate', max=0.1)": Objective("error_rate", "rate", "<=", 0.1),
    "claim(metric='steps', statistic='mean', min=2)": Objective("steps", "mean", ">=", 2.0),
}


@pytest.mark.parametrize("mark", CLAIMS)
def test_what_each_mark_claims(marked, mark):
    """Each mark says metric, statistic, direction and a limit in the metric's base unit."""
    item = marked(CLAIMS, mark)
    (found,) = resolve(item, item.config.stash[SETTINGS]).objectives
    assert dataclasses.replace(found, mark="") == CLAIMS[mark]


WRONG = {
    "latency(p95=1000)": ["there is no 'p95'", "did you mean p95_ms?", "Valid names: p50_ms, p90_ms, p95_ms"],
    "latency(quux=1)": ["there is no 'quux'", "Valid names: p50_ms"],
    "latency(p95_ms='1 s')": ["p95_ms must be a number above 0"],
    "latency(p95_ms=True)": ["p95_ms must be a number above 0"],
    "latency(p95_ms=float('nan'))": ["p95_ms must be a number above 0"],
    "latency(p95_ms=-1)": ["p95_ms must be a number above 0"],
    "latency(1000)": ["latency(1000): arguments are given by name (p50_ms,", "llmperf_short_marks = false"],
    "latency()": ["claims nothing; give at least one of p50_ms"],
    "latency(p95_ms=1, metric='ttff')": ["metric must be one of 'ttft', 'ttfat'"],
    "llmperf(rounds=0)": ["rounds must be a whole number of at least 1"],
    "llmperf(rounds=10.0)": ["rounds must be a whole number"],
    "llmperf(stop='soon')": ["stop must be one of 'early', 'fixed'"],
    "llmperf(confidence=1)": ["confidence must be a number at least 0.5 and below 1"],
    "llmperf(fresh_fixtures=1)": ["fresh_fixtures must be True or False"],
    "llmperf(fresh_fixtures=True, concurrency=2)": ["run one by one"],
    "llmperf(rate_per_minute=0)": ["rate_per_minute must be a number above 0"],
    "llmperf(arrival='constant')": ["arrivals need rate_per_minute"],
    "llmperf(rate_per_minute=9, arrival='even')": ["arrival must be one of 'poisson', 'constant'"],
    "llmperf(rate_per_minute=9, concurrency=2)": ["an open loop never waits for answers"],
    "llmperf(rate_per_minute=9, fresh_fixtures=True)": ["run one by one"],
    "throughput(quantile=0.5)": ["claims nothing; give min_tps"],
    "cost()": ["claims nothing; give max_usd"],
    "error_rate(max=1)": ["max must be a number at least 0 and below 1"],
    "claim(metric='ttff', statistic='p50', max=1)": ["there is no metric 'ttff'", "did you mean ttft?"],
    "claim(metric='ttft', statistic='p500', max=1)": ["statistic must be a quantile such as 'p95'"],
    "claim(metric='ttft', statistic='p0', max=1)": ["p0"],
    "claim(metric='ttft', statistic='p50', max=1, min=1)": ["either max or min"],
    "claim(statistic='p50', max=1)": ["give metric"],
    "claim(metric='error_rate', max=2)": ["error_rate is a share from 0 to 1"],
    "claim(metric='error_rate', statistic='p95', max=0.1)": ["its statistic is 'rate'"],
    "claim(metric='my number', statistic='mean', max=1)": ["'my number' is no metric"],
}


@pytest.mark.parametrize("mark", WRONG)
def test_a_mark_that_cannot_mean_anything_is_refused(marked, mark):
    """What is wrong is named together with what is valid."""
    item = marked(WRONG, mark)
    with pytest.raises((ValueError, UsageError)) as refused:
        resolve(item, item.config.stash[SETTINGS])
    assert [part for part in WRONG[mark] if part not in str(refused.value)] == [], str(refused.value)


SLIPS = """
import pytest
from talk import *

@pytest.mark.latency(p95=1000)
def test_name():
    ran("name")

@pytest.mark.error_rate(max=-0.1)
@pytest.mark.llmperf(rounds=10)
def test_number():
    ran("number")

@pytest.mark.latency(p50_ms=1000)
@pytest.mark.llmperf(rounds=4)
def test_budget():
    ran("budget")

def test_innocent():
    ran("innocent")
"""


@pytest.mark.parametrize("way", ["", "--collect-only", "-n2"])
def test_slips_end_the_run_before_any_body(suite_once, way):
    """Every slip is named with its test, the exit code is pytest's for a wrong usage, and nothing was run."""
    ran = suite_once(f"slips {way}", SLIPS, *filter(None, [way]))
    assert ran.code == pytest.ExitCode.USAGE_ERROR, ran.text
    assert "ERROR: test_suite.py::test_name: latency(p95=1000): there is no 'p95'; did you mean p95_ms?" in ran.text
    assert "test_suite.py::test_number: error_rate(max=-0.1): max must be a number at least 0 and below 1" in ran.text
    assert (
        "test_suite.py::test_budget: latency(p50_ms=1000): 4 rounds can neither pass nor fail p50 ttft or" in ran.text
    )
    assert not ran.bodies
    assert "INTERNALERROR" not in ran.text


def test_a_budget_that_can_fail_but_never_pass_is_a_warning(suite):
    """It names the least number of rounds and the highest quantile that this number could pass."""
    source = """
        import pytest
        from talk import *
        @pytest.mark.latency(p95_ms=60_000)
        @pytest.mark.llmperf(rounds=20)
        def test_a(): ask()
    """
    ran = suite(source, "--llmperf-inconclusive=pass", "--llmperf-stop=fixed")
    warning = "latency(p95_ms=60000): 20 rounds can fail p95 ttft or e2e <= 60 s but never pass it; "
    needed = "59 are needed when not one call is beyond the limit, about 153 for a chance of 80 % when 1.25 % are"
    assert ran.text.count(f"{warning}{needed}, or claim p86, the highest quantile 20 can pass") == 1, ran.text
    assert "1 warning" in ran.text
    assert ran.outcomes == {"passed": 1}


def test_that_warning_can_be_an_error(suite):
    """Where warnings are errors it ends the run as a wrong usage, like any other slip."""
    source = "import pytest\n@pytest.mark.latency(p95_ms=6)\n@pytest.mark.llmperf(rounds=20)\ndef test_a(): ..."
    ran = suite(source, "-W", "error")
    assert (ran.code, "never pass it" in ran.text) == (pytest.ExitCode.USAGE_ERROR, True)


def test_the_users_own_marks_can_be_left_to_them(suite):
    """With the ini switch, `latency` and its kind are the user's; the main mark stays ours."""
    ran = suite(
        """
        import pytest
        from talk import *
        @pytest.mark.latency("high")
        def test_theirs(): ran("theirs")

        @pytest.mark.latency("low")
        @pytest.mark.llmperf(rounds=2)
        def test_ours():
            ran("ours"); ask()
        """,
        ini="llmperf_short_marks = false\nmarkers =\n    latency(how): how long it may take\n",
    )
    assert ran.outcomes == {"passed": 2}
    assert ran.bodies == {"theirs": 1, "ours": 3}


def test_all_marks_are_known_to_pytest(pytester):
    """`pytest --markers` lists each with its arguments, so that `--strict-markers` takes them."""
    pytester.makeini("[pytest]\nasyncio_default_fixture_loop_scope = function")
    shown = pytester.runpytest_inprocess("--markers").stdout.str()
    for name, arguments in ARGUMENTS.items():
        assert f"@pytest.mark.{name}({', '.join(arguments) or '**factors'})" in shown


def test_marks_on_parameters_make_coroutines_run(suite):
    """A coroutine test that is marked in `pytest.param` alone is run, too."""
    ran = suite("""
        import pytest
        from talk import *
        @pytest.mark.parametrize("x", [pytest.param(0, marks=pytest.mark.llmperf(rounds=2))])
        async def test_a(x):
            ran("a"); await ask_async()
    """)
    assert (ran.outcomes, ran.bodies) == ({"passed": 1}, {"a": 3})
