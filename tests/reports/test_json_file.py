"""The JSON report and its published schema."""

import copy
import json
import math
import os
import stat

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

from factories import calls, failed_measurement, measurement, report, result, series, verdict
from pytest_llmperf.core.environment import Source
from pytest_llmperf.core.errors import UsageError
from pytest_llmperf.core.metrics import METRICS
from pytest_llmperf.reports import files, json_file

VALIDATOR = jsonschema.Draft202012Validator(json_file.schema())


def varied():
    """A run with arms, failures, absences, infinite numbers, an error and numbers of two sources."""
    eu = series(
        [*calls(8), failed_measurement(8)], arm="eu", factors={"region": "eu", "temperature": 0.7, "cached": None}
    )
    us = series([measurement(n, streamed=False, absent={"cost": "no price"}) for n in range(5)], arm="us", warmup=1)
    undecided = verdict("inconclusive", estimate=None, low=None, high=None, n=0)
    return report(
        result("tests/b.py::test_arms", verdicts=[verdict("failed", arm="eu", high=math.inf)], series_=[eu, us]),
        result("tests/a.py::test_broken", outcome="error", series_=[], error="CaptureError: no", interrupted=True),
        result("tests/c.py::test_live", verdicts=[undecided], series_=[series(source=Source.LIVE, clock="realtime")]),
        result("tests/d.py::test_noted", verdicts=[verdict()], notes=("old prices",), location=("tests/d.py", 3)),
    )


class TestDocument:
    def test_all_keys_of_schema_1(self):
        """The document's own shape, written out once."""
        found = json_file.document(report(result(verdicts=[verdict()], series_=[series([measurement(0)])])))
        (test,) = found.pop("tests")
        (arm,), (judged,) = test.pop("arms"), test.pop("verdicts")
        assert found["schema"] == 1
        assert found["plugin"] == {"name": "pytest-llmperf", "version": "0.1.0"}
        assert found["started"] == "2026-03-02T09:30:00+00:00"
        assert found["environment"]["profile"] == "claude-opus-4"
        assert test == {
            "nodeid": "tests/test_latency.py::test_greeting",
            "outcome": "passed",
            "source": "simulated",
            "clock": "virtual",
            "location": None,
            "parameters": None,
            "interrupted": False,
            "error": "",
            "notes": [],
            "ceiling": None,
            "curves": [],
            "remarks": [],
        }
        assert arm.pop("metrics")["ttft"] == {
            "unit": "s",
            "n": 1,
            "missing": 0,
            "missing_reason": "",
            **dict.fromkeys(("mean", "min", "p50", "p90", "p95", "p99", "max"), 1.0),
        }
        assert arm.pop("series")["e2e"] == [11.0]
        assert arm.pop("timeline") == {
            "rounds": {
                "number": [0],
                "judged": [True],
                "warmup": [False],
                "started": [0.0],
                "ended": [11.5],
                "failure": [""],
            },
            "calls": {
                "round": [0],
                "judged": [True],
                "dispatched": [0.0],
                "finished": [11.0],
                "throttled": [0],
                "failure": [""],
            },
        }
        assert arm == {
            "name": "",
            "factors": {},
            "rounds": {"judged": 1, "warmup": 0, "failed": 0},
            "model": "claude-opus-4-20250514",
            "endpoint": "api.anthropic.com",
            "streaming": "yes",
            "calls": 1,
            "call_rounds": [0],
            "attempts": 1,
            "failures": {},
            "unattributed": 0,
            "loop_lag": None,
            "cpu_share": None,
            "ended_by": "",
            "rate_per_minute": None,
            "arrival": "",
            "sending_lag": None,
            "usage": {
                "input_tokens": 1000,
                "output_tokens": 401,
                "cache_creation_input_tokens": 0,
                "cache_read_input_tokens": 0,
                "cost_usd": 0.05,
            },
            "unjudged": {},
            "waterfall": None,
            "waterfalls": [],
        }
        assert judged == {
            "claim": "p95 ttft <= 2340 ms",
            "slack": 0.0,
            "mark": "latency(p95_ms=2340)",
            "arm": "",
            "to": "",
            "metric": "ttft",
            "statistic": "p95",
            "unit": "s",
            "bound": 2.34,
            "direction": "<=",
            "estimate": 2.1,
            "low": 1.98,
            "high": 2.21,
            "confidence": 0.95,
            "outcome": "passed",
            "method": "exact binomial test of the share beyond the limit",
            "n": 100,
            "missing": 0,
            "reason": "0 of 100 calls above 2340 ms; a pass needs at most 1, a fail at least 10",
            "remedy": "",
            "stops": "",
            "evidence": None,
        }

    def test_failed_and_absent_calls_keep_their_places(self):
        """An infinite latency is the text "inf", an absent value null."""
        made = [measurement(0), failed_measurement(1), measurement(2, absent={"ttft": "cut"})]
        found = json_file.document(report(result(series_=[series(made)])))
        assert found["tests"][0]["arms"][0]["series"]["ttft"] == [1.0, "inf", None]
        assert found["tests"][0]["arms"][0]["metrics"]["ttft"]["p95"] == "inf"

    def test_tests_stand_in_order_of_node_id(self):
        """A shuffled run gives the same document."""
        run = varied()
        shuffled = report(*reversed(run.tests))
        assert [test["nodeid"][6] for test in json_file.document(run)["tests"]] == ["a", "b", "c", "d"]
        assert json_file.document(run) == json_file.document(shuffled)

    def test_floats_are_rounded_to_nine_digits(self):
        """No trace of binary fractions, nanoseconds kept."""
        found = json_file.document(report(result(series_=[series([measurement(0, ttft=0.1 + 0.2)])])))
        assert found["tests"][0]["arms"][0]["series"]["ttft"] == [0.3]

    @given(st.floats() | st.none(), st.floats(), st.text())
    def test_no_number_is_outside_json(self, estimate, low, words):
        """Whatever floats a verdict holds, the document has only what strict JSON can say."""
        made = verdict("inconclusive", estimate=estimate, low=low, high=math.nan, reason=words)
        found = json_file.document(report(result(verdicts=[made], series_=[])))
        json.dumps(found, allow_nan=False)
        VALIDATOR.validate(found)


