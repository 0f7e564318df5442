"""The cassette of one test: where it is, whether it is played or recorded, and how many rounds there are to judge.

A cassette lies beside the test, under the name that pytest-recording would give it, so that either plugin finds it. A
test that pytest-recording serves already (its mark `vcr`) keeps the cassette of that plugin.
"""

from __future__ import annotations

import hashlib
import shlex
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from pytest_llmperf.core import wording
from pytest_llmperf.core.environment import Source
from pytest_llmperf.core.errors import UsageError
from pytest_llmperf.plugin.options import Settings
from pytest_llmperf.plugin.session import plain_nodeid

if TYPE_CHECKING:
    from pytest_llmperf.cassettes.cassette import TimedCassette
    from pytest_llmperf.cassettes.deck import Deck
    from pytest_llmperf.cassettes.document import Journal
    from pytest_llmperf.cassettes.redaction import Rules
    from pytest_llmperf.cassettes.rounds import RecordedRounds
    from pytest_llmperf.cassettes.timeline import Label
    from pytest_llmperf.core.claims import Contrast, Regression, Scaling
    from pytest_llmperf.core.exchange import Exchange
    from pytest_llmperf.core.objective import Objective
    from pytest_llmperf.runner.loop import Sampling
    from pytest_llmperf.runner.plan import Plan
    from pytest_llmperf.runner.schedule import Turn

FOLDER = "cassettes"
_FORBIDDEN = str.maketrans(dict.fromkeys("<>?%*:|\"'/\\", "-"))
_LONGEST_NAME = 200
"""Characters; file systems allow 255, of which a journal and a temporary file take some."""


