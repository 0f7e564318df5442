"""When the parts of a call's attempts came."""

from factories import attempt, call
from pytest_llmperf.core.exchange import Connection
from pytest_llmperf.core.series import AttemptTimes
from pytest_llmperf.core.trace import traced


def test_every_part_of_a_streamed_call_has_its_moment():
    """Seconds after the call began, with the durations of its connection beside them."""
    connection = Connection("new", wait_ns=1_000_000, tcp_ns=2_000_000, tls_ns=3_000_000)
    one = call(
        started=0, sent=10, head=50, deltas=((100, "text", 5), (250, "text", 5)), ended=260, connection=connection
    )
    assert traced(one, "virtual") == (
        AttemptTimes(
            started=0.0,
            queue=0.001,
            connect=0.002,
            tls=0.003,
            sent=0.01,
            headers=0.05,
            first=0.1,
            last=0.25,
            ended=0.26,
            status=200,
        ),
    )


def test_attempts_stand_on_one_time_line():
    """A retry's moments count from the first attempt, whose failure is told."""
    made = call(attempt(sent=1000, head=1020, status=529), attempt(sent=2000, head=2050, deltas=((2100, "text", 5),)))
    first, second = traced(made, "realtime")
    assert (first.started, first.headers, first.first, first.status, first.failure) == (
        0.0,
        0.02,
        None,
        529,
        "HTTP 529",
    )
    assert (second.started, second.first) == (1.0, 1.1)


def test_an_answer_in_one_piece_has_no_deltas():
    """Its end is known all the same."""
    (times,) = traced(call(body=400), "virtual")
    assert (times.first, times.last, times.ended) == (None, None, 0.4)


def test_the_instant_clock_knows_one_attempt_only():
    """Where nothing waits, the attempts of one call have no common time line."""
    retried = call(attempt(status=529), attempt(sent=2000))
    assert traced(retried, "instant") == ()
    assert len(traced(call(), "instant")) == 1


def test_times_that_mean_nothing_are_left_out():
    """All of an untimed cassette's, and those inside an answer that another tool read first."""
    assert traced(call(provenance="untimed"), "virtual") == ()
    (times,) = traced(call(provenance="buffered", head=5), "realtime")
    assert (times.headers, times.first, times.last, times.ended) == (0.005, None, None, 0.2)
