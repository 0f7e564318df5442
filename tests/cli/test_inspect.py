"""`llmperf inspect`: what cassettes hold, as a table and as JSON lines."""

import json
import os
import subprocess
import sys

import pytest

from cassettes.files import TIMING, URL, cassette, interaction
from pytest_llmperf.cli import main
from wire.attempts import CASSETTES, expectations

KEYS = [
    "file",
    "index",
    "format",
    "method",
    "host",
    "path",
    "query",
    "api",
    "status",
    "stream",
    "request_model",
    "response_model",
    "input_tokens",
    "output_tokens",
    "cache_creation_input_tokens",
    "cache_read_input_tokens",
    "stop_reason",
    "n_content_block_delta",
    "ping",
    "has_thinking",
    "has_tool_use",
    "timed",
    "failure",
    "unread",
    "ttft",
    "e2e",
]
OVERLOADED = {
    "status": {"code": 529, "message": ""},
    "headers": {},
    "body": {"string": json.dumps({"error": {"type": "overloaded_error", "message": "Overloaded"}})},
}


@pytest.fixture(autouse=True)
def terminal(monkeypatch):
    """A terminal of 80 columns without colours."""
    for name in ("FORCE_COLOR", "TTY_COMPATIBLE", "TTY_INTERACTIVE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("COLUMNS", "80")


@pytest.fixture
def inspect(capsys):
    """A function that runs the command and gives status, output and errors."""

    def run(*arguments):
        status = main(["inspect", *map(str, arguments)])
        return status, *capsys.readouterr()

    return run


def test_json_lines(inspect):
    """One object for each interaction of each file, in order, with the recording's facts under the promised keys."""
    files = list(dict.fromkeys(facts["file"] for facts in expectations()))
    status, output, errors = inspect("--json", *(CASSETTES / file for file in files))
    lines = [json.loads(line) for line in output.splitlines()]
    assert (status, errors) == (0, "")
    assert all(list(line) == KEYS for line in lines)
    shared = KEYS[1 : KEYS.index("timed")]
    assert [[line[key] for key in shared] for line in lines] == [
        [facts.get(key) for key in shared] for facts in expectations()
    ]
    assert [line["file"] for line in lines] == [str(CASSETTES / facts["file"]) for facts in expectations()]


def test_a_table(inspect, tmp_path, monkeypatch):
    """What all interactions have in common is said once, the rest in a line each, and the tokens are summed up."""
    monkeypatch.chdir(tmp_path)
    cassette(tmp_path, interaction(), interaction(), name="one.yaml")
    status, output, errors = inspect("one.yaml")
    assert (status, errors) == (0, "")
    assert output == (
        "one.yaml\n"
        "vcrpy-yaml, anthropic.messages, claude-answered (asked for: claude-asked)\n"
        "#  status  stream  in  out  read  written  stop      timed\n"
        "──────────────────────────────────────────────────────────\n"
        "1     200     yes   3    2     -        -  end_turn     no\n"
        "2     200     yes   3    2     -        -  end_turn     no\n"
        "2 interactions, 0 timed; tokens: 6 in, 4 out\n"
        "\n"
    )


def test_a_table_of_timed_interactions(inspect, tmp_path, monkeypatch):
    """Times stand beside the interactions that have them, an error's type where the answer would say why it stopped."""
    monkeypatch.chdir(tmp_path)
    cassette(tmp_path, interaction(**OVERLOADED), interaction(**{"x-llmperf": TIMING}), name="one.yaml")
    _, output, _ = inspect("one.yaml")
    assert output == (
        "one.yaml\n"
        "vcrpy-yaml, anthropic.messages, claude-answered (asked for: claude-asked)\n"
        "# status stream in out read written stop        timed ttft s e2e s\n"
        "──────────────────────────────────────────────────────────────────\n"
        "1    529     no  -   -    -       - overloaded_    no      -     -\n"
        "                                    error                         \n"
        "2    200    yes  3   2    -       - end_turn      yes   0.20  0.20\n"
        "2 interactions, 1 failed, 1 timed; tokens: 3 in, 2 out\n"
        "\n"
    )


def test_a_table_of_unlike_interactions(inspect, tmp_path, monkeypatch):
    """API and model stand in columns where they differ, folded at their joints where the terminal is narrow."""
    monkeypatch.chdir(tmp_path)
    request = {"uri": f"{URL}/count_tokens", "body": json.dumps({"model": "claude-sonnet-4-5-20250929"})}
    cassette(tmp_path, interaction(request=request, body={"string": "{}"}), interaction(), name="one.yaml")
    assert inspect("one.yaml")[1].splitlines()[1:-1] == [
        "vcrpy-yaml",
        "# api          model          status stream in out read written stop     timed",
        "──────────────────────────────────────────────────────────────────────────────",
        "1 anthropic.   claude-sonnet-    200     no  -   -    -       - -           no",
        "  count_tokens 4-5-20250929                                                   ",
        "2 anthropic.   claude-           200    yes  3   2    -       - end_turn    no",
        "  messages     answered                                                       ",
        "2 interactions, 0 timed; tokens: 3 in, 2 out",
    ]
    monkeypatch.setenv("COLUMNS", "120")
    assert "anthropic.count_tokens  claude-sonnet-4-5-20250929 " in inspect("one.yaml")[1]


def test_nothing_is_wider_than_the_terminal(inspect):
    """Every table fits into 80 columns, with nothing cut off its figures."""
    for facts in expectations():
        _, output, _ = inspect(CASSETTES / facts["file"])
        _, _, *table = output.splitlines()
        assert max(map(len, table)) <= 80
        assert "…" not in output
        for name in ("input_tokens", "output_tokens", "status"):
            assert str(facts[name] or "") in output


def test_an_empty_cassette(inspect, tmp_path):
    """A cassette without interactions has no table."""
    _, output, _ = inspect(cassette(tmp_path))
    assert output.splitlines()[1:] == ["vcrpy-yaml", "0 interactions, 0 timed", ""]
    assert inspect("--json", cassette(tmp_path)) == (0, "", "")


@pytest.mark.parametrize("notation", [[], ["--json"]])
def test_one_of_several_that_cannot_be_read(inspect, tmp_path, notation):
    """It is told on standard error with file, interaction and reason; the others are shown; the status is 2."""
    bad = cassette(tmp_path, interaction(), {"request": {}}, name="bad.yaml")
    first, last = (cassette(tmp_path, interaction(), name=name) for name in ("first.yaml", "last.yaml"))
    status, output, errors = inspect(*notation, first, bad, tmp_path / "none.yaml", last)
    assert status == 2
    assert "first.yaml" in output
    assert "last.yaml" in output
    assert "bad.yaml" not in output
    assert errors.splitlines() == [
        f"llmperf inspect: {bad}: interaction 2 of 2: the interaction has no 'response'",
        f"llmperf inspect: {tmp_path / 'none.yaml'}: there is no such file",
    ]


@pytest.mark.parametrize("notation", [[], ["--json"]])
def test_a_body_that_cannot_be_read(inspect, tmp_path, notation):
    """The interaction is shown with what is known of it, the reason is told, and the status is 2."""
    damaged = interaction(headers={"content-encoding": ["gzip"]}, body={"string": b"\x1f\x8b\x00damaged"})
    path = cassette(tmp_path, interaction(), damaged)
    status, output, errors = inspect(*notation, path)
    assert status == 2
    assert "claude-asked" in output
    assert errors.startswith(f"llmperf inspect: {path}: interaction 2 of 2: content-encoding 'gzip' is damaged: ")


def test_no_file_named():
    """Without a file there is nothing to show."""
    with pytest.raises(SystemExit, match="2"):
        main(["inspect"])


def test_what_could_steer_a_terminal(inspect, tmp_path):
    """Control characters of a cassette do not reach the terminal."""
    request = {"uri": "https://host/\x1b[31m", "body": json.dumps({"model": "\x1b]0;title\x07"})}
    _, output, _ = inspect(cassette(tmp_path, interaction(request=request, body={"string": ""})))
    assert "\x1b" not in output
    assert "?[31m" in output


def test_a_terminal_without_typographic_characters(tmp_path):
    """On an ASCII terminal the table is drawn in ASCII."""
    command = [sys.executable, "-m", "pytest_llmperf.cli", "inspect", cassette(tmp_path, interaction())]
    environment = os.environ | {"PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0"}
    done = subprocess.run(command, capture_output=True, env=environment, check=True)
    assert done.stdout.isascii()
    assert b"end_turn" in done.stdout
