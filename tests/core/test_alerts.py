"""Alert thresholds from what is normal."""

import pytest

from factories import calls, failed_measurement, measurement, series
from pytest_llmperf.core.alerts import Alert, Rules, alerts


def test_thresholds_follow_from_all_sessions_together():
    """p95 and half of it, the share of errors as given, three times the wait for a connection."""
    first, second = (
        series([measurement(number, ttft=0.01 * (before + number + 1), queue=0.02) for number in range(50)])
        for before in (0, 50)
    )
    latency, errors, queue = alerts([first, second], "ttft|e2e", Rules())
    assert latency == Alert("p95 ttft", "s", pytest.approx(0.95), pytest.approx(1.425), "normal + 50 %")
    assert errors == Alert("error_rate", "share", 0.0, 0.02, "as given")
    assert queue == Alert("p95 queue", "s", 0.02, pytest.approx(0.06), "3 × normal")


def test_what_was_not_measured_has_no_threshold():
    """Nor has what is normally nothing."""
    *_, queue = alerts([series(calls(5))], "ttft", Rules())
    assert (queue.normal, queue.threshold) == (None, None)
    *_, queue = alerts([series(calls(5, queue=0.0))], "ttft", Rules())
    assert (queue.normal, queue.threshold) == (0.0, None)


def test_the_usual_share_of_errors_is_told():
    """Beside the one that is too many; no threshold is above an infinite wait."""
    latency, errors, _ = alerts([series([*calls(3), failed_measurement(3)])], "output_tps", Rules(errors=0.05))
    assert (errors.normal, errors.threshold) == (0.25, 0.05)
    assert (latency.figure, latency.threshold) == ("p95 ttft", None)
