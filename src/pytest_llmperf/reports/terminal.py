"""The summary in the terminal: one table for each source of numbers, and what stands out below its rows.

Says what is shown and in which words; `page` lays it out, and imports rich only when something is rendered, so that
importing this module costs nothing. Nothing here compares what was measured: what stands out is read from outcomes.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import groupby

from pytest_llmperf.core import wording
from pytest_llmperf.core.metrics import METRICS
from pytest_llmperf.core.summary import HEADLINE, MetricSummary, summarised
from pytest_llmperf.core.verdict import Outcome, Verdict
from pytest_llmperf.reports import formatting
from pytest_llmperf.reports.overview import overviews
from pytest_llmperf.reports.page import OUTCOMES, Block, Line, Page, Row
from pytest_llmperf.reports.report import Report, TestResult

_HEADLINE = {name: tuple(statistic for other, statistic in HEADLINE if other == name) for name, _ in HEADLINE}
"""Figures that `-v` gives for every test that has them, and any verbosity for a test that claims nothing."""
_ARMS_NAMED = 4
_ERROR = 300
"""Characters of an error that are shown."""


def render(report: Report, *, console_width: int, color: bool, verbosity: int = 0, encoding: str = "utf-8") -> str:
    """The whole summary as text that ends with a line break; empty for a report without tests.

    Args:
        report: what to show; tests stand in its order, apart by source and clock.
        console_width: columns of the terminal.
        color: whether to write ANSI colours.
        verbosity: pytest's. Below 0 only what did not pass, above 0 all reasons, formulas and headline figures.
        encoding: of the terminal; where it lacks typographic characters, plain ones are written.
    """
    if not report.tests:
        return ""
    page = Page(console_width, color=color, encoding=encoding)
    names = _names(report.tests)
    for source, clock in dict.fromkeys((result.source, result.clock) for result in report.tests):
        results = [result for result in report.tests if (result.source, result.clock) == (source, clock)]
        _section(page, f"llmperf: {source}, {clock} clock", results, names, verbosity)
    _overviews(page, report)
    _closing(page, report, verbosity)
    return page.text()


def progress_text(
    done: int,
    total: int,
    *,
    spend_usd: float,
    elapsed_s: float,
    remaining_s: float | None,
    claims: Mapping[str, int] | None = None,
    note: str = "",
) -> str:
    """The live line of a test that samples: `37/100 rounds, 12 s, about 20 s left, $1.92, 1 passed, 2 open, simulated`.

    Args:
        done: rounds that have ended.
        total: the most rounds there will be.
        spend_usd: dollars so far; not shown when there were none.
        elapsed_s: seconds since the first round.
        remaining_s: seconds that are left by the pace so far; None when that cannot be told.
        claims: how many of them ended how so far, and how many are open; not shown where nobody watches them.
        note: what else to say, such as the source of the numbers.
    """
    parts = [
        f"{done}/{wording.count(total, 'round')}",
        wording.span(elapsed_s),
        *([] if remaining_s is None else [f"about {wording.span(remaining_s)} left"]),
        *([wording.quantity(spend_usd, "USD")] if spend_usd else []),
        *(f"{count} {what}" for what, count in (claims or {}).items() if count),
        *([note] if note else []),
    ]
    return ", ".join(parts)


def _names(results: Sequence[TestResult]) -> dict[str, str]:
    """Module and test by node id; with the folders where they are needed to tell two apart."""
    short = {result.nodeid: result.nodeid.partition("::")[0].rpartition("/")[2] for result in results}
    short = {nodeid: nodeid.replace(nodeid.partition("::")[0], module, 1) for nodeid, module in short.items()}
    times = Counter(short.values())
    return {nodeid: name if times[name] == 1 else nodeid for nodeid, name in short.items()}


def _section(page: Page, heading: str, results: list[TestResult], names: dict[str, str], verbosity: int) -> None:
    blocks = [block for result in results if (block := _block(result, names[result.nodeid], verbosity)).rows]
    if not blocks:
        return
    page.heading(heading)
    page.table(blocks, Row("arm", "claim", _measured_heading(results), "n", "outcome"))


def _overviews(page: Page, report: Report) -> None:
    """The run brought together, where that was asked for."""
    if not report.syntheses and report.beside is None:
        return
    from pytest_llmperf.reports import json_file

    for one in overviews(json_file.overviews(report)):
        page.heading(f"llmperf: {one.title}")
        if one.foreword:
            page.prose(one.foreword)
        page.sheet(one.columns, [(group.title, group.rows) for group in one.groups])
        for words in one.below:
            page.prose(words)


def _block(result: TestResult, name: str, verbosity: int) -> Block:
    rows = [_claim_row(verdict, result, verbosity) for verdict in result.verdicts] or _rows_without_claim(result)
    if verbosity < 0:
        rows = [row for row in rows if row.outcome not in ("passed", "xfailed")]
    return Block(name, tuple(_said_once(rows)), tuple(_remarks(result, verbosity)))


def _said_once(rows: Sequence[Row]) -> Iterator[Row]:
    """The rows; what one claim's answers say alike of several arms stands below the last of them, with their names."""
    for _, group in groupby(rows, key=lambda row: row.claim):
        alike = list(group)
        arms: dict[Line, list[str]] = {}
        for row in alike:
            for line in row.below:
                arms.setdefault(line, []).append(row.arm)
        shared = [replace(line, words=_of(line.words, of)) for line, of in arms.items() if len(of) > 1]
        for row in alike:
            own = tuple(line for line in row.below if len(arms[line]) == 1)
            yield replace(row, below=(*own, *(shared if row is alike[-1] else ())))


