"""Put the evidence of several runs together: verdicts on more calls than any one of them made.

Takes JSON reports of independent runs. However many there are and whenever one looks, the error probabilities hold; a
pipeline may so add the runs of a commit until there is a verdict.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pytest_llmperf.core.errors import UsageError

if TYPE_CHECKING:
    from pytest_llmperf.core.pooling import Evidence

HELP = "verdicts from the evidence of several runs"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Say what it takes."""
    parser.add_argument("reports", nargs="+", type=Path, metavar="REPORT", help="JSON report of a run")


def run(arguments: argparse.Namespace) -> int:
    """Print a verdict for each claim; 1 when one was shown not to hold.

    Raises:
        UsageError: a report cannot be read, or two of them are not independent.
    """
    from rich.console import Console
    from rich.table import Table

    from pytest_llmperf.core.pooling import pooled
    from pytest_llmperf.core.verdict import Outcome
    from pytest_llmperf.reports.page import OUTCOMES
    from pytest_llmperf.reports.reading import read

    documents = [(path, read(path)) for path in arguments.reports]
    _check_independent(documents)
    found = pooled([one for _, document in documents for one in _evidence(document)])
    if not found:
        raise UsageError(
            "no claim of these reports can be added up: only shares and capped means of calls that are "
            "not alike leave evidence"
        )
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for heading in ("test", "claim", "runs", "n", "for a pass", "for a fail", "outcome"):
        table.add_column(heading, justify="right" if heading in ("runs", "n") else "left", overflow="fold")
    for one in found:
        word, style = OUTCOMES[str(one.outcome)]
        test = f"{one.test} [{one.arm}]" if one.arm else one.test
        odds = (_to_one(one.to_pass), _to_one(one.to_fail))
        table.add_row(test, one.claim, str(one.runs), str(one.n), *odds, f"[{style}]{word}[/]")
    Console(highlight=False).print(table)
    return int(any(one.outcome is Outcome.FAILED for one in found))


def _evidence(document: dict[str, Any]) -> Iterator[Evidence]:
    from pytest_llmperf.core.pooling import Evidence
    from pytest_llmperf.reports.reading import number

    for test in document["tests"]:
        for verdict in test["verdicts"]:
            if (found := verdict.get("evidence")) is not None:
                yield Evidence(
                    test=test["nodeid"],
                    arm=verdict["arm"],
                    claim=verdict["claim"],
                    confidence=verdict["confidence"],
                    to_pass=number(found["to_pass"]) or 0.0,
                    to_fail=number(found["to_fail"]) or 0.0,
                    n=verdict["n"],
                )


def _check_independent(documents: list[tuple[Path, dict[str, Any]]]) -> None:
    """Refuse what would count one observation twice.

    Raises:
        UsageError: two reports are of one run, of one simulation, or of recordings.
    """
    sources = {test["source"] for _, document in documents for test in document["tests"]}
    if len(sources) > 1:
        raise UsageError(f"the reports hold {' and '.join(sorted(sources))} numbers, which are not put together")
    if "replayed" in sources and len(documents) > 1:
        raise UsageError("a replay shows what its recording showed, and no more: it is not counted twice")
    seen: dict[Any, Path] = {}
    for path, document in documents:
        simulated = "simulated" in sources
        run = ("seed", document["environment"].get("seed")) if simulated else ("started", document["started"])
        if run in seen:
            hint = ": give each run a --llmperf-seed of its own" if simulated else ""
            raise UsageError(f"{seen[run]} and {path} are of one and the same run ({run[0]} {run[1]}){hint}")
        seen[run] = path


def _to_one(log_e: float) -> str:
    """Odds, from a natural logarithm."""
    return f"{math.exp(log_e):.3g} to 1" if log_e < math.log(1e6) else "over a million to 1"
