"""Which sessions a test is held against."""

from dataclasses import replace

import numpy as np
import pytest

from baselines.accepted import GREETING, session, timed
from factories import calls, environment, measurement, series
from pytest_llmperf.baselines.document import from_text, to_text
from pytest_llmperf.baselines.reference import (
    claims_against,
    comparable,
    key_told,
    known,
    of_key,
    reference,
    refusal,
    unlike_parts,
)
from pytest_llmperf.core.claims import Regression
from pytest_llmperf.core.conditions import conditions_of
from pytest_llmperf.core.environment import Source
from pytest_llmperf.core.regression import judge_regression
from pytest_llmperf.core.verdict import Outcome

OTHER = replace(GREETING, test="test_other")
RUNS = [timed(1 + number / 100, n=4) for number in range(12)]


def test_sessions_from_the_last_anchor_on_count():
    """The anchor among them; what came before is history."""
    sessions = [session(run, anchor=number == 2) for number, run in enumerate(RUNS[:5])]
    assert known(sessions, GREETING) == tuple(RUNS[2:5])
    assert known(sessions, OTHER) == ()


def test_an_anchor_is_one_for_the_tests_it_holds():
    """A change of one test that is accepted does not begin the others anew."""
    sessions = [session(RUNS[0]), session(RUNS[1], subject=OTHER, anchor=True), session(RUNS[2])]
    assert known(sessions, GREETING) == (RUNS[0], RUNS[2])


def kept_apart(run, anchor=False, **key):
    """A session of this key."""
    return replace(session(run, anchor=anchor), environment=environment(baseline_key=key))


def test_each_key_has_a_history_of_its_own():
    """An anchor in one region leaves the other's sessions what they are."""
    sessions = [
        kept_apart(RUNS[0], region="eu"),
        kept_apart(RUNS[1], region="us"),
        kept_apart(RUNS[2], anchor=True, region="us"),
        kept_apart(RUNS[3], region="eu"),
    ]
    assert known(of_key(sessions, {"region": "eu"}), GREETING) == (RUNS[0], RUNS[3])
    assert known(of_key(sessions, {"region": "us"}), GREETING) == (RUNS[2],)
    assert of_key(sessions, {}) == of_key(sessions, {"region": "eu", "build": "debug"}) == ()
    assert of_key(sessions, {}, across=["region"]) == tuple(sessions)
    assert from_text(to_text(sessions[0]), "here").key == {"region": "eu"}


def test_what_tells_keys_apart():
    """By name, in alphabetical order; a part that one of them lacks is a difference."""
    assert unlike_parts({"region": "eu", "build": "x"}, {"region": "us"}) == ("build", "region")
    assert unlike_parts({"region": "eu"}, {"region": "us"}, across=["region"]) == ()
    assert key_told({"region": "eu", "build": "x"}) == "build=x, region=eu"


@pytest.mark.parametrize(
    ("sessions", "latest", "anchor"),
    [
        (0, (0, 0), (0, 0)),
        (1, (0, 1), (0, 0)),
        (2, (0, 2), (0, 1)),
        (4, (0, 4), (0, 1)),
        (5, (0, 5), (0, 0)),
        (6, (0, 6), (0, 5)),
        (12, (2, 12), (0, 5)),
    ],
)
def test_latest_and_anchor(sessions, latest, anchor):
    """At most ten are the latest; the anchor is the first, from six sessions on the first five."""
    found = reference(RUNS[:sessions])
    assert found.latest == tuple(RUNS[slice(*latest)])
    assert found.anchor == tuple(RUNS[slice(*anchor)])


def test_unlike_sessions_are_refused_by_what_differs():
    """Unless there is a like one, or none at all."""
    run, recorded = series(calls(5)), series(calls(5), source=Source.RECORDED)
    names = ("this run", "baseline main")
    conditions = conditions_of(run)
    assert refusal([recorded], conditions, names) == (
        "source is simulated in this run and recorded in baseline main: unlike numbers are not compared"
    )
    assert refusal([recorded, run], conditions, names) == refusal([], conditions, names) == ""
    assert comparable([recorded, run], conditions) == (run,)


@pytest.mark.slow
def test_the_same_system_twice_is_not_red():
    """Of 200 comparisons with a session that went through its file, at most 1 % fail."""
    random = np.random.default_rng(47)
    both = np.exp(0.332 * random.standard_normal((200, 2, 100))).tolist()
    claim = Regression("ttft", "p50", baseline="main")
    red = 0
    for old, new in both:
        (entry,) = from_text(to_text(session(_run(old))), "x.json").entries
        for regression, against in claims_against(claim, [entry.series]):
            red += judge_regression(_run(new), against, regression).outcome is Outcome.FAILED
    assert red <= 2


def _run(values):
    return series([measurement(number, ttft=value) for number, value in enumerate(values)])
