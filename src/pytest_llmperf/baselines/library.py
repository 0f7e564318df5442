"""The folder that baselines live in: `<store>/baselines/<name>/<session>.json`.

A session is written once and never changed. It is written beside its place, brought to the disk, and put there by its
name in one step, under a lock that the operating system lets go of when a process dies: whoever reads sees whole
sessions only, and a process that is killed leaves nothing but a file that nobody reads.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from pytest_llmperf.baselines.document import Session, from_text, to_text
from pytest_llmperf.baselines.errors import BaselineError

STORE = ".llmperf"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
_LOCK = ".lock"
_PATIENCE_S = 60.0


def checked_name(name: str) -> str:
    """The name of a baseline, which is that of a folder.

    Raises:
        ValueError: it is none.
    """
    if not _NAME.fullmatch(name):
        raise ValueError("a baseline's name is of letters, digits, '.', '_' and '-', and begins with a letter or digit")
    return name


@dataclass(frozen=True, slots=True)
class Library:
    """The baselines of one store."""

    store: Path

    @property
    def names(self) -> tuple[str, ...]:
        """The baselines there are."""
        folder = self.store / "baselines"
        try:
            return tuple(sorted(path.name for path in folder.iterdir() if any(_files(path))))
        except FileNotFoundError:
            return ()
        except OSError as error:
            raise _unreadable(folder, error) from error

    def sessions(self, name: str) -> tuple[Session, ...]:
        """The accepted sessions of a baseline, oldest first; none where there is no such baseline.

        Raises:
            BaselineError: a file of it is damaged, newer than this version, or cannot be read.
        """
        found = [read(path) for path in _files(self._folder(name))]
        return tuple(sorted(found, key=lambda session: (session.started, session.name)))

    def save(self, name: str, session: Session) -> Path:
        """Add a session to a baseline, and return its file; nothing that is there is changed.

        Raises:
            BaselineError: it cannot be written; then nothing of it is there.
        """
        folder, text = self._folder(name), to_text(session)
        try:
            folder.mkdir(parents=True, exist_ok=True)
            with _locked(folder):
                return _put(folder, _stem(session.started), text)
        except OSError as error:
            reason = error.strerror or str(error)
            raise BaselineError(
                f"baseline {name!r} could not be saved to {folder}: {reason}; nothing of it was written, and what was "
                "there is as it was. Make room or let the folder be written to, or give another with --llmperf-store"
            ) from error

    def _folder(self, name: str) -> Path:
        return self.store / "baselines" / checked_name(name)


def read(path: Path) -> Session:
    """The session of one file.

    Raises:
        BaselineError: it is damaged, newer than this version, or cannot be read.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise _unreadable(path, error) from error
    except ValueError:
        text = ""  # no UTF-8, hence nothing of ours
    return replace(from_text(text, str(path)), name=path.stem)


def _unreadable(path: Path, error: OSError) -> BaselineError:
    return BaselineError(f"{path} cannot be read: {error.strerror or error}")


def _files(folder: Path) -> Iterator[Path]:
    """Of sessions; what begins with a dot is none."""
    yield from sorted(path for path in folder.glob("*.json") if not path.name.startswith("."))


def _stem(started: str) -> str:
    """The moment as a name that sorts and that every file system takes: `2026-03-02T09-30-00Z`."""
    return re.sub(r"[^0-9A-Za-z-]", "-", started.replace("+00:00", "Z"))


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    from filelock import FileLock, Timeout

    try:
        with FileLock(folder / _LOCK, timeout=_PATIENCE_S):
            yield
    except Timeout as error:
        raise BlockingIOError(0, f"another process has been writing there for {_PATIENCE_S:g} s") from error


def _put(folder: Path, stem: str, text: str) -> Path:
    """A new file with this content, whole or not at all. The caller holds the lock."""
    unfinished = folder / f".{stem}.{os.getpid()}.tmp"
    try:
        with unfinished.open("w", encoding="utf-8", errors="backslashreplace", newline="\n") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        path = _unused(folder, stem)
        unfinished.rename(path)
    finally:
        unfinished.unlink(missing_ok=True)
    return path


def _unused(folder: Path, stem: str) -> Path:
    """Two runs may have begun in the same second."""
    number, path = 1, folder / f"{stem}.json"
    while path.exists():
        number += 1
        path = folder / f"{stem}-{number}.json"
    return path
