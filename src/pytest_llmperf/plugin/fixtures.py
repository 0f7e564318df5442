"""The fixtures `llmperf` and `arm`: what the code inside a round may ask and say.

Fixtures are evaluated once for all rounds, so both look at the running round whenever they are asked. Where every round
has fixtures of its own, what is set up before a round and torn down after it belongs to that round too.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from pytest_llmperf.core.errors import LLMPerfError, UsageError
from pytest_llmperf.plugin.stash import FRESH, SAMPLING, SCENARIO

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pytest_llmperf.core.call import Call
    from pytest_llmperf.core.series import Factor
    from pytest_llmperf.runner.arms import Arm
    from pytest_llmperf.runner.rounds import OpenRound


class LLMPerf:
    """The round that is running, as the test body sees it. Outside of a repeated test it is round 0 of nothing."""

    def __init__(self, item: pytest.Item) -> None:
        self._item = item
        self._outside: OpenRound | None = None
        fresh = item.stash.get(FRESH, None)
        self._upcoming = None if fresh is None else fresh.sampling.next_arm

    def __repr__(self) -> str:
        """Without an address: it stands in texts of failing assertions, and so in reports that are compared."""
        return f"<llmperf, round {self.round}>"

    @property
    def round(self) -> int:
        """Number of the running round among the judged ones of its arm, from 0; negative in a warm-up."""
        sampling = self._item.stash.get(SAMPLING, None)
        return self._current.ordinal - (sampling.plan.warmup if sampling is not None else 0)

    @property
    def warmup(self) -> bool:
        """Whether the running round is a warm-up, which is not judged."""
        return self._current.warmup

    @property
    def arm(self) -> Arm:
        """The arm of the running round; in a test that compares nothing, one without name and factors.

        Raises:
            UsageError: no round is running, or several are and it is not certain which the code belongs to.
        """
        sampling = self._item.stash.get(SAMPLING, None)
        current = sampling.current if sampling is not None else None
        if current is not None:
            return current.arm
        if self._upcoming is not None:
            return self._upcoming
        return self._only_arm()

    def _only_arm(self) -> Arm:
        from pytest_llmperf.plugin.marks import first_arm

        scenario = self._item.stash.get(SCENARIO, None)
        if scenario is None:
            return first_arm(self._item)
        if len(scenario.plan.arms) > 1:
            raise UsageError(
                "the arm was asked for outside of a round: fixtures are set up once for the rounds of all arms. Ask in "
                "the test's body, or use llmperf(fresh_fixtures=True) for fixtures of every round's own"
            )
        return scenario.plan.arms[0]

    @property
    def calls(self) -> tuple[Call, ...]:
        """The LLM calls of this round captured so far, in dispatch order."""
        sampling = self._item.stash.get(SAMPLING, None)
        opened = sampling.current if sampling is not None else None
        return sampling.recorder.calls(opened.number) if sampling is not None and opened is not None else ()

    def score(self, value: float, name: str = "accuracy") -> None:
        """Say how good this round's answer was, from 0 (wrong) to 1 (right)."""
        self._current.score(value, name)

    def record(self, name: str, value: float, unit: str = "") -> None:
        """Keep a number of this round under a name, for `claim(metric=name, …)` and the reports."""
        self._current.record(name, value, unit)

    @property
    def _current(self) -> OpenRound:
        from pytest_llmperf.runner.rounds import OpenRound

        sampling = self._item.stash.get(SAMPLING, None)
        current = sampling.current if sampling is not None else None
        if current is not None:
            return current
        if self._outside is None:
            self._outside = OpenRound(0, warmup=False, started_ns=0)
        return self._outside


class CurrentArm:
    """The arm of whichever round is running: `.name`, `.factors`, and each factor by its name."""

    __slots__ = ("_llmperf",)

    def __init__(self, llmperf: LLMPerf) -> None:
        self._llmperf = llmperf

    def __repr__(self) -> str:
        """Without an address, as it stands in texts of failing assertions, which are written when the round is over."""
        try:
            return f"<arm {self.name}>"
        except LLMPerfError:
            return "<arm>"

    @property
    def name(self) -> str:
        """Its name, such as `warm` or `temperature=0.7`; empty in a test that compares nothing."""
        return self._llmperf.arm.name

    @property
    def factors(self) -> Mapping[str, Factor]:
        """Its value of every factor."""
        return dict(self._llmperf.arm.factors)

    def __getattr__(self, factor: str) -> Factor:
        """Its value of one factor."""
        if factor.startswith("_"):
            raise AttributeError(factor)
        value: Factor = getattr(self._llmperf.arm, factor)
        return value


@pytest.fixture
def arm(request: pytest.FixtureRequest) -> CurrentArm:
    """The arm of the running round: `.name`, `.factors`, and each factor of the `arms` mark by its name."""
    return CurrentArm(LLMPerf(request.node))


@pytest.fixture
def llmperf(request: pytest.FixtureRequest) -> LLMPerf:
    """The running round: `.round`, `.warmup`, `.arm`, `.score(value)`, `.record(name, value)`, `.calls`."""
    return LLMPerf(request.node)
