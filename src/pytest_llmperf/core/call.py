"""One logical SDK call: its attempts in order, with the waits between them."""

from __future__ import annotations

from dataclasses import dataclass

from pytest_llmperf.core.exchange import End, Exchange
from pytest_llmperf.core.generation import Generation


@dataclass(frozen=True, slots=True)
class Attempt:
    """One request on the wire and what it meant."""

    exchange: Exchange
    generation: Generation


@dataclass(frozen=True, slots=True)
class Call:
    """The attempts of one call of the SDK. There is always at least one.

    The SDK's own times are None when the call did not go through an SDK we know.
    """

    attempts: tuple[Attempt, ...]
    entered_ns: int | None = None
    """The application called the SDK."""
    returned_ns: int | None = None
    """The SDK returned to the application: a message, a stream whose headers came, or an exception."""
    first_event_ns: int | None = None
    """The SDK handed the application its first content event."""

    @property
    def first(self) -> Attempt:
        """The attempt latencies count from."""
        return self.attempts[0]

    @property
    def last(self) -> Attempt:
        """The attempt that decided the outcome."""
        return self.attempts[-1]

    @property
    def dispatched_ns(self) -> int:
        """When the first attempt left."""
        return self.first.exchange.zero_ns

    @property
    def streamed(self) -> bool:
        """Whether the answer was asked for as a stream."""
        return self.last.generation.streamed

    @property
    def failure(self) -> str:
        """Why the call failed in the end, or an empty text.

        A reader that stopped early has not failed; an answer that was cut, timed out, cancelled or refused has.
        """
        exchange, generation = self.last.exchange, self.last.generation
        if generation.failure:
            return generation.failure
        if (exchange.status or 0) >= 400:
            return f"HTTP {exchange.status}"
        if generation.complete:
            return ""
        if exchange.end is End.ERROR:
            return exchange.error or "the exchange broke off"
        if exchange.end is End.OPEN:
            return "still running when its round ended"
        if exchange.end is End.COMPLETE:
            return "; ".join(generation.missing) or "the answer is incomplete"
        return ""

    @property
    def abandoned(self) -> bool:
        """Whether the application stopped reading before the end, without an error."""
        return not self.last.generation.complete and not self.failure
