"""Puts a finished text where it was asked for: whole or not at all."""

from __future__ import annotations

import os
from pathlib import Path

from pytest_llmperf.core.errors import UsageError


def put(text: str, path: Path, *, option: str, what: str) -> None:
    """Write a text as UTF-8; folders on the way are made.

    Args:
        text: what to write. A lone surrogate becomes an escape.
        path: where to. A link stays one; a pipe or device is written as it is.
        option: whose value the path is, for the message.
        what: the text is, for the message.

    Raises:
        UsageError: the file cannot be written there.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _put(text.encode("utf-8", "backslashreplace"), path)  # of a lone surrogate JSON has the same escape
    except OSError as error:
        reason = error.strerror or str(error)
        raise UsageError(
            f"the {what} could not be written to {path}: {reason}; "
            f"give {option} the path of a file in a folder that can be written to"
        ) from error


def _put(content: bytes, path: Path) -> None:
    """Through a file beside it, so that a reader never sees half."""
    if path.exists() and not path.is_file():
        path.write_bytes(content)
        return
    target = path.resolve()
    unfinished = target.with_name(f".{target.name}.{os.getpid()}.tmp")
    try:
        unfinished.write_bytes(content)
        unfinished.replace(target)
    finally:
        unfinished.unlink(missing_ok=True)
