"""Suites beside other plugins: each runs in a process of its own, with all plugins of the environment as they are.

A process takes seconds to start, so that what can be asked in one run is asked in one.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import textwrap

import pytest

from plugin.conftest import INI, TALK, Ran, _is_ours


@pytest.fixture(scope="session")
def suite(tmp_path_factory):
    """Run a suite under a name, once: its source, then arguments of pytest; warnings are errors, marks strict.

    *without* leaves the plugin out; *again* is the name of a run that finds what the suite's run under *name* left.
    """
    done = {}

    def run(
        name: str,
        source: str,
        *arguments: str,
        backend: str = "simulate",
        without: bool = False,
        again: str = "",
        **files: str,
    ) -> Ran:
        if (again or name) in done:
            return done[again or name]
        path = tmp_path_factory.mktemp(again or name)
        if again:
            shutil.copytree(done[name].path, path, dirs_exist_ok=True)
        for file, text in {"test_suite": source, "talk": TALK, **files}.items():
            (path / f"{file}.py").write_text(textwrap.dedent(text))
        ini = INI.format(backend=backend).replace("= always", "= error")
        (path / "pytest.ini").write_text(ini.partition("llmperf_")[0] if without else ini)
        ours = ["-p", "no:llmperf"] if without else ["--llmperf-json=report.json"]
        command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "--strict-markers", "--strict-config"]
        environment = {name: value for name, value in os.environ.items() if not _is_ours(name)}
        ended = subprocess.run(
            [*command, *ours, *arguments],
            cwd=path,
            env=environment,
            capture_output=True,
            text=True,
            timeout=200,
        )
        done[again or name] = Ran(ended.returncode, ended.stdout, ended.stderr, path)
        return done[again or name]

    return run
