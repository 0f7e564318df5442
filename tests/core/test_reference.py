"""Files of published figures."""

import re

import pytest

from pytest_llmperf.core.errors import UsageError
from pytest_llmperf.core.reference import Reference, Row, Table, parse
from shown import ROOT

FILE = """
title = "promises"
foreword = "As of May."

[notes]
short = "Short questions only."

[[tables]]
title = "First token"
metric = "ttft"
statistic = "p50"
where = { streamed = true }
rows = [
  { name = "chat", test = "test_chat", figure = 0.9, notes = ["short"] },
  { name = "eu over us", where = { region = "eu" }, to = { region = "us" }, between = [1, 1.5] },
  { name = "all", statistic = "p95" },
]
"""


def test_a_table_speaks_for_its_rows():
    """What a table says counts for every row; a row may say otherwise, and adds its conditions to the table's."""
    assert parse(FILE, "promises.toml") == Reference(
        title="promises",
        foreword="As of May.",
        notes={"short": "Short questions only."},
        tables=(
            Table(
                "First token",
                (
                    Row("chat", "ttft", "p50", 0.9, None, "test_chat", {"streamed": True}, None, ("short",)),
                    Row(
                        "eu over us",
                        "ttft",
                        "p50",
                        between=(1.0, 1.5),
                        where={"streamed": True, "region": "eu"},
                        to={"region": "us"},
                    ),
                    Row("all", "ttft", "p95", where={"streamed": True}),
                ),
            ),
        ),
    )


def test_one_figure_is_a_span_of_nothing():
    """A row has the least and the largest that was published, alike for one figure, none where nothing was."""
    chat, ratio, everything = parse(FILE, "promises.toml").tables[0].rows
    assert (chat.published, ratio.published, everything.published) == ((0.9, 0.9), (1.0, 1.5), None)


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ('title = "promises"', "title =", "is no TOML"),
        ("[[tables]]", "[[sheets]]", "it needs tables, each with a title and rows"),
        ("figure = 0.9", "figur = 0.9", "figur"),
        ("figure = 0.9", 'figure = "slow"', "rows[0].figure"),
        ('metric = "ttft"', "", "metric"),
        ('statistic = "p95"', 'statistic = "average"', "no statistic 'average'"),
        ("figure = 0.9", "figure = 0.9, between = [1, 2]", "give figure or between, not both"),
        ("[1, 1.5]", "[1.5, 1]", "wrong way round"),
        ('["short"]', '["long"]', "there is no note 'long'; notes: short"),
        ('statistic = "p95"', 'statistic = "max"', "no statistic 'max'"),
        ('statistic = "p95"', 'statistic = "rate"', "ttft has no rate; mean or a quantile as p95"),
        ('statistic = "p95"', 'metric = "rpm"', "rpm has no p50; total"),
        ('statistic = "p95"', 'statistic = "per_mtok"', "ttft has no per_mtok, which is of cost"),
        ('statistic = "p95"', 'metric = "goodput", statistic = "rate"', "without the limits of a claim"),
        (
            "between = [1, 1.5]",
            'metric = "rpm", statistic = "total"',
            "a ratio is of a quantile or a mean, not of total",
        ),
    ],
)
def test_what_cannot_mean_anything_is_refused(old, new, told):
    """With the file's name and what is wrong, and where a row is meant its name."""
    assert old in FILE
    with pytest.raises(UsageError) as refused:
        parse(FILE.replace(old, new, 1), "promises.toml")
    assert "promises.toml" in str(refused.value)
    assert told in str(refused.value)


def test_the_guide_shows_a_file_that_can_be_read():
    """What users copy from the documentation is right."""
    guide = (ROOT / "docs/how-to/keep-reports.md").read_text("utf-8")
    (shown,) = re.findall(r"^```toml\n(.*?)^```$", guide, re.MULTILINE | re.DOTALL)
    assert [row.published for table in parse(shown, "guide").tables for row in table.rows] == [(0.9, 0.9), (1.5, 2.5)]
