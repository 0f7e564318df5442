"""Runs a plan, sync and async, by the closed loop or the open one (`closed_loop`, `open_loop`).

Either calls the body once for each round, in one event loop, and keeps everything it measured in a `Sampling`, so
that whatever ends it (a cap, a failing assertion, Ctrl-C) loses nothing. Rounds are numbered in dispatch order. A body
that raises for reasons of its own ends the sampling; a body that raises because a call failed has been measured.
"""

from __future__ import annotations

import threading
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from time import process_time, time

from pytest_llmperf.capture import Recorder
from pytest_llmperf.capture.attribution import ROUND
from pytest_llmperf.clock import Clock
from pytest_llmperf.core import wording
from pytest_llmperf.core.call import Call
from pytest_llmperf.core.environment import Source
from pytest_llmperf.core.errors import UsageError
from pytest_llmperf.core.metrics import measure
from pytest_llmperf.core.pricing import PriceBook
from pytest_llmperf.core.series import Measurement, Round, Series
from pytest_llmperf.runner import closed_loop, open_loop
from pytest_llmperf.runner.arms import Arm
from pytest_llmperf.runner.budget import Budget, BudgetReached, admit, reached
from pytest_llmperf.runner.garbage import uncollected
from pytest_llmperf.runner.overdue import is_overdue
from pytest_llmperf.runner.plan import Plan
from pytest_llmperf.runner.rounds import Listener, OpenRound
from pytest_llmperf.runner.schedule import Schedule, Stage, Turn, scheduled
from pytest_llmperf.runner.stopping import EarlyStop, Running
from pytest_llmperf.runner.tolerance import is_failed_call, is_wrong_answer