def at(found, *path):
    for key in path:
        found = found[key]
    return found


ARM = ("tests", 1, "arms", 0)
VERDICT = ("tests", 1, "verdicts", 0)


class TestSchema:
    def test_it_is_a_schema(self):
        """The published file is valid JSON Schema 2020-12."""
        jsonschema.Draft202012Validator.check_schema(json_file.schema())

    def test_documents_are_valid(self):
        """All we write keeps to what we publish."""
        VALIDATOR.validate(json_file.document(varied()))

    def test_it_names_every_metric_with_its_unit_and_formula(self):
        """The table of metrics and the schema do not drift apart."""
        metrics = json_file.schema()["$defs"]["arm"]["properties"]["metrics"]
        published = {name: row["properties"]["unit"]["const"] for name, row in metrics["properties"].items()}
        assert published == {name: row.unit for name, row in METRICS.items()}
        assert set(metrics["required"]) == set(METRICS)
        assert [
            name for name, row in METRICS.items() if row.formula not in metrics["properties"][name]["description"]
        ] == []

    def test_every_key_is_described(self):
        """A reader of the schema needs no other document."""
        undescribed = []

        def walk(node, path):
            for key, child in node.get("properties", {}).items() if "$defs" in node or "type" in node else ():
                undescribed.extend([] if "description" in child else [f"{path}.{key}"])
                walk(child, f"{path}.{key}")
            for name, child in node.get("$defs", {}).items():
                walk(child, name)

        walk(json_file.schema(), "")
        assert undescribed == []

    @pytest.mark.parametrize(
        ("path", "value"),
        [
            (("schema",), 2),
            (("started",), "yesterday"),
            (("plugin", "name"), "pytest-other"),
            (("surplus",), 1),
            (("environment", "seed"), "7"),
            (("tests", 1, "outcome"), "skipped"),
            (("tests", 1, "source"), "guessed"),
            (("tests", 1, "interrupted"), 0),
            (("tests", 3, "location", "line"), 0),
            (("tests", 1, "outcome"), "passed"),  # its claim failed
            ((*ARM, "calls"), -1),
            ((*ARM, "factors", "region"), ["eu"]),
            ((*ARM, "rounds", "judged"), 1.5),
            ((*ARM, "metrics", "ttft", "unit"), "ms"),
            ((*ARM, "metrics", "ttft", "p50"), "fast"),
            ((*ARM, "metrics", "ttft", "n"), 0),  # figures of nothing
            ((*ARM, "metrics", "own"), 3),
            ((*ARM, "usage", "cost_usd"), "free"),
            ((*ARM, "series", "ttft", 0), "1.0"),
            ((*VERDICT, "direction"), "<"),
            ((*VERDICT, "confidence"), 95),
            ((*VERDICT, "outcome"), "error"),
            ((*VERDICT, "estimate"), None),  # a failure that rests on nothing
            ((*VERDICT, "bound"), "inf"),
        ],
    )
    def test_a_wrong_value_is_found(self, path, value):
        """Each of these once was or could be a mistake of a writer."""
        wrong = copy.deepcopy(json_file.document(varied()))
        at(wrong, *path[:-1])[path[-1]] = value
        assert not VALIDATOR.is_valid(wrong)

    @pytest.mark.parametrize("path", [(), ("plugin",), ("environment",), ("tests", 1), ARM, VERDICT, (*ARM, "usage")])
    def test_a_missing_key_is_found(self, path):
        """Every listed key is always there."""
        whole = json_file.document(varied())
        for key in at(whole, *path):
            wrong = copy.deepcopy(whole)
            del at(wrong, *path)[key]
            assert not VALIDATOR.is_valid(wrong), key


