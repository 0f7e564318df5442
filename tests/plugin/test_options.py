"""The options, in all their three places."""

from __future__ import annotations

from pathlib import Path

import pytest

from pytest_llmperf.plugin.options import OPTIONS, read_settings
from pytest_llmperf.plugin.stash import SETTINGS


@pytest.fixture
def configured(pytester):
    """A function that makes a config of an ini section and arguments."""

    def make(ini="", *arguments):
        pytester.makeini(f"[pytest]\nasyncio_default_fixture_loop_scope = function\n{ini}")
        return pytester.parseconfigure(*arguments)

    return make


def test_the_defaults(configured):
    """Without any option the network is never touched, and nothing is overridden."""
    settings = read_settings(configured(), {})
    assert (settings.backend, settings.clock, settings.seed, settings.inconclusive) == ("replay", "auto", 0, "warn")
    assert (settings.rounds, settings.stop, settings.confidence, settings.max_calls) == (None, None, None, None)
    assert (settings.json, settings.junit, settings.off, settings.short_marks) == (None, "testcase", False, True)


def test_the_command_line_beats_the_environment_beats_the_ini_file(configured):
    """Each place counts where a nearer one is silent."""
    ini = "llmperf_rounds = 3\nllmperf_seed = 3\nllmperf_clock = instant"
    config = configured(ini, "--llmperf-rounds=5")
    environment = {"PYTEST_LLMPERF_ROUNDS": "4", "PYTEST_LLMPERF_SEED": "4", "PYTEST_LLMPERF_CLOCK": ""}
    settings = read_settings(config, environment)
    assert (settings.rounds, settings.seed, settings.clock) == (5, 4, "instant")


@pytest.mark.parametrize("option", OPTIONS, ids=lambda option: option.name)
def test_an_option_has_the_same_name_in_all_places(configured, option):
    """Every option is read from the command line, the environment and the ini file alike."""
    given = "true" if option.flag else {"json": "x.json", "profile": "x"}.get(option.name, "7")
    given = {"confidence": "0.75", "clock": "realtime"}.get(
        option.name, option.choices[-1] if option.choices else given
    )
    argument = option.cli if option.flag else f"{option.cli}={given}"
    expected = option.convert(given)
    assert getattr(read_settings(configured("", argument), {}), option.name) == expected
    assert getattr(read_settings(configured(), {option.variable: given}), option.name) == expected
    assert getattr(read_settings(configured(f"{option.ini} = {given}"), {}), option.name) == expected


@pytest.mark.parametrize(
    ("variable", "text", "said"),
    [
        ("PYTEST_LLMPERF_ROUNDS", "0", "PYTEST_LLMPERF_ROUNDS: cannot use '0': must be at least 1"),
        ("PYTEST_LLMPERF_BACKEND", "cloud", "'cloud' is none of replay, record, live, simulate"),
        ("PYTEST_LLMPERF_CONFIDENCE", "95", "must be at least 0.5 and below 1"),
        ("PYTEST_LLMPERF_MAX_USD", "nan", "must be a positive number"),
        ("PYTEST_LLMPERF_OFF", "maybe", "write true or false"),
    ],
)
def test_a_value_that_cannot_be_used_is_named_with_its_place(configured, variable, text, said):
    """The message names the place, the value and what is valid."""
    with pytest.raises(pytest.UsageError) as refused:
        read_settings(configured(), {variable: text})
    assert said in str(refused.value)


def test_a_bad_value_ends_the_run(suite):
    """It is a wrong usage of pytest, and ends with its exit code."""
    ran = suite("def test_a(): ...", "--llmperf-max-calls=none")
    assert (ran.code, "--llmperf-max-calls: cannot use 'none'" in ran.text) == (pytest.ExitCode.USAGE_ERROR, True)


def test_a_real_api_cannot_be_hurried(configured):
    """Any clock but the real one is refused with the live backend."""
    with pytest.raises(pytest.UsageError, match="a real API answers in real time"):
        configured("", "--llmperf-backend=live", "--llmperf-clock=virtual")


def test_a_relative_path_of_a_report_is_below_the_directory_pytest_was_called_in(configured):
    """The path is kept as it was given, and put together when the file is written."""
    assert configured("", "--llmperf-json=out/report.json").stash[SETTINGS].json == Path("out/report.json")


def test_every_option_is_in_the_help(pytester):
    """`pytest --help` lists the options with their defaults, and the ini names."""
    pytester.makeini("[pytest]\nasyncio_default_fixture_loop_scope = function")
    shown = pytester.runpytest_inprocess("--help").stdout.str()
    missing = [name for option in OPTIONS for name in (option.cli, option.ini) if name not in shown]
    assert missing == []
    assert "default: replay" in shown


def test_options_reach_the_run(suite, monkeypatch):
    """The number of rounds of the environment is the one that is run, past mark and ini file."""
    monkeypatch.setenv("PYTEST_LLMPERF_ROUNDS", "2")
    ran = suite(
        """
        import pytest
        from talk import *
        @pytest.mark.llmperf(rounds=7, warmup=0)
        def test_a(): ran("a"); ask()
        """,
        ini="llmperf_rounds = 3\n",
    )
    assert ran.bodies == {"a": 2}


def test_off_runs_every_body_once(suite):
    """`--llmperf-off` runs marked tests once, as if they had no mark, and reports nothing."""
    ran = suite(
        """
        import pytest
        from talk import *
        @pytest.mark.latency(p95_ms=1)
        def test_a(): ran("a")
        @pytest.mark.latency(p95_ms=1)
        async def test_b(): ran("b")
        """,
        "--llmperf-off",
    )
    assert (ran.outcomes, ran.bodies) == ({"passed": 2}, {"a": 1, "b": 1})
    assert "llmperf:" not in ran.text
    assert not (ran.path / "report.json").exists()
