"""The values of a report as plain types and back."""

import json

from factories import calls, failed_measurement, measurement, report, result, series, verdict
from pytest_llmperf.core.plain import from_plain, to_plain
from pytest_llmperf.reports.report import Report, TestResult


def everything():
    arm = {"arm": "temperature=0.7", "factors": {"temperature": 0.7, "cached": True, "region": "eu", "top_p": None}}
    measured = [*calls(3), failed_measurement(3), measurement(4, streamed=False, at=1.5)]
    return result(
        verdicts=[verdict("failed", arm="temperature=0.7", high=float("inf")), verdict("inconclusive", estimate=None)],
        series_=[series(measured, warmup=1, loop_lag=0.003, unattributed=2, ended_by="cap", **arm)],
        notes=("first", "second"),
        error="ValueError: no",
        interrupted=True,
        location=("tests/test_latency.py", 12),
    )


class TestPlainTypes:
    def test_a_result_survives_the_way_through_json(self):
        """What a worker process sends is what the controller gets, infinite latencies and factor types included."""
        sent = everything()
        assert from_plain(TestResult, json.loads(json.dumps(to_plain(sent), allow_nan=False))) == sent

    def test_a_report_survives_the_way_through_json(self):
        """A whole run can be stored and read again."""
        stored = report(everything(), result("tests/test_latency.py::test_other", series_=[], outcome="error"))
        assert from_plain(Report, json.loads(json.dumps(to_plain(stored)))) == stored
