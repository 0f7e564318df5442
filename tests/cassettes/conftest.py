"""What the tests of cassettes share: a cassette that is recorded and played around a piece of code."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from pytest_llmperf.capture import Recorder, observing
from pytest_llmperf.cassettes import document
from pytest_llmperf.cassettes.cassette import opened
from pytest_llmperf.cassettes.deck import Deck
from pytest_llmperf.cassettes.redaction import NONE, Rules
from pytest_llmperf.cassettes.timeline import NO_ROUND, Label


@dataclass
class Tape:
    """One cassette, and what was seen while it was in use."""

    path: Path
    rules: Rules = NONE
    label: Label = NO_ROUND
    calls: list[Any] = field(default_factory=list)
    recorded_calls: list[Any] = field(default_factory=list)

    @contextmanager
    def recording(self, mode: str = "once") -> Iterator[Deck]:
        """Record what is asked inside, and write the file."""
        journal = document.Journal(document.journal_of(self.path))
        with closing(journal), self._used(mode, journal) as deck:
            yield deck
        document.write(self.path, deck.cassette.interactions)

    @contextmanager
    def playing(self, mode: str = "instant") -> Iterator[Deck]:
        """Answer what is asked inside from the file."""
        with self._used("none", None) as deck:
            deck.mode = mode
            yield deck

    @contextmanager
    def _used(self, record_mode: str, journal: Any) -> Iterator[Deck]:
        cassette = opened(self.path, record_mode=record_mode, rules=self.rules)
        recorder = Recorder(time.perf_counter_ns)
        deck = Deck(
            cassette, now_ns=time.perf_counter_ns, label=lambda: self.label, takes=lambda _: True, journal=journal
        )
        with observing(recorder, deck), recorder.round("round"):
            yield deck
        self.calls = list(recorder.take("round"))
        deck.check()
        assert not [text for text in [*recorder.warnings, *deck.warnings] if "failed" in text]

    @property
    def told(self) -> list[dict[str, Any]]:
        """The timed part of each interaction in the file."""
        return [one.response["x-llmperf"] for one in document.read(self.path)]


@pytest.fixture
def tape(tmp_path: Path) -> Tape:
    """A cassette that is not there yet."""
    return Tape(tmp_path / "cassettes" / "tape.yaml")


@pytest.fixture
def both(tape: Tape) -> Callable[..., tuple[Any, Any]]:
    """Run something while recording, and again while playing; what each gave."""

    def run(ask: Callable[[], Any], mode: str = "instant") -> tuple[Any, Any]:
        with tape.recording():
            there = ask()
        tape.recorded_calls = tape.calls
        with tape.playing(mode):
            here = ask()
        return there, here

    return run
