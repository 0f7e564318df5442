"""The timed part of an interaction: what is written, what is read again, what is refused."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_llmperf.cassettes.timeline import Label, Timing, from_plain, packed, timing_of, to_plain, unpacked
from pytest_llmperf.core.exchange import Chunk, Connection, End, Exchange, Timeline

MS = 1_000_000

EXCHANGE = Exchange(
    "POST",
    "https://api.anthropic.com/v1/messages",
    (),
    b"{}",
    started_ns=100 * MS,
    sent_ns=105 * MS,
    status=200,
    headers_ns=111 * MS,
    chunks=(Chunk(112 * MS, b"a" * 253), Chunk(112 * MS + 99_400, b"b" * 125), Chunk(300 * MS, b"c")),
    ended_ns=301 * MS,
    end=End.COMPLETE,
    connection=Connection("new", wait_ns=None, tcp_ns=4_208_900, tls_ns=None),
)

PLAIN = {
    "v": 1,
    "start_us": 90_000,
    "sent_us": 5_000,
    "headers_us": 6_000,
    "end_us": 196_000,
    "end": "complete",
    "conn": "new",
    "tcp_us": 4_209,
    "chunks": "7000:253 99:125 187901:1",
    "round": 3,
}


def test_an_exchange_becomes_one_line_of_microseconds():
    """Times count from the request's last byte; nanoseconds are rounded to microseconds."""
    assert to_plain(timing_of(EXCHANGE, began_ns=10 * MS, label=Label(3))) == PLAIN


def test_what_was_written_is_read_again():
    """Reading gives the timing that was written, down to the microsecond."""
    assert from_plain(PLAIN) == timing_of(EXCHANGE, began_ns=10 * MS, label=Label(3))


def test_a_warm_up_of_an_arm_answered_by_a_simulated_api():
    """What is out of the ordinary stands in keys of its own."""
    timing = timing_of(EXCHANGE, began_ns=0, label=Label(-1, "temperature=0"), source="simulated")
    plain = to_plain(timing)
    assert {key: plain[key] for key in ("round", "warmup", "arm", "source")} == {
        "round": -1,
        "warmup": True,
        "arm": "temperature=0",
        "source": "simulated",
    }
    assert from_plain(plain) == timing


def test_a_round_that_was_due_at_a_time():
    """How late it began, in whole microseconds, at which rate; to find a recording again neither counts."""
    plain = to_plain(timing_of(EXCHANGE, began_ns=0, label=Label(3, rate=60.0, lag_ns=1_234_567)))
    assert (plain["rate"], plain["lag_us"]) == (60, 1234)
    label = from_plain(plain).label
    assert (label.rate, label.lag_ns) == (60, 1_234_000)
    assert label == Label(3)


def test_an_attempt_without_a_response():
    """No head ever came: its time is that of the failure, and a key says so."""
    failed = Exchange(
        "POST", "https://x/", (), b"", started_ns=0, ended_ns=2 * MS, end=End.ERROR, error="ConnectError: refused"
    )
    plain = to_plain(timing_of(failed, began_ns=0))
    assert plain == {
        "v": 1,
        "start_us": 0,
        "headers_us": 2000,
        "end_us": 2000,
        "end": "error",
        "error": "ConnectError: refused",
        "answered": False,
        "conn": "unknown",
        "chunks": "",
    }
    assert not from_plain(plain).answered


MICROSECONDS = st.integers(0, 10**10).map(lambda us: us * 1000)


@given(st.lists(st.tuples(MICROSECONDS, st.integers(0, 10**6))))
def test_packing_loses_nothing(chunks):
    """Any chunks, also such whose clock stood still or went backwards, are unpacked as they were packed."""
    times, sizes = (tuple(part) for part in zip(*chunks, strict=True)) if chunks else ((), ())
    assert unpacked(packed(times, sizes)) == (times, sizes)


@given(
    headers=MICROSECONDS,
    end=MICROSECONDS,
    how=st.sampled_from(End),
    label=st.builds(Label, st.none() | st.integers(-3, 1000), st.text(max_size=5)),
    connection=st.builds(Connection, st.sampled_from(["new", "reused", "none"]), *[st.none() | MICROSECONDS] * 3),
    answered=st.booleans(),
)
def test_plain_and_back(headers, end, how, label, connection, answered):
    """Every timing survives its plain form."""
    timing = Timing(
        Timeline(headers, (), end), (), how, answered=answered, connection=connection, label=label, rechunked="decoded"
    )
    assert from_plain(to_plain(timing)) == timing


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        ({"v": 2}, "version 2 is not known here, 1 is the latest"),
        ({"v": None}, "version None is not known here"),
        ({"headers_us": "soon"}, "headers_us: whole microseconds are expected, not 'soon'"),
        ({"end_us": None}, "end_us: whole microseconds are expected, not None"),
        ({"end": "never"}, "end: 'never' is none of complete, closed"),
        ({"chunks": "7000:253 99"}, "chunks: '99' is not microseconds:bytes"),
        ({"chunks": "7000:x"}, "chunks: '7000:x' is not microseconds:bytes"),
        ({"round": "first"}, "round: a whole number is expected, not 'first'"),
        ({"rate": "quick"}, "rate: rounds a minute are expected, not 'quick'"),
        ({"lag_us": 0.5}, "lag_us: whole microseconds are expected, not 0.5"),
    ],
)
def test_damage_is_named(damage, said):
    """What cannot be read is refused with the key and what is wrong with it."""
    with pytest.raises(ValueError, match=re.escape(said)):
        from_plain(PLAIN | damage)


def test_something_else_under_the_key():
    """A mapping is expected under the key."""
    with pytest.raises(ValueError, match="a mapping is expected, not list"):
        from_plain([])
