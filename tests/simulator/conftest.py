"""What the tests of the simulated API share: profile, requests, fixed random numbers, clients served in process."""

import json
from random import Random

import pytest

from pytest_llmperf.simulator import conditions
from pytest_llmperf.simulator.api import SimulatedApi
from pytest_llmperf.simulator.profile import load
from pytest_llmperf.simulator.transport import Simulator


class Deviates(Random):
    """Random numbers whose normal deviates are all the same."""

    def __init__(self, deviate: float = 0.0, seed: int = 1) -> None:
        super().__init__(seed)
        self.deviate = deviate

    def gauss(self, mu: float = 0.0, sigma: float = 1.0) -> float:
        return mu + self.deviate * sigma


@pytest.fixture
def profile():
    """The shipped profile."""
    return load("claude-opus-4")


@pytest.fixture
def body():
    """A function that writes the body of a request: of so many tokens, or with the given members."""

    def write(tokens: int = 1000, **members: object) -> bytes:
        question = [{"role": "user", "content": "x" * 4 * tokens}]
        document = {"model": "claude-opus-4", "max_tokens": 4096, "messages": question} | members
        return json.dumps(document).encode()

    return write


@pytest.fixture
def ask(profile, body):
    """A function that reads a request with the given conditions, tokens and members."""

    def read(condition: str = "", *, host: str = "api.anthropic.com", tokens: int = 1000, **members: object):
        headers = {"x-llmperf-condition": condition}
        return conditions.read(profile, host=host, headers=headers, body=body(tokens, **members))

    return read


@pytest.fixture
def fixed():
    """Random numbers whose normal deviates are all the given one."""
    return Deviates


@pytest.fixture
def api(profile):
    """A function that makes a simulated API with overrides, a seed and a clock of its own."""

    def make(overrides: dict | None = None, *, seed: int = 1, now_ns=None):
        return SimulatedApi(profile.with_overrides(overrides or {}), seed, now_ns)

    return make


@pytest.fixture
def client(api):
    """A function that makes an Anthropic client served in process, at once unless told otherwise."""
    import anthropic
    import httpx2

    made = []

    def make(overrides: dict | None = None, *, seed: int = 1, mode: str = "instant", now_ns=None, **options: object):
        simulator = Simulator(api(overrides, seed=seed, now_ns=now_ns), mode)
        transport = simulator.transport(httpx2, None, asynchronous=False)
        options = {"api_key": "none", "max_retries": 0} | options
        made.append(anthropic.Anthropic(http_client=httpx2.Client(transport=transport), **options))
        return made[-1]

    yield make
    for each in made:
        each.close()
