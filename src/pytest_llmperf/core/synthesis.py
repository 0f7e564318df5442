"""A run in one table: each test with the latencies, throughput and cost of all its calls, and advice drawn from them.

A test's arms are put together, so its figures are those of the mixture that was measured. Advice is given only where a
difference is shown (the intervals are apart, or the judge says so), and says the figures it rests on.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence

from pytest_llmperf.core import wording
from pytest_llmperf.core.claims import Contrast
from pytest_llmperf.core.contrast import judge_contrast
from pytest_llmperf.core.judge import judge
from pytest_llmperf.core.objective import Objective
from pytest_llmperf.core.overview import Synthesis, SynthesisFigure, SynthesisRow
from pytest_llmperf.core.pools import Pools, called
from pytest_llmperf.core.series import Series
from pytest_llmperf.core.verdict import Outcome, Verdict

CONFIDENCE = 0.95
FIGURES = (
    ("ttft", "p50"),
    ("ttft", "p95"),
    ("e2e", "p50"),
    ("e2e", "p95"),
    ("output_tps", "p50"),
    ("cost", "mean"),
    ("cost", "per_mtok"),
)
"""The columns of the table."""
HEAVY_TAIL = 2.0
"""A p95 this many times the median is worth a word."""
BEARABLE_LOSS = 0.15
"""Share of the throughput that a condition may cost before it is advised against: the study that this project began
with calls 15 to 25 % the loss near the largest context."""


def synthesis(every: Sequence[Series]) -> Synthesis:
    """Bring a run together.

    Args:
        every: the series of all tests and arms, of one source and clock.

    Raises:
        UsageError: they do not come from one source and clock.
    """
    measured = [one for one in every if one.judged]
    pools = Pools(measured)
    tests = {name: pools.of(name) for name in dict.fromkeys(one.scenario for one in measured)}
    calls = [call for one in measured for call in one.judged]
    return Synthesis(
        confidence=CONFIDENCE,
        rows=tuple(_row(name, one) for name, one in tests.items()),
        calls=len(calls),
        seconds=_sum([call.values.get("e2e") for call in calls]),
        usd=_sum([call.values.get("cost") for call in calls]),
        advice=tuple(_advice(measured, tests, pools)) if measured else (),
    )


def _row(name: str, one: Series) -> SynthesisRow:
    return SynthesisRow(called(one) or name, len(one.judged), tuple(_figure(one, *what) for what in FIGURES))


def _figure(one: Series, metric: str, statistic: str) -> SynthesisFigure:
    found = _measured(one, metric, statistic)
    n = 0 if found.estimate is None else found.n - found.missing
    return SynthesisFigure(metric, statistic, found.unit, n, found.estimate, found.low, found.high)


def _measured(one: Series, metric: str, statistic: str) -> Verdict:
    """The judge's estimate and interval; nothing is claimed."""
    return judge(one, Objective(metric, statistic, "<=", 1.0, CONFIDENCE))


def _sum(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None and math.isfinite(value)]
    return math.fsum(known) if len(known) == len(values) else None


# --- advice ----------------------------------------------------------------------------------------------------------


def _advice(every: Sequence[Series], tests: Mapping[str, Series], pools: Pools) -> Iterator[str]:
    streamed = [one for one in every if _streams(one)]
    yield from _on_streaming(every)
    for factor, levels in _sweeps(streamed).items():
        yield from _on_throughput(factor, levels, Pools(streamed))
    for factor, levels in _sweeps(every).items():
        yield from _on_cost_over(factor, levels, pools)
    yield from _on_tails(tests)
    yield from _on_cost(tests)


def _on_streaming(every: Sequence[Series]) -> Iterator[str]:
    """Stream, where the first token was shown to come before a whole answer; of tests that did both."""
    both = {one.scenario for one in every if _streams(one)} & {one.scenario for one in every if not _streams(one)}
    pools = Pools([one for one in every if one.scenario in both and _streams(one)])
    whole = Pools([one for one in every if one.scenario in both and not _streams(one)])
    if not both:
        return
    first, answer = _measured(pools.of(), "ttft", "p50"), _measured(whole.of(), "e2e", "p50")
    if _apart(first, answer):
        yield (
            f"stream where somebody waits: the first token comes after {_told(first)} (p50), "
            f"an answer in one piece after {_told(answer)}"
        )


