"""The folder of baselines: what happens when writing goes wrong."""

import json
import os
import resource
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest

from baselines.accepted import session
from pytest_llmperf.baselines.errors import BaselineError
from pytest_llmperf.baselines.library import Library, checked_name

SAVE = """
import sys, pathlib
sys.path[:0] = {path!r}
from baselines.accepted import session, timed
from pytest_llmperf.baselines.library import Library
library, whole = Library(pathlib.Path(sys.argv[1])), session(timed(n=200))
for _ in range(int(sys.argv[2])):
    library.save("main", whole)
    print(".", flush=True)
"""


def saving(store, times, **how):
    """A process of its own that saves so many sessions, and writes a line for each."""
    code = SAVE.format(path=[path for path in sys.path if path.endswith("tests")])
    return subprocess.Popen(
        [sys.executable, "-c", code, str(store), str(times)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        **how,
    )


@pytest.fixture
def somebody():
    """A folder of somebody who is not root, as whom the test goes on: root may write everywhere."""
    import filelock  # noqa: F401 (nobody else may be allowed to read it)

    with tempfile.TemporaryDirectory() as scratch:
        folder, root = Path(scratch), os.geteuid() == 0
        if root:
            os.chown(folder, 65534, -1)
            os.seteuid(65534)
        yield folder
        if root:
            os.seteuid(0)


class TestSaving:
    def test_a_session_is_a_file_of_its_baseline(self, tmp_path):
        """Named by its moment; another of the same second has a number."""
        library = Library(tmp_path / ".llmperf")
        assert library.names == ()
        first, second = library.save("main", session()), library.save("main", session(anchor=True))
        assert first == tmp_path / ".llmperf" / "baselines" / "main" / "2026-03-02T09-30-00Z.json"
        assert second.name == "2026-03-02T09-30-00Z-2.json"
        assert library.names == ("main",)
        assert [one.anchor for one in library.sessions("main")] == [False, True]
        assert library.sessions("main")[0].name == "2026-03-02T09-30-00Z"

    def test_sessions_come_oldest_first(self, tmp_path):
        """By when they began, not by when they were saved."""
        library = Library(tmp_path)
        for started in ("2026-03-03T00:00:00+00:00", "2026-03-01T00:00:00+00:00"):
            library.save("main", session(started=started))
        assert [one.started[:10] for one in library.sessions("main")] == ["2026-03-01", "2026-03-03"]

    def test_a_baseline_nobody_saved_has_no_sessions(self, tmp_path):
        """That is no error: a first run has none."""
        assert Library(tmp_path).sessions("main") == ()

    @pytest.mark.parametrize("name", ["", "a/b", "..", ".hidden", "-p", "a b", "x" * 101])
    def test_a_name_that_is_no_folders_is_refused(self, name):
        """It cannot lead out of the store."""
        with pytest.raises(ValueError, match="a baseline's name"):
            checked_name(name)

    @pytest.mark.parametrize("content", [b"{", b"\xff\xfe", b'{"schema": 99}'])
    def test_a_file_that_cannot_be_read_is_told_and_kept(self, tmp_path, content):
        """A later save stands beside it, and the file stays what it is."""
        library = Library(tmp_path)
        path = library.save("main", session())
        path.write_bytes(content)
        library.save("main", session())
        with pytest.raises(BaselineError, match=str(path)):
            library.sessions("main")
        assert path.read_bytes() == content


class TestTrouble:
    def test_two_processes_saving_at_once_lose_nothing(self, tmp_path):
        """Every session of both is there, and whole."""
        with saving(tmp_path, 4) as one, saving(tmp_path, 4) as other:
            assert [one.wait(60), other.wait(60)] == [0, 0]
        assert len(Library(tmp_path).sessions("main")) == 8

    def test_a_process_that_is_killed_leaves_whole_files_and_no_lock(self, tmp_path):
        """At whichever point of its writing it is killed."""
        library, told = Library(tmp_path), 0
        for pause in (0.0, 0.003, 0.011, 0.017):
            with saving(tmp_path, 10_000) as process:
                process.stdout.readline()
                time.sleep(pause)
                process.send_signal(signal.SIGKILL)
                told += 1 + process.stdout.read().count(".")
        found = library.sessions("main")
        assert told <= len(found) <= told + 4
        library.save("main", session())
        assert len(library.sessions("main")) == len(found) + 1

    def test_a_full_disk_is_told_and_nothing_half_is_left(self, tmp_path):
        """As a process sees it that may write no file of more than 4 KiB."""
        Library(tmp_path).save("main", session())
        before = sorted(path.name for path in tmp_path.rglob("*.json"))
        limit = lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))  # noqa: E731
        with saving(tmp_path, 1, preexec_fn=limit) as process:
            _, errors = process.communicate(timeout=60)
        assert "baseline 'main' could not be saved to" in errors
        assert "File too large; nothing of it was written" in errors
        assert sorted(path.name for path in tmp_path.rglob("*.json")) == before
        assert not list(tmp_path.rglob("*.tmp"))

    def test_a_store_that_may_not_be_written_to_is_told(self, somebody):
        """With the way out; what is there can still be read."""
        library = Library(somebody)
        folder = library.save("main", session()).parent
        folder.chmod(0o555)
        with pytest.raises(BaselineError, match=r"Permission denied; nothing of it was written.* --llmperf-store"):
            library.save("main", session())
        assert len(library.sessions("main")) == 1
        folder.chmod(0o755)

    def test_a_store_that_is_a_file_is_told(self, tmp_path):
        """Saving into it is an error that says so."""
        (tmp_path / "store").write_text("")
        with pytest.raises(BaselineError, match="could not be saved"):
            Library(tmp_path / "store").save("main", session())

    def test_what_is_unfinished_is_not_read(self, tmp_path):
        """A process that was killed may leave it."""
        library = Library(tmp_path)
        (library.save("main", session()).parent / ".2026.77.tmp").write_text("{")
        assert len(library.sessions("main")) == 1
        assert json.loads(next(tmp_path.rglob("2026*.json")).read_text())["schema"] == 1
