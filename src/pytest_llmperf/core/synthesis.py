"""A run in one table: each test with the latencies, throughput and cost of all its calls, and advice drawn from them.

Numbers of different sources or clocks stand in tables of their own, and no advice compares them.

A test's arms are put together, so its figures are those of the mixture that was measured. Advice is given only where a
difference is shown (the intervals are apart, or the judge says so), and says the figures it rests on.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

from pytest_llmperf.core import wording
from pytest_llmperf.core.claims import Contrast
from pytest_llmperf.core.conditions import conditions_of
from pytest_llmperf.core.contrast import judge_contrast
from pytest_llmperf.core.judge import judge
from pytest_llmperf.core.metrics import METRICS
from pytest_llmperf.core.objective import Objective
from pytest_llmperf.core.observations import of_calls
from pytest_llmperf.core.overview import Synthesis, SynthesisFigure, SynthesisRow
from pytest_llmperf.core.pools import Pools, pooled, require_one_origin
from pytest_llmperf.core.series import Series
from pytest_llmperf.core.summary import HEADLINE
from pytest_llmperf.core.verdict import Outcome
from pytest_llmperf.statistics.means import total_ratio_estimate

CONFIDENCE = 0.95
FIGURES = (*HEADLINE, ("cost", "per_mtok"))
"""The columns of the table."""
HEAVY_TAIL = 2.0
"""A p95 this many times the median is worth a word."""
BEARABLE_LOSS = 0.15
"""Share of the throughput that a condition may cost before it is advised against: the study that this project began
with calls 15 to 25 % the loss near the largest context."""


def syntheses(every: Sequence[Series]) -> tuple[Synthesis, ...]:
    """Bring a run together, the numbers of each source and clock by themselves.

    Args:
        every: the series of all tests and arms.
    """
    origins = dict.fromkeys((one.source, one.clock) for one in every)
    return tuple(synthesis([one for one in every if (one.source, one.clock) == origin]) for origin in origins)


def synthesis(every: Sequence[Series]) -> Synthesis:
    """Bring together what comes from one place.

    Args:
        every: the series of all tests and arms of one source and clock, at least one.

    Raises:
        UsageError: they do not come from one source and clock.
    """
    require_one_origin(every)
    measured = [one for one in every if one.judged]
    arms = {name: [one for one in measured if one.scenario == name] for name in _scenarios(measured)}
    named = _named(arms)
    tests = {name: pooled(own) for name, own in named.items()}
    seconds, untimed = _total([second for one in measured for second in _seconds(one)])
    usd, unpriced = _total([call.values.get("cost") for one in measured for call in one.judged])
    return Synthesis(
        source=every[0].source,
        clock=every[0].clock,
        confidence=CONFIDENCE,
        rows=tuple(_row(name, one) for name, one in tests.items()),
        calls=sum(len(one.judged) for one in measured),
        seconds=None if untimed else seconds,
        usd=None if unpriced else usd,
        advice=tuple(_advice(measured, named, tests)) if measured else (),
        seconds_at_least=seconds,
        untimed=untimed,
        usd_at_least=usd,
        unpriced=unpriced,
    )


def _named(arms: Mapping[str, list[Series]]) -> dict[str, list[Series]]:
    """The same by the last part of their names, where that tells them apart."""
    short = {name: name.rpartition("::")[2] for name in arms}
    times = Counter(short.values())
    return {short[name] if times[short[name]] == 1 else name: own for name, own in arms.items()}


def _row(name: str, one: Series) -> SynthesisRow:
    return SynthesisRow(name, len(one.judged), tuple(_measured(one, *what) for what in FIGURES))


def _measured(one: Series, metric: str, statistic: str) -> SynthesisFigure:
    """The judge's estimate and interval of what was pooled; nothing is claimed."""
    if (metric, statistic) == ("cost", "mean") and (found := _cost_of_a_call(one)) is not None:
        return found
    verdict = judge(one, Objective(metric, statistic, "<=", 1.0, CONFIDENCE))
    n = 0 if verdict.estimate is None else verdict.n - verdict.missing
    return SynthesisFigure(metric, statistic, verdict.unit, n, verdict.estimate, verdict.low, verdict.high)


