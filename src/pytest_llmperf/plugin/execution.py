"""Runs one marked test: swaps its body for one that is repeated, and judges what was gathered.

The body is replaced for the call phase only, a coroutine function by a coroutine function, so that whichever plugin
runs async tests makes one event loop for all rounds. The verdict is raised in the call phase: xfail, `--lf`, reruns,
JUnit and annotations then work as for any failing test.
"""

from __future__ import annotations

import functools
import threading
import unittest
from collections.abc import Awaitable, Callable, Generator, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import pytest

from pytest_llmperf.core.environment import Source
from pytest_llmperf.core.errors import LLMPerfError, UsageError
from pytest_llmperf.plugin import clocks, conclusion, coroutines, keys, seeds, tapes
from pytest_llmperf.plugin.marks import Scenario, marks_of
from pytest_llmperf.plugin.session import Run
from pytest_llmperf.plugin.stash import FRESH, SAMPLING
from pytest_llmperf.plugin.telemetry import Listener
from pytest_llmperf.plugin.workers import place, together

if TYPE_CHECKING:
    from pytest_llmperf.capture import Recorder, Substitute
    from pytest_llmperf.clock import Clock
    from pytest_llmperf.clock.lag import LoopLag
    from pytest_llmperf.runner.loop import Sampling
    from pytest_llmperf.runner.stopping import EarlyStop
    from pytest_llmperf.simulator.api import SimulatedApi
    from pytest_llmperf.simulator.transport import Simulator

_SKIPS: Any = (pytest.skip.Exception, unittest.SkipTest)


def refusal(item: pytest.Item) -> str:
    """Why this test cannot be repeated by us; empty when it can."""
    if not isinstance(item, pytest.Function):
        return "it is no Python function"
    if hasattr(item.obj, "is_hypothesis_test"):
        return "hypothesis already repeats it with many examples"
    fixtures = set(item.fixturenames)
    # Only its parameter tells: what a plugin appends to a test's fixtures at collection, newer versions of pytest copy.
    parameters = getattr(getattr(item, "callspec", None), "params", {})
    if "__pytest_repeat_step_number" in fixtures.union(parameters):
        return "pytest-repeat already repeats it"
    if fixtures & {"benchmark", "benchmark_weave"}:
        return "its benchmark fixture already repeats it"
    names = {mark.name for mark in marks_of(item)}
    if taken := names & {"benchmark", "codspeed_benchmark", "repeated"}:
        return f"the mark {sorted(taken)[0]!r} already repeats it"
    return ""


