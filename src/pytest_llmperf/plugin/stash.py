"""Under which keys configs and items carry what is ours.

Apart from the values themselves: who only asks whether something is there need not import what it is made of.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pytest_llmperf.plugin.execution import Execution
    from pytest_llmperf.plugin.marks import Scenario
    from pytest_llmperf.plugin.options import Settings
    from pytest_llmperf.plugin.session import Run
    from pytest_llmperf.plugin.telemetry import Told
    from pytest_llmperf.reports.report import TestResult
    from pytest_llmperf.runner.loop import Sampling

# Of a config.
SETTINGS: pytest.StashKey[Settings] = pytest.StashKey()
RUN: pytest.StashKey[Run] = pytest.StashKey()
COLLECTED: pytest.StashKey[list[pytest.Item]] = pytest.StashKey()
"""All tests, before any was deselected."""

# Of an item.
SCENARIO: pytest.StashKey[Scenario] = pytest.StashKey()
"""What its marks ask for."""
SAMPLING: pytest.StashKey[Sampling] = pytest.StashKey()
"""The sampling that runs, or ran last."""
FRESH: pytest.StashKey[Execution] = pytest.StashKey()
"""The execution of a test whose rounds are repeated from outside."""
RESULT: pytest.StashKey[TestResult] = pytest.StashKey()
"""What it showed, until a report takes it."""
TOLD: pytest.StashKey[list[Told]] = pytest.StashKey()
"""Its runs that OpenTelemetry is still to be told of, where that is set up."""
