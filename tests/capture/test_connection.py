"""What trace events say of a connection."""

from __future__ import annotations

import pytest

from pytest_llmperf.capture.connection import RETURNED, connection, provenance, sent_ns
from pytest_llmperf.core.exchange import Connection, Provenance

SENDING = [
    ("http11.send_request_headers.started", 50),
    ("http11.send_request_headers.complete", 60),
    ("http11.send_request_body.started", 61),
    ("http11.send_request_body.complete", 70),
]
CONNECTING = [
    ("connection.connect_tcp.started", 10),
    ("connection.connect_tcp.complete", 30),
    ("connection.start_tls.started", 31),
    ("connection.start_tls.complete", 45),
]
RECEIVING = [("http11.receive_response_headers.started", 71), ("http11.receive_response_headers.complete", 90)]
BODY = [("http11.receive_response_body.started", 91), ("http11.receive_response_body.complete", 99)]


def test_a_new_connection_shows_its_wait_its_tcp_and_its_tls_time():
    """A connection made for the attempt is `new`, and each phase has its time."""
    assert connection(CONNECTING + SENDING, started_ns=3) == Connection("new", wait_ns=7, tcp_ns=20, tls_ns=14)


def test_a_reused_connection_shows_only_its_wait():
    """Without a connect event the connection was there already."""
    assert connection(SENDING, started_ns=8) == Connection("reused", wait_ns=42)


def test_without_events_the_connection_is_unknown():
    """A transport that tells nothing leaves everything open."""
    assert connection([(RETURNED, 90)], started_ns=8) == Connection("unknown")


def test_connecting_that_failed_and_was_tried_again_counts_whole():
    """The time of each try is added up, failed ones too."""
    failed = [("connection.connect_tcp.started", 1), ("connection.connect_tcp.failed", 6)]
    assert connection(failed + CONNECTING, started_ns=0).tcp_ns == 25


def test_connecting_that_never_ended_is_new_and_has_no_time():
    """A connect that is cut short is a new connection whose time is not known."""
    assert connection(CONNECTING[:1], started_ns=0) == Connection("new", wait_ns=10)


def test_the_request_is_sent_when_its_body_is():
    """The last byte is the body's."""
    assert sent_ns(CONNECTING + SENDING + RECEIVING) == 70


@pytest.mark.parametrize(("complete", "expected"), [(71, 66), (10_000_061, 100_061)])
def test_a_body_that_goes_at_once_is_sent_soon_after_it_began(complete, expected):
    """Of its end a busy event loop tells late: half of what it took counts, and no more than 0.1 ms."""
    events = [*SENDING[:3], ("http11.send_request_body.complete", complete)]
    assert sent_ns(events) == complete
    assert sent_ns(events, at_once=True) == expected


def test_a_body_of_whose_beginning_nothing_is_known_is_sent_at_its_end():
    """There is nothing better."""
    assert sent_ns(SENDING[3:], at_once=True) == 70


def test_a_request_of_which_no_body_event_exists_is_sent_with_its_headers():
    """A transport that traces only headers has sent the request with them."""
    assert sent_ns(SENDING[:2]) == 60


def test_a_tunnel_is_not_the_request():
    """A proxy's CONNECT is sent before the request, whose own last byte counts."""
    tunnel = [(name, at - 45) for name, at in SENDING]
    assert sent_ns(tunnel + SENDING) == 70


def test_a_request_whose_body_failed_was_never_sent():
    """A write that broke leaves the attempt without the moment of its last byte."""
    assert sent_ns([*SENDING[:3], ("http11.send_request_body.failed", 64)]) is None


@pytest.mark.parametrize(
    ("events", "options", "expected"),
    [
        (SENDING + RECEIVING + [(RETURNED, 91)], {}, Provenance.WIRE),
        (SENDING + RECEIVING + [(RETURNED, 91)] + BODY, {}, Provenance.WIRE),
        (SENDING + RECEIVING + BODY + [(RETURNED, 100)], {}, Provenance.BUFFERED),
        ([(RETURNED, 91)], {}, Provenance.UNSERVED),
        ([(RETURNED, 91)], {"standard": False}, Provenance.UNKNOWN),
        ([], {"answered": False}, Provenance.UNKNOWN),
        ([(RETURNED, 91)], {"substituted": True}, Provenance.SUBSTITUTED),
    ],
)
def test_provenance_follows_from_the_events(events, options, expected):
    """Who served the bytes is told by which events came, and on which side of the transport's return."""
    facts = {"substituted": False, "answered": True, "standard": True} | options
    assert provenance(events, **facts) is expected