@dataclass(slots=True)
class Execution:
    """One marked test being run: in one go, or round by round when its fixtures are to be fresh."""

    item: pytest.Function
    scenario: Scenario
    run: Run
    sampling: Sampling = field(init=False)
    lag: LoopLag | None = None
    entered: int = 0
    """How often the swapped body was called."""
    escaped: BaseException | None = None
    """What came out of it; whoever ran the test may keep it to himself, as unittest does."""
    _strangers: str = ""
    """Why threads of the test cannot live in virtual time; empty while none was seen."""
    _recorder: Recorder = field(init=False)
    tape: tapes.Tape | None = None
    """The test's cassette, where there is one."""
    simulator: Simulator | None = None

    def __post_init__(self) -> None:
        from pytest_llmperf.capture import Recorder

        # Where pytest-rerunfailures counts its tries; there only when it may run the test again.
        if attempt := getattr(self.item, "execution_count", 0):
            self.scenario = self.scenario.tried(attempt)
        if self.is_part:
            self.scenario = self.scenario.shared(place(self.item.config), together(self.item.config))
        self._recorder = Recorder(self._now_ns, self.run.protocols)
        self.tape = tapes.serving(
            self.item,
            self.scenario.plan,
            self.run.settings,
            now_ns=self._now_ns,
            label=lambda: tapes.label_of(self.sampling),
        )
        if self.tape is not None:
            self.tape.deck.protocols = self.run.protocols
            self.scenario = replace(self.scenario, plan=self.tape.plan)
        self.sampling = self._new_sampling()

    @property
    def is_part(self) -> bool:
        """Whether other processes run the same test, and all of them are judged together."""
        return together(self.item.config) > 1 and not self.scenario.plan.off

    def _new_sampling(self) -> Sampling:
        from pytest_llmperf.clock.wall import WallClock
        from pytest_llmperf.runner.budget import Budget
        from pytest_llmperf.runner.loop import Sampling

        plan = self.scenario.plan
        own = Budget(max_usd=plan.max_usd, max_seconds=plan.max_seconds, label="llmperf mark: ")
        own = own.shared(plan.part.number, plan.part.of)
        own.now = lambda: self.sampling.clock.now_ns() / 1e9
        self._recorder.take_unattributed()
        self._recorder.gates[:] = [self._check_thread]
        sampling = self.item.stash[SAMPLING] = Sampling(
            plan=plan,
            clock=WallClock(),
            recorder=self._recorder,
            prices=self.run.prices,
            budgets=(self.run.budget, own),
            seed=seeds.of_test(self.item, self.run.settings.seed, part=False),
            stopping=self._early_stop(),
            errors_claimed=any(claim.metric == "error_rate" for claim in self.scenario.claims),
            graded=any(claim.metric == "accuracy" for claim in self.scenario.claims),
            on_round=self._round_ended,
            listener=Listener(self.item),
            recorded_lag=self.tape.lag_of if self.tape is not None else lambda _: None,
        )
        return sampling

    def _round_ended(self, sampling: Sampling) -> None:
        if self.tape is not None:
            self.tape.round_ended(sampling)
        self.run.progress.show(self.item, sampling)

    def _now_ns(self) -> int:
        """The scenario's time: which clock keeps it is known only once the body runs."""
        return self.sampling.clock.now_ns()

    def _early_stop(self) -> EarlyStop | None:
        from pytest_llmperf.runner.stopping import EarlyStop

        plan = self.scenario.plan
        if plan.stop != "early" or self.scenario.scalings:  # a curve is fitted to all that there will be
            return None
        arms = [arm.name for arm in plan.arms]
        return EarlyStop(
            self.scenario.objectives,
            # A recording that was itself ended early is judged by the plan it was ended by.
            plan.rounds if self.tape is None else self.tape.asked.rounds,
            first=plan.warmup * len(arms),
            arms=arms,
            contrasts=self.scenario.contrasts,
            regressions=[claim for held in self.scenario.held for claim in held.claims()],
        )

    # --- running ---

    @contextmanager
    def active(self, *, single: bool = False) -> Iterator[None]:
        """Observe, substitute the network where the backend says so, and run the swapped body inside.

        Args:
            single: run one round only; the rounds are repeated from outside.
        """
        from pytest_llmperf.capture import observing

        original = self.item.obj
        swap = self._repeated_async if coroutines.is_async(original) else self._repeated
        swapped = swap(original, single=single)
        substitute = self._substitute()
        offline = self.simulator is not None or (self.tape is not None and not self.tape.records)
        without_key = keys.not_asked_for(self._recorder.warn) if offline else nullcontext()
        repeatable = seeds.same_random_numbers(f"{self._seed} {self.sampling.dispatched}") if offline else nullcontext()
        try:
            self.item.obj = swapped
            with _seen_by_unittest(self.item, swapped), observing(self._recorder, substitute), without_key, repeatable:
                yield
        finally:
            self.item.obj = original
            self.run.progress.clear()

    def _repeated(self, original: Callable[..., object], *, single: bool) -> Callable[..., object]:
        @functools.wraps(original)
        def repeated(*args: Any, **kwargs: Any) -> None:
            for attempt in self._attempts(single=single):
                with attempt, self._sync_time():
                    run = self.sampling.run_one if single else self.sampling.run
                    run(lambda: original(*args, **kwargs))

        return repeated

    def _repeated_async(
        self, original: Callable[..., Awaitable[object]], *, single: bool
    ) -> Callable[..., Awaitable[object]]:
        @functools.wraps(original)
        async def repeated(*args: Any, **kwargs: Any) -> None:
            for attempt in self._attempts(single=single):
                with attempt, self._async_time():
                    run = self.sampling.run_one_async if single else self.sampling.run_async
                    await run(lambda: original(*args, **kwargs))

        return repeated

    def _attempts(self, *, single: bool) -> Iterator[AbstractContextManager[None]]:
        """One; and another, from the start and on the instant clock, when virtual time turned out to be impossible.

        Where a round has fixtures of its own, which may hang on its arm, the start is the next round's to make.
        """
        self.entered += 1
        yield self._attempt()
        if self._strangers and self.sampling.clock.name == "virtual":
            first = self.sampling.dispatched == 1
            self.sampling = self._new_sampling()
            if self.tape is not None:
                self.tape.deck.rewind()
            if first or not single:
                yield self._attempt()

    @contextmanager
    def _attempt(self) -> Iterator[None]:
        try:
            yield
        except BaseException as error:
            if self.sampling.halted and self._strangers and isinstance(error, Exception):
                return  # whatever the body made of it: all begins anew
            self.escaped = self._as_told(error)
            if self.escaped is error:
                raise
            raise self.escaped from error

    def _as_told(self, error: BaseException) -> BaseException:
        """A skip after the first round, or the SDK's word for a missing key, as what it means here."""
        if isinstance(error, _SKIPS) and any(not round_.failure for round_ in self.sampling.rounds):
            return UsageError(
                f"{self.sampling.raised_in} was skipped ({error}) after others had run: the measurement is not whole. "
                "Skip before the first round, or not at all"
            )
        if self.simulator is not None and self.simulator.refused and isinstance(error, Exception):
            return UsageError(self.simulator.refused[0])
        asks = self.source in (Source.LIVE, Source.RECORDED)
        if asks and (missing := keys.missing(error)):
            backend = self.run.settings.backend
            skipped: BaseException = pytest.skip.Exception(
                f"--llmperf-backend={backend} needs an API key: set {missing}"
            )
            return skipped
        return error

    @property
    def notes(self) -> tuple[str, ...]:
        """What a reader should know of how the test was run."""
        begun_anew = f"the instant clock was used, and the rounds begun anew: {self._strangers}"
        of_tape = [] if self.tape is None else self.tape.notes(self.sampling)
        return (*([begun_anew] if self._strangers else []), *of_tape, *self.sampling.notes)

    # --- clocks ---

    def _sync_time(self) -> AbstractContextManager[object]:
        from pytest_llmperf.clock import virtual

        if self.sampling.dispatched == 0:
            together = self.scenario.plan.most_workers > 1
            settings, usual = self.run.settings, self._usual_clock
            self._settle(clocks.of_plain_test(settings, usual=usual, together=together, strangers=self._strangers))
        clock = self.sampling.clock
        return virtual.enter_sync(clock) if isinstance(clock, virtual.VirtualClock) else nullcontext()

    @contextmanager
    def _async_time(self) -> Iterator[None]:
        """Virtual time on the running loop, or a watch on its lateness in real time."""
        from pytest_llmperf.clock import virtual

        if self.sampling.dispatched == 0:
            self._settle(clocks.of_coroutine(self.run.settings, usual=self._usual_clock, strangers=self._strangers))
        clock = self.sampling.clock
        with ExitStack() as stack:
            if isinstance(clock, virtual.VirtualClock):
                stack.enter_context(virtual.enter_loop(clock))
            elif clock.name == "realtime" and coroutines.on_asyncio():
                from pytest_llmperf.clock.lag import LoopLag

                self.lag = self.lag or LoopLag()  # one for all loops, where each round has its own
                self.sampling.lateness = stack.enter_context(self.lag).around
            yield

    def _settle(self, clock: Clock) -> None:
        """Take the clock of all rounds, and a simulated API that lives by it from its first moment."""
        tape, paced = self.tape, self.sampling.plan.is_open and self.source is not Source.REPLAYED
        clocks.check_paced(clock, paced=paced, strangers=self._strangers)
        if tape is None or tape.timed:  # without times every claim on them is answered, and inconclusive
            clocks.check_answerable(clock, self.scenario.claims, self._strangers, recorded=tape is not None)
        self.sampling.clock = clock
        if tape is not None:
            tape.deck.mode = "instant" if clock.name == "instant" else "timed"
        if self.simulator is not None:
            self.simulator.api = self._new_api()
            self.simulator.mode = "instant" if clock.name == "instant" else "timed"

    def _check_thread(self) -> None:
        """Notice a request from a thread that the test started itself: what it waits cannot be added to virtual time.

        It is answered at once, so that the round comes to its end, and the rounds begin anew on another clock.
        """
        from pytest_llmperf.clock.time_module import in_virtual_time

        serving = self.simulator if self.tape is None else self.tape.deck
        if serving is not None and self.sampling.clock.name == "virtual" and not in_virtual_time():
            self._strangers = f"thread {threading.current_thread().name!r} cannot live in virtual time"
            serving.mode = "instant"
            self.sampling.halted = True

    # --- backends ---

    def _substitute(self) -> Substitute | None:
        if self.tape is not None:
            return self.tape.deck
        if self.run.settings.backend != "simulate":
            return None
        from pytest_llmperf.simulator.transport import Simulator

        if self.simulator is None:
            self.simulator = Simulator(self._new_api(), "timed", self.run.protocols)
        substitute: Substitute = self.simulator
        return substitute

    @property
    def _usual_clock(self) -> str:
        if self.tape is not None:
            return self.tape.usual_clock(self.scenario.claims)
        return "virtual" if self.run.settings.backend == "simulate" else "realtime"

    def _new_api(self) -> SimulatedApi:
        from pytest_llmperf.simulator.api import SimulatedApi

        return SimulatedApi(self.run.profile, self._seed, self._now_ns)

    @property
    def _seed(self) -> int:
        """Of this test, and of this process's part in it."""
        return seeds.of_test(self.item, self.run.settings.seed, part=self.is_part)

    @property
    def source(self) -> Source:
        """Where this test's numbers come from."""
        if self.tape is not None:
            return self.tape.source
        return Source.SIMULATED if self.run.settings.backend == "simulate" else Source.LIVE


