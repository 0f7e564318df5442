"""Tells OpenTelemetry of the tests that ran, where the process has set it up.

A test is told of when all of its phases are over, before the next one begins: outside of every measurement, of virtual
time and of time-outs. That happens in a thread of its own, which is waited for as long as it gets on: an exporter that
raises or hangs costs a line at the end of the run, and no test its outcome.
"""

from __future__ import annotations

import threading
import traceback
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import PurePath
from typing import TYPE_CHECKING, Any

from pytest_llmperf.plugin.stash import RESULT, RUN, SAMPLING, SETTINGS, TOLD
from pytest_llmperf.plugin.workers import is_worker, together

if TYPE_CHECKING:
    import pytest

    from pytest_llmperf.core.call import Call
    from pytest_llmperf.plugin.session import Run
    from pytest_llmperf.reports.report import TestResult
    from pytest_llmperf.telemetry.outlet import Outlet
    from pytest_llmperf.telemetry.particulars import Particulars

UNTOLD_KEY = "llmperf_untold"  # as in the plugin's own module, which imports this one only where it is needed
PATIENCE = 5.0
"""Seconds in which no span was taken, after which nobody waits any longer."""


@dataclass(slots=True)
class Told:
    """One run of a test, as far as it is to be told."""

    outlet: Outlet
    context: Any
    """OpenTelemetry's, in which its body ran."""
    particulars: dict[int, tuple[Particulars, ...]] = field(default_factory=dict)
    """Of its calls, by round."""
    result: TestResult | None = None
    began: float = 0.0
    """Unix time of its first round."""


class Listener:
    """Hears of one sampling, if there is somebody to tell by the time that its first round begins."""

    def __init__(self, item: pytest.Item) -> None:
        self._item = item
        self.told: Told | None = None

    def began(self) -> None:
        """Look for an outlet, and take the context of the body that runs this."""
        if self._item.config.stash[SETTINGS].otel == "off" or self._item.config.stash[RUN].untold:
            return
        from pytest_llmperf.telemetry import outlet

        try:
            if (found := outlet.set_up()) is not None:
                self.told = Told(found, outlet.current_context())
        except Exception as error:  # noqa: BLE001 - of an SDK that cannot be set up
            _give_up(self._item.config, _failed(error))

    def ended(self, number: int, calls: Sequence[Call]) -> None:
        """Keep what is to be said of the calls of a round."""
        if self.told is None:
            return
        from pytest_llmperf.telemetry.particulars import particulars

        try:
            self.told.particulars[number] = tuple(particulars(call) for call in calls)
        except Exception as error:  # noqa: BLE001 - ours: the spans have no names then
            _give_up(self._item.config, _failed(error))


def keep(item: pytest.Item, result: TestResult) -> None:
    """Take the result of the item's last run, to be told when the item is over; it may be tried again before."""
    sampling = item.stash[SAMPLING]
    listener = sampling.listener
    if isinstance(listener, Listener) and listener.told is not None:
        listener.told.result, listener.told.began = result, sampling.began
        item.stash.setdefault(TOLD, []).append(listener.told)


def tell(item: pytest.Item) -> None:
    """Tell of every run of an item, and wait for it as long as it gets on."""
    if RESULT in item.stash:  # of a run that was interrupted there is no report
        keep(item, item.stash[RESULT])
    for told in item.stash.get(TOLD, ()):
        if not item.config.stash[RUN].untold:
            _tell(item.config, told)
    item.stash.setdefault(TOLD, []).clear()


def _tell(config: pytest.Config, told: Told) -> None:
    trouble: list[str] = []
    thread = threading.Thread(target=_guarded, args=(told, _beside(config), trouble), name="llmperf-otel", daemon=True)
    try:
        thread.start()
    except RuntimeError as error:  # no thread can be had
        trouble.append(_failed(error))
    before = -1
    while thread.is_alive() and told.outlet.handed_over != before:
        before = told.outlet.handed_over
        thread.join(PATIENCE)
    if thread.is_alive():
        told.outlet.closed = True
        trouble.append(f"its exporter took no span for {PATIENCE:g} s")
    if trouble:
        _give_up(config, trouble[0])


def _guarded(told: Told, beside: dict[str, Any], trouble: list[str]) -> None:
    """Everything that may fail, in a thread where nobody minds."""
    from pytest_llmperf.telemetry.result import result_span

    try:
        assert told.result is not None
        began_ns = round(told.began * 1e9)
        told.outlet.tell(result_span(told.result, told.particulars, began_ns=began_ns, beside=beside), told.context)
    except BaseException as error:  # noqa: BLE001 - whatever it is, no test is the worse for it
        trouble.append(_failed(error))


def _beside(config: pytest.Config) -> dict[str, Any]:
    worker: dict[str, Any] = getattr(config, "workerinput", {})
    found = {"llmperf.worker": worker.get("workerid")}
    # A part of what several processes measure is judged by none of them.
    return found | {"llmperf.part": True, "llmperf.outcome": None} if together(config) else found


def _failed(error: BaseException) -> str:
    frame = traceback.extract_tb(error.__traceback__)[-1:]
    where = f" at {PurePath(frame[0].filename).name}:{frame[0].lineno}" if frame else ""
    return f"{type(error).__name__}: {error}{where}"


def _give_up(config: pytest.Config, why: str) -> None:
    """Say once that nothing more will be told."""
    run: Run = config.stash[RUN]
    run.untold = f"no more is told to OpenTelemetry: {why}. Results and outcomes are none the worse for it"
    if is_worker(config):
        config.workeroutput[UNTOLD_KEY] = run.untold  # type: ignore[attr-defined]
    else:
        run.troubles.append(run.untold)
