"""What is written down of an attempt."""

from __future__ import annotations

import httpx2
import pytest

from pytest_llmperf.capture.log import AT_ONCE

SENDING = [
    ("http11.send_request_headers.started", 50),
    ("http11.send_request_headers.complete", 60),
    ("http11.send_request_body.started", 61),
    ("http11.send_request_body.complete", 71),
]


@pytest.mark.parametrize(("size", "expected"), [(0, 71), (1, 66), (AT_ONCE, 66), (AT_ONCE + 1, 71)])
def test_only_a_body_that_a_socket_takes_at_once_is_sent_where_its_sending_began(recorder, size, expected):
    """A longer one has to wait until the other side has read some of it; one that is streamed is of unknown size."""
    log = recorder.begin(httpx2.Request("POST", "http://api.test/v1/messages", content=b"x" * size))
    log.events.extend(SENDING)
    assert log.exchange().sent_ns == expected