def call(item: pytest.Item, scenario: Scenario, run: Run) -> Generator[None, object, None]:
    """The call phase of a marked test, around whatever runs it."""
    try:
        if scenario.plan.off:
            assert isinstance(item, pytest.Function)
            with Execution(item, scenario, run).active():
                yield
            return
        if reason := refusal(item):
            raise UsageError(f"llmperf cannot repeat this test: {reason}. Use one or the other")
        assert isinstance(item, pytest.Function)
        fresh = item.stash.get(FRESH, None)
        execution = Execution(item, scenario, run) if fresh is None else fresh
        with execution.active(single=fresh is not None):
            try:
                yield
            except BaseException as error:
                conclusion.broke_off(execution, error)
                raise
        if execution.escaped is not None:
            conclusion.broke_off(execution, execution.escaped)
        elif fresh is None:
            conclusion.conclude(execution)
    except LLMPerfError as error:
        raise plainly(error) from None


def plainly(error: LLMPerfError) -> BaseException:
    """An error whose text says it all: its traceback through our code would only hide it."""
    text = "\n".join([str(error), *getattr(error, "__notes__", ())])
    failed: Any = pytest.fail.Exception
    plain: BaseException = failed(text, pytrace=False)
    return plain


@contextmanager
def _seen_by_unittest(item: pytest.Function, swapped: Callable[..., object]) -> Iterator[None]:
    """Swap the body of an async test case as well: unittest takes it from the instance, past the item."""
    case = item.instance
    if not isinstance(case, unittest.IsolatedAsyncioTestCase):
        yield
        return
    setattr(case, item.name, swapped)
    try:
        yield
    finally:
        delattr(case, item.name)
