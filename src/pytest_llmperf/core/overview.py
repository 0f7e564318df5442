"""What a whole run comes to, as values: the synthesis, and published figures beside what was measured.

They are made in `synthesis` and `beside`, shown in reports, and know neither.
"""

from __future__ import annotations

from dataclasses import dataclass

from pytest_llmperf.core.environment import Source

INSIDE, OUTSIDE, UNSETTLED, UNMEASURED, UNPUBLISHED = "inside", "outside", "not settled", "not measured", ""
"""How a published figure stands to the measured interval."""


@dataclass(frozen=True, slots=True)
class BesideRow:
    """One published figure and what was measured."""

    name: str
    metric: str
    statistic: str
    unit: str
    published: tuple[float, float] | None
    """Its least and its largest value; None where nothing was published."""
    estimate: float | None
    low: float | None
    high: float | None
    n: int
    standing: str
    """One of `INSIDE`, `OUTSIDE`, `UNSETTLED`, `UNMEASURED` and `UNPUBLISHED`."""
    reason: str = ""
    """Why it is not measured."""
    notes: tuple[int, ...] = ()
    """Numbers, from 1, of the notes on it."""


@dataclass(frozen=True, slots=True)
class BesideTable:
    """Rows under one heading."""

    title: str
    rows: tuple[BesideRow, ...]


@dataclass(frozen=True, slots=True)
class Beside:
    """Everything of one reference."""

    title: str
    foreword: str
    confidence: float
    tables: tuple[BesideTable, ...]
    notes: tuple[str, ...]
    """Those that rows point to, in the order of their numbers."""
    remarks: tuple[str, ...]
    """The other notes: on what this run does not measure."""


@dataclass(frozen=True, slots=True)
class SynthesisFigure:
    """One figure of one test; no estimate where there is nothing to have it from."""

    metric: str
    statistic: str
    unit: str
    n: int
    estimate: float | None
    low: float | None
    high: float | None


@dataclass(frozen=True, slots=True)
class SynthesisRow:
    """One test, or all of them."""

    test: str
    calls: int
    figures: tuple[SynthesisFigure, ...]
    """In the order of `FIGURES`."""


@dataclass(frozen=True, slots=True)
class Synthesis:
    """All that a run has of one source and clock."""

    source: Source
    clock: str
    confidence: float
    rows: tuple[SynthesisRow, ...]
    calls: int
    seconds: float | None
    """Time that the rounds took, one after the other; None where it is not known of all."""
    usd: float | None
    """What they cost; None where it is not known of all."""
    advice: tuple[str, ...]
    seconds_at_least: float = 0.0
    """Time of the rounds of which it is known."""
    untimed: int = 0
    """Rounds of which it is not."""
    usd_at_least: float = 0.0
    """What the calls with a price cost."""
    unpriced: int = 0
    """Calls without one."""