def _of(words: str, arms: Sequence[str]) -> str:
    """A line that is about these arms."""
    named = wording.listed(arms) if len(arms) <= _ARMS_NAMED else f"these {len(arms)} arms"
    return words.replace("next:", f"next for {named}:", 1) if words.startswith("next:") else f"{named}: {words}"


def _claim_row(verdict: Verdict, result: TestResult, verbosity: int) -> Row:
    passed = verdict.outcome is Outcome.PASSED
    told = [verdict.reason, *([f"next: {verdict.remedy}"] if verdict.remedy else [])]
    planned = [f"sampling: {verdict.stops}"] if verdict.stops and verbosity > 0 else []
    return Row(
        arm="" if verdict.to else verdict.arm,  # a contrast names both
        claim=verdict.claim,
        measured=formatting.measured(verdict),
        n=str(verdict.n),
        outcome=formatting.shown_as(result.outcome, verdict.outcome),
        below=(
            *(Line(words, "dim" if passed else "") for words in told if verbosity > 0 or not passed),
            *(Line(words, "dim") for words in planned),
        ),
    )


def _rows_without_claim(result: TestResult) -> list[Row]:
    said = formatting.unclaimed(result.outcome, measured=bool(result.series))
    rows = [Row(series.arm, said, "", str(len(series.judged)), result.outcome) for series in result.series]
    return rows or [Row("", said, "", "0", result.outcome)]


def _remarks(result: TestResult, verbosity: int) -> Iterator[Line]:
    if result.error:
        yield Line(_error(result.error, verbosity), "red")
    for words in formatting.circumstances(result):
        yield Line(words, "yellow")
    for words in (*formatting.ceilings(result), *formatting.error_bars(result)):
        yield Line(words, "dim")
    whole = verbosity > 0 or not result.verdicts
    wanted = _HEADLINE if whole else _compared(result)
    for series in result.series if wanted else ():
        figures = _headline(summarised(series).metrics, wanted)
        yield Line(f"{series.arm}: {figures}" if series.arm else figures, "dim")


def _error(words: str, verbosity: int) -> str:
    """An error as far as it helps here: pytest has shown it whole above. `-vv` does so again."""
    if verbosity > 1:
        return words
    told = words if verbosity > 0 else words.partition("\n")[0]
    return told if len(told) <= _ERROR else f"{told[:_ERROR].rstrip()} …"


def _compared(result: TestResult) -> dict[str, tuple[str, ...]]:
    """Which figures of each arm its contrasts rest on."""
    found: dict[str, tuple[str, ...]] = {}
    for verdict in result.verdicts:
        statistic = "mean" if verdict.statistic == "rate" else verdict.statistic
        if verdict.to and statistic in MetricSummary.__dataclass_fields__:
            found[verdict.metric] = tuple(dict.fromkeys((*found.get(verdict.metric, ()), statistic)))
    return found


def _headline(metrics: dict[str, MetricSummary], wanted: dict[str, tuple[str, ...]]) -> str:
    """`ttft p50 892 ms, p95 1402 ms; e2e p50 …`, without what is absent."""
    parts = []
    for name, statistics in wanted.items():
        if name not in metrics:
            continue
        figures = [(statistic, getattr(metrics[name], statistic)) for statistic in statistics]
        shown = [f"{key} {wording.quantity(value, metrics[name].unit)}" for key, value in figures if value is not None]
        parts += [f"{name} {', '.join(shown)}"] if shown else []
    return "; ".join(parts) or "no call was measured"


def _formulas(results: Iterable[TestResult]) -> list[tuple[str, str]]:
    """Name and formula of every metric that is shown, with the source of its definition."""
    shown = {verdict.metric for result in results for verdict in result.verdicts} | _HEADLINE.keys()
    return [(name, f"{row.formula} ({row.source})") for name, row in METRICS.items() if name in shown]


def _measured_heading(results: Iterable[TestResult]) -> str:
    shares = {wording.percent(verdict.confidence) for result in results for verdict in result.verdicts}
    return f"measured ({shares.pop()} interval)" if len(shares) == 1 else "measured (interval)"


def _closing(page: Page, report: Report, verbosity: int) -> None:
    """The formulas, the notes, each once, and one line that counts."""
    if verbosity > 0:
        page.prose("formulas", "bold")
        page.terms(_formulas(report.tests))
    notes = Counter(note for result in report.tests for note in result.notes)
    for note, times in notes.items() if verbosity >= 0 else ():
        page.prose(f"note: {note}" + (f" ({times} tests)" if times != 1 else ""), "yellow")
    sources = " and ".join(dict.fromkeys(str(result.source) for result in report.tests))
    found = {result.outcome for result in report.tests} - {"xfailed"} or {"passed"}
    style = next(style for outcome, (_, style) in OUTCOMES.items() if outcome in found)
    tests = [(result.outcome, [verdict.outcome for verdict in result.verdicts]) for result in report.tests]
    page.prose(f"llmperf: {formatting.counted(tests)}, {sources}", style)