def write(run, path):
    files.write("json", json_file.document(run), path, option="--llmperf-json")


class TestWrite:
    def test_what_is_read_is_what_was_meant(self, tmp_path):
        """Folders on the way are made, and nothing else is left."""
        path = tmp_path / "out" / "of" / "run.json"
        write(varied(), path)
        assert json.loads(path.read_text(encoding="utf-8")) == json_file.document(varied())
        assert [entry.name for entry in path.parent.iterdir()] == ["run.json"]

    def test_a_series_is_one_line(self, tmp_path):
        """A thousand calls do not make a thousand lines."""
        path = tmp_path / "run.json"
        write(report(result(series_=[series(calls(3))])), path)
        assert '            "ttft": [0.801, 0.8, 0.802],' in path.read_text(encoding="utf-8").splitlines()

    def test_an_older_report_is_replaced_whole(self, tmp_path):
        """The new text does not mix with the old, and the file is as readable to others as any new one."""
        path, ordinary = tmp_path / "run.json", tmp_path / "ordinary"
        ordinary.touch()
        path.write_text("x" * 100_000, encoding="utf-8")
        write(report(), path)
        assert json.loads(path.read_text(encoding="utf-8"))["tests"] == []
        assert stat.S_IMODE(path.stat().st_mode) == stat.S_IMODE(ordinary.stat().st_mode)

    def test_a_link_stays_a_link(self, tmp_path):
        """The file it points to is written."""
        path = tmp_path / "latest.json"
        path.symlink_to(tmp_path / "run.json")
        write(report(), path)
        assert path.is_symlink()
        assert (tmp_path / "run.json").is_file()

    @pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes")
    def test_a_pipe_is_written_and_not_replaced(self, tmp_path):
        """A reader at the other end gets the document; the same holds for a device."""
        path = tmp_path / "pipe"
        os.mkfifo(path)
        reader = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
        try:
            write(report(), path)
            assert json.loads(os.read(reader, 65536))["tests"] == []
        finally:
            os.close(reader)
        assert path.is_fifo()

    def test_a_path_that_cannot_be_written_is_named(self, tmp_path):
        """The error says which path, why, and which option to mend."""
        with pytest.raises(
            UsageError, match=r"could not be written to .*: Is a directory; give --llmperf-json the path"
        ):
            write(report(), tmp_path)
        (tmp_path / "file").touch()
        with pytest.raises(UsageError, match="could not be written"):
            write(report(), tmp_path / "file" / "run.json")

    def test_a_failing_write_leaves_the_old_report(self, tmp_path, monkeypatch):
        """A full disk costs the new report only."""
        path = tmp_path / "run.json"
        write(report(), path)
        before = path.read_bytes()

        def full(self, target):
            raise OSError(28, "No space left on device")

        monkeypatch.setattr("pathlib.Path.replace", full)
        with pytest.raises(UsageError, match="No space left"):
            write(varied(), path)
        assert path.read_bytes() == before
        assert [entry.name for entry in tmp_path.iterdir()] == ["run.json"]

    def test_text_that_is_not_utf_8_is_kept(self, tmp_path):
        """An error message may hold a byte that was never text."""
        path = tmp_path / "run.json"
        write(report(result(error="caf\udce9 ☕")), path)
        assert json.loads(path.read_text(encoding="utf-8"))["tests"][0]["error"] == "caf\udce9 ☕"
