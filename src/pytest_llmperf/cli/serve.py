"""Serve the simulated API on 127.0.0.1, for programs in any language.

Prints one JSON line with its URL when it is ready, and ends on Ctrl-C.
"""

from __future__ import annotations

import argparse

from pytest_llmperf.core.errors import UsageError

HELP = "serve the simulated API on 127.0.0.1"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Say what it takes."""
    parser.add_argument("--port", type=int, default=0, help="0 (default) takes a free one")
    parser.add_argument("--profile", default="claude-opus-4", help="name or TOML file (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="of everything that is random (default: %(default)s)")


def run(arguments: argparse.Namespace) -> int:
    """Serve until it is told to end.

    Raises:
        UsageError: the profile is none, or the server's library is missing.
    """
    try:
        from pytest_llmperf.simulator import server
    except ImportError as missing:
        raise UsageError(str(missing)) from missing
    return server.main([f"--port={arguments.port}", f"--profile={arguments.profile}", f"--seed={arguments.seed}"])
