"""Hold one run against another: is B worse than A allows?

A and B are JSON reports, files of baseline sessions, or names of baselines. Of a baseline, A is its sessions since the
last anchor, B its latest session. Tests are matched by file, name, parameters and arm. Exit status 1 when a regression
was shown, 2 when nothing could be compared or something that should not be.
"""

from __future__ import annotations

import argparse
import shutil
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from pytest_llmperf.cli.operands import add_store, sessions
from pytest_llmperf.cli.status import DONE, NO, WRONG
from pytest_llmperf.core.errors import UsageError

if TYPE_CHECKING:
    from pytest_llmperf.baselines.document import Session, Subject
    from pytest_llmperf.core.claims import Regression
    from pytest_llmperf.core.series import Series
    from pytest_llmperf.core.verdict import Verdict
    from pytest_llmperf.reports.page import Block

HELP = "whether a run is worse than another, or than a baseline"

_STATISTICS = ("p50", "p90", "p95", "mean")
_USUAL = {"p50": 0.15}
_ACROSS = ("model", "endpoint", "streaming")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Say what it takes."""
    parser.add_argument("a", metavar="A", help="the reference: JSON report, session file or baseline's name")
    parser.add_argument("b", metavar="B", help="what is held against it: the same")
    for name in _STATISTICS:
        usual = " (default: 0.15, where none of these is given)" if name in _USUAL else ""
        help_ = f"how much worse the {name} may be, 0.15 for 15 %%{usual}"
        parser.add_argument(f"--{name}", type=_allowed, metavar="SHARE", help=help_)
    parser.add_argument("--metric", default="ttft|e2e", help="of which metric (default: ttft, or e2e of plain calls)")
    parser.add_argument("--confidence", type=_confidence, default=0.95, metavar="SHARE", help="(default: %(default)s)")
    parser.add_argument(
        "--across", action="append", default=[], choices=_ACROSS, help="compare although this differs; may be repeated"
    )
    add_store(parser)


def run(arguments: argparse.Namespace) -> int:
    """Print a verdict for each test that both have; 1 when a regression was shown.

    Raises:
        UsageError: there is nothing to compare.
    """
    reference, candidates = sessions(arguments.a, arguments.store), sessions(arguments.b, arguments.store)
    found = _compared(reference, candidates[-1], arguments)
    if not found.verdicts and not found.refused:
        raise UsageError(f"{arguments.a} and {arguments.b} have no test in common")
    _print(found)
    failed = any(str(verdict.outcome) == "failed" for verdicts in found.verdicts.values() for verdict in verdicts)
    return NO if failed else WRONG if found.refused else DONE


@dataclass(slots=True)
class _Compared:
    """What a comparison came to."""

    verdicts: dict[str, list[Verdict]] = field(default_factory=dict)
    """By test and arm."""
    refused: dict[str, str] = field(default_factory=dict)
    """Why a test was not compared, likewise."""
    new: list[str] = field(default_factory=list)
    gone: list[str] = field(default_factory=list)


def _compared(reference: Sequence[Session], candidate: Session, arguments: argparse.Namespace) -> _Compared:
    from pytest_llmperf.core.regression import judge_regression

    found = _Compared()
    claimed = list(_claimed(reference, candidate, arguments, found))
    for subject, series, regression, against in claimed:
        try:
            verdict = judge_regression(series, against, _one_of(regression, len(claimed)))
        except UsageError as error:
            found.refused[subject.label] = str(error)
        else:
            found.verdicts.setdefault(subject.label, []).append(verdict)
    return found


def _one_of(regression: Regression, claims: int) -> Regression:
    from dataclasses import replace

    return replace(regression, family=claims)


def _claimed(
    reference: Sequence[Session], candidate: Session, arguments: argparse.Namespace, found: _Compared
) -> Iterator[tuple[Subject, Series, Regression, tuple[Series, ...]]]:
    """Every claim on a test that both have; what has no counterpart, or none like it, is noted."""
    from pytest_llmperf.baselines.reference import claims_against, comparable, known, refusal
    from pytest_llmperf.core.conditions import conditions_of

    for entry in candidate.entries:
        stored, conditions = known(reference, entry.subject), conditions_of(entry.series)
        if reason := refusal(stored, conditions, ("B", "A"), arguments.across):
            found.refused[entry.subject.label] = reason
        alike = comparable(stored, conditions, arguments.across)
        if not stored:
            found.new.append(entry.subject.label)
        for regression in _regressions(arguments) if alike else ():
            for claim, against in claims_against(regression, alike):
                yield entry.subject, entry.series, claim, against
    there = {entry.subject for entry in candidate.entries}
    found.gone += [entry.subject.label for entry in reference[-1].entries if entry.subject not in there]


def _regressions(arguments: argparse.Namespace) -> list[Regression]:
    from pytest_llmperf.core.claims import Regression

    given = {name: getattr(arguments, name) for name in _STATISTICS if getattr(arguments, name) is not None}
    return [
        Regression(arguments.metric, name, allowed, arguments.confidence, baseline=Path(arguments.a).stem)
        for name, allowed in (given or _USUAL).items()
    ]


def _print(found: _Compared) -> None:
    from pytest_llmperf.reports.page import Page, Row

    width = shutil.get_terminal_size().columns
    page = Page(width, color=sys.stdout.isatty(), encoding=sys.stdout.encoding or "utf-8")
    if found.verdicts:
        blocks = [_block(name, verdicts) for name, verdicts in found.verdicts.items()]
        page.table(blocks, Row("", "claim", "times A (95 % interval)", "n", "outcome"))
    for name, reason in found.refused.items():
        page.prose(f"{name} was not compared: {reason}", "bold red")
    for names, what in ((found.new, "B only"), (found.gone, "A only")):
        if names:
            page.prose(f"in {what}: {', '.join(names)}", "dim")
    sys.stdout.write(page.text())


def _block(name: str, verdicts: Sequence[Verdict]) -> Block:
    from pytest_llmperf.reports import formatting
    from pytest_llmperf.reports.page import Block, Line, Row

    rows = [
        Row(
            "",
            verdict.claim,
            formatting.measured(verdict),
            str(verdict.n),
            str(verdict.outcome),
            (Line(verdict.reason), *([Line(f"next: {verdict.remedy}", "dim")] if verdict.remedy else [])),
        )
        for verdict in verdicts
    ]
    return Block(name, tuple(rows))


def _allowed(text: str) -> float:
    number = float(text)
    if not 0 <= number < float("inf"):
        raise ValueError
    return number


def _confidence(text: str) -> float:
    number = float(text)
    if not 0.5 <= number < 1:
        raise argparse.ArgumentTypeError(f"{text} is no share from 0.5 to 1")
    return number