def _cost_of_a_call(one: Series) -> SynthesisFigure | None:
    """Dollars over calls, as a ratio of totals with a pair for each round, whose calls go together.

    None where no round has more than one call with a price: then a round's cost, which the judge knows, is a call's.
    """
    rounds: dict[int, list[float]] = {}
    for call, cost in zip(one.judged, of_calls(one.judged, one.cut, "cost").values, strict=True):
        if cost is not None:
            rounds.setdefault(call.round, []).append(cost)
    numbers = [len(costs) for costs in rounds.values()]
    if max(numbers, default=0) <= 1:
        return None
    found = total_ratio_estimate([math.fsum(costs) for costs in rounds.values()], numbers, CONFIDENCE)
    return SynthesisFigure("cost", "mean", METRICS["cost"].unit, sum(numbers), found.value, found.low, found.high)


def _seconds(one: Series) -> list[float | None]:
    """How long each round took, failed ones too; not known of one that was interrupted, or on a clock that stands."""
    timed = one.clock != "instant"
    return [r.ended - r.started if timed and r.ended is not None else None for r in one.judged_rounds]


def _total(values: Sequence[float | None]) -> tuple[float, int]:
    """The sum of those that are known, and how many are not."""
    known = [value for value in values if value is not None]
    return math.fsum(known), len(values) - len(known)


# --- advice ----------------------------------------------------------------------------------------------------------


def _advice(
    every: Sequence[Series], arms: Mapping[str, Sequence[Series]], tests: Mapping[str, Series]
) -> Iterator[str]:
    streamed = [one for one in every if _streams(one)]
    yield from _on_streaming(every)
    for factor, levels in _sweeps(streamed).items():
        yield from _on_throughput(factor, levels, Pools(streamed))
    for factor, levels in _sweeps(every).items():
        yield from _on_cost_over(factor, levels, Pools(every))
    yield from _on_tails(arms)
    yield from _on_cost(tests)


def _on_streaming(every: Sequence[Series]) -> Iterator[str]:
    """Stream, where the first token was shown to come before a whole answer; of tests that did both."""
    streamed, whole = list[Series](), list[Series]()
    for name in _scenarios(every):
        own = [one for one in every if one.scenario == name]
        one, other = [arm for arm in own if _streams(arm)], [arm for arm in own if not _streams(arm)]
        if _differ_in_one(one, other):
            streamed, whole = streamed + one, whole + other
    if not streamed:
        return
    first, answer = _measured(pooled(streamed), "ttft", "p50"), _measured(pooled(whole), "e2e", "p50")
    if _apart(first, answer):
        yield (
            f"stream where somebody waits: the first token comes after {_told(first)} (p50), "
            f"an answer in one piece after {_told(answer)}"
        )


def _on_throughput(factor: str, levels: Sequence[float], pools: Pools) -> Iterator[str]:
    """Up to which level of a factor answers were shown to flow nearly as fast as at the first."""
    kept = _kept([pools.of(where={factor: level}) for level in levels])
    if kept is None:
        return
    flows = [_measured(pools.of(where={factor: level}), "output_tps", "p50") for level in levels]
    rates = ", ".join(f"{_told(flow)} at {_level(level)}" for level, flow in zip(levels, flows, strict=True))
    most = f"up to there answers flow at most {wording.percent(BEARABLE_LOSS)} slower than at {_level(levels[0])}"
    yield f"keep {factor} at {_level(levels[kept])} or below where speed matters: {most} (p50 {rates})"


def _kept(levels: Sequence[Series]) -> int | None:
    """The level before the first that was shown to lose more than is bearable, where all before it were shown not to.

    None where one on the way shows neither, where none loses so much, and where all but the first do: that a factor
    is best kept at its least value says nothing.
    """
    first, *others = levels
    for place, one in enumerate(others):
        outcome = _bearable(one, first)
        if outcome is not Outcome.PASSED:
            return place if place and outcome is Outcome.FAILED else None
    return None


def _bearable(one: Series, first: Series) -> Outcome:
    claim = Contrast("output_tps", "p50", "this", "first", "ratio", ">=", 1 - BEARABLE_LOSS, CONFIDENCE)
    return judge_contrast(one, first, claim).outcome


def _on_cost_over(factor: str, levels: Sequence[float], pools: Pools) -> Iterator[str]:
    least, most = (_measured(pools.of(where={factor: level}), "cost", "mean") for level in (levels[0], levels[-1]))
    if _apart(least, most):
        yield (
            f"keep {factor} low where money matters: a call costs {_told(least)} at {_level(levels[0])} and "
            f"{_told(most)} at {_level(levels[-1])}"
        )


