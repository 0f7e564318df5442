"""The `llmperf` command: what can be done without running tests.

One module for each command, with `HELP`, `add_arguments` and `run`. A command imports what is heavy inside `run`, so
that `llmperf --help` answers at once. It prints what was asked for to standard output and what went wrong to standard
error.

Exit status: 0 done; 1 the answer is no (a regression was shown); 2 the question was wrong, or a file cannot be read.
"""

from __future__ import annotations

import argparse
import os
import sys
from typing import Protocol

from pytest_llmperf._version import __version__
from pytest_llmperf.cli import benchmark, capacity, compare, history, inspect, plan, pool, report, serve
from pytest_llmperf.cli.status import DONE, WRONG
from pytest_llmperf.core.errors import LLMPerfError


class Command(Protocol):
    """A module that is a command."""

    HELP: str
    """One line."""

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Say what it takes."""

    def run(self, arguments: argparse.Namespace) -> int:
        """Do it, and return the exit status.

        Raises:
            LLMPerfError: the question was wrong; the text says how.
        """


COMMANDS: dict[str, Command] = {
    "benchmark": benchmark,
    "capacity": capacity,
    "compare": compare,
    "history": history,
    "inspect": inspect,
    "plan": plan,
    "pool": pool,
    "report": report,
    "serve": serve,
}


def parser() -> argparse.ArgumentParser:
    """What the command line may hold."""
    main = argparse.ArgumentParser(prog="llmperf", description="What pytest-llmperf can do without running tests.")
    main.add_argument("--version", action="version", version=f"pytest-llmperf {__version__}")
    commands = main.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name, command in COMMANDS.items():
        command.add_arguments(commands.add_parser(name, help=command.HELP, description=command.__doc__))
    return main


def main(arguments: list[str] | None = None) -> int:
    """Run one command; returns the exit status."""
    asked = parser().parse_args(arguments)
    try:
        return COMMANDS[asked.command].run(asked)
    except LLMPerfError as error:
        print(f"llmperf {asked.command}: {error}", file=sys.stderr)
        return WRONG
    except BrokenPipeError:  # whoever read the output has seen enough, as `head` does
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return DONE
    except KeyboardInterrupt:
        return 130
