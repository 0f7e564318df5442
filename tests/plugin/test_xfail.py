"""What an xfail mark says of a test that several processes run."""

from __future__ import annotations

import pytest

from pytest_llmperf.plugin.xfail import Expected, without_xpass


def report(outcome, longrepr=None):
    """One of the call phase."""
    return pytest.TestReport("test_it.py::test_it", ("test_it.py", 1, "test_it"), {}, outcome, longrepr, "call")


@pytest.mark.parametrize(
    ("outcome", "strict", "meant", "ends", "marked"),
    [
        ("failed", True, True, "skipped", True),
        ("failed", True, False, "failed", False),
        ("passed", False, True, "passed", True),
        ("passed", True, True, "failed", False),
    ],
)
def test_a_whole_ends_as_pytest_would_have_it(outcome, strict, meant, ends, marked):
    """An expected failure is skipped with the reason; an unexpected pass fails where the mark is strict."""
    whole = report(outcome)
    Expected("why", strict, claims=True).apply(whole, meant=meant)
    assert (whole.outcome, getattr(whole, "wasxfail", None)) == (ends, "why" if marked else None)


def test_a_part_has_no_unexpected_pass():
    """What judges nothing passes plainly; what failed for another reason stays failed."""
    strict, lenient, other = report("failed", "[XPASS(strict)] why"), report("passed"), report("failed", "boom")
    lenient.wasxfail = "why"
    for part in (strict, lenient, other):
        without_xpass(part)
    assert [part.outcome for part in (strict, lenient, other)] == ["passed", "passed", "failed"]
    assert (strict.longrepr, hasattr(lenient, "wasxfail")) == (None, False)