@dataclass(slots=True)
class Tape:
    """What is played or recorded for one test."""

    path: Path
    asked: Plan
    cassette: TimedCassette
    deck: Deck
    record_mode: str
    """Empty when nothing is recorded."""
    journal: Journal | None = None
    borrowed: bool = False
    """pytest-recording's, which loads and saves it."""
    recovered: int = 0
    """Interactions that a journal of an earlier recording gave back."""
    written: str = ""
    """What became of the recording, in words."""
    rounds: RecordedRounds = field(init=False)
    """Those on the cassette when it was opened."""

    def __post_init__(self) -> None:
        """Look what there is."""
        from pytest_llmperf.cassettes.rounds import recorded_rounds

        self.rounds = recorded_rounds(timing.label for timing in self.cassette.timings if timing is not None)

    @property
    def records(self) -> bool:
        """Whether requests may reach the network."""
        return bool(self.record_mode)

    @property
    def source(self) -> Source:
        """Where the numbers come from."""
        return Source.RECORDED if self.records else Source.REPLAYED

    @property
    def timed(self) -> bool:
        """Whether all that is on the cassette has its timing."""
        return all(timing is not None for timing in self.cassette.timings)

    @property
    def plan(self) -> Plan:
        """As many of the rounds asked for as there are recordings for, when nothing is recorded."""
        if self.records:
            return self.asked
        if self.rounds:
            asked, arms = self.asked, [arm.name for arm in self.asked.arms]
            return replace(
                asked,
                warmup=min(asked.warmup, self.rounds.warmups(arms)),
                rounds=max(1, min(asked.rounds, self.rounds.judged(arms))),
                rate_per_minute=asked.rate_per_minute and (self.rounds.rate or asked.rate_per_minute),
            )
        # Recorded by something that runs no rounds: as many as it lasts, and one by one to see how long it does.
        return replace(self.asked, warmup=0, rounds=max(1, min(self.asked.rounds, len(self.cassette))), concurrency=1)

    def lag_of(self, turn: Turn) -> int | None:
        """How late a round began when it was recorded, in nanoseconds; None where that is not known."""
        from pytest_llmperf.cassettes.timeline import Label

        label = Label(turn.ordinal - self.plan.warmup, turn.arm.name)
        return None if self.records else self.rounds.lag_ns(label)

    def round_ended(self, sampling: Sampling) -> None:
        """End the sampling when a cassette without rounds has nothing left."""
        if self.records or self.rounds or not self.cassette.all_played:
            return
        sampling.halted = True
        if len(sampling.plan.arms) == 1:
            sampling.plan = replace(sampling.plan, rounds=max(1, len(sampling.rounds)))
        else:
            sampling.ended_by = "the cassette holds no more"

    def usual_clock(self, claims: Sequence[Objective | Contrast | Scaling | Regression]) -> str:
        """What `--llmperf-clock=auto` stands for."""
        from pytest_llmperf.plugin import clocks

        if self.records:
            return "realtime"
        return clocks.for_recordings(claims) if self.timed else "instant"

    def notes(self, sampling: Sampling) -> list[str]:
        """What a reader should know of the numbers."""
        notes = [self.written] if self.written else []
        sources = {timing.source for timing in self.cassette.timings if timing is not None}
        if sources - {""}:
            notes.append(f"recorded from a {' and a '.join(sorted(sources - {''}))} API: nothing here is a real one's")
        if self.deck.played and not self.timed:
            notes.append(f"{self.path.name} is untimed: another tool recorded it, and nothing can be said of time")
        judged = sum(not round_.warmup for round_ in sampling.rounds) // len(sampling.plan.arms)
        if not self.records and not sampling.settled and judged < self.asked.rounds and not sampling.ended_by:
            notes.append(
                f"{wording.count(judged, 'round')} judged of the {self.asked.rounds} asked for: the cassette holds no"
                f" more, and no recording is judged twice"
            )
        notes += [] if self.records else self._notes_on_rate()
        if self.records and self.deck.played:
            notes.append(
                f"{wording.count(self.deck.played, 'exchange')} came from the cassette as it was, in real time"
            )
        return [*notes, *self.deck.warnings]

    def _notes_on_rate(self) -> list[str]:
        asked, recorded = self.asked.rate_per_minute, self.rounds.rate
        if self.asked.is_open and recorded is None:
            return ["the recording does not say that its rounds were begun at a rate, nor when they were due"]
        if asked and recorded != asked:
            return [f"recorded at {recorded:g} rounds a minute, not at the {asked:g} asked for: record again for those"]
        return []

    def finish(self, sampling: Sampling, *, complete: bool) -> None:
        """Write what was recorded, or keep it apart when the recording is not whole.

        Raises:
            CassetteError: it could not be written down.
        """
        from pytest_llmperf.cassettes.errors import CassetteError

        if self.journal is None:
            return
        try:
            self.deck.check()
            if complete and not (self._replaces and sampling.ended_by):
                self._write(sampling)
            elif self.deck.recorded:
                self.written = f"the recording is not whole: what there is was kept in {self._shown(self.journal.path)}"
        except OSError as error:
            raise CassetteError(f"cannot write {self.path}: {error}; nothing of the cassette was changed") from error
        finally:
            self.journal.close()

    @property
    def _replaces(self) -> bool:
        return self.record_mode == "all" and self.path.exists()

    def _write(self, sampling: Sampling) -> None:
        from pytest_llmperf.cassettes import document

        assert self.journal is not None
        # Of a recording that was cut off only that counts which the rounds of now asked for again.
        given_back = range(len(self.cassette.data) - self.deck.recorded - self.recovered, len(self.cassette.data))
        unused = set(given_back[: self.recovered]) - self.cassette.play_counts.keys()
        interactions = [one for number, one in enumerate(self.cassette.interactions) if number not in unused]
        if not any(one.timing is None or one.timing.answered for one in interactions):
            self.written = "nothing was answered, so no cassette was written"
        elif self.deck.recorded or self.cassette.dirty:
            kept = _of_whole_rounds(interactions, sampling)
            self.path = document.write(self.path, list(document.sorted_by_start(kept)))
            self.written = f"recorded to {self._shown(self.path)}"
        self.journal.discard()

    def _shown(self, path: Path) -> str:
        return f"{path.parent.parent.name}/{path.parent.name}/{path.name}"


