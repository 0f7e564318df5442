"""Hold one run against another: is B worse than A allows?

A and B are JSON reports, files of baseline sessions, or names of baselines. Of a baseline, A is its sessions since the
last anchor, B its latest session. Tests are matched by file, name, parameters and arm. Exit status 1 when a regression
was shown, 2 when nothing could be compared or something that should not be.
"""

from __future__ import annotations

import argparse
import shutil
import sys
from collections.abc import Collection, Iterator, Mapping, Sequence
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
"""Conditions that may be let differ, beside the parts of the runs' keys."""


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
        "--across",
        action="append",
        default=[],
        metavar="NAME",
        help="compare although this differs: model, endpoint, streaming, or a part of baselines' keys; may be repeated",
    )
    add_store(parser)


def run(arguments: argparse.Namespace) -> int:
    """Print a verdict for each test that both have; 1 when a regression was shown.

    Raises:
        UsageError: there is nothing to compare.
    """
    reference, candidates = sessions(arguments.a, arguments.store), sessions(arguments.b, arguments.store)
    _check_across(arguments.across, {part for one in (*reference, candidates[-1]) for part in one.key})
    found = _compared(reference, candidates[-1], arguments)
    if not found.verdicts and not found.refused:
        raise UsageError(f"{arguments.a} and {arguments.b} have no test in common")
    _print(found)
    failed = any(str(verdict.outcome) == "failed" for verdicts in found.verdicts.values() for verdict in verdicts)
    return NO if failed else WRONG if found.refused else DONE


def _check_across(asked: Sequence[str], parts: Collection[str]) -> None:
    known = (*_ACROSS, *sorted(parts))
    if unknown := [name for name in asked if name not in known]:
        raise UsageError(f"--across {unknown[0]}: what may differ is {', '.join(known)}")


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
    from pytest_llmperf.baselines.reference import claims_against, comparable, known, of_key, refusal
    from pytest_llmperf.core.conditions import conditions_of

    of_its_key = of_key(reference, candidate.key, arguments.across)
    for entry in candidate.entries:
        stored, conditions = known(of_its_key, entry.subject), conditions_of(entry.series)
        if reason := refusal(stored, conditions, ("B", "A"), arguments.across):
            found.refused[entry.subject.label] = reason
        alike = comparable(stored, conditions, arguments.across)
        of_other_keys = [one for one in reference if one.series_of(entry.subject) is not None]
        if not stored and of_other_keys:
            found.refused[entry.subject.label] = _unlike(candidate.key, of_other_keys[-1].key, arguments.across)
        elif not stored:
            found.new.append(entry.subject.label)
        for regression in _regressions(arguments) if alike else ():
            for claim, against in claims_against(regression, alike):
                yield entry.subject, entry.series, claim, against
    there = {entry.subject for entry in candidate.entries}
    latest = (of_its_key or reference)[-1]
    found.gone += [entry.subject.label for entry in latest.entries if entry.subject not in there]


def _unlike(one: Mapping[str, str], other: Mapping[str, str], across: Collection[str]) -> str:
    from pytest_llmperf.baselines.reference import unlike_parts

    told = [
        f"{part} is {one.get(part, 'not told')} in B and {other.get(part, 'not told')} in A"
        for part in unlike_parts(one, other, across)
    ]
    return f"{'; '.join(told)}: sessions of different keys are kept apart (--across compares them all the same)"


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
