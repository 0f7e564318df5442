"""Runs one marked test: swaps its body for one that is repeated, and judges what was gathered.

The body is replaced for the call phase only, a coroutine function by a coroutine function, so that whichever plugin
runs async tests makes one event loop for all rounds. The verdict is raised in the call phase: xfail, `--lf`, reruns,
JUnit and annotations then work as for any failing test.
"""

from __future__ import annotations

import functools
import inspect
import random
import sys
from collections.abc import Awaitable, Callable, Generator, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest

from pytest_llmperf.core import wording
from pytest_llmperf.core.environment import Source
from pytest_llmperf.core.errors import LLMPerfError, UsageError
from pytest_llmperf.plugin.fixtures import RECORDER
from pytest_llmperf.plugin.marks import Scenario, marks_of
from pytest_llmperf.plugin.session import LLMPerfWarning, Run

if TYPE_CHECKING:
    from pytest_llmperf.capture import Substitute
    from pytest_llmperf.clock.lag import LoopLagSampler
    from pytest_llmperf.core.verdict import Verdict
    from pytest_llmperf.reports.report import TestResult
    from pytest_llmperf.runner.loop import Sampling

SCENARIO = pytest.StashKey[Scenario]()
RESULT = pytest.StashKey["TestResult"]()
FRESH = pytest.StashKey["Execution"]()
"""The execution of a test whose rounds are repeated from outside."""

_OFFLINE = {"replay": "replay of cassettes", "record": "recording of cassettes"}


_Failed: Any = pytest.fail.Exception


class ClaimFailed(_Failed):  # type: ignore[misc]
    """A claim was shown not to hold."""


class ClaimInconclusive(ClaimFailed):
    """A claim was shown neither way, and the run asks for that to fail."""


