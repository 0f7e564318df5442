"""What a session's file holds."""

import json
from dataclasses import replace

import pytest

from baselines.accepted import GREETING, session
from factories import calls, failed_measurement, measurement, series
from pytest_llmperf.baselines.document import GAPS, SCHEMA, Subject, from_text, to_text
from pytest_llmperf.baselines.errors import BaselineError
from pytest_llmperf.core.plain import from_plain, tidied, to_plain
from pytest_llmperf.core.series import Series


class TestSubject:
    def test_a_node_id_is_taken_apart(self):
        """File, class and function; what stands in brackets where the parameters are not known by name."""
        assert Subject.of("a/test_b.py::TestC::test_d") == Subject("a/test_b.py", "TestC::test_d")
        assert Subject.of("test_b.py::test_d[x[1]-y]", arm="warm") == Subject(
            "test_b.py", "test_d", ("x[1]-y",), "warm"
        )

    def test_the_order_of_parameters_does_not_matter(self):
        """Nor that of the ids in the brackets."""
        one = Subject.of("test_b.py::test_d[1-x]", ("n=1", "kind=x"))
        assert one == Subject.of("test_b.py::test_d[x-1]", ("kind=x", "n=1"))
        assert one.label == "test_b.py::test_d[kind=x, n=1]"


class TestText:
    def test_a_session_comes_back_but_for_the_gaps(self):
        """With failures, absent values, warm-ups and what the body recorded."""
        found = [measurement(0, gaps=()), *calls(4, first=1, gaps=()), failed_measurement(5)]
        found = [replace(one, absent=one.absent | {"event_gap": GAPS}) for one in found]
        found.append(replace(found[1], round=6, absent=found[1].absent | {"queue": "the call failed"}))
        rounds = series(found, warmup=1).rounds
        rounds = (*rounds[:-1], replace(rounds[-1], ended=None, scores={"accuracy": 1.0}))
        shown = series(found, rounds_=rounds, arm="warm", factors={"cache": True}, loop_lag=0.002)
        whole = session(from_plain(Series, tidied(to_plain(shown))), anchor=True)
        assert from_text(to_text(whole), "x.json") == whole

    def test_the_gaps_between_events_are_not_kept(self):
        """A call says why it has none."""
        (entry,) = from_text(to_text(session()), "x.json").entries
        assert {one.event_gaps for one in entry.series.measurements} == {()}
        assert {one.absent["event_gap"] for one in entry.series.measurements} == {GAPS}

    def test_the_text_is_small_and_stable(self):
        """Sorted keys, the same text every time, and less than 300 characters a call."""
        text = to_text(session(series(calls(101), warmup=1)))
        assert text == to_text(from_text(text, "x.json"))
        assert len(text) < 300 * 101
        keys = list(json.loads(text))
        assert keys == sorted(keys)

    def test_a_newer_schema_is_refused(self):
        """By its number, with what to do."""
        newer = to_text(session()).replace(f'"schema": {SCHEMA}', '"schema": 99')
        with pytest.raises(BaselineError, match=r"x\.json has schema 99, and this version reads up to 1: upgrade"):
            from_text(newer, "x.json")

    @pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"schema": 1}', '{"schema": 1, "tests": [{}]}'])
    def test_damage_is_told(self, text):
        """With the file and what to do about it."""
        with pytest.raises(BaselineError, match=r"^x\.json is damaged: .+; restore it .+ or delete it"):
            from_text(text, "x.json")

    def test_half_a_file_is_damaged(self):
        """Wherever it ends."""
        text = to_text(session())
        for end in range(0, len(text) - 2, 97):
            with pytest.raises(BaselineError, match="is damaged"):
                from_text(text[:end], "x.json")

    def test_a_session_has_what_its_tests_showed(self):
        """And nothing of a test it did not run."""
        assert session().series_of(GREETING) == session().entries[0].series
        assert session().series_of(replace(GREETING, arm="warm")) is None