def _on_throughput(factor: str, levels: Sequence[float], pools: Pools) -> Iterator[str]:
    """Up to which level of a factor answers were shown to flow nearly as fast as at the first."""
    flows = [_measured(pools.of(where={factor: level}), "output_tps", "p50") for level in levels]
    if not _apart(flows[-1], flows[0]):
        return
    kept = levels[0]
    for level in levels[1:]:
        if not _bearable(pools.of(where={factor: level}), pools.of(where={factor: levels[0]})):
            break
        kept = level
    rates = ", ".join(f"{_told(flow)} at {_level(level)}" for level, flow in zip(levels, flows, strict=True))
    most = f"up to there answers flow at most {wording.percent(BEARABLE_LOSS)} slower than at {_level(levels[0])}"
    yield f"keep {factor} at {_level(kept)} or below where speed matters: {most} (p50 {rates})"


def _bearable(one: Series, first: Series) -> bool:
    claim = Contrast("output_tps", "p50", "this", "first", "ratio", ">=", 1 - BEARABLE_LOSS, CONFIDENCE)
    return judge_contrast(one, first, claim).outcome is Outcome.PASSED


def _on_cost_over(factor: str, levels: Sequence[float], pools: Pools) -> Iterator[str]:
    least, most = (_measured(pools.of(where={factor: level}), "cost", "mean") for level in (levels[0], levels[-1]))
    if _apart(least, most):
        yield (
            f"keep {factor} low where money matters: a call costs {_told(least)} at {_level(levels[0])} and "
            f"{_told(most)} at {_level(levels[-1])}"
        )


def _on_tails(tests: Mapping[str, Series]) -> Iterator[str]:
    """Of which test the slow calls are much slower than the usual ones."""
    for one in tests.values():
        middle, slow = (_measured(one, "ttft", statistic) for statistic in ("p50", "p95"))
        if middle.estimate and slow.low is not None and slow.low >= HEAVY_TAIL * middle.estimate:
            times = f"{_told(slow)} then, and {_told(middle)} at p50"
            yield f"plan for the p95 of {called(one)}: its first token takes {times}"


def _on_cost(tests: Mapping[str, Series]) -> Iterator[str]:
    costs = {name: _measured(one, "cost", "mean") for name, one in tests.items()}
    known = sorted((cost.estimate, name) for name, cost in costs.items() if cost.estimate is not None)
    if len(known) > 1 and _apart(costs[cheapest := known[0][1]], costs[dearest := known[-1][1]]):
        yield (
            f"{called(tests[cheapest])} is the cheapest at {_told(costs[cheapest])} a call, "
            f"{called(tests[dearest])} the dearest at {_told(costs[dearest])}"
        )


def _streams(one: Series) -> bool:
    return all(call.streamed for call in one.judged)


def _sweeps(every: Sequence[Series]) -> dict[str, list[float]]:
    """Numeric factors that every series has, each with its levels in order."""
    names = [
        name for name in (every[0].factors if every else ()) if all(_is_number(one.factors.get(name)) for one in every)
    ]
    found = {name: sorted({float(one.factors[name]) for one in every}) for name in names}  # type: ignore[arg-type]
    return {name: levels for name, levels in found.items() if len(levels) > 1}


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _apart(less: Verdict, more: Verdict) -> bool:
    """Whether the one is shown to be below the other: their intervals do not meet."""
    return less.high is not None and more.low is not None and less.high < more.low


def _told(found: Verdict) -> str:
    return "nothing" if found.estimate is None else wording.quantity(found.estimate, found.unit)


def _level(level: float) -> str:
    return f"{level:g}" if level != int(level) else f"{int(level):,}"
