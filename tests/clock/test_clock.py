"""The layer as a whole."""

import subprocess
import sys

import pytest

from pytest_llmperf.clock import Clock
from pytest_llmperf.clock.manual import ManualClock
from pytest_llmperf.clock.virtual import VirtualClock
from pytest_llmperf.clock.wall import WallClock


@pytest.mark.parametrize("module", ["", ".wall", ".manual", ".virtual", ".lag"])
def test_importing_a_clock_loads_nothing_heavy(module):
    """Every clock can be loaded where only the standard library is."""
    heavy = "{'numpy', 'scipy', 'httpx', 'httpx2', 'anthropic', 'anyio', 'trio', 'pytest', 'rich', 'vcr'}"
    code = f"import sys, pytest_llmperf.clock{module}; print(sorted({heavy} & set(sys.modules)))"
    seen = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert seen.stdout.strip() == "[]"


@pytest.mark.parametrize(
    ("clock", "name"),
    [
        (WallClock(), "realtime"),
        (WallClock("instant"), "instant"),
        (ManualClock(), "manual"),
        (VirtualClock(), "virtual"),
    ],
)
def test_every_clock_has_a_name_and_whole_nanoseconds(clock: Clock, name: str):
    """A clock says what it is, and tells time in integers."""
    assert clock.name == name
    assert type(clock.now_ns()) is int
