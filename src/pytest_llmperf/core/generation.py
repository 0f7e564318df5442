"""What an LLM said and when, as decoded from one attempt.

A `Generation` knows nothing of HTTP and of formulas. A fact the wire did not carry is None, never zero; `missing` says
in words what a cut or damaged body left out.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple


class Kind(StrEnum):
    """What a content delta carries."""

    TEXT = "text"
    THINKING = "thinking"
    TOOL = "tool"
    SIGNATURE = "signature"
    """Proof of thinking whose words are not shown; no token of its own."""
    OTHER = "other"
    """Citations and what later protocol versions add: not a token."""


class Delta(NamedTuple):
    """One content delta: its arrival, its kind and how many characters it brought."""

    at_ns: int
    kind: Kind
    characters: int


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens as the provider bills them; None where the wire did not say."""

    input_tokens: int | None = None
    """Uncached input, as Anthropic counts it: without cache reads and writes."""
    output_tokens: int | None = None
    cache_creation_input_tokens: int | None = None
    """All cache writes."""
    cache_creation_1h_input_tokens: int | None = None
    """The part of the cache writes that is kept for an hour, at its own price."""
    cache_read_input_tokens: int | None = None
    thinking_tokens: int | None = None
    """The part of `output_tokens` spent on thinking."""


@dataclass(frozen=True, slots=True)
class Pass:
    """A pass of a model that is billed beside an answer's own usage: an adviser that was asked, a compaction."""

    kind: str
    """As the wire names it."""
    model: str | None
    """None is the model that answered."""
    usage: Usage


@dataclass(frozen=True, slots=True)
class Generation:
    """One answer of an LLM, whole or in part."""

    protocol: str
    """`anthropic.messages`, …"""
    streamed: bool
    """An event stream, or an attempt that asked for one and got no answer."""
    request_model: str | None = None
    response_model: str | None = None
    message_id: str | None = None
    usage: Usage = Usage()
    stop_reason: str | None = None
    blocks: tuple[str, ...] = ()
    """Types of the content blocks in order, as the wire names them."""
    tool_names: tuple[str, ...] = ()
    text: str = ""
    thinking_characters: int = 0
    deltas: tuple[Delta, ...] = ()
    """Empty when not streamed."""
    pings: int = 0
    stopped_ns: int | None = None
    """Arrival of the event that ends the message; None when it never came or nothing was streamed."""
    failure: str = ""
    """`error_type: message` when the provider answered with an error, by status or inside the stream."""
    complete: bool = False
    """The whole answer arrived."""
    missing: tuple[str, ...] = ()
    """What could not be read, in words."""
    passes: tuple[Pass, ...] = ()
    """Billed passes that `usage` leaves out."""
    undecoded: str = ""
    """Why nothing is known of what was said, of a protocol that is recognised and not read; empty when it was read."""
    uncounted: str = ""
    """Why `usage` is empty, where that is known."""
    max_tokens: int | None = None
    """The most output tokens that the request asked for, where it says so beside the model or in front of all."""
    temperature: float | None = None
    """As the request asked for it, where it says so beside the model."""

    @property
    def model(self) -> str | None:
        """The model that answered, or the one that was asked."""
        return self.response_model or self.request_model