def _on_tails(arms: Mapping[str, Sequence[Series]]) -> Iterator[str]:
    """Of which test the slow calls are much slower than the usual ones of the same arm; the arm with the worst tail."""
    for name, own in arms.items():
        tails = [tail for one in own if (tail := _tail(one)) is not None]
        if tails:
            _, arm, slow, middle = max(tails, key=lambda tail: tail[0])
            whose = f"{name} with {arm}" if arm else name
            yield f"plan for the p95 of {whose}: its first token takes {_told(slow)} then, and {_told(middle)} at p50"


def _tail(arm: Series) -> tuple[float, str, SynthesisFigure, SynthesisFigure] | None:
    """How heavy the tail of an arm is at least, its name, its p95 and p50; None where it is not shown to be heavy."""
    middle, slow = (_measured(pooled([arm]), "ttft", statistic) for statistic in ("p50", "p95"))
    if not middle.high or slow.low is None or slow.low < HEAVY_TAIL * middle.high:
        return None
    return slow.low / middle.high, arm.arm, slow, middle


def _on_cost(tests: Mapping[str, Series]) -> Iterator[str]:
    """Which test is shown to cost less, and which more, than each of the others."""
    costs = {name: _measured(one, "cost", "mean") for name, one in tests.items()}
    known = {name: cost for name, cost in costs.items() if cost.estimate is not None}
    cheapest = [name for name in known if all(_apart(known[name], known[other]) for other in known if other != name)]
    dearest = [name for name in known if all(_apart(known[other], known[name]) for other in known if other != name)]
    parts = [
        *(f"{name} is the cheapest at {_told(known[name])} a call" for name in cheapest),
        *(f"{name} {'' if cheapest else 'is '}the dearest at {_told(known[name])}" for name in dearest),
    ]
    if len(known) > 1 and parts:
        of_these = "" if len(known) == len(costs) else ", of the tests with a price"
        yield ", ".join(parts) + ("" if cheapest else " a call") + of_these


def _streams(one: Series) -> bool:
    return all(call.streamed for call in one.judged)


def _differ_in_one(some: Sequence[Series], others: Sequence[Series]) -> bool:
    """Whether two groups of arms are alike but for one factor, and asked the same LLM."""
    if not some or not others or {_llm(one) for one in some} != {_llm(one) for one in others}:
        return False
    return any({_rest(one, name) for one in some} == {_rest(one, name) for one in others} for name in some[0].factors)


def _sweeps(every: Sequence[Series]) -> dict[str, list[float]]:
    """Numeric factors over whose levels all else is alike, each with its levels in order."""
    found = {name: _levels(every, name) for name in (every[0].factors if every else ())}
    return {name: levels for name, levels in found.items() if len(levels) > 1}


def _levels(every: Sequence[Series], factor: str) -> list[float]:
    """The levels of a factor that every combination of test and other factors has; none where they differ."""
    by_rest: dict[tuple[str, frozenset[tuple[str, object]]], list[float]] = {}
    for one in every:
        level = one.factors.get(factor)
        if not isinstance(level, int | float) or isinstance(level, bool):
            return []
        by_rest.setdefault((one.scenario, _rest(one, factor)), []).append(float(level))
    first, *others = map(sorted, by_rest.values())
    return first if all(other == first for other in others) else []


def _rest(one: Series, factor: str) -> frozenset[tuple[str, object]]:
    """Its factors without this one."""
    return frozenset((name, value) for name, value in one.factors.items() if name != factor)


def _scenarios(every: Sequence[Series]) -> list[str]:
    return list(dict.fromkeys(one.scenario for one in every))


def _llm(one: Series) -> str:
    return conditions_of(one).model


def _apart(less: SynthesisFigure, more: SynthesisFigure) -> bool:
    """Whether the one is shown to be below the other: their intervals do not meet."""
    return less.high is not None and more.low is not None and less.high < more.low


def _told(found: SynthesisFigure) -> str:
    return "nothing" if found.estimate is None else wording.quantity(found.estimate, found.unit)


def _level(level: float) -> str:
    return f"{level:g}" if level != int(level) else f"{int(level):,}"
