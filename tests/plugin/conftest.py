"""How the plugin's tests run suites of their own: in this process where they can, in one of their own where they must."""

from __future__ import annotations

import json
import os
import sys
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

TALK = '''
"""What the suites under test share: clients, calls, and a log of the bodies that ran."""
import functools, os, pathlib, ssl, sys
import anthropic

LOG = pathlib.Path(__file__).with_name("bodies.log")

@functools.cache
def client():
    # A context without certificates is made in no time, and offline nobody asks for them.
    bare = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    return anthropic.Anthropic(api_key="offline", http_client=anthropic.DefaultHttpxClient(verify=bare))

@functools.cache
def async_client():
    bare = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    return anthropic.AsyncAnthropic(api_key="offline", http_client=anthropic.DefaultAsyncHttpxClient(verify=bare))

def question(said="", **options):
    user = {"user_id": "llmperf:" + ",".join(filter(None, ["output_tokens=4", said]))}
    words = [{"role": "user", "content": "Hello there"}]
    return {"model": "claude-opus-4-5", "max_tokens": 64, "messages": words, "metadata": user} | options

def ask(said="", *, by=None, **options):
    return (by or client()).messages.create(**question(said, **options))

def ask_streamed(said="", *, by=None):
    return list((by or client()).messages.create(**question(said), stream=True))

async def ask_async(said="", *, by=None, **options):
    return await (by or async_client()).messages.create(**question(said, **options))

def ran(name):
    """One line for each body, whoever runs it."""
    with LOG.open("a") as log:
        log.write(f"{name}\\n")
'''

INI = """
[pytest]
asyncio_default_fixture_loop_scope = function
filterwarnings = always
llmperf_backend = {backend}
"""


@dataclass(frozen=True)
class Ran:
    """What a run of a suite left behind."""

    result: pytest.RunResult
    path: Path

    @property
    def code(self) -> int:
        """The exit code."""
        return int(self.result.ret)

    @property
    def text(self) -> str:
        """All it wrote."""
        return f"{self.result.stdout}\n{self.result.stderr}"

    @property
    def outcomes(self) -> dict[str, int]:
        """How many tests ended how, warnings aside."""
        found = self.result.parseoutcomes()
        return {name: count for name, count in found.items() if name not in ("warning", "warnings")}

    @property
    def bodies(self) -> Counter[str]:
        """How often each body ran."""
        log = self.path / "bodies.log"
        return Counter(log.read_text().split("\n")[:-1]) if log.exists() else Counter()

    @property
    def report(self) -> dict[str, Any]:
        """The JSON report."""
        return json.loads((self.path / "report.json").read_text())

    def test(self, name: str = "") -> dict[str, Any]:
        """The one test of the JSON report whose node id ends so."""
        (found,) = [test for test in self.report["tests"] if test["nodeid"].endswith(name)]
        return found

    def arm(self, name: str = "") -> dict[str, Any]:
        """Its one arm."""
        (found,) = self.test(name)["arms"]
        return found

    def verdict(self, name: str = "") -> dict[str, Any]:
        """Its one verdict."""
        (found,) = self.test(name)["verdicts"]
        return found


Suite = Callable[..., Ran]


@pytest.fixture(scope="session", autouse=True)
def _imported() -> None:
    """Import once what every run in this process would import again: afterwards pytester forgets what was new."""
    import anthropic  # noqa: F401
    import anyio._backends._asyncio  # noqa: F401
    import anyio._backends._trio  # noqa: F401
    import cattrs  # noqa: F401
    import genai_prices  # noqa: F401
    import httpx2  # noqa: F401
    import numpy as np  # noqa: F401
    import rich.table  # noqa: F401

    import pytest_llmperf.statistics.means
    import pytest_llmperf.statistics.planning  # noqa: F401


@pytest.fixture(autouse=True)
def _environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """No key and no option of the outer run reaches an inner one."""
    for name in list(os.environ):
        if name.startswith(("ANTHROPIC_", "PYTEST_LLMPERF_", "PYTEST_XDIST_")) or name in ("CI", "GITHUB_ACTIONS"):
            monkeypatch.delenv(name)


@pytest.fixture
def suite(pytester: pytest.Pytester) -> Suite:
    """Run a suite: its source, then arguments of pytest; its JSON report goes to `report.json`."""

    def run(
        source: str,
        *arguments: str,
        backend: str = "simulate",
        ini: str = "",
        apart: bool = False,
        timeout: float = 60,
        **files: str,
    ) -> Ran:
        pytester.makeini(INI.format(backend=backend) + ini)
        pytester.makepyfile(test_suite=source, talk=TALK, **files)
        asked = ("-p", "no:cacheprovider", "--llmperf-json=report.json", *arguments)
        if apart:
            pytester.plugins = []
            command = (sys.executable, "-m", "pytest", *asked)
            return Ran(pytester.run(*command, timeout=timeout), pytester.path)
        return Ran(pytester.runpytest_inprocess(*asked), pytester.path)

    return run
