"""What spans say of a call beside what was measured of it: names, an address, limits. Of its words, nothing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pytest_llmperf.telemetry.conventions import server

if TYPE_CHECKING:
    from pytest_llmperf.core.call import Call


@dataclass(frozen=True, slots=True)
class Particulars:
    """Names and limits of one call; None where the wire did not say."""

    request_model: str | None = None
    response_model: str | None = None
    response_id: str | None = None
    max_tokens: int | None = None
    temperature: float | None = None
    address: str = ""
    port: int | None = None
    dispatched_ns: int = 0
    """By the clock of its exchanges: the order of calls."""


def particulars(call: Call) -> Particulars:
    """Those of a call, by the attempt that decided it."""
    said = call.last.generation
    address, port = server(call.last.exchange.url)
    return Particulars(
        request_model=said.request_model,
        response_model=said.response_model,
        response_id=said.message_id,
        max_tokens=said.max_tokens,
        temperature=said.temperature,
        address=address,
        port=port,
        dispatched_ns=call.dispatched_ns,
    )
