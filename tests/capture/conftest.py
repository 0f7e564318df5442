"""What the tests of observing share."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from pytest_llmperf.capture import Recorder, observing


@pytest.fixture
def recorder() -> Recorder:
    """A recorder on the monotonic clock."""
    return Recorder(time.perf_counter_ns)


@pytest.fixture
def observed(recorder: Recorder) -> Iterator[Recorder]:
    """The recorder, observing everything as the round "round"; nothing of our own may go wrong."""
    with observing(recorder), recorder.round("round"):
        yield recorder
    assert not [text for text in recorder.warnings if "failed" in text]
