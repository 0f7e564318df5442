"""The measurements of one scenario in dispatch order.

Times are seconds. A `Series` keeps everything that was measured, warm-ups and failures included, and knows no limit.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from pytest_llmperf.core.environment import Source
from pytest_llmperf.core.generation import Usage

Factor = str | float | bool | None
"""A value of an arm's factor."""


@dataclass(frozen=True, slots=True)
class AttemptTimes:
    """When the parts of one HTTP attempt came, in seconds after its call began; None where a moment was not seen."""

    started: float
    """The client handed it to its transport."""
    queue: float | None = None
    """How long it waited for a pooled connection."""
    connect: float | None = None
    """How long TCP's set-up took."""
    tls: float | None = None
    """How long TLS's set-up took."""
    sent: float | None = None
    headers: float | None = None
    first: float | None = None
    """First content delta of a stream."""
    last: float | None = None
    """Last content delta of a stream."""
    ended: float | None = None
    status: int | None = None
    failure: str = ""


@dataclass(frozen=True, slots=True)
class Measurement:
    """One call's metrics. A metric stands in `values` or, with the reason why it cannot be had, in `absent`."""

    round: int
    dispatched: float
    """Seconds from the start of the series to the first attempt."""
    finished: float | None
    """Seconds from the start of the series to the last content, or to the end of a call that failed; None when
    neither was seen."""
    streamed: bool
    values: dict[str, float]
    absent: dict[str, str]
    event_gaps: tuple[float, ...] = ()
    """Seconds between successive content deltas."""
    failure: str = ""
    throttled: int = 0
    """Attempts that were answered 429."""
    protocol: str = ""
    model: str = ""
    endpoint: str = ""
    provenance: str = ""
    stop_reason: str = ""
    usage: Usage = field(default_factory=Usage)
    late: dict[str, float] = field(default_factory=dict)
    """By how many seconds the client may have come late to the moments that a metric rests on, where that is known."""
    trace: tuple[AttemptTimes, ...] = ()
    """Its attempts in order; none where the clock cannot tell how they lie to each other."""

    @property
    def attempts(self) -> int:
        """HTTP attempts this call took."""
        return int(self.values["attempts"])


@dataclass(frozen=True, slots=True)
class Round:
    """One run of the test body."""

    number: int
    """In dispatch order, from 0, warm-ups first."""
    warmup: bool
    started: float
    ended: float | None
    """None when it was interrupted."""
    failure: str = ""
    """What the body raised, as text."""
    scores: dict[str, float] = field(default_factory=dict)
    records: dict[str, float] = field(default_factory=dict)
    units: dict[str, str] = field(default_factory=dict)
    intended: float | None = None
    """When it was due in an open loop; None in a closed one, where it is due when it begins."""

    @property
    def due(self) -> float:
        """From when its wait counts."""
        return self.started if self.intended is None else self.intended


@dataclass(frozen=True, slots=True)
class Series:
    """Rounds and their calls in dispatch order, for one scenario and arm."""

    scenario: str
    source: Source
    clock: str
    arm: str = ""
    factors: dict[str, Factor] = field(default_factory=dict)
    rounds: tuple[Round, ...] = ()
    measurements: tuple[Measurement, ...] = ()
    unattributed: int = 0
    """Calls seen that belong to no one round for sure; they are not judged."""
    loop_lag: float | None = None
    """99 % quantile of the event loop's lateness, the error bar of every time stamp; None where there is none."""
    cpu_share: float | None = None
    """Processor time of the process over the time that sampling took, 1 being one core; None where there is none."""
    ended_by: str = ""
    """Why sampling ended before all rounds were run; empty when it did not."""
    stop: str = "fixed"
    """`early`: claims on shares are held against a sequential plan for the budget; `fixed`: judged once, at the end."""
    budget: int = 0
    """The most rounds that would have been judged; 0 where nobody set one."""
    rate_per_minute: float | None = None
    """Rounds that were to begin each minute, of all arms in flight together; None in a closed loop."""
    arrival: str = ""
    """`poisson` or `constant`, in an open loop."""
    of_several: bool = False
    """Whether tests that did not run at the same time were put together, so that it has no span of its own."""

    @property
    def cut(self) -> frozenset[int]:
        """Numbers of the interrupted rounds in which a call had not ended well.

        How it would have gone on nobody knows, so it is judged as absent. Left out it would be worse: the calls in
        flight when a cap is reached are the slow ones.
        """
        interrupted = {round_.number for round_ in self.rounds if round_.ended is None}
        if not interrupted:
            return frozenset()
        return frozenset(m.round for m in self.measurements if m.failure and m.round in interrupted)

    @property
    def judged_rounds(self) -> tuple[Round, ...]:
        """The rounds that count: no warm-ups, and none that was interrupted between two calls."""
        cut = self.cut
        return tuple([r for r in self.rounds if not r.warmup and (r.ended is not None or r.number in cut)])

    @property
    def judged(self) -> tuple[Measurement, ...]:
        """The calls of the rounds that count."""
        counted = {round_.number for round_ in self.judged_rounds}
        return tuple([m for m in self.measurements if m.round in counted])
