"""A report read back."""

from dataclasses import replace

import pytest

from factories import calls, failed_measurement, measurement, report, result, rounds, series
from pytest_llmperf.core.conditions import conditions_of
from pytest_llmperf.core.errors import UsageError
from pytest_llmperf.core.observations import observe
from pytest_llmperf.core.plain import tidied
from pytest_llmperf.reports import json_file
from pytest_llmperf.reports.reading import series_of


def written(one, **changes):
    """The test of a report that holds this series."""
    (test,) = json_file.document(report(result(series_=[one])))["tests"]
    test["arms"][0].update(changes)
    return test


@pytest.mark.parametrize("metric", ["ttft", "e2e", "output_tps", "cost", "scenario", "accuracy"])
def test_what_a_claim_rests_on_comes_back(metric):
    """With failed calls, absent values, several calls a round and numbers of the body's own."""
    found = [*calls(4), measurement(3, ttft=0.5), failed_measurement(4), measurement(5, absent={"cost": "no price"})]
    made = [replace(one, scores={"accuracy": 1.0}) for one in rounds(6)]
    made[4] = replace(made[4], failure="OverloadedError")
    one = series(found, rounds_=made, arm="warm", factors={"cache": True})
    (back,) = series_of(written(one))
    kept, told = observe(back, metric), observe(one, metric)
    assert (kept.noun, kept.why_missing) == (told.noun, told.why_missing)
    assert kept.values == tuple(None if value is None else float(value) for value in tidied(told.values))
    assert conditions_of(back) == conditions_of(one)
    assert (back.arm, back.factors) == ("warm", {"cache": True})


def test_without_the_rounds_of_calls_they_are_spread_evenly():
    """As in a report that another tool wrote by the published shape."""
    test = written(series([measurement(0), measurement(0), measurement(1), measurement(1)]))
    for key in ("call_rounds", "model", "endpoint", "streaming"):
        del test["arms"][0][key]
    (back,) = series_of(test)
    assert [call.round for call in back.measurements] == [0, 0, 1, 1]
    assert conditions_of(back).model == ""


def test_numbers_that_do_not_fit_together_are_told():
    """With the test they are of."""
    with pytest.raises(UsageError, match=r"numbers of tests/test_latency.py::test_greeting do not fit together"):
        series_of(written(series(calls(4)), calls=9))
