"""What the tests of the runner share: a sampling on a clock of their own, and calls that go over a mock wire."""

from __future__ import annotations

import json
from collections.abc import Iterator

import httpx2
import pytest

from pytest_llmperf.capture import Recorder, observing
from pytest_llmperf.clock.manual import ManualClock
from pytest_llmperf.core.pricing import PriceBook, parse_prices
from pytest_llmperf.runner.loop import Sampling
from pytest_llmperf.runner.plan import Plan

URL = "https://api.anthropic.com/v1/messages"
ASKED = {"model": "claude-test", "max_tokens": 9, "messages": [{"role": "user", "content": "Hi"}]}
SAID = {
    "id": "msg_1",
    "type": "message",
    "role": "assistant",
    "model": "claude-test",
    "content": [{"type": "text", "text": "Hi"}],
    "stop_reason": "end_turn",
    "usage": {"input_tokens": 1000, "output_tokens": 10},
}
ERROR = {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}


class Wire:
    """Clients whose every answer takes a second of the clock, and costs one cent."""

    def __init__(self, clock: ManualClock) -> None:
        self.clock = clock
        self.status = 200
        self.sent = 0
        self.client = httpx2.Client(transport=httpx2.MockTransport(self._answer), trust_env=False)
        self.async_client = httpx2.AsyncClient(transport=httpx2.MockTransport(self._answer), trust_env=False)

    def _answer(self, _: httpx2.Request) -> httpx2.Response:
        self.sent += 1
        self.clock.advance(1)
        return httpx2.Response(self.status, json=SAID if self.status == 200 else ERROR)

    def ask(self) -> httpx2.Response:
        """Make a call."""
        return self.client.post(URL, content=json.dumps(ASKED)).raise_for_status()

    async def ask_async(self) -> httpx2.Response:
        """Make a call with `await`."""
        return (await self.async_client.post(URL, content=json.dumps(ASKED))).raise_for_status()


@pytest.fixture
def clock() -> ManualClock:
    """A clock that moves by the answers alone."""
    return ManualClock(5_000_000_000)


@pytest.fixture
def wire(clock: ManualClock) -> Iterator[Wire]:
    """The clients."""
    made = Wire(clock)
    yield made
    made.client.close()


@pytest.fixture
def sampling(clock: ManualClock):
    """A function that makes a sampling of a plan; what is sent while the test runs is observed."""
    recorder = Recorder(clock.now_ns)
    prices = PriceBook(parse_prices(["claude-test = 9, 100"]))

    def make(**fields: object) -> Sampling:
        plan = Plan(**{name: fields.pop(name) for name in list(fields) if name in Plan.__dataclass_fields__})
        return Sampling(plan=plan, clock=clock, recorder=recorder, prices=prices, **fields)

    with observing(recorder):
        yield make