@dataclass(slots=True)
class Sampling:
    """One scenario being sampled, and all that was gathered so far."""

    plan: Plan
    clock: Clock
    recorder: Recorder
    prices: PriceBook
    budgets: tuple[Budget, ...] = ()
    seed: int = 0
    """Draws the order of arms, the same in all processes, and when rounds of an open loop are due."""
    errors_claimed: bool = False
    graded: bool = False
    """Whether every round gets a score for its accuracy, and a failing assertion is a wrong answer."""
    stopping: EarlyStop | None = None
    """Ends sampling once every claim is settled; None runs all rounds."""
    on_round: Callable[[Sampling], None] = lambda _: None
    """Called after every round, from the thread that ran it."""
    listener: Listener | None = None
    recorded_lag: Callable[[Turn], int | None] = lambda _: None
    """How late a round began when it was recorded (nanoseconds); None where that is not known, or nothing replayed."""
    lateness: Callable[[int], float | None] = lambda _: None
    """By how many seconds the client may have come late to a moment of the clock; None where nobody knows."""
    rounds: list[Round] = field(default_factory=list)
    measurements: list[Measurement] = field(default_factory=list)
    ended_by: str = ""
    raised: BaseException | None = None
    """What a body raised for reasons of its own; whoever ran the test may keep it to himself, as unittest does."""
    raised_in: str = ""
    """The name of that round."""
    halted: bool = False
    """Whether no further round may begin."""
    dispatched: int = 0
    crowded: int = 0
    """Rounds of an open loop for which no thread was free when they were due."""
    zero_ns: int = -1
    began: float = 0.0
    """The Unix time of that moment, which other processes know too."""
    spent_cpu: float = 0.0
    """Seconds of processor time that the process took, all threads together, from the first round to the last."""
    _cpu_began: float = 0.0
    schedule: Schedule = field(init=False)
    _scored: bool | None = None
    """Whether the body scores its rounds itself; None until one came to its end."""
    _open_rounds: dict[int, OpenRound] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def __post_init__(self) -> None:
        self.schedule = scheduled(self.plan, self.seed)
        if self.stopping is not None:
            self.stopping.running = self._running

    def run(self, body: Callable[[], object]) -> None:
        """Run all rounds of a plain function.

        Raises:
            BaseException: whatever the body raised for reasons of its own, as it was raised.
        """
        self._start()
        for stage in self.schedule.stages:
            (open_loop if self._is_paced(stage) else closed_loop).run(self, body, stage)

    async def run_async(self, body: Callable[[], Awaitable[object]]) -> None:
        """Run all rounds of a coroutine function in the event loop that runs this.

        Raises:
            BaseException: whatever the body raised for reasons of its own, as it was raised.
        """
        self._start()
        for stage in self.schedule.stages:
            await (open_loop if self._is_paced(stage) else closed_loop).run_async(self, body, stage)

    def _is_paced(self, stage: Stage) -> bool:
        """Whether rounds begin when they are due: where no time passes, those of a recording come one by one."""
        return bool(stage.due_ns) and self.clock.name != "instant"

    def next_lag_ns(self) -> int:
        """How late the next round is to begin: as late as it did when it was recorded."""
        left = self.schedule.turns[self.dispatched : self.dispatched + 1]
        return (self.recorded_lag(left[0]) or 0) if left else 0

    def run_one(self, body: Callable[[], object]) -> None:
        """Run the next round only: the rounds are repeated from outside."""
        self._start()
        if (opened := self.open_round(self.plan.total_rounds)) is not None:
            with self.within(opened):
                body()

    async def run_one_async(self, body: Callable[[], Awaitable[object]]) -> None:
        """Run the next round only, of a coroutine function."""
        self._start()
        if (opened := self.open_round(self.plan.total_rounds)) is not None:
            with self.within(opened):
                await body()

    def _start(self) -> None:
        if self.zero_ns >= 0:
            return
        if self.listener is not None:
            self.listener.began()
        self.zero_ns, self.began = self.clock.now_ns(), time()
        self._cpu_began = process_time()
        for budget in self.budgets:
            budget.start()
        self.recorder.gates.append(self._admit)

    def _admit(self) -> None:
        """Let an attempt leave, unless a cap was reached; called in the context that sends it.

        Raises:
            BudgetReached: it must not leave.
        """
        opened = self.current
        if opened is not None and any(budget.max_usd is not None for budget in self.budgets):
            self._account(opened, [self._measured(call, opened.number) for call in self.recorder.calls(opened.number)])
        try:
            admit(self.budgets)
        except BudgetReached as cap:
            self.ended_by = self.ended_by or str(cap)
            for refused in self._open_rounds.values() if opened is None else (opened,):
                refused.refused = True
            raise

    def _account(self, opened: OpenRound, measurements: list[Measurement]) -> None:
        spent = sum(measurement.values.get("cost", 0.0) for measurement in measurements)
        with self._lock:
            for budget in self.budgets:
                budget.spend(spent - opened.spent_usd)
            opened.spent_usd = spent

    @property
    def current(self) -> OpenRound | None:
        """The round that the running code belongs to; an old worker's is the only one that runs, if it is."""
        owner = ROUND.get()
        rounds = dict(self._open_rounds)
        if owner is not None and owner.recorder() is self.recorder and owner.key in rounds:
            return rounds[owner.key]
        return next(iter(rounds.values())) if len(rounds) == 1 else None

    def open_round(self, end: int, due_ns: int | None = None) -> OpenRound | None:
        """The next round below *end*, unless something ended the sampling.

        Args:
            end: number of the first round that is not to be opened.
            due_ns: when it was to begin; None where it is due when it begins.
        """
        with self._lock:
            if self._over(end):
                return None
            number = self.dispatched
            self.dispatched += 1
            turn = self.schedule.turns[number]
            warmup = turn.ordinal < self.plan.warmup
            opened = OpenRound(number, warmup, self.clock.now_ns(), turn.arm, turn.ordinal, due_ns=due_ns)
            self._open_rounds[number] = opened
            return opened

    def _over(self, end: int) -> bool:
        if self.halted or self.raised is not None or self.dispatched >= end:
            return True
        if self.settled and self.dispatched in self.schedule.even:
            return True
        self.ended_by = self.ended_by or reached(self.budgets)
        return bool(self.ended_by)

    @property
    def notes(self) -> tuple[str, ...]:
        """What a reader should know of how the rounds were sent."""
        if not self.crowded:
            return ()
        late = wording.count(self.crowded, "round")
        most = open_loop.MOST_THREADS
        return (f"{late} found no free thread when due: a plain test has {most} at the most; make it async",)

    @property
    def next_arm(self) -> Arm | None:
        """The arm of the round that will begin next; None where none is left."""
        left = self.schedule.turns[self.dispatched : self.dispatched + 1]
        return left[0].arm if left else None

    @property
    def over(self) -> bool:
        """Whether no further round will begin."""
        with self._lock:
            return self._over(self.plan.total_rounds)

    def count_crowded(self, most: int) -> None:
        """Take note that more rounds than *most* are open, so that the newest has to wait."""
        self.crowded += len(self._open_rounds) > most

    @contextmanager
    def within(self, opened: OpenRound) -> Iterator[None]:
        """Everything observed inside belongs to this round; what it raises is sorted, and what it measured is kept."""
        failure, interrupted = "", False
        if opened.due_ns is not None:
            opened.started_ns = self.clock.now_ns()  # its thread or task may have been waited for
        elif (lag_ns := self.recorded_lag(self.schedule.turns[opened.number])) is not None:
            opened.due_ns = opened.started_ns - lag_ns
        try:
            with self.recorder.round(opened.number):
                yield
            self._grade(opened)
        except BaseException as error:
            failure = f"{type(error).__name__}: {error}"
            interrupted = not isinstance(error, Exception)
            if not self._was_measured(error, opened):
                self._end_with(error, opened)
                raise
            opened.scores |= {"accuracy": 0.0} if self.graded else {}
        finally:
            self._close(opened, failure, interrupted=interrupted or opened.refused)
        self.on_round(self)

    def _grade(self, opened: OpenRound) -> None:
        """A round that came to its end was answered right, unless the body scores its rounds itself.

        Raises:
            UsageError: the body scored this round and not another, or the other way round.
        """
        if not self.graded or opened.refused:
            return
        scored = "accuracy" in opened.scores
        with self._lock:
            self._scored = scored if self._scored is None else self._scored
        if scored != self._scored:
            raise UsageError(
                f"this round was {'scored' if scored else 'not scored'}, and others were{' not' if scored else ''}: "
                "call llmperf.score(…) in every round, or leave it to the assertions"
            )
        if not scored:
            opened.score(1.0)

    def _end_with(self, error: BaseException, opened: OpenRound) -> None:
        if self.raised is None:
            self.raised, self.raised_in = error, self.round_name(opened.number)
            if isinstance(error, Exception):
                error.add_note(f"llmperf: in {self.raised_in}")

    def round_name(self, number: int) -> str:
        """The round of this number, in dispatch order, as a reader counts it."""
        turn = self.schedule.turns[number]
        return self.plan.round_name(turn.ordinal, turn.arm.name)

    def _was_measured(self, error: BaseException, opened: OpenRound) -> bool:
        """Whether *error* comes of a failed call, or of a cap: anything the body does after it may be its doing."""
        if opened.refused and isinstance(error, Exception | BudgetReached | BaseExceptionGroup):
            return True
        if self.graded and is_wrong_answer(error):
            return True
        return is_failed_call(error, self.recorder.calls(opened.number), errors_claimed=self.errors_claimed)

    def _close(self, opened: OpenRound, failure: str, *, interrupted: bool) -> None:
        """Turn the round's calls into measurements; those of an interrupted round are kept but not judged."""
        ended = None if interrupted else (self.clock.now_ns() - self.zero_ns) / 1e9
        with uncollected():
            calls = self.recorder.take(opened.number)
            first = min((call.dispatched_ns for call in calls), default=0)
            measurements = [
                self._measured(call, opened.number, opened.lag_ns if call.dispatched_ns == first else 0)
                for call in calls
            ]
            if self.listener is not None:
                self.listener.ended(opened.number, calls)
        self._account(opened, measurements)
        with self._lock:
            self._open_rounds.pop(opened.number, None)
            self.rounds.append(
                Round(
                    number=opened.number,
                    warmup=opened.warmup,
                    started=(opened.started_ns - self.zero_ns) / 1e9,
                    ended=ended,
                    failure=failure,
                    scores=dict(opened.scores),
                    records=dict(opened.records),
                    units=dict(opened.units),
                    intended=None if opened.due_ns is None else (opened.due_ns - self.zero_ns) / 1e9,
                )
            )
            self.measurements += measurements
            self.spent_cpu = process_time() - self._cpu_began
            if self.stopping is not None and not opened.warmup and not interrupted:
                self._watch(self.rounds[-1], tuple(measurements))

    @property
    def settled(self) -> bool:
        """Whether no claim needs more rounds."""
        return self.stopping is not None and self.stopping.settled

    def _watch(self, round_: Round, measurements: tuple[Measurement, ...]) -> None:
        assert self.stopping is not None
        arm = self.schedule.turns[round_.number].arm.name
        one = Series("", Source.LIVE, self.clock.name, arm=arm, rounds=(round_,), measurements=measurements)
        self.stopping.round_ended(round_.number, one)

    def _running(self, number: int) -> Running | None:
        """What can be said of a round before its end."""
        opened = self._open_rounds.get(number)
        return None if opened is None else (opened.arm.name, partial(self._is_overdue, opened))

    def _is_overdue(self, opened: OpenRound, metric: str, limit: float) -> bool:
        now_ns = self.clock.now_ns()
        if (now_ns - opened.started_ns + opened.lag_ns) / 1e9 <= limit:
            return False
        calls = self.recorder.calls(opened.number)
        return len(calls) == 1 and is_overdue(calls[0], metric, limit, now_ns, lag_ns=opened.lag_ns)

    def series(self, scenario: str, source: Source, *, loop_lag: float | None = None) -> Series:
        """What was gathered so far, of all arms together, in dispatch order."""
        return Series(
            scenario=scenario,
            source=source,
            clock=self.clock.name,
            rounds=tuple(sorted(self.rounds, key=lambda round_: round_.number)),
            measurements=tuple(sorted(self.measurements, key=lambda m: (m.dispatched, m.round))),
            unattributed=len(self.recorder.take_unattributed()),
            loop_lag=loop_lag,
            cpu_share=self._cpu_share(),
            ended_by=self.ended_by,
            stop="fixed" if self.stopping is None else "early",
            budget=self.plan.rounds,
        )

    def _cpu_share(self) -> float | None:
        taken = max((round_.ended for round_ in self.rounds if round_.ended is not None), default=0.0)
        return self.spent_cpu / taken if taken and self.clock.name == "realtime" else None

    def series_by_arm(self, scenario: str, source: Source, *, loop_lag: float | None = None) -> tuple[Series, ...]:
        """What was gathered so far, a series for each arm."""
        whole, turns = self.series(scenario, source, loop_lag=loop_lag), self.schedule.turns
        return tuple(
            replace(
                whole,
                arm=arm.name,
                factors=dict(arm.factors),
                rate_per_minute=self.plan.rate_of(arm),
                arrival=self.plan.arrival if self.plan.is_open else "",
                rounds=tuple(r for r in whole.rounds if turns[r.number].arm is arm),
                measurements=tuple(m for m in whole.measurements if turns[m.round].arm is arm),
                unattributed=0 if number else whole.unattributed,  # they belong to no arm: the first one tells of them
            )
            for number, arm in enumerate(self.plan.arms)
        )

    def _measured(self, call: Call, number: int, lag_ns: int = 0) -> Measurement:
        return measure(
            call,
            round_number=number,
            zero_ns=self.zero_ns,
            clock=self.clock.name,
            prices=self.prices,
            lateness=self._late,
            lag_ns=lag_ns,
        )

    def _late(self, at_ns: int) -> float | None:
        """The lesser of what the event loop may have been late, and of what was seen off it."""
        known = [late for late in (self.lateness(at_ns), self.recorder.lateness(at_ns)) if late is not None]
        return min(known, default=None)
