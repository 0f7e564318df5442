"""What was run when, as plain columns: every round and call in dispatch order, and the stages of some of the calls.

For those who list or draw a series from its JSON document. Nothing is judged and nothing is left out here.
"""

from __future__ import annotations

import math
from dataclasses import asdict
from itertools import accumulate
from typing import Any

from pytest_llmperf.core.metrics import METRICS
from pytest_llmperf.core.series import Measurement, Series

_MOST_DELTAS = 200
"""Of the slowest call; more cannot be told apart on a screen."""
_MOST_DELTAS_OF_OTHERS = 60
_MOST_OTHERS = 15
_MOST_OF_A_KIND = 3
_LEAST_FOR_P95 = 20


def timeline(series: Series) -> dict[str, Any]:
    """Columns of the rounds and of the calls, warm-ups and interrupted ones among them."""
    counted = {round_.number for round_ in series.judged_rounds}
    return {
        "rounds": {
            "number": [round_.number for round_ in series.rounds],
            "judged": [round_.number in counted for round_ in series.rounds],
            "warmup": [round_.warmup for round_ in series.rounds],
            "started": [round_.started for round_ in series.rounds],
            "ended": [round_.ended for round_ in series.rounds],
            "failure": [round_.failure for round_ in series.rounds],
        },
        "calls": {
            "round": [call.round for call in series.measurements],
            "judged": [call.round in counted for call in series.measurements],
            "dispatched": [call.dispatched for call in series.measurements],
            "finished": [call.finished for call in series.measurements],
            "throttled": [call.throttled for call in series.measurements],
            "failure": [call.failure for call in series.measurements],
        },
    }


def unjudged(series: Series) -> dict[str, list[float | None]]:
    """The values of the calls that do not count, one per such call, of each metric that has any."""
    counted = {round_.number for round_ in series.judged_rounds}
    calls = [call for call in series.measurements if call.round not in counted]
    columns = {name: [call.values.get(name) for call in calls] for name, row in METRICS.items() if row.per == "call"}
    return {name: values for name, values in columns.items() if any(value is not None for value in values)}


def waterfalls(series: Series) -> list[dict[str, Any]]:
    """The stages of further calls that a reader may want to look at, in dispatch order: the slowest is not among them.

    All of them where they are few; else what stands out, and some of the others at equal distances.
    """
    traced = [call for call in series.judged if call.trace]
    if len(traced) < 2:
        return []
    ranked = sorted(range(len(traced)), key=lambda index: _lasted(traced[index]))[:-1]
    named = _standing_out(traced, ranked)
    others = [index for index in sorted(ranked) if index not in named]
    room = min(max(_MOST_OTHERS - len(named), 0), len(others))
    chosen = [*named, *(others[place * len(others) // room] for place in range(room))]
    return [_stages(traced[index], named.get(index, ""), _MOST_DELTAS_OF_OTHERS) for index in sorted(chosen)]


def _standing_out(traced: list[Measurement], ranked: list[int]) -> dict[int, str]:
    """Calls with what they are: by how long they lasted, and for what became of them. *ranked*: the fastest first."""
    named = {ranked[0]: "the fastest", ranked[len(ranked) // 2]: "the median"}
    named |= {ranked[math.ceil(0.95 * len(ranked)) - 1]: "the p95"} if len(ranked) >= _LEAST_FOR_P95 else {}
    kinds = (("failed", lambda call: call.failure), ("with retries", lambda call: len(call.trace) > 1))
    for what, holds in kinds:
        named |= dict.fromkeys([index for index in ranked if holds(traced[index])][-_MOST_OF_A_KIND:], what)
    return named


def waterfall(series: Series) -> dict[str, Any] | None:
    """The stages of the slowest judged call, failed ones among them; None where no call has any.

    Its deltas are thinned to what can be seen.
    """
    traced = [call for call in series.judged if call.trace]
    if not traced:
        return None
    return _stages(max(traced, key=_lasted), "the slowest judged call", _MOST_DELTAS)


def _stages(call: Measurement, chosen: str, most: int) -> dict[str, Any]:
    return {
        "chosen": chosen,
        "round": call.round,
        "failure": call.failure,
        "attempts": [asdict(times) for times in call.trace],
        "deltas": _deltas(call, most),
    }


def _lasted(call: Measurement) -> float:
    last = call.trace[-1]
    moments = (last.last, last.ended, last.headers, last.sent, last.started)
    return max(moment for moment in moments if moment is not None)


def _deltas(call: Measurement, most: int) -> list[float]:
    """When the content deltas of the last attempt came, in seconds after the call began; so many at most."""
    first = call.trace[-1].first
    if first is None:
        return []
    gaps = call.event_gaps[:-1] if call.failure else call.event_gaps  # a failed stream ends with an infinite one
    moments = list(accumulate(gaps, initial=first))
    step = -(-len(moments) // most)
    return moments[::step]
