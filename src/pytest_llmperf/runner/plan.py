"""How a scenario is to be run, apart from anything running."""

from __future__ import annotations

from dataclasses import dataclass, replace

from pytest_llmperf.runner.arms import Arm


@dataclass(frozen=True, slots=True)
class Load:
    """How hard the service is driven while some arm is run."""

    concurrency: int
    """Rounds in flight at once in a closed loop."""
    rate_per_minute: float | None
    """Rounds begun per minute in an open loop; None for a closed one."""


@dataclass(frozen=True, slots=True)
class Part:
    """Which of several processes this one is, where all run the same scenario together."""

    number: int = 0
    of: int = 1
    rounds: int = 0
    """What all of them judge together, of each arm; 0 where there is one process."""

    def share(self, whole: int) -> int:
        """This process's part of so many; the first take what cannot be shared evenly."""
        return (whole + self.of - 1 - self.number) // self.of


@dataclass(frozen=True, slots=True)
class Plan:
    """The settings of one scenario, as its marks and the options leave them."""

    rounds: int = 100
    """The most rounds judged, of each arm."""
    warmup: int = 1
    """Rounds run first and not judged, of each arm."""
    stop: str = "early"
    """`early` or `fixed`."""
    concurrency: int = 1
    """Rounds in flight at once (closed loop)."""
    rate_per_minute: float | None = None
    """Rounds begun per minute whether or not others were answered (open loop); None for a closed loop."""
    arrival: str = "poisson"
    """Of an open loop: `poisson` or `constant`."""
    confidence: float = 0.95
    slack: float = 0.0
    max_seconds: float | None = None
    """Of the scenario's own clock."""
    max_usd: float | None = None
    fresh_fixtures: bool = False
    """Function-scoped fixtures are set up anew for every round."""
    name: str = ""
    off: bool = False
    arms: tuple[Arm, ...] = (Arm(),)
    """The conditions compared; one without a name where nothing is."""
    part: Part = Part()
    """Of rounds, concurrency and rate, what this process has."""

    @property
    def whole(self) -> Plan:
        """What all processes do together: the order of arms is drawn of it, and so is the same in each."""
        return self if self.part == Part() else replace(self, rounds=self.part.rounds, part=Part())

    @property
    def total_rounds(self) -> int:
        """Warm-ups and judged rounds of all arms together."""
        return (self.warmup + self.rounds) * len(self.arms)

    def concurrency_of(self, arm: Arm) -> int:
        """Rounds in flight at once while this arm is run; a factor of that name sets it."""
        return max(self.part.share(int(arm.factors.get("concurrency") or self.concurrency)), 1)

    def rate_of(self, arm: Arm) -> float | None:
        """Rounds per minute of the open loop while this arm is run, in all processes; None for a closed loop."""
        rate = arm.factors.get("rate_per_minute") or self.rate_per_minute
        return None if rate is None or self.off else float(rate)

    def load_of(self, arm: Arm) -> Load:
        """What this process does while this arm is run."""
        rate = self.rate_of(arm)
        return Load(self.concurrency_of(arm), None if rate is None else rate / self.part.of)

    @property
    def is_open(self) -> bool:
        """Whether rounds are begun at a rate."""
        return any(self.rate_of(arm) is not None for arm in self.arms)

    @property
    def most_workers(self) -> int:
        """The most rounds in flight at once in a closed loop."""
        return max(map(self.concurrency_of, self.arms))

    def shared(self, number: int, among: int) -> Plan:
        """What one of several processes does of it.

        A closed loop is shared by as many processes as its least concurrency has rounds in flight: the others would
        have none, so they run none. Rounds are shared in proportion to what each has in flight, so that all end at
        about the same time; among arms of several concurrencies they are shared evenly, whatever each has in flight.

        Args:
            number: of the process, from 0.
            among: how many there are.
        """
        of = among if self.is_open else min(among, self.most_shared)
        if number >= of:
            return replace(self, rounds=0, warmup=0, part=Part(number, of, self.rounds))
        part = Part(number, of, self.rounds)
        return replace(self, rounds=self._rounds_of(part), part=part)

    def _rounds_of(self, part: Part) -> int:
        """Rounds are dealt to the places in flight, and each process has those of its places."""
        alike = not self.is_open and self.most_workers == self.most_shared
        places = self.most_workers if alike else part.of
        return sum(Part(place, places).share(self.rounds) for place in range(part.number, places, part.of))

    @property
    def most_shared(self) -> int:
        """By how many processes a closed loop can be shared."""
        return min(map(self.concurrency_of, self.arms))

    def round_name(self, number: int, arm: str = "") -> str:
        """A round as a reader counts it: `round 3 of 20`, or `round 3 of 20 [warm]`.

        Args:
            number: among the rounds of its arm from 0, warm-ups first.
            arm: its name, where there are several.
        """
        where = f" [{arm}]" if arm else ""
        if number < self.warmup:
            return f"warm-up round {number + 1} of {self.warmup}{where}"
        return f"round {number - self.warmup + 1} of {self.rounds}{where}"
