"""What tokens cost.

Prices come from the `genai-prices` library's offline table, dated by its release, unless an own price is set. A model
without a price has a cost that is absent with that reason, never zero.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import lru_cache
from importlib import metadata

from pytest_llmperf.core.errors import UsageError
from pytest_llmperf.core.generation import Generation, Usage

MTOK = 1_000_000
"""Tokens a price is quoted for."""


@dataclass(frozen=True, slots=True)
class Absent:
    """A value that cannot be had, and why."""

    reason: str


@dataclass(frozen=True, slots=True)
class Price:
    """Own price of a model, in dollars per million tokens."""

    input: float
    output: float
    cache_write: float
    """Writes kept for five minutes."""
    cache_read: float
    cache_write_1h: float


@dataclass(frozen=True, slots=True)
class PriceBook:
    """Own prices by model name, in front of the table of `genai-prices`."""

    own: Mapping[str, Price] = field(default_factory=dict)
    at: datetime | None = None
    """The day whose prices count; None is today."""
    ask: Callable[[Generation], float | None] | None = None
    """Another source of prices, in front of both."""

    def cost(self, generation: Generation) -> float | Absent:
        """Dollars one answer cost, from its usage and that of the passes billed beside it.

        Input tokens exclude cached ones here, as Anthropic counts them; cache writes and reads have their own prices.
        """
        told = None if self.ask is None else self.ask(generation)
        if told is not None:
            return float(told)
        names = tuple(name for name in (generation.response_model, generation.request_model) if name)
        provider = generation.protocol.partition(".")[0]
        beside = [((one.model,) if one.model else names, one.usage) for one in generation.passes]
        parts = [self._usage_cost(asked, provider, usage) for asked, usage in ((names, generation.usage), *beside)]
        absent = next((part for part in parts if isinstance(part, Absent)), None)
        if absent and generation.uncounted and generation.usage.output_tokens is None:
            return Absent(generation.uncounted)
        return absent or math.fsum(part for part in parts if not isinstance(part, Absent))

    def _usage_cost(self, names: tuple[str, ...], provider: str, usage: Usage) -> float | Absent:
        """By the first of a model's *names* that has a price."""
        if usage.input_tokens is None or usage.output_tokens is None:
            return Absent("the answer carried no usage")
        for name in names:
            if (price := self.own.get(name)) is not None:
                return _own_cost(price, usage)
        return _listed_cost(names, provider, usage, self.at)

    @property
    def source(self) -> str:
        """Where the prices come from, for the report's environment."""
        listed = f"genai-prices {metadata.version('genai-prices')}"
        own = f"own ({', '.join(sorted(self.own))}), {listed}" if self.own else listed
        return own if self.ask is None else f"plugins, {own}"


def load_table() -> None:
    """Read the library's table now: left to the first answer, files would be read inside the test's event loop."""
    _listed_cost(("of no provider",), "", Usage(), None)


def parse_prices(lines: list[str]) -> dict[str, Price]:
    """Own prices from lines such as `claude-opus-4 = 15, 75` or with cache write and read: `m = 15, 75, 18.75, 1.5`.

    Where cache prices are not given they are Anthropic's multiples of the input price: 1.25 for a write of five
    minutes, 2 for a write of an hour, 0.1 for a read.

    Raises:
        UsageError: a line is not of this form.
    """
    return dict(_parse_price(line) for line in lines if line.strip())


def _parse_price(line: str) -> tuple[str, Price]:
    name, _, values = line.partition("=")
    try:
        numbers = [float(value) for value in values.split(",")]
    except ValueError:
        numbers = []
    if not name.strip() or len(numbers) not in (2, 4) or not all(0 <= number < float("inf") for number in numbers):
        raise UsageError(
            f"llmperf_prices: cannot read {line.strip()!r}; write 'model = input, output' or "
            "'model = input, output, cache write, cache read' in dollars per million tokens"
        )
    tokens_in, tokens_out = numbers[:2]
    write, read = numbers[2:] or (tokens_in * 1.25, tokens_in * 0.1)
    return name.strip(), Price(tokens_in, tokens_out, write, read, tokens_in * 2)


def _own_cost(price: Price, usage: Usage) -> float:
    written, hour = usage.cache_creation_input_tokens or 0, usage.cache_creation_1h_input_tokens or 0
    return (
        (usage.input_tokens or 0) * price.input
        + (usage.output_tokens or 0) * price.output
        + (written - hour) * price.cache_write
        + hour * price.cache_write_1h
        + (usage.cache_read_input_tokens or 0) * price.cache_read
    ) / MTOK


@lru_cache(maxsize=4096)
def _listed_cost(names: tuple[str, ...], provider: str, usage: Usage, at: datetime | None) -> float | Absent:
    from genai_prices import Usage as ListedUsage
    from genai_prices import calc_price

    written, hour = usage.cache_creation_input_tokens or 0, usage.cache_creation_1h_input_tokens or 0
    read = usage.cache_read_input_tokens or 0
    # The table counts cached tokens as part of the input.
    tokens = {"input_tokens": (usage.input_tokens or 0) + written + read, "output_tokens": usage.output_tokens or 0}
    tokens |= {"cache_write_tokens": written, "cache_read_tokens": read}
    if hour:
        tokens["cache_write_1h_tokens"] = hour
    when = at or datetime.now(UTC)
    for name in names:
        try:
            return float(
                calc_price(ListedUsage(**tokens), name, provider_id=provider, genai_request_timestamp=when).total_price
            )
        except LookupError:
            continue
    known = " or ".join(repr(name) for name in names) or "a model that is not named"
    return Absent(f"no price is known for {known}; set one with the ini option llmperf_prices")
