"""Whether a round that still runs is certain to exceed a limit.

A call in flight that is older than a limit will be slower than it, however it ends: well, and later than now, or not at
all. So it counts as bad at once, and a verdict waits for no call longer than its limit is. Nothing good is ever certain
before the end: a stream whose first token came quickly may still fail.
"""

from __future__ import annotations

from pytest_llmperf.core.call import Call
from pytest_llmperf.core.generation import Generation
from pytest_llmperf.core.metrics import ANSWER_KINDS
from pytest_llmperf.core.trace import TOKEN_KINDS

_FIRST = {"ttft": TOKEN_KINDS, "ttfat": ANSWER_KINDS}


def is_overdue(call: Call, metric: str, limit: float, now_ns: int, *, lag_ns: int = 0) -> bool:
    """Whether the *metric* of a call that may still run is certain to be above *limit* (seconds).

    Args:
        call: its attempts so far.
        metric: `ttft`, `ttfat` or `e2e`; of any other nothing is certain.
        limit: in seconds.
        now_ns: the moment it is asked, on the call's clock.
        lag_ns: how late its round began, which counts as waiting.
    """
    if metric not in ("ttft", "ttfat", "e2e"):
        return False
    found = call.last.generation
    reached = found.stopped_ns if metric == "e2e" else _first(found, metric)
    until = reached if reached is not None else None if found.complete else now_ns
    return until is not None and (until - call.dispatched_ns + lag_ns) / 1e9 > limit


def _first(found: Generation, metric: str) -> int | None:
    return next((delta.at_ns for delta in found.deltas if delta.kind in _FIRST[metric]), None)
