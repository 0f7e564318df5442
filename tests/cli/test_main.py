"""The `llmperf` command as a whole."""

import json
import signal
import subprocess
import sys
import urllib.request

import pytest

from pytest_llmperf.cli import main


def test_the_version_is_that_of_the_package(capsys):
    """`--version` names the package and its version."""
    from pytest_llmperf import __version__

    with pytest.raises(SystemExit, match="0"):
        main(["--version"])
    assert capsys.readouterr().out == f"pytest-llmperf {__version__}\n"


def test_an_unknown_command_lists_those_there_are(capsys):
    """A slip of the pen is answered with the commands, and status 2."""
    with pytest.raises(SystemExit, match="2"):
        main(["srve"])
    assert "serve" in capsys.readouterr().err


def test_a_wrong_question_is_told_in_one_line(capsys):
    """An error of ours is a line on standard error and status 2, without a traceback."""
    assert main(["serve", "--profile", "no-such-profile"]) == 2
    told = capsys.readouterr().err
    assert told.startswith("llmperf serve: ")
    assert "no-such-profile" in told
    assert "Traceback" not in told


def test_help_imports_nothing_heavy():
    """`llmperf --help` answers without numpy, scipy, anthropic, vcr, rich or pytest."""
    code = (
        "import sys; from pytest_llmperf.cli import parser; parser().format_help();"
        "print({'numpy', 'scipy', 'anthropic', 'vcr', 'rich', 'pytest', 'httpx', 'h11'} & sys.modules.keys())"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


def test_the_simulated_api_is_served():
    """`llmperf serve` tells its URL, answers there, and ends on Ctrl-C with status 0."""
    command = [sys.executable, "-m", "pytest_llmperf.cli", "serve"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as served:
        try:
            url = json.loads(served.stdout.readline())["url"]
            request = urllib.request.Request(
                f"{url}/v1/messages",
                data=json.dumps(
                    {"model": "claude-opus-4", "max_tokens": 5, "messages": [{"role": "user", "content": "Hi"}]}
                ).encode(),
                headers={"content-type": "application/json", "x-api-key": "none", "anthropic-version": "2023-06-01"},
            )
            with urllib.request.urlopen(request, timeout=60) as answer:
                assert json.load(answer)["usage"]["output_tokens"] > 0
        finally:
            served.send_signal(signal.SIGINT)
        assert served.wait(timeout=30) == 0
