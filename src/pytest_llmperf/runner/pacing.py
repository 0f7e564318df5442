"""When the rounds of an open loop are due: arrivals at a rate, drawn before the first of them is sent.

An open loop does not wait for answers, so its times follow from the rate and the seed alone. Knows numbers only: who
keeps these times, and how well, is the loop's matter.
"""

from __future__ import annotations

import itertools
import random

CONSTANT, POISSON = "constant", "poisson"
_MINUTE_NS = 60_000_000_000


def due_times(count: int, rate_per_minute: float, arrival: str, seed: str, *, offset: float = 0.0) -> tuple[int, ...]:
    """Nanoseconds from the start of a stretch at which its rounds are due, in order.

    Args:
        count: of rounds.
        rate_per_minute: rounds a minute on average, above 0.
        arrival: `constant`, one interval after the other, or `poisson`, by exponential intervals as independent users
            make them.
        seed: the same one gives the same times.
        offset: of constant arrivals, the part of an interval by which all of them are put off, so that several
            processes share one rate evenly.
    """
    interval = _MINUTE_NS / rate_per_minute
    if arrival == CONSTANT:
        return tuple(round((number + offset) * interval) for number in range(count))
    rng = random.Random(seed)
    return tuple(map(round, itertools.accumulate(rng.expovariate(1 / interval) for _ in range(count))))
