"""What brings a whole run together: the synthesis, and published figures beside what was measured."""

import xml.etree.ElementTree as ET

import jsonschema
import pytest

from pytest_llmperf.reports import json_file

SOURCE = """
    import pytest
    from talk import ask, ask_streamed

    pytestmark = pytest.mark.llmperf(rounds=100, warmup=0, stop="fixed")

    @pytest.mark.arms(streamed=[True, False])
    def test_greeting(arm):
        (ask_streamed if arm.streamed else ask)()

    @pytest.mark.llmperf(name="mail")
    def test_mail():
        ask_streamed()
"""
FIGURES = """
title = "what was promised"
[notes]
fast = "Nobody believes it."
[[tables]]
title = "Times"
metric = "ttft"
statistic = "p50"
where = { streamed = true }
rows = [
  { name = "greeting", test = "test_greeting", figure = 0.001, notes = ["fast"] },
  { name = "mail", test = "mail", figure = 0.847 },
]
"""


@pytest.fixture
def ran(suite_once, pytester):
    (pytester.path / "figures.toml").write_text(FIGURES)
    return suite_once(
        "whole run",
        SOURCE,
        *("--llmperf-synthesis", "--llmperf-reference=figures.toml"),
        *("--llmperf-markdown=r.md", "--llmperf-html=r.html", "--junitxml=junit.xml"),
    )


def test_both_are_in_the_report(ran):
    """Tests by the names that readers know, arms together; a row that no arm fits is not measured."""
    jsonschema.Draft202012Validator(json_file.schema()).validate(ran.report)
    found = ran.report["synthesis"]
    assert [(row["test"], row["calls"]) for row in found["rows"]] == [("test_greeting", 200), ("mail", 100)]
    assert found["calls"] == 300
    assert found["advice"][0].startswith("plan for the p95 of mail: its first token takes ")
    greeting, mail = ran.report["beside"]["tables"][0]["rows"]
    assert (greeting["standing"], greeting["n"], greeting["notes"]) == ("outside", 100, [1])
    assert (mail["standing"], mail["reason"]) == ("not measured", "nothing was measured of mail, streamed=True")


def test_every_format_shows_them(ran):
    """The terminal, Markdown and HTML; JUnit has properties of the suite."""
    assert "= llmperf: synthesis (simulated, virtual clock) =" in ran.out
    assert "= llmperf: beside what was promised =" in ran.out
    assert "[1] Nobody believes it." in ran.out
    assert "### beside what was promised" in (ran.path / "r.md").read_text("utf-8")
    assert "Beside what was promised</h2>" in (ran.path / "r.html").read_text("utf-8")
    properties = ET.parse(ran.path / "junit.xml").getroot().findall("./testsuite/properties/property")
    names = [one.get("name") for one in properties]
    assert "llmperf.synthesis[mail].ttft.p95_ms" in names
    assert {"llmperf.synthesis.source", "llmperf.synthesis.clock", "llmperf.synthesis.advice1"} <= set(names)


@pytest.mark.parametrize(("text", "told"), [(None, "figures.toml"), ("title = 1", "it needs tables")])
def test_figures_that_cannot_be_read_are_told_before_any_call(suite, pytester, text, told):
    """A wrong file ends the run like a wrong mark, with its name."""
    if text is not None:
        (pytester.path / "figures.toml").write_text(text)
    ran = suite(SOURCE, "--llmperf-reference=figures.toml")
    assert ran.code == 4
    assert told in ran.text
    assert not (ran.path / "report.json").exists()
