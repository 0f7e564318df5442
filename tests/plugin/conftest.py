"""How the plugin's tests run suites: in this process where they can, in one of their own where they must."""

from __future__ import annotations

import functools
import gc
import importlib
import json
import os
import pkgutil
import subprocess
import sys
import textwrap
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jsonschema
import pytest

import pytest_llmperf
from pytest_llmperf.reports import json_file

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

_loops = []

def loop():
    """The name of the event loop that runs this; each is kept, so that no other gets its place."""
    if "trio" in sys.modules:
        import trio
        if trio.lowlevel.in_trio_run():
            return _name(trio.lowlevel.current_root_task())
    import asyncio
    return _name(asyncio.get_running_loop())

def _name(one):
    if not any(one is other for other in _loops):
        _loops.append(one)
    return f"{os.getpid()}-{next(index for index, other in enumerate(_loops) if other is one)}"
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

    code: int
    out: str
    err: str
    path: Path

    @property
    def text(self) -> str:
        """All it wrote."""
        return f"{self.out}\n{self.err}"

    @property
    def outcomes(self) -> dict[str, int]:
        """How many tests ended how; warnings, and tests that were not chosen, aside."""
        found = pytest.RunResult.parse_summary_nouns(self.out.splitlines())
        return {name: count for name, count in found.items() if name not in ("warning", "warnings", "deselected")}

    @property
    def bodies(self) -> Counter[str]:
        """How often each body ran."""
        log = self.path / "bodies.log"
        return Counter(log.read_text().split("\n")[:-1]) if log.exists() else Counter()

    @property
    def report(self) -> dict[str, Any]:
        """The JSON report, which keeps to its schema whatever was run."""
        text = (self.path / "report.json").read_text()
        _check(text)
        return json.loads(text)

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


@functools.lru_cache(maxsize=8)
def _check(text: str) -> None:
    """Once, however many tests look at it."""
    jsonschema.Draft202012Validator(json_file.schema()).validate(_shortened(json.loads(text)))


def _shortened(value: Any) -> Any:
    """A document whose long columns of plain values have one of each kind: what a schema says of them, it says of each."""
    if isinstance(value, dict):
        return {key: _shortened(inner) for key, inner in value.items()}
    if not isinstance(value, list) or any(isinstance(inner, dict | list) for inner in value):
        return [_shortened(inner) for inner in value] if isinstance(value, list) else value
    kinds = {inner if isinstance(inner, str) else type(inner): inner for inner in value}
    return list(kinds.values()) if len(value) > 20 else value


Suite = Callable[..., Ran]


@pytest.fixture(scope="session", autouse=True)
def _imported() -> Iterator[None]:
    """Import once what every run in this process would import again: afterwards pytester forgets what was new.

    Every run also collects garbage several times over; it need not look at what is there for good.
    """
    import anthropic  # noqa: F401
    import anyio._backends._asyncio
    import anyio._backends._trio  # noqa: F401
    import cattrs  # noqa: F401
    import genai_prices  # noqa: F401
    import httpcore2  # noqa: F401
    import hypothesis  # noqa: F401
    import numpy as np  # noqa: F401
    import rich.table  # noqa: F401
    import trio.testing  # noqa: F401

    for module in pkgutil.walk_packages(pytest_llmperf.__path__, "pytest_llmperf."):
        if not module.name.endswith(".__main__"):  # which is a program
            importlib.import_module(module.name)
    gc.collect()
    gc.freeze()
    yield
    gc.unfreeze()


@pytest.fixture(autouse=True)
def _environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """No key and no option of the outer run reaches an inner one."""
    for name in filter(_is_ours, list(os.environ)):
        monkeypatch.delenv(name)


@pytest.fixture
def suite(pytester: pytest.Pytester) -> Suite:
    """Run a suite in this process: its source, then arguments of pytest; its JSON report goes to `report.json`."""

    def run(source: str, *arguments: str, backend: str = "simulate", ini: str = "", **files: str) -> Ran:
        asked = _laid_out(pytester.path, source, arguments, backend, ini, files)
        result = pytester.runpytest_inprocess(*asked, no_reraise_ctrlc=True)
        return Ran(int(result.ret), result.stdout.str(), result.stderr.str(), pytester.path)

    return run


@pytest.fixture(scope="session")
def _kept() -> dict[str, Ran]:
    return {}


@pytest.fixture
def suite_once(suite: Suite, _kept: dict[str, Ran]) -> Callable[..., Ran]:
    """As `suite`, but a suite that ran under the same name before is not run again: several tests look at one run."""

    def run(name: str, source: str, *arguments: str, **options: Any) -> Ran:
        if name not in _kept:
            _kept[name] = suite(source, *arguments, **options)
        return _kept[name]

    return run


@pytest.fixture(scope="session")
def laid_out(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., dict[str, Any]]:
    """Write a suite and say how to run it in a process of its own: `args`, `cwd` and `env`, as for `subprocess`."""

    def lay_out(source: str, *arguments: str, backend: str = "simulate", **environment: str) -> dict[str, Any]:
        path = tmp_path_factory.mktemp("suite")
        command = [sys.executable, "-m", "pytest", *_laid_out(path, source, arguments, backend, "", {})]
        inherited = {name: value for name, value in os.environ.items() if not _is_ours(name)}
        return {"args": command, "cwd": path, "env": inherited | environment}

    return lay_out


@pytest.fixture(scope="session")
def left_in() -> Callable[[Path], Ran]:
    """What a run whose output is of no interest left in a folder."""
    return lambda path: Ran(0, "", "", path)


@pytest.fixture(scope="session")
def suite_apart(laid_out: Callable[..., dict[str, Any]]) -> Suite:
    """Run a suite in a process of its own, with variables of its environment."""

    def run(source: str, *arguments: str, **options: str) -> Ran:
        how = laid_out(source, *arguments, **options)
        done = subprocess.run(**how, capture_output=True, text=True, timeout=100)
        return Ran(done.returncode, done.stdout, done.stderr, how["cwd"])

    return run


def _laid_out(
    path: Path, source: str, arguments: tuple[str, ...], backend: str, ini: str, files: dict[str, str]
) -> list[str]:
    """Write the files of a suite, and say how it is run."""
    for name, text in {"test_suite": source, "talk": TALK, **files}.items():
        (path / f"{name}.py").write_text(textwrap.dedent(text))
    (path / "pytest.ini").write_text(INI.format(backend=backend) + ini)
    return ["-p", "no:cacheprovider", "--llmperf-json=report.json", *arguments]


def _is_ours(name: str) -> bool:
    """Whether a variable of the outer run would change an inner one."""
    known = ("CI", "GITHUB_ACTIONS", "GITHUB_STEP_SUMMARY")
    return name.startswith(("ANTHROPIC_", "OPENAI_", "PYTEST_", "COV_")) or name in known
