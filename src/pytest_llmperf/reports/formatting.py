"""Phrases that more than one renderer says, in plain words without colour.

They put a verdict's own numbers into words and compare none of them: whether a value is beyond its limit is read from
the outcome.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from textwrap import shorten

from pytest_llmperf.core import wording
from pytest_llmperf.core.environment import Source
from pytest_llmperf.core.lag import SendingLag, sending_lag
from pytest_llmperf.core.observations import was_cut
from pytest_llmperf.core.series import Series
from pytest_llmperf.core.verdict import Outcome, Verdict
from pytest_llmperf.reports.report import TestResult

SIDES = {"<=": "at most", ">=": "at least"}
_BEYOND = {"<=": ">", ">=": "<"}
_FAILURES_LISTED = 3
_ANSWER = 80
"""Characters that are shown of a failing assertion."""


def shown_as(test: str, outcome: str) -> str:
    """What an outcome is shown as in a test that ended so: a failure that its mark expects is none."""
    return "xfailed" if test == "xfailed" and outcome == "failed" else outcome


def counted(tests: Iterable[tuple[str, Sequence[str]]]) -> str:
    """How the claims ended: `5 of 7 claims passed, 2 failed, 1 error`.

    Args:
        tests: of each its outcome, and those of its claims.
    """
    tests = list(tests)
    counts = Counter(shown_as(test, one) for test, claims in tests for one in claims)
    found = [f"{counts['passed']} of {wording.count(counts.total(), 'claim')} passed" if counts else "no claim"]
    counts["xfailed"] += sum(test == "xfailed" and "failed" not in claims for test, claims in tests)
    found += [f"{counts[one]} {one}" for one in ("failed", "inconclusive", "xfailed") if counts[one]]
    errors = sum(test == "error" for test, _ in tests)
    return ", ".join([*found, *([wording.count(errors, "error")] if errors else [])])


def unclaimed(outcome: str, *, measured: bool) -> str:
    """What stands in place of a claim in a test that has no answer to any."""
    if not measured:
        return "nothing measured"
    return "not judged" if outcome in ("error", "xfailed") else "no claim"


def subject(verdict: Verdict) -> str:
    """What a claim is about, with its arm: `p95 ttft [temperature=0]`."""
    words = verdict.claim.partition(f" {verdict.direction} ")[0]
    return f"{words}{of_arm(verdict)}"


def of_arm(verdict: Verdict) -> str:
    """The arm in brackets, where there is one and the claim does not name it by itself."""
    return f" [{verdict.arm}]" if verdict.arm and not verdict.to else ""


def limit(verdict: Verdict) -> str:
    """The limit in its unit: `2340 ms`."""
    return wording.limit(verdict.bound, verdict.unit, slack=verdict.slack, direction=verdict.direction)


def estimate(verdict: Verdict) -> str:
    """The point estimate in its unit, or that there is none."""
    nothing = "no knee" if verdict.statistic == "knee" else "nothing"
    return nothing if verdict.estimate is None else wording.quantity(verdict.estimate, verdict.unit)


def interval(verdict: Verdict) -> str:
    """The interval in its unit; empty where there is none or it says no more than the estimate."""
    if verdict.low is None or verdict.high is None:
        return ""
    words = wording.interval(verdict.low, verdict.high, verdict.unit)
    return "" if words == estimate(verdict) else words


def measured(verdict: Verdict) -> str:
    """Estimate and interval in little space: `1402 (1310 … 1498) ms`, or `9800 ms (8900 ms … 10.2 s)`."""
    return around(estimate(verdict), interval(verdict))


def around(value: str, bounds: str) -> str:
    """A value and its interval in words, the unit said once where it is one."""
    number, space, unit = value.partition(" ")
    if space and bounds.endswith(f" {unit}") and bounds.count(unit) == 1:
        return f"{number} ({bounds.removesuffix(f' {unit}')}) {unit}"
    return f"{value} ({bounds})" if bounds else value


def against_limit(verdict: Verdict) -> str:
    """Claim and estimate as one phrase that is true: `p95 ttft 2100 ms <= 2340 ms`, or `… > 2340 ms` when it failed."""
    seen = f"{subject(verdict)}{'' if _has_sign(verdict) else ':'} {estimate(verdict)}"
    if verdict.outcome is Outcome.PASSED:
        return f"{seen} {verdict.direction} {limit(verdict)}"
    if verdict.outcome is Outcome.FAILED:
        return f"{seen} {_BEYOND[verdict.direction]} {limit(verdict)}"
    return f"{seen}, {SIDES[verdict.direction]} {limit(verdict)} not shown"


def _has_sign(verdict: Verdict) -> bool:
    """Whether the claim is one number and a limit; else it is said in words, which stand before both."""
    return f" {verdict.direction} " in verdict.claim


def circumstances(result: TestResult) -> list[str]:
    """What happened while sampling that the verdicts alone do not say, a line for each."""
    lines = ["partial: interrupted before all rounds were run"] if result.interrupted else []
    told: set[str] = set()
    for series in result.series:
        of_arm = _of_arm(series)
        cut = series.cut
        failures = [call.failure for call in series.judged if call.failure and not was_cut(call, cut)]
        if failures:
            lines.append(
                f"{len(failures)} of {wording.count(len(series.judged), 'call')} failed{of_arm}: {_listed(failures)}"
            )
        wrong = [
            shorten(r.failure.partition("\n")[0], _ANSWER, placeholder=" …")
            for r in series.judged_rounds
            if r.failure and "accuracy" in r.scores
        ]
        if wrong:
            rounds = wording.count(len(series.judged_rounds), "round")
            lines.append(f"{len(wrong)} of {rounds} answered wrong{of_arm}: {_listed(wrong)}")
        if series.ended_by and series.ended_by not in told:  # what ends sampling ends it for all arms
            told.add(series.ended_by)
            lines.append(f"sampling ended early: {series.ended_by}")
        if series.unattributed:
            calls = wording.count(series.unattributed, "call")
            lines.append(f"{calls} left out{of_arm}: it is not certain which round made them")
    return lines


def ceilings(result: TestResult) -> list[str]:
    """What arms over a rate show of the service's limit."""
    return [] if result.ceiling is None else [f"rate ceiling: {result.ceiling.described()}"]