def refusal(item: pytest.Item) -> str:
    """Why this test cannot be repeated by us; empty when it can."""
    if not isinstance(item, pytest.Function):
        return "it is no Python function"
    if hasattr(item.obj, "is_hypothesis_test"):
        return "hypothesis already repeats it with many examples"
    fixtures = set(item.fixturenames)
    if "__pytest_repeat_step_number" in fixtures:
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
    lag: LoopLagSampler | None = None
    _simulator: Any = None

    def __post_init__(self) -> None:
        from pytest_llmperf.capture import Recorder
        from pytest_llmperf.clock.wall import WallClock
        from pytest_llmperf.runner.budget import Budget
        from pytest_llmperf.runner.loop import Sampling

        plan = self.scenario.plan
        clock = self._clock_for_sync() if not _is_async(self.item.obj) else WallClock()
        own = Budget(max_usd=plan.max_usd, max_seconds=plan.max_seconds, label="llmperf mark: ")
        self.sampling = Sampling(
            plan=plan,
            clock=clock,
            recorder=Recorder(self._now_ns),
            prices=self.run.prices,
            budgets=(self.run.budget, own),
            errors_claimed=any(objective.metric == "error_rate" for objective in self.scenario.objectives),
            on_round=lambda sampling: self.run.progress.show(self.item, sampling),
        )
        own.now = lambda: self.sampling.clock.now_ns() / 1e9

    def _now_ns(self) -> int:
        """The scenario's time: which clock keeps it is known only once the body runs."""
        return self.sampling.clock.now_ns()

    # --- running ---

    @contextmanager
    def active(self, *, single: bool = False) -> Iterator[None]:
        """Observe, substitute the network where the backend says so, and run the swapped body inside.

        Args:
            single: run one round only; the rounds are repeated from outside.
        """
        from pytest_llmperf.capture import observing

        original = self.item.obj
        swap = self._repeated_async if _is_async(original) else self._repeated
        self.item.obj = swap(original, single=single)
        self.item.stash[RECORDER] = self.sampling.recorder
        try:
            with observing(self.sampling.recorder, self._substitute()):
                yield
        finally:
            self.item.obj = original
            self.run.progress.clear()

    @property
    def finished(self) -> bool:
        """Whether nothing is left to run."""
        return bool(self.sampling.ended_by) or self.sampling.dispatched >= self.scenario.plan.total_rounds

    def _repeated(self, original: Callable[..., object], *, single: bool) -> Callable[..., object]:
        @functools.wraps(original)
        def repeated(*args: Any, **kwargs: Any) -> None:
            with self._sync_time():
                run = self.sampling.run_one if single else self.sampling.run
                run(lambda: original(*args, **kwargs))

        return repeated

    def _repeated_async(
        self, original: Callable[..., Awaitable[object]], *, single: bool
    ) -> Callable[..., Awaitable[object]]:
        @functools.wraps(original)
        async def repeated(*args: Any, **kwargs: Any) -> None:
            with self._async_time():
                run = self.sampling.run_one_async if single else self.sampling.run_async
                await run(lambda: original(*args, **kwargs))

        return repeated

    # --- clocks ---

    def _clock_for_sync(self) -> Any:
        from pytest_llmperf.clock.virtual import VirtualClock
        from pytest_llmperf.clock.wall import WallClock

        asked, threads = self.run.settings.clock, self.scenario.plan.concurrency > 1
        if self.run.settings.backend != "simulate":
            return WallClock()
        if asked == "virtual" and threads:
            raise UsageError(
                "a plain (not async) test cannot run several rounds at once in virtual time; "
                "make it async, or use --llmperf-clock=instant or realtime"
            )
        if asked == "virtual" or (asked == "auto" and not threads):
            return VirtualClock()
        return WallClock("realtime" if asked == "realtime" else "instant")

    def _clock_for_async(self) -> Any:
        from pytest_llmperf.clock import virtual
        from pytest_llmperf.clock.wall import WallClock

        asked = self.run.settings.clock
        if self.run.settings.backend != "simulate":
            return WallClock()
        unsupported = virtual.why_unsupported()
        if asked == "virtual" or (asked == "auto" and not unsupported):
            if unsupported:
                raise UsageError(f"--llmperf-clock=virtual: {unsupported}")
            return virtual.VirtualClock()
        return WallClock("realtime" if asked == "realtime" else "instant")

    def _sync_time(self) -> AbstractContextManager[object]:
        from pytest_llmperf.clock import virtual

        clock = self.sampling.clock
        self._settle_clock()
        return virtual.enter_sync(clock) if isinstance(clock, virtual.VirtualClock) else nullcontext()

    @contextmanager
    def _async_time(self) -> Iterator[None]:
        """Virtual time on the running loop, or a sampler of its lateness in real time."""
        from pytest_llmperf.clock import virtual

        if self.sampling.dispatched == 0:
            self.sampling.clock = self._clock_for_async()
        clock = self.sampling.clock
        self._settle_clock()
        with ExitStack() as stack:
            if isinstance(clock, virtual.VirtualClock):
                stack.enter_context(virtual.enter_loop(clock))
            elif clock.name == "realtime" and _on_asyncio():
                from pytest_llmperf.clock.lag import LoopLagSampler

                self.lag = stack.enter_context(LoopLagSampler())
            yield

    def _settle_clock(self) -> None:
        """Refuse claims that the clock cannot answer, and tell the simulated API how to wait."""
        from pytest_llmperf.core.metrics import needs_waiting

        name = self.sampling.clock.name
        refused = [o for o in self.scenario.objectives if name == "instant" and needs_waiting(o.metric)]
        if refused:
            raise UsageError(
                f"{refused[0].mark}: the instant clock does not wait, so it cannot give {refused[0].metric}; "
                "use --llmperf-clock=virtual (async tests on asyncio, plain tests one round at a time) or realtime"
            )
        if self._simulator is not None:
            self._simulator.mode = "instant" if name == "instant" else "timed"

    # --- backends ---

    def _substitute(self) -> Substitute | None:
        backend = self.run.settings.backend
        if backend in _OFFLINE:
            raise UsageError(
                f"--llmperf-backend={backend}: {_OFFLINE[backend]} comes with a later version. "
                "Use --llmperf-backend=simulate (offline, no key) or --llmperf-backend=live (needs a key, costs money)"
            )
        if backend == "live":
            return None
        from pytest_llmperf.simulator.api import SimulatedApi
        from pytest_llmperf.simulator.transport import Simulator

        # The seed of a test is its own, so that the order of tests and xdist's distribution change nothing.
        seed = random.Random(f"{self.run.settings.seed} {self.item.nodeid}").getrandbits(32)
        if self._simulator is None:
            api = SimulatedApi(self.run.profile, seed, self._now_ns)
            self._simulator = Simulator(api, "timed")
        substitute: Substitute = self._simulator
        return substitute

    @property
    def source(self) -> Source:
        """Where this test's numbers come from."""
        return Source.LIVE if self.run.settings.backend == "live" else Source.SIMULATED

    # --- the answer ---

    def gathered(self, *, error: str = "", interrupted: bool = False, verdicts: tuple[Verdict, ...] = ()) -> TestResult:
        """What was measured so far, with the verdicts on it."""
        from pytest_llmperf.core.verdict import combined
        from pytest_llmperf.reports.report import TestResult

        lag = self.lag.quantile(0.99) if self.lag is not None else None
        series = self.sampling.series(self.scenario.plan.name or self.item.nodeid, self.source, loop_lag=lag)
        outcome = "error" if error or interrupted else combined([v.outcome for v in verdicts]).value
        return TestResult(
            nodeid=_plain_nodeid(self.item.nodeid),
            outcome=outcome,
            source=self.source,
            clock=series.clock,
            series=(series,),
            verdicts=verdicts,
            notes=self._notes(series.ended_by, series.unattributed),
            error=error,
            interrupted=interrupted,
        )

    def _notes(self, ended_by: str, unattributed: int) -> tuple[str, ...]:
        notes = [*self.sampling.recorder.warnings]
        if ended_by:
            notes.append(f"sampling ended early: {ended_by}")
        if unattributed:
            notes.append(f"{wording.count(unattributed, 'call')} could not be told to one round and are not judged")
        return tuple(notes)

    def conclude(self) -> None:
        """Judge the finished series and let the test end accordingly.

        Raises:
            ClaimFailed: a claim was shown not to hold.
            UsageError: there is nothing that could be judged.
        """
        from pytest_llmperf.core.judge import judge

        self._check_count()
        series = self.gathered().series[0]
        if not series.judged and any(o.metric != "scenario" for o in self.scenario.objectives) and not series.ended_by:
            raise UsageError(
                f"no LLM call was seen in {wording.count(len(series.rounds), 'round')}: the call must be made in this "
                "process through httpx or httpx2 (the anthropic SDK does), inside the test body"
            )
        verdicts = tuple(judge(series, objective) for objective in self.scenario.objectives)
        result = self.item.stash[RESULT] = self.gathered(verdicts=verdicts)
        self._end_as(result)

    def _check_count(self) -> None:
        """A body that whoever ran the test called once, or never, is the worst silent mistake there could be."""
        ran, asked = len(self.sampling.rounds), self.scenario.plan.total_rounds
        if ran != asked and not self.sampling.ended_by:
            raise UsageError(
                f"{ran} rounds were run where {asked} were asked: another plugin ran the test in its own way"
            )

    def _end_as(self, result: TestResult) -> None:
        from pytest_llmperf.reports.failure import failure_text

        policy = self.run.settings.inconclusive
        profile = self.run.settings.profile if self.source is Source.SIMULATED else ""
        if result.outcome == "failed":
            raise ClaimFailed(failure_text(result, profile=profile), pytrace=False)
        if result.outcome == "inconclusive" and policy == "fail":
            raise ClaimInconclusive(failure_text(result, profile=profile), pytrace=False)
        if result.outcome == "inconclusive" and policy == "warn":
            self.item.warn(LLMPerfWarning(failure_text(result, profile=profile)))

    def broke_off(self, error: BaseException) -> None:
        """Keep what was gathered when the body raised, with the round it raised in."""
        interrupted = isinstance(error, KeyboardInterrupt | SystemExit | pytest.exit.Exception)
        number = self.sampling.failed_round
        if number is not None and not interrupted and not isinstance(error, LLMPerfError):
            error.add_note(f"llmperf: in {self._round_name(number)}")
        text = f"{type(error).__name__}: {error}"
        result = self.item.stash[RESULT] = self.gathered(error=text, interrupted=interrupted)
        if interrupted:
            self.run.keep(result)

    def _round_name(self, number: int) -> str:
        plan = self.scenario.plan
        if number < plan.warmup:
            return f"warm-up round {number + 1} of {plan.warmup}"
        return f"round {number - plan.warmup + 1} of {plan.rounds}"


