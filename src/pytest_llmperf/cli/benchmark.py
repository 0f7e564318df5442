"""Run the benchmark of a published study against the simulated API, and put its figures beside what was measured.

Four workloads (code generation, long-context questions, structured extraction, creative writing) over contexts of
1,000, 10,000, 50,000, 100,000 and 150,000 tokens, streamed and in one piece: 10,000 calls of the real SDK with requests
of full length, in virtual time, without network or key. The report has the figures of each workload, advice drawn from
them, and the published figures beside what was measured, marked where the study contradicts itself.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from pathlib import Path

from pytest_llmperf.cli.status import DONE, NO, WRONG

HELP = "the benchmark of a published study: 10,000 simulated calls, its figures beside ours"
SUITE = Path(__file__).parents[1] / "benchmark"
"""Data of this package: an ordinary suite for pytest, which runs in a process of its own."""
CALLS = 10_000
_CONDITIONS = 40
"""Four workloads, five contexts, streamed or not."""
_LEAST = 5
"""Calls of each condition; with fewer the claims of the suite could not even fail."""
_FORMATS = {
    "json": "all numbers",
    "html": "one page that opens offline",
    "markdown": "tables for GitHub",
    "csv": "a line for each call",
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Say what it takes."""
    parser.add_argument(
        "--calls",
        type=_calls,
        default=CALLS,
        metavar="N",
        help=f"a multiple of {_CONDITIONS}, {_CONDITIONS * _LEAST} or more (default: %(default)s)",
    )
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="of the simulated API (default: %(default)s)")
    parser.add_argument("--profile", metavar="NAME", help="another profile of the simulated API: a name or a TOML file")
    for name, what in _FORMATS.items():
        parser.add_argument(f"--{name}", type=Path, metavar="PATH", help=f"also write {what}")
    parser.add_argument("--junit", type=Path, metavar="PATH", help="also write JUnit XML")
    parser.add_argument("-v", "--verbose", action="store_true", help="with every claim's ground and every formula")
    parser.epilog = "Exit status: 0 the suite's claims hold, 1 one was shown not to, 2 it could not be run."


def run(arguments: argparse.Namespace) -> int:
    """Run it in a process of its own, whose output is ours."""
    began = time.perf_counter()
    with subprocess.Popen(_command(arguments), cwd=SUITE, env=_environment()) as suite:
        status = _ended(suite)
    if status not in (DONE, NO):
        return WRONG
    print(f"{arguments.calls:,} calls in {time.perf_counter() - began:.1f} s{_used()}")
    return status


def _ended(suite: subprocess.Popen[bytes]) -> int:
    """The exit status; Ctrl-C reaches the suite as well, which then still tells what it measured."""
    try:
        return suite.wait()
    except KeyboardInterrupt:
        suite.wait()
        raise


def _command(arguments: argparse.Namespace) -> list[str]:
    written = [
        f"--llmperf-{name}={path.resolve()}" for name in _FORMATS if (path := getattr(arguments, name)) is not None
    ]
    return [
        *(sys.executable, "-m", "pytest", "test_benchmark.py", "-c", "pytest.ini", "--rootdir=."),
        *("-p", "pytest_llmperf.plugin", "-p", "no:cacheprovider", "--no-header"),
        f"--llmperf-rounds={arguments.calls // _CONDITIONS}",
        f"--llmperf-seed={arguments.seed}",
        "--llmperf-reference=study.toml",
        *([] if arguments.profile is None else [f"--llmperf-profile={_profile(arguments.profile)}"]),
        *written,
        *([] if arguments.junit is None else [f"--junitxml={arguments.junit.resolve()}", "--llmperf-junit=suite"]),
        *(["-v"] if arguments.verbose else []),
    ]


def _profile(name: str) -> str:
    """A shipped profile's name as it is, a file's as a path from anywhere."""
    return str(Path(name).resolve()) if name.endswith(".toml") else name


def _environment() -> dict[str, str]:
    """Ours, without what would change how the suite is run: settings for other suites, and other plugins."""
    return {
        **{name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")},
        "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
    }


def _used() -> str:
    """What the run took of this machine, where the system tells."""
    try:
        import resource
    except ImportError:  # Windows
        return ""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    unit = 1 if sys.platform == "darwin" else 1024
    return (
        f" ({used.ru_utime + used.ru_stime:.1f} s of processor time), {used.ru_maxrss * unit / 1e6:.0f} MB at the most"
    )


def _calls(text: str) -> int:
    number = int(text)
    if number % _CONDITIONS or number < _CONDITIONS * _LEAST:
        raise argparse.ArgumentTypeError(
            f"{text} calls cannot be parted: give a multiple of {_CONDITIONS}, {_CONDITIONS * _LEAST} or more"
        )
    return number
