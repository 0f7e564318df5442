"""A client that comes late says so: live calls over sockets, in an event loop that the test itself blocks.

The lateness is made, never hoped for: a body sleeps without `await` across the moment its first token arrives.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from pytest_llmperf.simulator.server import running_server

PROFILE = """
extends = "claude-opus-4"
in_flight_time_factor = [[1, 1.0]]
[workloads.mixed]
ttft_p50_ms = 300
ttft_p95_ms = 300
output_tokens = 8
output_cv = 0
[throughput]
context_tokens_per_second = [[1, 1000.0]]
cv = 0
"""

INI = """
[pytest]
asyncio_mode = auto
asyncio_default_fixture_loop_scope = function
"""

SUITE = '''
import asyncio
import time

import anthropic
import pytest

@pytest.fixture
async def client():
    async with anthropic.AsyncAnthropic(max_retries=0) as client:
        yield client

async def ask(client):
    """A stream whose first token comes 300 ms after the request, and whose head comes before it."""
    question = [{"role": "user", "content": "Hello"}]
    return await client.messages.create(model="claude-opus-4", max_tokens=64, messages=question, stream=True)

async def read(stream):
    async for _ in stream:
        pass

pytestmark = pytest.mark.llmperf(rounds=9, warmup=1, stop="fixed")

@pytest.mark.latency(p50_ms=400)
async def test_blocked_while_the_first_token_came(client):
    answer = await ask(client)
    time.sleep(0.3)
    await read(answer)

@pytest.mark.latency(p50_ms=2000)
async def test_blocked_and_still_quick_enough(client):
    answer = await ask(client)
    time.sleep(0.3)
    await read(answer)

@pytest.mark.latency(p50_ms=150)
async def test_blocked_at_another_time(client):
    await read(await ask(client))
    time.sleep(0.2)

@pytest.mark.latency(p50_ms=100)
@pytest.mark.llmperf(concurrency=4)
async def test_not_blocked(client):
    await read(await ask(client))
'''


@pytest.fixture(scope="module")
def verdicts(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict]:
    """The verdict of each test of the suite, after one live run against a server on a socket."""
    path = tmp_path_factory.mktemp("live")
    (path / "profile.toml").write_text(PROFILE, encoding="utf-8")
    (path / "test_late.py").write_text(SUITE, encoding="utf-8")
    (path / "pytest.ini").write_text(INI, encoding="utf-8")
    with running_server(path / "profile.toml") as url:
        run(path, url)
    report = json.loads((path / "report.json").read_text(encoding="utf-8"))
    return {test["nodeid"].partition("::")[2]: test["verdicts"][0] for test in report["tests"]}


def run(path: Path, url: str) -> None:
    ours = ("ANTHROPIC_", "PYTEST_", "COV_")
    environment = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"]
    command += ["--llmperf-backend=live", "--llmperf-json=report.json"]
    subprocess.run(
        command,
        cwd=path,
        env=environment | {"ANTHROPIC_BASE_URL": url, "ANTHROPIC_API_KEY": "none"},
        check=False,
        timeout=120,
    )


def test_a_limit_that_only_the_client_broke_is_inconclusive(verdicts):
    """Every first token was read more than 500 ms after the request, and came after 300."""
    verdict = verdicts["test_blocked_while_the_first_token_came"]
    assert verdict["estimate"] > 0.4
    assert verdict["outcome"] == "inconclusive"
    assert verdict["reason"].startswith("client-bound: the event loop may have come up to ")
    assert "the client is the bottleneck" in verdict["remedy"]


def test_a_limit_that_was_kept_in_spite_of_the_client_passes(verdicts):
    """A late read only makes a wait look longer."""
    assert verdicts["test_blocked_and_still_quick_enough"]["outcome"] == "passed"


def test_a_block_that_touched_no_read_excuses_nothing(verdicts):
    """The loop was blocked for longer than the margin in every round, but never when something arrived."""
    assert verdicts["test_blocked_at_another_time"]["outcome"] == "failed"


def test_a_limit_that_the_server_broke_fails(verdicts):
    """Nothing was late but the answer."""
    assert verdicts["test_not_blocked"]["outcome"] == "failed"
