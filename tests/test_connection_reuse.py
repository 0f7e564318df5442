"""What a new connection costs: live calls over sockets, in an arm with reuse and one without."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from pytest_llmperf.simulator.server import running_server

SUITE = """
import anthropic
import pytest

@pytest.fixture(scope="module")
def clients():
    kept = anthropic.Anthropic()
    limits = type(anthropic.DEFAULT_CONNECTION_LIMITS)(max_keepalive_connections=0)
    made = anthropic.Anthropic(http_client=anthropic.DefaultHttpxClient(limits=limits))
    yield {True: kept, False: made}
    kept.close()
    made.close()

@pytest.mark.arms(reuse=[True, False])
@pytest.mark.llmperf(rounds=8, warmup=1, stop="fixed")
@pytest.mark.latency(p50_ms=60_000)
def test_reuse(clients, arm):
    question = [{"role": "user", "content": "Hello"}]
    clients[arm.reuse].messages.create(model="claude-opus-4", max_tokens=8, messages=question)
"""
PROFILE = """
extends = "claude-opus-4"
[workloads.mixed]
ttft_p50_ms = 10
ttft_p95_ms = 10
output_tokens = 2
output_cv = 0
[throughput]
context_tokens_per_second = [[1, 1000.0]]
cv = 0
"""


@pytest.fixture(scope="module")
def arms(tmp_path_factory: pytest.TempPathFactory) -> dict[bool, dict]:
    """The metrics of each arm after one live run against a server on a socket."""
    path = tmp_path_factory.mktemp("reuse")
    (path / "profile.toml").write_text(PROFILE, encoding="utf-8")
    (path / "test_reuse.py").write_text(SUITE, encoding="utf-8")
    ours = ("ANTHROPIC_", "PYTEST_", "COV_")
    environment = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--llmperf-backend=live"]
    with running_server(path / "profile.toml") as url:
        environment |= {"ANTHROPIC_BASE_URL": url, "ANTHROPIC_API_KEY": "none"}
        subprocess.run([*command, "--llmperf-json=report.json"], cwd=path, env=environment, check=False, timeout=120)
    report = json.loads((path / "report.json").read_text(encoding="utf-8"))
    return {arm["factors"]["reuse"]: arm for arm in report["tests"][0]["arms"]}


def test_the_share_of_reused_connections_is_that_of_the_arm(arms):
    """All after the warm-up of one, none of the other."""
    assert {reuse: arm["metrics"]["reused"]["mean"] for reuse, arm in arms.items()} == {True: 1, False: 0}


def test_setting_up_a_connection_is_apart(arms):
    """No time in the one arm, some in each call of the other; and the service time is that of the answer alone."""
    assert arms[True]["metrics"]["connect"]["max"] == 0
    assert arms[False]["metrics"]["connect"]["min"] > 0
    assert all(arm["metrics"]["queue"]["n"] == arm["calls"] for arm in arms.values())


def test_the_client_tells_how_busy_it_was(arms):
    """Of the whole run, in each arm."""
    assert all(arm["cpu_share"] > 0 for arm in arms.values())
