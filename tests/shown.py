"""What our Markdown files show, to be compared with what really happens; run as a script, it writes what happened.

A file shown begins with its name as a comment (`# test_answer.py`). A command shown is a `console` block that begins
with `$ pytest` or `$ llmperf`; the rest of the block is its output. Only durations may differ, and the rules that
pytest draws around them.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parent.parent
README = ROOT / "README.md"
EXAMPLES = ROOT / "example_suite"
CASSETTE = "cassettes/test_caching.yaml"
"""The cassette that the README inspects: one that another project recorded."""
_RECORDED = ROOT / (
    "tests/data/cassettes/traceloop/openllmetry/packages/opentelemetry-instrumentation-anthropic/tests/cassettes/"
    "test_prompt_caching/test_anthropic_prompt_caching_stream_legacy.yaml"
)
_CONSOLE = re.compile(r"^```console\n\$ ((?:pytest|llmperf)[^\n]*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_FILE = re.compile(r"^```(?:python|ini)\n# (\S+\.(?:py|ini))\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_NAMED = re.compile(r"# (\S+\.(?:py|ini|toml|yml))\n")
_DURATION = re.compile(r"=+ (.+) in \d+\.\d\ds(?: \(\d+:\d\d:\d\d\))? =+")
_MOMENT = re.compile(r"\d{4}-\d\d-\d\dT\d\d-\d\d-\d\dZ")
_KEPT = ("PATH", "HOME", "SYSTEMROOT", "TEMP", "TMPDIR", "LANG")


@dataclass(frozen=True)
class Step:
    """A block of a page of the documentation, which is followed from its top to its end."""

    kind: str
    """`file`, `command`, or `snippet`: Python that is run as it stands."""
    name: str
    """Of the file, or the command line."""
    text: str
    """The file, the command's output, or the code."""


@dataclass(frozen=True)
class Ran:
    """How a command ended, and what it printed."""

    status: int
    output: str
    errors: str


def commands(path: Path) -> dict[str, str]:
    """The output shown for every command shown."""
    return {found[1]: found[2] for found in _CONSOLE.finditer(path.read_text("utf-8"))}


def files(path: Path) -> dict[str, str]:
    """The files shown, by name."""
    return {found[1]: found[2] for found in _FILE.finditer(path.read_text("utf-8"))}


def steps(path: Path) -> list[Step]:
    """What a page of the documentation asks its reader to write and to run, in order."""
    return [step for found in _BLOCK.finditer(path.read_text("utf-8")) if (step := _step(found[1], found[2]))]


def with_outputs(path: Path, outputs: list[str]) -> str:
    """The page with these outputs in place of those of its commands, in order; who differs in nothing stays."""
    left = iter(outputs)

    def replaced(found: re.Match[str]) -> str:
        step = _step(found[1], found[2])
        if step is None or step.kind != "command" or same_every_time(step.text) == same_every_time(new := next(left)):
            return found[0]
        return f"```console\n$ {step.name}\n{new.strip()}\n```"

    return _BLOCK.sub(replaced, path.read_text("utf-8"))


def _step(language: str, text: str) -> Step | None:
    if language == "console":
        command, _, output = text.removeprefix("$ ").partition("\n")
        return Step("command", command, output)
    if (named := _NAMED.match(text)) is not None:
        return Step("file", named[1], text)
    return Step("snippet", "", text) if language == "python" else None


def run(command: str, folder: Path, *more: str, **variables: str) -> Ran:
    """Run a command as a user would, offline, without a key, on a terminal of 80 columns."""
    environment = {name: os.environ[name] for name in _KEPT if name in os.environ}
    environment |= {"COLUMNS": "80", "PYTHONUTF8": "1", **variables}
    program, *arguments = shlex.split(command)
    start = ["pytest", "-p", "no:cacheprovider"] if program == "pytest" else ["pytest_llmperf.cli"]
    ended = subprocess.run(
        [sys.executable, "-m", *start, *arguments, *more],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        encoding="utf-8",
        check=False,
    )
    return Ran(ended.returncode, ended.stdout, ended.stderr)


def same_every_time(output: str) -> str:
    """The output without what differs between two runs of the same."""
    return _MOMENT.sub("…", _DURATION.sub(r"= \1 in …s =", output)).strip()


def write_files(path: Path, folder: Path) -> None:
    """Write the files shown, and the cassette."""
    for name, text in files(path).items():
        (folder / name).write_text(text, "utf-8")
    (folder / CASSETTE).parent.mkdir()
    shutil.copyfile(_RECORDED, folder / CASSETTE)


def _rewrite(path: Path, folder: Path) -> None:
    text = path.read_text("utf-8")
    for command, shown in commands(path).items():
        ran = run(command, folder)
        if same_every_time(ran.output) != same_every_time(shown):
            block = f"```console\n$ {command}\n"
            text = text.replace(f"{block}{shown}```", f"{block}{ran.output.strip()}\n```")
    path.write_text(text, "utf-8")


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as scratch:
        write_files(README, Path(scratch))
        _rewrite(README, Path(scratch))
    _rewrite(EXAMPLES / "README.md", ROOT)
