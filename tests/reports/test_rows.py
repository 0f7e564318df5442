"""The rows that written reports show, from the JSON document."""

import json
import math

from factories import calls, measurement, report, result, series, verdict
from pytest_llmperf.core.environment import Source
from pytest_llmperf.core.verdict import Outcome
from pytest_llmperf.reports import json_file, reading, rows


def document(*results):
    return json.loads(json_file.text(json_file.document(report(*results))))


class TestVerdict:
    def test_a_verdict_survives_the_json_document(self):
        """Infinite ends, evidence and an absent estimate included."""
        for made in (
            verdict("failed", high=math.inf, evidence=(1.5, -math.inf), slack=0.1, stops="at 10"),
            verdict("inconclusive", estimate=None, low=None, high=None, n=0),
        ):
            (test,) = document(result(verdicts=[made]))["tests"]
            assert reading.verdict(test["verdicts"][0]) == made

    def test_what_an_older_version_did_not_write_is_as_if_not_said(self):
        """A key that is missing has the value's own default."""
        (test,) = document(result(verdicts=[verdict()]))["tests"]
        older = {key: value for key, value in test["verdicts"][0].items() if key not in ("stops", "evidence", "slack")}
        assert reading.verdict(older) == verdict()


class TestSections:
    def test_sources_and_clocks_never_share_a_section(self):
        """Simulated and live numbers stand apart, and so do those of two clocks."""
        live = series(calls(3), source=Source.LIVE, clock="realtime")
        instant = series(calls(3), clock="instant")
        found = rows.sections(
            document(
                result("a.py::a", verdicts=[verdict()]),
                result("b.py::b", verdicts=[verdict("failed")], series_=[live]),
                result("c.py::c", verdicts=[verdict()], series_=[instant]),
            )
        )
        assert [section.label for section in found] == [
            "live, realtime clock",
            "simulated, virtual clock",
            "simulated, instant clock",
        ]

    def test_the_gravest_outcome_stands_first(self):
        """Errors, failures, doubts, and then what passed, in the order of node ids."""
        made = [
            result("a.py::a", verdicts=[verdict(), verdict("failed")]),
            result("b.py::b", outcome="error", series_=[], error="ValueError: no\nmore"),
            result("c.py::c", verdicts=[verdict("inconclusive")]),
        ]
        (section,) = rows.sections(document(*made))
        assert [(row.nodeid[0], row.outcome) for row in section.rows] == [
            ("b", "error"),
            ("a", "failed"),
            ("c", "inconclusive"),
            ("a", "passed"),
        ]
        assert [test["nodeid"][0] for test in section.tests] == ["b", "a", "c"]
        assert (section.rows[0].claim, section.rows[0].ground) == ("nothing measured", "ValueError: no")

    def test_a_test_without_a_claim_has_one_row(self):
        """However many arms it has."""
        arms = [series([measurement(n) for n in range(k)], arm=f"k={k}") for k in (2, 3)]
        (section,) = rows.sections(document(result(series_=arms)))
        assert [(row.claim, row.n, row.outcome) for row in section.rows] == [("no claim", 5, "passed")]

    def test_the_ground_of_a_doubt_says_what_is_next(self):
        """In one text."""
        made = verdict("inconclusive", reason="too few", remedy="raise rounds to 59")
        (section,) = rows.sections(document(result(verdicts=[made])))
        assert section.rows[0].ground == "too few; next: raise rounds to 59"
        assert section.rows[0].verdict.outcome is Outcome.INCONCLUSIVE


class TestWords:
    def test_claims_and_errors_are_counted(self):
        """As at the end of the terminal's table."""
        broken = result("b.py::b", outcome="error", series_=[])
        assert rows.counted(document(result(verdicts=[verdict(), verdict("failed")]), broken)) == (
            "1 of 2 claims passed, 1 failed, 1 error"
        )
        assert rows.counted(document(broken)) == "no claim, 1 error"

    def test_a_note_of_several_tests_is_told_once(self):
        """With their number."""
        noted = [result(f"{name}.py::t", notes=("old prices",)) for name in "ab"]
        assert rows.notes(document(*noted)) == ["old prices (2 tests)"]

    def test_figures_of_an_absent_metric_are_empty(self):
        """And neither zero nor a word."""
        (test,) = document(result(series_=[series([measurement(0, streamed=False)])]))["tests"]
        assert rows.headline(test["arms"][0]) == ["", "", "11 s", "11 s", "", "$0.05", "0 %"]
