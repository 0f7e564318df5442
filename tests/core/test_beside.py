"""Published figures beside what was measured."""

import math
from dataclasses import replace

import pytest

from factories import calls, measurement, series
from pytest_llmperf.core.beside import beside
from pytest_llmperf.core.overview import Beside, BesideRow, BesideTable
from pytest_llmperf.core.reference import Reference, Row, Table

FAST = series(calls(100), scenario="chat", arm="a", factors={"region": "us"})
"""First tokens from 0.800 to 0.899 s."""
LOW, MIDDLE, HIGH = (0.8 + number / 1000 for number in (39, 49, 60))
"""Median of these, and its exact interval at 95 %."""
SLOW = series(
    [replace(one, values=one.values | {"ttft": 2 * one.values["ttft"]}) for one in calls(100)],
    scenario="chat",
    arm="b",
    factors={"region": "eu"},
)


def row(**asked):
    """The one row that a reference of one row comes to."""
    asked = {"name": "r", "metric": "ttft", "statistic": "p50", "test": "chat", "where": {"region": "us"}} | asked
    (table,) = beside([FAST, SLOW], Reference("t", (Table("T", (Row(**asked),)),))).tables
    return table.rows[0]


def test_a_figure_inside_the_interval():
    """The estimate with the judge's interval for this quantile, its n, and where the published figure lies."""
    assert row(figure=0.85) == BesideRow(
        "r", "ttft", "p50", "s", (0.85, 0.85), estimate=MIDDLE, low=LOW, high=HIGH, n=100, standing="inside"
    )


@pytest.mark.parametrize(
    ("published", "standing"),
    [
        ({"figure": 0.838}, "outside"),
        ({"figure": LOW}, "inside"),
        ({"figure": HIGH}, "inside"),
        ({"figure": 0.861}, "outside"),
        ({"between": (0.7, 0.84)}, "inside"),
        ({"between": (0.7, 0.838)}, "outside"),
        ({}, ""),
    ],
)
def test_where_a_published_figure_lies(published, standing):
    """On an end of the interval is inside; a span is when any of it is; what was not published is nowhere."""
    assert row(**published).standing == standing


def test_an_open_interval_settles_nothing_on_that_side():
    """A hundred calls have no upper end of a p99: whatever was published above is neither inside nor outside."""
    found = row(statistic="p99", figure=850.0)
    assert (found.high, found.standing) == (math.inf, "not settled")
    assert row(statistic="p99", figure=0.897).standing == "inside"
    assert row(statistic="p99", figure=0.5).standing == "outside"


def test_a_ratio_is_of_two_pools():
    """Of the picked arms over those that differ from them as `to` says."""
    found = row(where={"region": "eu"}, to={"region": "us"}, figure=2.0)
    assert (found.estimate, found.n, found.unit, found.standing) == (pytest.approx(2.0), 200, "", "inside")
    assert found.low < 2.0 < found.high


def test_without_conditions_all_are_pooled():
    """The median of both arms together lies between them."""
    found = row(where={}, test="")
    assert (found.n, found.estimate) == (200, 0.899)


@pytest.mark.parametrize(
    ("asked", "reason"),
    [
        ({"test": "mail", "figure": 0.9}, "nothing was measured of mail, region=us"),
        ({"metric": "words", "figure": 3.0}, "no judged round has a words: the body recorded no 'words'"),
        ({"metric": "total_tps", "statistic": "p50", "to": {"region": "eu"}}, "total_tps is a number of a whole"),
    ],
)
def test_what_was_not_measured_says_why(asked, reason):
    """It stands in the table without figures, and is neither inside nor outside."""
    found = row(**asked)
    assert (found.standing, found.estimate, found.n) == ("not measured", None, 0)
    assert found.reason.startswith(reason)


def test_values_that_some_calls_lack_do_not_count():
    """The n of a row is that of the values it rests on."""
    mixed = series([*calls(50), *(measurement(50 + number, streamed=False) for number in range(50))], scenario="chat")
    (table,) = beside([mixed], Reference("t", (Table("T", (Row("r", "ttft", "p50"),)),))).tables
    assert table.rows[0].n == 50


def test_notes_are_numbered_as_rows_point_to_them():
    """In the order of their first use; those no row points to are remarks."""
    rows = (Row("a", "ttft", "p50", notes=("two", "one")), Row("b", "ttft", "p50", notes=("two",)))
    notes = {"one": "First.", "two": "Second.", "spare": "Apart."}
    found = beside([FAST], Reference("t", (Table("T", rows),), "F", notes))
    assert found == Beside(
        title="t",
        foreword="F",
        confidence=0.95,
        tables=(BesideTable("T", found.tables[0].rows),),
        notes=("Second.", "First."),
        remarks=("Apart.",),
    )
    assert [one.notes for one in found.tables[0].rows] == [(1, 2), (1,)]