def serving(
    item: pytest.Function, plan: Plan, settings: Settings, *, now_ns: Callable[[], int], label: Callable[[], Label]
) -> Tape | None:
    """The cassette of a test: pytest-recording's where that serves it, else our own where the backend wants one.

    Raises:
        UsageError: the test cannot have one.
        CassetteError: it has none, or one that cannot be read.
    """
    if settings.backend == "simulate":
        return None
    if is_lent(item) and plan.fresh_fixtures:
        raise UsageError("llmperf(fresh_fixtures=True): the mark vcr would play the same recording in every round")
    lent = borrowed_tape(item, plan, now_ns=now_ns, label=label)
    if lent is not None or settings.backend == "live":
        return lent
    return tape_of(item, plan, settings, now_ns=now_ns, label=label)


def label_of(sampling: Sampling) -> Label:
    """The round that the running code belongs to, as it stands on a cassette."""
    from pytest_llmperf.cassettes.timeline import NO_ROUND, Label

    opened = sampling.current
    if opened is None:
        return NO_ROUND
    rate = sampling.plan.rate_of(opened.arm)
    lag_ns = None if opened.due_ns is None else opened.lag_ns
    return Label(opened.ordinal - sampling.plan.warmup, opened.arm.name, rate, lag_ns)


def tape_of(
    item: pytest.Function, plan: Plan, settings: Settings, *, now_ns: Callable[[], int], label: Callable[[], Label]
) -> Tape:
    """The cassette of a test, opened.

    Raises:
        CassetteMissing: it is to be played, and there is none.
        CassetteUnreadable: there is one that cannot be read.
    """
    from pytest_llmperf.cassettes import document
    from pytest_llmperf.cassettes.cassette import opened
    from pytest_llmperf.cassettes.deck import Deck

    path = path_of(item)
    mode, there = _record_mode(path, settings), document.found(path)
    if there is None and not mode:
        raise _missing(item, path)
    journal = document.Journal(document.journal_of(path, replacing=mode == "all" and there is not None))
    if mode == "all":
        journal.discard()
    kept = document.recovered(journal.path) if mode else []
    cassette = opened(
        there or path,
        record_mode="new_episodes" if kept else mode or "none",
        rules=_rules(settings),
        extra=kept,
        blank=mode == "all",
    )
    deck = Deck(
        cassette,
        now_ns=now_ns,
        label=label,
        source=_answered_by,
        journal=journal if mode else None,
        remedy=f"{command(item)} --llmperf-record-mode=all",
    )
    return Tape(there or path, plan, cassette, deck, mode, journal if mode else None, recovered=len(kept))


def borrowed_tape(
    item: pytest.Function, plan: Plan, *, now_ns: Callable[[], int], label: Callable[[], Label]
) -> Tape | None:
    """The cassette that pytest-recording opened for a test; None when it serves none, or one that cannot be timed."""
    lent: Any = item.funcargs.get("vcr")
    if lent is None or not hasattr(lent, "timings"):
        return None
    from pytest_llmperf.cassettes.deck import Deck

    remedy = f"pytest {shlex.quote(plain_nodeid(item.nodeid))} --record-mode=rewrite"
    deck = Deck(lent, now_ns=now_ns, label=label, takes=lambda _: True, source=_answered_by, remedy=remedy)
    lent.deck.stand_aside()  # ours is at the same place, further out, and knows of rounds
    mode = "" if lent.write_protected else str(lent.record_mode.value)
    return Tape(Path(lent.path), plan, lent, deck, mode, borrowed=True)


def upgrade(vcr: Any, settings: Settings) -> None:
    """Let the cassettes that pytest-recording opens be timed ones, where vcrpy makes room for it."""
    from pytest_llmperf.cassettes import upgrade

    if upgrade.can_upgrade():
        mode: Any = "timed" if settings.clock == "realtime" else "instant"
        upgrade.upgrade(
            vcr, mode=mode, rules=_rules(settings), source=_answered_by, remedy="pytest --record-mode=rewrite"
        )


