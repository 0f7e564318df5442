"""A run without marked tests pays nothing for the plugin being installed."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

HEAVY = (
    *("numpy", "scipy", "anthropic", "vcr", "httpx", "httpx2", "rich", "cattrs", "genai_prices", "anyio", "yaml"),
    "opentelemetry",
)

SOURCE = """
import pytest

@pytest.fixture
def thing():
    yield 1

def test_plain(thing): ...

@pytest.mark.parametrize("x", [1, 2])
def test_parameters(x): ...

class TestClass:
    @pytest.mark.skip
    def test_method(self): ...

async def not_a_test(): ...
"""

CONFTEST = """
import json, os, sys, threading, time
from concurrent.futures import ThreadPoolExecutor

seen = [time.time, time.sleep, threading.Thread.start, ThreadPoolExecutor.submit, list(sys.meta_path), dict(os.environ)]

def pytest_unconfigure(config):
    now = [time.time, time.sleep, threading.Thread.start, ThreadPoolExecutor.submit, list(sys.meta_path)]
    environment = {key: value for key, value in os.environ.items() if key != "PYTEST_CURRENT_TEST"}
    with open("after.json", "w") as file:
        json.dump({
            "modules": sorted(sys.modules),
            "patched": now != seen[:-1] or environment != {k: v for k, v in seen[-1].items() if k in environment},
            "plugins": [name for name, plugin in config.pluginmanager.list_name_plugin() if plugin is not None],
        }, file)
"""

BARE = ("-p", "no:cacheprovider", "-p", "no:anyio", "-p", "no:recording", "-p", "no:respx", "-p", "no:hypothesispytest")
"""Other plugins import some of those modules by themselves."""


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A function that runs pytest on that source in a process of its own, each way once."""
    path = tmp_path_factory.mktemp("idle")
    (path / "test_idle.py").write_text(SOURCE)
    (path / "conftest.py").write_text(CONFTEST)
    (path / "pytest.ini").write_text("[pytest]\nasyncio_default_fixture_loop_scope = function\n")
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("PYTEST_", "COV_"))}
    done = {}

    def once(*arguments):
        if arguments not in done:
            command = [sys.executable, "-m", "pytest", *BARE, *arguments]
            ended = subprocess.run(command, cwd=path, env=environment, capture_output=True, text=True, timeout=100)
            done[arguments] = ended, json.loads((path / "after.json").read_text())
        return done[arguments]

    return once


def test_an_idle_run_imports_nothing_heavy(run):
    """None of the heavy libraries is imported, though the plugin is there and looked at every test."""
    ended, after = run()
    assert ended.returncode == 0, ended.stdout
    assert "llmperf" in after["plugins"]
    assert [name for name in HEAVY if name in after["modules"]] == []


def test_an_idle_run_patches_nothing(run):
    """Time, threads, imports and the environment are what they were."""
    _, after = run()
    assert not after["patched"]


def test_an_idle_run_prints_nothing(run):
    """The word llmperf stands in pytest's own list of plugins alone."""
    ended, _ = run()
    lines = [line for line in (ended.stdout + ended.stderr).splitlines() if not line.startswith("plugins: ")]
    assert [line for line in lines if "llmperf" in line] == []


def test_strict_runs_are_fine(run):
    """Strict marks, strict configuration and warnings as errors find nothing to complain of."""
    ended, _ = run("--strict-markers", "--strict-config", "-W", "error")
    assert ended.returncode == 0, ended.stdout
    assert "warning" not in ended.stdout


def test_it_can_be_switched_off(run):
    """`-p no:llmperf` leaves no trace of it."""
    ended, after = run("-p", "no:llmperf")
    assert ended.returncode == 0, ended.stdout
    assert "llmperf" not in after["plugins"]
    assert [name for name in after["modules"] if name.startswith("pytest_llmperf")] == []
