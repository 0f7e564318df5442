"""What an xfail mark says of a test that several processes run: it is held against the verdict on all of them.

A part judges nothing and so passes, which pytest takes for an unexpected pass: that is taken off it, and the mark goes
with the part to the controller, evaluated, since its condition may ask for the process that ran the test.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest
from _pytest.skipping import xfailed_key  # there is no public way to a mark that pytest has evaluated

_STRICT = "[XPASS(strict)] "


@dataclass(frozen=True, slots=True)
class Expected:
    """An xfail mark that holds."""

    reason: str
    strict: bool
    claims: bool
    """Whether it means a failed claim: `raises` may name something else."""

    def apply(self, report: pytest.TestReport, *, meant: bool) -> None:
        """Let a test end as pytest would have it end.

        Args:
            report: of its call.
            meant: whether what it failed by, if it did, is what the mark means.
        """
        if report.failed and meant:
            report.outcome = "skipped"
            setattr(report, "wasxfail", self.reason)  # noqa: B010 - pytest declares it nowhere
        elif report.passed and self.strict:
            report.outcome, report.longrepr = "failed", f"{_STRICT}{self.reason}"
        elif report.passed:
            setattr(report, "wasxfail", self.reason)  # noqa: B010


def expected_of(item: pytest.Item) -> Expected | None:
    """The xfail mark of a test that ran; None where it has none, or where it is not to be heeded."""
    found = item.stash.get(xfailed_key, None)
    if found is None or item.config.option.runxfail:
        return None
    return Expected(found.reason, found.strict, _means_claims(found.raises))


def without_xpass(report: pytest.TestReport) -> None:
    """Take an unexpected pass off the report of a part."""
    if report.failed and str(report.longrepr).startswith(_STRICT):
        report.outcome, report.longrepr = "passed", None
    elif report.passed and hasattr(report, "wasxfail"):
        del report.wasxfail


def _means_claims(raises: Any) -> bool:
    from pytest_llmperf.plugin.conclusion import ClaimFailed

    error = ClaimFailed("", pytrace=False)
    if raises is None or isinstance(raises, type | tuple):
        return raises is None or isinstance(error, raises)
    return bool(raises.matches(error))
