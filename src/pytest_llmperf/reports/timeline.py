"""What was run when, as plain columns: every round and call in dispatch order, and the stages of one chosen call.

For those who list or draw a series from its JSON document. Nothing is judged and nothing is left out here.
"""

from __future__ import annotations

from dataclasses import asdict
from itertools import accumulate
from typing import Any

from pytest_llmperf.core.metrics import METRICS
from pytest_llmperf.core.series import Measurement, Series

_MOST_DELTAS = 200
"""Of the chosen call; more cannot be told apart on a screen."""


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


def waterfall(series: Series) -> dict[str, Any] | None:
    """The stages of the slowest judged call, failed ones among them; None where no call has any.

    Its deltas are thinned to what can be seen.
    """
    traced = [call for call in series.judged if call.trace]
    if not traced:
        return None
    slowest = max(traced, key=_lasted)
    return {
        "chosen": "the slowest judged call",
        "round": slowest.round,
        "failure": slowest.failure,
        "attempts": [asdict(times) for times in slowest.trace],
        "deltas": _deltas(slowest),
    }


def _lasted(call: Measurement) -> float:
    last = call.trace[-1]
    moments = (last.last, last.ended, last.headers, last.sent, last.started)
    return max(moment for moment in moments if moment is not None)


def _deltas(call: Measurement) -> list[float]:
    """When the content deltas of the last attempt came, in seconds after the call began."""
    first = call.trace[-1].first
    if first is None:
        return []
    gaps = call.event_gaps[:-1] if call.failure else call.event_gaps  # a failed stream ends with an infinite one
    moments = list(accumulate(gaps, initial=first))
    step = -(-len(moments) // _MOST_DELTAS)
    return moments[::step]
