"""What a measured test needs when it is asked many times a day: workers, when to add one, and dollars a month.

One request is one round of the test. Nothing is known of the day but its volume, so how much busier its busiest hours
are is an assumption of whoever asks, like every other number here; the commands print them all.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from pytest_llmperf.core.errors import UsageError
from pytest_llmperf.core.observations import observe
from pytest_llmperf.core.series import Series

DAYS = 30.4
"""Days of a month, on average."""
_DAY_S = 86_400.0
_LEVEL = 0.95


@dataclass(frozen=True, slots=True)
class Demand:
    """What is asked of a service, and how much room it is to have."""

    requests_per_day: float
    peak_factor: float = 2.0
    """How many times the day's mean rate its busiest hours have."""
    headroom: float = 0.2
    """Share that is added to the number in flight which 95 % of moments stay within."""
    utilisation: float = 0.7
    """Share of the workers that is to be busy at most, on average, in the busiest hours."""

    @property
    def rate(self) -> float:
        """Requests a second in the busiest hours."""
        return self.requests_per_day / _DAY_S * self.peak_factor


@dataclass(frozen=True, slots=True)
class Load:
    """What one request was measured to take."""

    n: int
    """Requests it was measured on."""
    failed: int
    """Of which brought a failed call; their time is not known, and is not in the mean."""
    seconds: float
    """Mean time of one."""
    p95: float
    calls: float
    tokens: float | None
    """Output tokens; None where they are not known of every call."""
    usd: float | None
    """Mean cost; None where it is not known of every request."""


@dataclass(frozen=True, slots=True)
class Capacity:
    """What a load needs under a demand."""

    load: Load
    demand: Demand
    busy: float
    """Mean number of requests in flight in the busiest hours."""
    busy_p95: int
    """Which 95 % of moments in them stay within."""
    workers: int
    """One request at a time each."""
    scale_out: int
    """Busy workers from which another is to be added."""
    scale_in: int
    """Busy workers at which one less would do."""
    calls_per_minute: float
    tokens_per_minute: float | None
    usd_per_month: float | None


def load(series: Series) -> Load:
    """What a request took in this series.

    Raises:
        UsageError: no round has a time.
    """
    from pytest_llmperf.statistics.quantiles import quantile

    rounds = observe(series, "scenario").values
    ended = [value for value in rounds if value is not None and math.isfinite(value)]
    if not ended:
        raise UsageError("no round of it has a time that workers could be reckoned from")
    costs = observe(series, "cost")
    tokens = [call.values.get("output_tokens") for call in series.judged if not call.failure]
    known = [one for one in tokens if one is not None]
    return Load(
        n=len(rounds),
        failed=sum(value == math.inf for value in rounds),
        seconds=math.fsum(ended) / len(ended),
        p95=quantile(ended, _LEVEL),
        calls=len(series.judged) / len(rounds),
        tokens=math.fsum(known) / len(rounds) if known and len(known) == len(tokens) else None,
        usd=math.fsum(costs.present) / len(costs.values) if costs.values and not costs.missing else None,
    )


def sized(one: Load, demand: Demand) -> Capacity:
    """What the load needs: Little's λ·W in flight on average, and the more of two reserves.

    Workers are enough for the number in flight that 95 % of moments stay within (requests arriving at random) and the
    headroom on top of it, and so many that on average no more than the utilisation is busy.
    """
    from pytest_llmperf.statistics.arrivals import busy_quantile

    busy = demand.rate * one.seconds
    busy_p95 = busy_quantile(busy, _LEVEL)
    workers = max(1, _up(busy_p95 * (1 + demand.headroom)), _up(busy / demand.utilisation))
    return Capacity(
        load=one,
        demand=demand,
        busy=busy,
        busy_p95=busy_p95,
        workers=workers,
        scale_out=max(1, math.floor(workers * demand.utilisation)),
        scale_in=max(0, math.floor((workers - 1) * demand.utilisation) - 1),
        calls_per_minute=demand.rate * one.calls * 60,
        tokens_per_minute=None if one.tokens is None else demand.rate * one.tokens * 60,
        usd_per_month=None if one.usd is None else monthly(one.usd, demand.requests_per_day),
    )


def monthly(usd: float, requests_per_day: float) -> float:
    """Dollars a month of so many requests a day."""
    return usd * requests_per_day * DAYS


def saving(usd: Sequence[float | None], against: float | None) -> list[float | None]:
    """Which share of the cost *against* each of these saves; None where either is not known."""
    return [None if one is None or not against else 1 - one / against for one in usd]


def break_even(dear: float, cheap: float, fixed_usd_per_month: float) -> float | None:
    """Requests a day from which the cheaper of two pays for what it costs a month beside; None where it never does."""
    return fixed_usd_per_month / ((dear - cheap) * DAYS) if cheap < dear else None


def _up(value: float) -> int:
    return math.ceil(round(value, 9))
