"""The live line while a long test samples: written behind pytest's own text, and gone when the test ends.

The cursor is saved, the line written and the cursor restored, so that the final screen is that of a run without it.
In the log of a CI service a test that takes long has a line of its own once a minute, since some services stop a job
that is silent. Nothing is written where there is neither, on xdist workers, or with `-q`.
"""

from __future__ import annotations

import os
import threading
from contextlib import AbstractContextManager, nullcontext
from time import perf_counter  # by name: in virtual time the module's own would tell the scenario's
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from pytest_llmperf.runner.loop import Sampling

_PAUSE = 0.1
"""Seconds between two writings."""
_HEARTBEAT = 60.0
"""Seconds between two lines of a log."""
_SAVE, _RESTORE, _ERASE = "\x1b7", "\x1b8", "\x1b[K"


class Progress:
    """Shows how far the sampling of the running test is."""

    def __init__(self, config: pytest.Config) -> None:
        self._config = config
        self._reporter: Any = config.pluginmanager.get_plugin("terminalreporter")
        self._capture: Any = config.pluginmanager.get_plugin("capturemanager")
        writer = config.get_terminal_writer() if self._reporter is not None else None
        isatty = getattr(self._reporter, "isatty", False)
        spoken = self._reporter is not None and config.get_verbosity() >= 0
        self._live = spoken and bool(isatty) and writer is not None and writer.hasmarkup
        self._logs = spoken and not isatty and bool(os.environ.get("CI"))
        self._written = 0.0
        self._began: dict[str, float] = {}
        self._shown = False
        self._writing = threading.Lock()

    def show(self, item: pytest.Item, sampling: Sampling) -> None:
        """Write the line anew, unless it was just written, or is being written for a round in another thread."""
        if not (self._live or self._logs) or not self._writing.acquire(blocking=False):
            return
        try:
            self._show(item, sampling, perf_counter())
        finally:
            self._writing.release()

    def _show(self, item: pytest.Item, sampling: Sampling, now: float) -> None:
        began = self._began.setdefault(item.nodeid, now)
        pause = _PAUSE if self._live else _HEARTBEAT
        if now - (self._written if self._live else max(self._written, began)) < pause:
            return
        self._written = now
        text = _told(sampling, now - began)
        if self._live:
            self._write(text)
        else:
            self._log(f"llmperf: {item.nodeid}: {text}")

    def _log(self, line: str) -> None:
        """A line of its own, after which pytest begins one too."""
        with self._uncaptured():
            self._reporter.ensure_newline()
            self._reporter.write_line(line)
            self._reporter.flush()

    def clear(self) -> None:
        """Take the line away."""
        if self._shown:
            self._write("")
            self._shown = False

    def _write(self, text: str) -> None:
        writer = self._config.get_terminal_writer()
        room = max(writer.fullwidth - writer.width_of_current_line - 2, 0)
        line = f" {text}"[:room] if text else ""
        with self._uncaptured():
            self._reporter.write_raw(f"{_SAVE}{line}{_ERASE}{_RESTORE}", flush=True)
        self._shown = bool(text)

    def _uncaptured(self) -> AbstractContextManager[None]:
        return nullcontext() if self._capture is None else self._capture.global_and_fixture_disabled()


def _told(sampling: Sampling, elapsed: float) -> str:
    from pytest_llmperf.reports.terminal import progress_text

    done, total = len(sampling.rounds), sampling.plan.total_rounds
    return progress_text(
        done,
        total,
        spend_usd=sum(measurement.values.get("cost", 0.0) for measurement in sampling.measurements),
        elapsed_s=elapsed,
        remaining_s=elapsed / done * (total - done) if done else None,
        claims=None if sampling.stopping is None else sampling.stopping.so_far(),
        note=f"{sampling.clock.name} time",
    )
