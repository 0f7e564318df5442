"""Claims on a mean whose values are known to stay below a cap: bets against the limit.

Most tokens times their price is such a cap. With it nothing needs to be assumed of the distribution, and the claim may
be looked at after every round: the capital of somebody who bets that the mean is within the limit, in a game that is
fair if it is not, reaches 1/α with probability α at most (Waudby-Smith & Ramdas 2024).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from pytest_llmperf.core import wording
from pytest_llmperf.core.finding import Finding, nothing, spread, unseen, without
from pytest_llmperf.core.objective import Objective
from pytest_llmperf.core.observations import observe
from pytest_llmperf.core.series import Measurement, Round, Series
from pytest_llmperf.core.verdict import Outcome
from pytest_llmperf.core.watch import FAIL_FLOOR
from pytest_llmperf.statistics import means
from pytest_llmperf.statistics.evidence import Side, bounded_mean_log_e

if TYPE_CHECKING:
    from pytest_llmperf.statistics.arrays import Floats

_STRIDE = 500
"""After every round up to here a claim is looked at, then after every second, third, … one; when, does not matter."""
BETTING = "betting e-process, cap"


def is_capped(objective: Objective) -> bool:
    """Whether the claim is on a mean below a known cap."""
    return objective.cap is not None and objective.statistic == "mean"


def decide(series: Series, objective: Objective) -> Finding:
    """The finding after the first observation at which the capital is enough, or after the last one."""
    assert objective.cap is not None
    observations = observe(series, objective.metric)
    if (absent := unseen(observations)) is not None:
        return absent
    cap = wording.quantity(objective.cap, objective.unit)
    if beyond := [value for value in observations.present if not 0 <= value <= objective.cap]:
        return nothing(
            f"a {observations.noun} came to {wording.quantity(beyond[0], objective.unit)}, outside of 0 … {cap}",
            n=len(observations.values),
            remedy=f"give as cap the most that a {observations.noun} can come to",
        )
    capital = _capital(observations.values, objective)
    outcome, n = _settled(capital, objective)
    judged = observations.values[:n]
    missing = judged.count(None)
    estimate = means.mean_estimate([v for v in judged if v is not None] or observations.present, objective.confidence)
    log_es = (float(capital[0][n - 1]), float(capital[1][n - 1]))
    reason = spread(estimate, objective, observations.noun) + without(
        objective.metric, missing, observations.why_missing
    )
    return Finding(
        outcome,
        estimate,
        f"{reason}; {_odds(log_es, objective)}",
        f"{BETTING} {cap}",
        n,
        missing,
        "raise rounds, or allow slack" if outcome is Outcome.INCONCLUSIVE else "",
        stops="may end after any round",
        evidence=log_es,
    )


def _capital(values: Sequence[float | None], objective: Objective) -> tuple[Floats, Floats]:
    """Logarithms of what a bet on a pass, and one on a fail, came to after each value; an absent one helps neither."""
    cap, upper = objective.cap or 0.0, objective.direction == "<="
    worst, best = (cap, 0.0) if upper else (0.0, cap)
    below: Side = "pass" if upper else "fail"
    above: Side = "fail" if upper else "pass"
    # A limit that its slack would move beyond the cap stays inside of it, which makes a pass no easier.
    relaxed = min(objective.relaxed_bound, (objective.bound + cap) / 2)
    return (
        bounded_mean_log_e([worst if value is None else value for value in values], relaxed, cap, below),
        bounded_mean_log_e([best if value is None else value for value in values], objective.bound, cap, above),
    )


def _settled(capital: tuple[Floats, Floats], objective: Objective) -> tuple[Outcome, int]:
    """Which bet was won first, and after how many values; no fail comes before the floor."""
    needed = [-math.log(level) for level in objective.levels]
    last = len(capital[0])
    passed = next((n for n, log_e in enumerate(capital[0], 1) if log_e >= needed[0]), last + 1)
    failed = next((n for n, log_e in enumerate(capital[1], 1) if n >= FAIL_FLOOR and log_e >= needed[1]), last + 1)
    if min(passed, failed) > last:
        return Outcome.INCONCLUSIVE, last
    return (Outcome.PASSED, passed) if passed <= failed else (Outcome.FAILED, failed)


def _odds(log_es: tuple[float, float], objective: Objective) -> str:
    """`the evidence for a pass is 24 to 1, and 20 to 1 is asked; …`."""
    told = [
        f"for a {verdict} {_to_one(math.exp(min(log_e, 700.0)))}, {_to_one(1 / level)} is asked"
        for verdict, log_e, level in zip(("pass", "fail"), log_es, objective.levels, strict=True)
    ]
    return f"evidence {'; '.join(told)}"


def _to_one(odds: float) -> str:
    return f"{odds:.3g} to 1" if odds < 1e6 else "over a million to 1"


@dataclass(slots=True)
class BetWatch:
    """A claim on a capped mean under way."""

    objective: Objective
    done: bool = False
    outcome: Outcome = Outcome.INCONCLUSIVE
    _rounds: list[Round] = field(default_factory=list)
    _measurements: list[Measurement] = field(default_factory=list)

    def add_round(self, one: Series) -> None:
        """Take the next round in dispatch order, given as a series of its own."""
        self._rounds += one.rounds
        self._measurements += one.measurements
        if not self.done and len(self._rounds) % (len(self._rounds) // _STRIDE + 1) == 0:
            so_far = replace(one, rounds=tuple(self._rounds), measurements=tuple(self._measurements))
            self.outcome = decide(so_far, self.objective).outcome
            self.done = self.outcome is not Outcome.INCONCLUSIVE