def error_bars(result: TestResult) -> list[str]:
    """How far off times can be, a line for each series that was measured in real time, now or when it was recorded."""
    real = [series for series in result.series if series.clock == "realtime" or series.source is Source.REPLAYED]
    return [*(_sending(series, lag) for series in real if (lag := sending_lag(series))), *_stamping(result)]


def _sending(series: Series, lag: SendingLag) -> str:
    """How well an open loop kept its times."""
    told = ", ".join(f"{name} {wording.quantity(getattr(lag, name), 's')}" for name in ("p50", "p99", "max"))
    rate = wording.quantity(series.rate_per_minute or 0.0, "")
    return f"{rate} rounds a minute were due{_of_arm(series)} ({series.arrival} arrivals); begun late by {told}"


def _stamping(result: TestResult) -> list[str]:
    return [
        f"error bar of every time{_of_arm(series)}: {wording.quantity(series.loop_lag, 's')}, "
        f"the event loop's lateness (p99){_busy(series)}"
        for series in result.series
        if series.loop_lag and series.clock == "realtime"
    ]


def _busy(series: Series) -> str:
    if series.cpu_share is None:
        return ""
    return f"; the client took {wording.percent(round(series.cpu_share, 2))} of a core"


def _of_arm(series: Series) -> str:
    return f" [{series.arm}]" if series.arm else ""


def _listed(failures: list[str]) -> str:
    """The most common failures with their counts."""
    reasons = Counter(failures).most_common()
    shown = [f"{reason} ({times})" for reason, times in reasons[:_FAILURES_LISTED]]
    rest = len(reasons[_FAILURES_LISTED:])
    return "; ".join([*shown, *([wording.count(rest, "more reason")] if rest else [])])
