"""The words of a test that does not pass, and the one line that stands beside a test's outcome.

Plain text without colour. The first line stands alone, because CI services show only that one.
"""

from __future__ import annotations

from pytest_llmperf.core import wording
from pytest_llmperf.core.verdict import Outcome, Verdict
from pytest_llmperf.reports import formatting
from pytest_llmperf.reports.report import TestResult

_SAID = {Outcome.PASSED: "holds", Outcome.FAILED: "does not hold", Outcome.INCONCLUSIVE: "is not decided"}
_NEXT = "-v prints all metrics in short, --llmperf-json=PATH keeps the numbers of every call"


def failure_text(result: TestResult, *, profile: str = "") -> str:
    """What a failing test says: claim, measurement, ground and next step of each claim that failed.

    When none failed it speaks of the undecided ones: the text of a run in which those fail a test too.

    Args:
        result: with its verdicts; one without a failed or undecided claim gives its error, which may be empty.
        profile: name of the simulated API's profile, where there is one.
    """
    failed, undecided = _having(result, Outcome.FAILED), _having(result, Outcome.INCONCLUSIVE)
    blamed = failed or undecided
    if not blamed:
        return result.error
    first, *others = blamed
    more = f", +{wording.count(len(others), 'claim')}" if others else ""
    lines = [_headline(first, result) + more, *_rows(first, result, profile)]
    for verdict in others:
        lines += ["", _headline(verdict, result), *_rows(verdict, result, profile)]
    also = [*formatting.circumstances(result), *formatting.error_bars(result), *result.notes]
    also += [result.error] if result.error else []
    if failed:
        also += [f"{_claim(verdict)} {_SAID[verdict.outcome]}" for verdict in undecided]
    return "\n".join([*lines, *([""] if also else []), *also])


def deciding_line(result: TestResult) -> str:
    """One short line for the claim that decides: the first that failed, else the first undecided, else the first.

    Such as `p95 ttft 2100 ms <= 2340 ms, n=100, simulated, +2 claims`.
    """
    if not result.verdicts:
        rounds = sum(len(series.judged_rounds) for series in result.series)
        return f"no claim, {wording.count(rounds, 'round')}, {result.source}"
    decides, *_ = [*_having(result, Outcome.FAILED), *_having(result, Outcome.INCONCLUSIVE), *result.verdicts]
    others = len(result.verdicts) - 1
    more = f", +{wording.count(others, 'claim')}" if others else ""
    return f"{formatting.against_limit(decides)}, n={decides.n}, {result.source}{more}"


def _having(result: TestResult, outcome: Outcome) -> list[Verdict]:
    return [verdict for verdict in result.verdicts if verdict.outcome is outcome]


def _claim(verdict: Verdict) -> str:
    return f"{verdict.claim}{formatting.of_arm(verdict)}"


def _headline(verdict: Verdict, result: TestResult) -> str:
    return (
        f"{_claim(verdict)} {_SAID[verdict.outcome]}: "
        f"measured {formatting.estimate(verdict)}, n={verdict.n}, {result.source}"
    )


def _rows(verdict: Verdict, result: TestResult, profile: str) -> list[str]:
    bounds = formatting.interval(verdict)
    spread = f", {wording.percent(verdict.confidence)} interval {bounds}" if bounds else ""
    rows = {
        "limit": f"{formatting.SIDES[verdict.direction]} {formatting.limit(verdict)}",
        "measured": f"{formatting.estimate(verdict)}{spread} ({_counted(verdict, result)})",
        "ground": verdict.reason,
        "source": f"{result.source}, {result.clock} clock" + (f", profile {profile}" if profile else ""),
        "next": verdict.remedy or _NEXT,
    }
    return [f"  {name:<10}{words}" for name, words in rows.items()]


def _counted(verdict: Verdict, result: TestResult) -> str:
    """How many observations count, and which do not."""
    warm = sum(round_.warmup for series in result.series if series.arm == verdict.arm for round_ in series.rounds)
    return "; ".join(
        [
            f"n={verdict.n}",
            *([f"{verdict.missing} without a {verdict.metric}"] if verdict.missing else []),
            *([f"{wording.count(warm, 'warm-up round')} not counted"] if warm else []),
        ]
    )
