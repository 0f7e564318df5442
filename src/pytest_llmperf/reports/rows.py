"""The rows that the written reports show: one for each claim, the gravest first, apart by where the numbers come from.

Starts from the JSON document, so that a report is rendered alike when its run ends and years later. Words figures and
compares none: the order is that of the outcomes.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from pytest_llmperf.core import summary, wording
from pytest_llmperf.core.verdict import Verdict
from pytest_llmperf.reports import formatting, page
from pytest_llmperf.reports.reading import number, verdict

OUTCOMES = tuple(page.OUTCOMES)
"""The gravest first."""
HEADLINE = (*summary.HEADLINE, ("error_rate", "mean"))
"""The metrics in short."""
Document = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Row:
    """One claim of one test; or a test without a claim."""

    nodeid: str
    outcome: str
    claim: str
    measured: str
    n: int
    ground: str
    """Why it is so, and for what did not pass what to do next."""
    arm: str = ""
    verdict: Verdict | None = None


@dataclass(frozen=True, slots=True)
class Section:
    """The tests whose numbers come from one source by one clock; others never stand in a table with them."""

    source: str
    clock: str
    tests: tuple[Document, ...]
    rows: tuple[Row, ...]

    @property
    def label(self) -> str:
        """Where its numbers come from."""
        return f"{self.source}, {self.clock} clock"


def sections(document: Document) -> list[Section]:
    """The report's tests, apart by source and clock; the sections and their rows with the gravest outcome first."""
    tests = document["tests"]
    found = []
    for source, clock in dict.fromkeys((test["source"], test["clock"]) for test in tests):
        own = [test for test in tests if (test["source"], test["clock"]) == (source, clock)]
        rows = sorted((row for test in own for row in _rows(test)), key=_gravity)
        ordered = sorted(own, key=lambda test: OUTCOMES.index(test["outcome"]))
        found.append(Section(source, clock, tuple(ordered), tuple(rows)))
    return sorted(found, key=lambda section: _gravity(section.rows[0]))


def counted(document: Document) -> str:
    """How the claims ended: `5 of 7 claims passed, 2 failed, 1 error`."""
    return formatting.counted(
        (test["outcome"], [verdict["outcome"] for verdict in test["verdicts"]]) for test in document["tests"]
    )


def gravest(document: Document) -> str:
    """The outcome of the whole run; `passed` where nothing was judged. A failure that was expected has no weight."""
    found = {test["outcome"] for test in document["tests"]} - {"xfailed"}
    return next((outcome for outcome in OUTCOMES if outcome in found), "passed")


def origin(document: Document) -> str:
    """What made the report, when and where, in one line."""
    where = document["environment"]
    profile = [f"profile {where['profile']}"] if where["profile"] else []
    seed = [] if where["seed"] is None else [f"seed {where['seed']}"]
    made = f"{document['plugin']['name']} {document['plugin']['version']}"
    return ", ".join([made, document["started"], f"Python {where['python']}", where["platform"], *profile, *seed])


def headline(arm: Document) -> list[str]:
    """The figures of `HEADLINE`, in their units; empty texts where there are none."""
    figures = [(arm["metrics"].get(name, {"unit": ""}), statistic) for name, statistic in HEADLINE]
    return [quantity(metric.get(statistic), metric["unit"]) for metric, statistic in figures]


def quantity(value: float | str | None, unit: str) -> str:
    """A figure of the document in its unit; an empty text where there is none."""
    found = number(value)
    return "" if found is None else wording.quantity(found, unit)


def notes(document: Document) -> list[str]:
    """What a reader should know before trusting the numbers, each once."""
    found = Counter(note for test in document["tests"] for note in test["notes"])
    return [note + (f" ({times} tests)" if times != 1 else "") for note, times in found.items()]


def told(test: Document) -> list[str]:
    """What is said of a test as a whole: its error, and what happened while it sampled."""
    return [*([test["error"]] if test["error"] else []), *test.get("remarks", [])]


def _rows(test: Document) -> list[Row]:
    if not test["verdicts"]:
        return _without_claim(test)
    return [_row(test, verdict(found)) for found in test["verdicts"]]


def _row(test: Document, answer: Verdict) -> Row:
    return Row(
        nodeid=test["nodeid"],
        outcome=formatting.shown_as(test["outcome"], answer.outcome),
        claim=answer.claim,
        measured=formatting.measured(answer),
        n=answer.n,
        ground=answer.reason + (f"; next: {answer.remedy}" if answer.remedy else ""),
        arm="" if answer.to else answer.arm,  # a comparison of arms names both
        verdict=answer,
    )


def _without_claim(test: Document) -> list[Row]:
    calls = sum(arm["calls"] for arm in test["arms"])
    claim = formatting.unclaimed(test["outcome"], measured=bool(test["arms"]))
    return [Row(test["nodeid"], test["outcome"], claim, "", calls, test["error"].partition("\n")[0])]


def _gravity(row: Row) -> int:
    return OUTCOMES.index(row.outcome)


def armed(found: Sequence[Row]) -> bool:
    """Whether any of these rows is about an arm."""
    return any(row.arm for row in found)
