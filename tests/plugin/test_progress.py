"""The live line while a test samples."""

from __future__ import annotations

import os
import pty
import re
from contextlib import suppress
from pathlib import Path

import pytest

from pytest_llmperf.plugin import progress

SOURCE = """
import time, pytest
from talk import *

@pytest.mark.llmperf(rounds=4, warmup=1)
async def test_a():
    print("said by the test")
    await ask_async("output_tokens=1")

@pytest.mark.llmperf(rounds=3, concurrency=3)
def test_threads():
    ask("output_tokens=1")
"""
SAVE, RESTORE, ERASE = "\x1b7", "\x1b8", "\x1b[K"


def in_a_terminal(args: list[str], cwd: Path, env: dict[str, str]) -> str:
    """All that a command writes to a terminal of its own."""
    pid, master = pty.fork()
    if pid == 0:
        os.chdir(cwd)
        os.execve(args[0], args, env | {"TERM": "xterm", "COLUMNS": "120", "LINES": "40"})
    written = b""
    with suppress(OSError):  # Linux's way to say that the other end is closed
        while part := os.read(master, 65536):
            written += part
    os.close(master)
    os.waitpid(pid, 0)
    return written.decode()


def screen(written: str) -> str:
    """What is left on the screen: each text between save and restore stands until the end of its line is erased."""
    left, line, column, saved = [], [], 0, 0
    for part in re.split(r"(\x1b7|\x1b8|\x1b\[K|\x1b\[[0-9;?]*[a-zA-Z]|\r|\n)", written):
        if part == SAVE:
            saved = column
        elif part == RESTORE:
            column = saved
        elif part == ERASE:
            del line[column:]
        elif part == "\r":
            column = 0
        elif part == "\n":
            left.append("".join(line))
            line, column = [], 0
        elif not part.startswith("\x1b"):
            line[column : column + len(part)] = part
            column += len(part)
    return "\n".join([*left, "".join(line)])


QUICK = """
extends = "claude-opus-4"
[workloads.mixed]
ttft_p50_ms = 250
ttft_p95_ms = 260
"""


@pytest.fixture(scope="module")
def written(laid_out):
    """What a run in a terminal wrote."""
    # Without percentages, which would be written over what is left.
    plain = ("-v", "-o", "console_output_style=classic")
    how = laid_out(SOURCE, *plain, "--llmperf-clock=realtime", "--llmperf-profile=quick.toml")
    (how["cwd"] / "quick.toml").write_text(QUICK)
    return in_a_terminal(**how)


def test_something_is_shown_while_a_test_samples(written):
    """The line tells rounds done and to come, the time, what was spent and the clock."""
    assert re.search(r"1/5 rounds, \d+ s, about \d+ s left.*realtime time", written), written
    assert written.count(SAVE) == written.count(RESTORE) > 3


def test_nothing_of_it_is_left(written):
    """On the final screen there is what a run without it would have written."""
    left = screen(written)
    assert " rounds, 0 s" not in left
    assert "about" not in left
    assert "\ntest_suite.py::test_a PASSED (no claim, 4 rounds, simulated)\n" in left, left
    assert "said by the test" not in left


def test_a_log_has_a_line_now_and_then(suite, monkeypatch):
    """In CI, once a minute, with the verdict so far; on lines of its own, and not with `-q`."""
    monkeypatch.setenv("CI", "true")
    monkeypatch.setattr(progress, "_HEARTBEAT", 0.0)
    claimed = SOURCE.replace("@pytest.mark.llmperf(rounds=4, warmup=1)", "@pytest.mark.latency(p50_ms=90_000)")
    ran = suite(claimed)
    beats = [line for line in ran.out.splitlines() if line.startswith("llmperf: test_suite.py::test_a: ")]
    assert re.fullmatch(r"llmperf: test_suite.py::test_a: 1/101 rounds, 0 s, .* 1 open, virtual time", beats[0]), beats
    assert re.search(r", 1 passed, virtual time$", beats[-1])
    assert ran.outcomes == {"passed": 2}
    assert "\x1b" not in ran.out
    assert "llmperf: test_suite.py" not in suite(claimed, "-q").out


def test_nothing_is_shown_where_there_is_no_terminal(suite):
    """A log file has no trace of it."""
    ran = suite(SOURCE, "-v")
    assert "\x1b" not in ran.out
    assert "/5 rounds" not in ran.out
