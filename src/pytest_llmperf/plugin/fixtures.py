"""The `llmperf` fixture: what the code inside a round may ask and say."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from pytest_llmperf.plugin.stash import SAMPLING, SCENARIO

if TYPE_CHECKING:
    from pytest_llmperf.core.call import Call
    from pytest_llmperf.runner.rounds import OpenRound


class LLMPerf:
    """The round that is running, as the test body sees it. Outside of a repeated test it is round 0 of nothing."""

    def __init__(self, item: pytest.Item) -> None:
        self._item = item
        self._outside: OpenRound | None = None

    def __repr__(self) -> str:
        """Without an address: it stands in texts of failing assertions, and so in reports that are compared."""
        return f"<llmperf, round {self.round}>"

    @property
    def round(self) -> int:
        """Number of the running round among the judged ones, from 0; negative in a warm-up."""
        scenario = self._item.stash.get(SCENARIO, None)
        return self._current.number - (scenario.plan.warmup if scenario is not None else 0)

    @property
    def warmup(self) -> bool:
        """Whether the running round is a warm-up, which is not judged."""
        return self._current.warmup

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


@pytest.fixture
def llmperf(request: pytest.FixtureRequest) -> LLMPerf:
    """The running round: `.round`, `.warmup`, `.score(value)`, `.record(name, value)`, `.calls`."""
    return LLMPerf(request.node)
