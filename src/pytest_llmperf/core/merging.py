"""One scenario that several processes ran together, as one series for each arm, by the time rounds were sent.

Rounds are numbered anew over all arms; nothing that was measured changes but where a process's time began.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from pytest_llmperf.core.series import Measurement, Round, Series


@dataclass(frozen=True, slots=True)
class Share:
    """What one process measured."""

    began: float
    """When its series began, in seconds on a clock that all of them share."""
    series: tuple[Series, ...]
    """One for each arm, the same arms in every process."""


def merged(shares: Sequence[Share]) -> tuple[Series, ...]:
    """The series of all processes together, one for each arm; at least one share is needed."""
    zero = min(share.began for share in shares)
    started = sorted(
        (share.began - zero + round_.started, which, round_.number)
        for which, share in enumerate(shares)
        for one in share.series
        for round_ in one.rounds
    )
    numbers = {(which, number): new for new, (_, which, number) in enumerate(started)}
    return tuple(_merged(shares, arm, zero, numbers) for arm in range(len(shares[0].series)))


def _merged(shares: Sequence[Share], arm: int, zero: float, numbers: dict[tuple[int, int], int]) -> Series:
    every = [share.series[arm] for share in shares]
    rounds, calls = list[Round](), list[Measurement]()
    for which, (share, one) in enumerate(zip(shares, every, strict=True)):
        later = share.began - zero
        rounds += [_round_later(r, later, numbers[which, r.number]) for r in one.rounds]
        calls += [_call_later(m, later, numbers[which, m.round]) for m in one.measurements]
    lags = [one.loop_lag for one in every if one.loop_lag is not None]
    return replace(
        every[0],
        rounds=tuple(sorted(rounds, key=lambda r: r.number)),
        measurements=tuple(sorted(calls, key=lambda m: (m.dispatched, m.round))),
        unattributed=sum(one.unattributed for one in every),
        loop_lag=max(lags, default=None),
        ended_by=next((one.ended_by for one in every if one.ended_by), ""),
        stop="fixed",
        budget=sum(one.budget for one in every),
    )


def _round_later(one: Round, later: float, number: int) -> Round:
    return replace(
        one,
        number=number,
        started=one.started + later,
        ended=None if one.ended is None else one.ended + later,
        intended=None if one.intended is None else one.intended + later,
    )


def _call_later(one: Measurement, later: float, number: int) -> Measurement:
    return replace(
        one,
        round=number,
        dispatched=one.dispatched + later,
        finished=None if one.finished is None else one.finished + later,
    )
