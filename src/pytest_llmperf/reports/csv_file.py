"""The series as CSV: a line for each call, in base units.

What belongs to a round and not to a call (its wall time, and what the body recorded or scored) stands on the first line
of its round and nowhere else, so that the mean of a column is right as it is; a round without a call has a line of its
own, without a call's number. An absent value is an empty cell, an infinite one is `inf`. Times are seconds.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from typing import Any

from pytest_llmperf.core.errors import UsageError
from pytest_llmperf.core.metrics import METRICS
from pytest_llmperf.reports.rows import Document

PLACE = ("test", "arm", "round", "call_number", "warmup", "judged", "source", "clock", "failure")
"""The columns that say which call it is; a call's number counts from 0 within its test and arm."""
TIMES = ("dispatched", "finished", "throttled")
OF_CALLS = tuple(name for name, row in METRICS.items() if row.per == "call")


def render(document: Document) -> str:
    """All calls of all tests as CSV, with a line of column names first.

    Raises:
        UsageError: the report was written by a version that did not list its calls.
    """
    recorded = _recorded(document)
    columns = [*PLACE, *TIMES, *OF_CALLS, *recorded]
    written = io.StringIO()
    writer = csv.DictWriter(written, columns, restval="", lineterminator="\n")
    writer.writeheader()
    for test in document["tests"]:
        for arm in test["arms"]:
            writer.writerows(_lines(test, arm))
    return written.getvalue()


def _recorded(document: Document) -> list[str]:
    """`scenario`, and the names that bodies recorded, in the order they come."""
    names = dict.fromkeys(name for test in document["tests"] for arm in test["arms"] for name in arm["series"])
    return ["scenario", *(name for name in names if name not in METRICS)]


def _lines(test: Document, arm: Document) -> Iterator[dict[str, Any]]:
    if "timeline" not in arm:
        raise UsageError("this report does not list its calls: an older version wrote it. Run its tests again")
    rounds, calls = arm["timeline"]["rounds"], arm["timeline"]["calls"]
    place = {"test": test["nodeid"], "arm": arm["name"], "source": test["source"], "clock": test["clock"]}
    of_round = _of_rounds(arm)
    warmups = dict(zip(rounds["number"], rounds["warmup"], strict=True))
    for index, values in enumerate(_values(arm)):
        own = {name: column[index] for name, column in calls.items()}
        first = of_round.pop(own["round"], {})
        yield _filled({**place, "call_number": index, "warmup": warmups.get(own["round"]), **own, **values, **first})
    for index, number in enumerate(rounds["number"]):
        if number in of_round:
            own = {"round": number} | {name: rounds[name][index] for name in ("warmup", "judged", "failure")}
            yield _filled({**place, **own, **of_round[number]})


def _values(arm: Document) -> Iterator[dict[str, Any]]:
    """The metrics of every call, judged or not, in dispatch order."""
    taken = {True: 0, False: 0}
    for judged in arm["timeline"]["calls"]["judged"]:
        columns = arm["series"] if judged else arm["unjudged"]
        yield {name: columns[name][taken[judged]] for name in OF_CALLS if name in columns}
        taken[judged] += 1


def _of_rounds(arm: Document) -> dict[int, dict[str, Any]]:
    """What belongs to a round, by its number; of rounds that are not judged there is nothing."""
    rounds = arm["timeline"]["rounds"]
    judged = [number for number, counts in zip(rounds["number"], rounds["judged"], strict=True) if counts]
    columns = {name: values for name, values in arm["series"].items() if name not in OF_CALLS}
    found: dict[int, dict[str, Any]] = {number: {} for number in rounds["number"]}
    for index, number in enumerate(judged):
        found[number] = {name: values[index] for name, values in columns.items()}
    return found


def _filled(line: dict[str, Any]) -> dict[str, Any]:
    """Truth values in lower case, as the JSON report has them."""
    return {name: str(value).lower() if isinstance(value, bool) else value for name, value in line.items()}
