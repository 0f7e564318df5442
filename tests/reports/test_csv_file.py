"""The series as CSV."""

import csv
import io
import json
from dataclasses import replace

import pytest

from factories import failed_measurement, measurement, report, result, rounds, series
from pytest_llmperf.core.environment import Source
from pytest_llmperf.core.errors import UsageError
from pytest_llmperf.core.metrics import METRICS
from pytest_llmperf.reports import json_file
from pytest_llmperf.reports.csv_file import render


def document(*results):
    return json.loads(json_file.text(json_file.document(report(*results))))


def lines(*results):
    return list(csv.DictReader(io.StringIO(render(document(*results)))))


def test_a_call_is_a_line():
    """Literal in, literal out."""
    text = render(document(result("a.py::t", series_=[series([measurement(0), failed_measurement(1)])])))
    assert text == (
        "test,arm,round,call_number,warmup,judged,source,clock,failure,dispatched,finished,throttled,"
        "ttft,ttfat,e2e,attempt_ttft,attempt_e2e,tpot,output_tps,e2e_tps,call,client_lag,call_to_wire,"
        "wire_to_event,queue,connect,tls,reused,"
        "attempts,overloaded,retry_wait,retry_after,ratelimit_requests_remaining,ratelimit_tokens_remaining,"
        "input_tokens,output_tokens,cache_read_tokens,cache_write_tokens,cost,scenario\n"
        "a.py::t,,0,0,false,true,simulated,virtual,,0.0,11.0,0,"
        "1.0,1.0,11.0,1.0,11.0,0.025,40.0,36.4545455,,,,,,,,,1.0,,,,,,1000.0,401.0,,,0.05,11.5\n"
        "a.py::t,,1,1,false,true,simulated,virtual,overloaded_error: Overloaded,12.0,,0,"
        "inf,inf,inf,inf,inf,inf,0.0,0.0,,,,,,,,,3.0,,,,,,,,,,0.0,11.5\n"
    )


def test_every_metric_of_calls_has_a_column():
    """And none of those that belong to a whole series."""
    (line,) = lines(result(series_=[series([measurement(0)])]))
    assert {name for name, row in METRICS.items() if row.per in ("call", "round")} <= line.keys()
    assert not {name for name, row in METRICS.items() if row.per in ("series", "event")} & line.keys()


def test_warm_ups_are_there_and_marked():
    """With their own values, each at its place."""
    made = series([measurement(0, ttft=3.0), measurement(1, ttft=2.0), measurement(2, ttft=1.0)], warmup=1)
    assert [(line["warmup"], line["judged"], line["ttft"]) for line in lines(result(series_=[made]))] == [
        ("true", "false", "3.0"),
        ("false", "true", "2.0"),
        ("false", "true", "1.0"),
    ]


def test_what_belongs_to_a_round_stands_on_its_first_line():
    """So that the mean of a column is right as it is."""
    ran = [replace(one, records={"words": 7.0 + one.number}) for one in rounds(2, seconds=5.0)]
    made = series([measurement(0), measurement(0, at=1.0), measurement(1)], rounds_=ran)
    assert [
        (line["round"], line["call_number"], line["scenario"], line["words"]) for line in lines(result(series_=[made]))
    ] == [
        ("0", "0", "5.0", "7.0"),
        ("0", "1", "", ""),
        ("1", "2", "5.0", "8.0"),
    ]


def test_a_round_without_a_call_has_a_line_of_its_own():
    """Its failure and what it recorded are told."""
    ran = [replace(one, records={"words": 7.0}, failure="AssertionError: no") for one in rounds(1)]
    (line,) = lines(result(series_=[series([], rounds_=ran)]))
    assert (line["call_number"], line["words"], line["failure"], line["ttft"]) == ("", "7.0", "AssertionError: no", "")


def test_arms_and_sources_are_named_on_every_line():
    """Nothing has to be guessed from the order."""
    cold, warm = (series([measurement(0)], arm=name) for name in ("cold", "warm"))
    live = series([measurement(0)], source=Source.LIVE, clock="realtime")
    found = lines(result("a.py::a", series_=[cold, warm]), result("b.py::b", series_=[live]))
    assert [(line["test"], line["arm"], line["source"], line["clock"]) for line in found] == [
        ("a.py::a", "cold", "simulated", "virtual"),
        ("a.py::a", "warm", "simulated", "virtual"),
        ("b.py::b", "", "live", "realtime"),
    ]


def test_texts_with_commas_quotes_and_line_ends_survive():
    """As CSV quotes them."""
    wild = 'a.py::t["x, y"\n]'
    assert lines(result(wild, series_=[series([measurement(0)])]))[0]["test"] == wild


def test_a_report_of_an_older_version_is_refused():
    """It does not say which call is which."""
    older = document(result())
    del older["tests"][0]["arms"][0]["timeline"]
    with pytest.raises(UsageError, match="an older version wrote it"):
        render(older)