def call(item: pytest.Item, scenario: Scenario, run: Run) -> Generator[None, object, None]:
    """The call phase of a marked test, around whatever runs it."""
    if reason := refusal(item):
        raise plainly(UsageError(f"llmperf cannot repeat this test: {reason}. Use one or the other"))
    assert isinstance(item, pytest.Function)
    try:
        fresh = item.stash.get(FRESH, None)
        execution = Execution(item, scenario, run) if fresh is None else fresh
        with execution.active(single=fresh is not None):
            try:
                yield
            except BaseException as error:
                _skip_without_key(error, run)
                execution.broke_off(error)
                raise
        if fresh is None:
            execution.conclude()
    except LLMPerfError as error:
        raise plainly(error) from None


def plainly(error: LLMPerfError) -> BaseException:
    """An error whose text says it all: its traceback through our code would only hide it."""
    failed: BaseException = _Failed(str(error), pytrace=False)
    return failed


def _skip_without_key(error: BaseException, run: Run) -> None:
    if run.settings.backend == "live" and "Could not resolve authentication method" in str(error):
        pytest.skip("--llmperf-backend=live needs an API key: set ANTHROPIC_API_KEY")


def _is_async(function: Any) -> bool:
    return inspect.iscoroutinefunction(inspect.unwrap(function)) or inspect.iscoroutinefunction(function)


def _on_asyncio() -> bool:
    asyncio = sys.modules.get("asyncio")
    if asyncio is None:
        return False
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True


def _plain_nodeid(nodeid: str) -> str:
    """The node id without the group that pytest-xdist may append."""
    return nodeid.rpartition("@")[0] if "@" in nodeid.rpartition("]")[2] else nodeid