def needs_key(item: pytest.Item, settings: Settings) -> bool:
    """Whether a marked test calls the real API."""
    if settings.backend == "replay" and is_lent(item):
        return (item.config.getoption("--record-mode", None) or "none") != "none"
    if settings.backend in ("live", "record"):
        return settings.backend == "live" or not isinstance(item, pytest.Function) or bool(_mode_of(item, settings))
    return False


def is_lent(item: pytest.Item) -> bool:
    """Whether pytest-recording serves a test."""
    serving = item.config.pluginmanager.hasplugin("recording")
    return serving and item.get_closest_marker("vcr") is not None


def path_of(item: pytest.Function) -> Path:
    """Where the cassette of a test is, as YAML; a large one has the suffix `.json`."""
    name = item.name if plain_nodeid(item.nodeid) == item.nodeid else plain_nodeid(item.nodeid).rpartition("::")[2]
    name = (f"{item.cls.__name__}.{name}" if item.cls is not None else name).translate(_FORBIDDEN)
    if len(name) > _LONGEST_NAME:
        name = f"{name[: _LONGEST_NAME - 34]}..{hashlib.md5(name.encode(), usedforsecurity=False).hexdigest()}"
    return item.path.parent / FOLDER / item.path.stem / f"{name}.yaml"


def exists(item: pytest.Function) -> bool:
    """Whether a test has a cassette."""
    path = path_of(item)
    return path.exists() or path.with_suffix(".json").exists()


def command(item: pytest.Item) -> str:
    """What records a test."""
    return f"pytest {shlex.quote(plain_nodeid(item.nodeid))} --llmperf-backend=record"


def _mode_of(item: pytest.Function, settings: Settings) -> str:
    return _record_mode(path_of(item), settings)


def _record_mode(path: Path, settings: Settings) -> str:
    """What is recorded; nothing where a cassette is there and `once` leaves it alone."""
    if settings.backend != "record":
        return ""
    there = path.exists() or path.with_suffix(".json").exists()
    return "" if there and settings.record_mode == "once" else settings.record_mode


def _missing(item: pytest.Function, path: Path) -> Exception:
    from pytest_llmperf.cassettes import document
    from pytest_llmperf.cassettes.errors import CassetteMissing

    cut = document.recovered(document.journal_of(path))
    so_far = wording.count(len(cut), "exchange")
    unfinished = f"  unfinished  recording was cut off after {so_far}; to record again continues it\n" if cut else ""
    return CassetteMissing(
        f"there is no cassette for this test, and --llmperf-backend=replay never asks the network\n"
        f"  expected    {path}\n{unfinished}"
        f"  record      {command(item)}  (asks the real API: needs a key, costs money)\n"
        f"  or          --llmperf-backend=simulate  (offline, no key)"
    )


def _rules(settings: Settings) -> Rules:
    from pytest_llmperf.cassettes import redaction

    return redaction.rules(*settings.filters)


def _answered_by(exchange: Exchange) -> str:
    """A simulated API names itself, and no number of it may ever pass for a real one's."""
    from pytest_llmperf.core.exchange import header
    from pytest_llmperf.simulator.messages_format import SERVER

    return "simulated" if header(exchange.response_headers, "server") == SERVER else ""


def _of_whole_rounds(interactions: list[Any], sampling: Sampling) -> list[Any]:
    """All but the exchanges of rounds that were interrupted; the rounds behind those move up."""
    from pytest_llmperf.cassettes import timeline

    turns = [sampling.schedule.turns[round_.number] for round_ in sampling.rounds if round_.ended is None]
    cut = {timeline.Label(turn.ordinal - sampling.plan.warmup, turn.arm.name) for turn in turns}
    if not cut:
        return interactions

    def moved(one: Any) -> Any:
        label = timeline.NO_ROUND if one.timing is None else one.timing.label
        behind = sum(0 <= (each.round or 0) < (label.round or 0) for each in cut if each.arm == label.arm)
        if not behind:
            return one
        timing = replace(one.timing, label=replace(label, round=(label.round or 0) - behind))
        return one._replace(timing=timing, response=one.response | {timeline.KEY: timeline.to_plain(timing)})

    return [moved(one) for one in interactions if one.timing is None or one.timing.label not in cut]
