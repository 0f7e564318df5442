"""What must agree before two runs may be compared, and what a reader wants to know of where a run was made."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum


class Source(StrEnum):
    """Where numbers come from. Numbers of different sources never mix in one comparison."""

    LIVE = "live"
    RECORDED = "recorded"
    REPLAYED = "replayed"
    SIMULATED = "simulated"


@dataclass(frozen=True, slots=True)
class Environment:
    """Facts about the machine, the packages and the settings of a run."""

    python: str
    platform: str
    processors: int
    packages: dict[str, str] = field(default_factory=dict)
    backend: str = ""
    clock: str = ""
    profile: str = ""
    seed: int | None = None
    workers: int = 0
    """Processes that pytest-xdist ran; 0 without it."""
    prices: str = ""
    ci: str = ""
    """Name of the CI service, where one is known."""
    facts: dict[str, str] = field(default_factory=dict)
    """What other plugins know of where the run was made."""
    baseline_key: dict[str, str] = field(default_factory=dict)
    """What other plugins keep the sessions of a baseline apart by: those of another key are not compared with."""
