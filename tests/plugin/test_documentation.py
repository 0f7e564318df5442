"""Each page of the documentation is followed from its top to its end: what it shows is what happens.

The commands run in this process. `LLMPERF_GOLDEN=write` makes the tests write what happened into the pages.
"""

import linecache
import os
import shlex
import shutil
import sys
from pathlib import Path

import pytest

from pytest_llmperf import cli
from shown import EXAMPLES, ROOT, same_every_time, steps, with_outputs

DOCS = ROOT / "docs"
FOLLOWED = [page for page in sorted(DOCS.rglob("*.md")) if any(step.kind != "file" for step in steps(page))]
RECORDED = EXAMPLES / "recorded/cassettes/test_recorded/test_first_words.yaml"
FOLDER = "/home/you/app"
"""What a page calls the folder in which its reader works."""
SETTINGS = "[pytest]\nllmperf_backend = simulate\nasyncio_default_fixture_loop_scope = function\n"
"""The ini file that the tutorial begins with; the other pages suppose it."""


@pytest.fixture
def reader(pytester, capsys, monkeypatch):
    """Somebody with a terminal of 80 columns who does what a page says; gives what a command prints."""
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("PYTEST_ADDOPTS", "-p no:cacheprovider -W default")
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    (pytester.path / "pytest.ini").write_text(SETTINGS)
    recorded = pytester.path / "cassettes/test_pump/test_first_words.yaml"
    recorded.parent.mkdir(parents=True)
    shutil.copyfile(RECORDED, recorded)

    def types(command: str) -> str:
        lines = printed(*shlex.split(command)).replace(str(pytester.path), FOLDER).splitlines()
        return "\n".join(map(str.rstrip, lines))

    def printed(program: str, *arguments: str) -> str:
        if program == "pytest":
            linecache.clearcache()  # of files that an earlier step wrote
            return pytester.runpytest_inprocess(*arguments).stdout.str()
        assert program == "llmperf"
        capsys.readouterr()
        cli.main(list(arguments))
        return "".join(capsys.readouterr())

    return types


def followed(page: Path, reader, folder: Path) -> list[str]:
    """What the commands of a page really print, in order."""
    printed = []
    for step in steps(page):
        if step.kind == "command":
            printed.append(reader(step.name))
        elif step.kind == "file":
            (folder / step.name).parent.mkdir(parents=True, exist_ok=True)
            (folder / step.name).write_text(step.text, "utf-8")
        else:
            exec(compile(step.text, str(page), "exec"), {})
    return printed


@pytest.mark.parametrize("page", FOLLOWED, ids=lambda page: page.relative_to(DOCS).with_suffix("").as_posix())
def test_what_a_page_shows_happens(page, reader, pytester):
    """Its Python runs, and its commands print what stands below them."""
    printed = followed(page, reader, pytester.path)
    if os.environ.get("LLMPERF_GOLDEN") == "write":
        page.write_text(with_outputs(page, printed), "utf-8")
    shown = [step.text for step in steps(page) if step.kind == "command"]
    assert [*map(same_every_time, printed)] == [*map(same_every_time, shown)]


@pytest.mark.parametrize("page", FOLLOWED, ids=lambda page: page.relative_to(DOCS).with_suffix("").as_posix())
def test_every_test_that_a_page_shows_is_run_there(page):
    """A test file that no command below it names would never be tried."""
    commands = " ".join(step.name for step in steps(page) if step.kind == "command")
    tests = {step.name for step in steps(page) if step.kind == "file" and step.name.startswith("test_")}
    assert {name for name in tests if name not in commands} == set()
