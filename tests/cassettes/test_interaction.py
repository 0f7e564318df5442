"""A recorded interaction as the attempt it was."""

from cassettes.files import PIECES, TIMING, interaction
from pytest_llmperf.cassettes import vcrpy
from pytest_llmperf.cassettes.timeline import timing_of, to_plain
from pytest_llmperf.core.exchange import Chunk, End

MS = 1_000_000


def test_untimed():
    """All happens at once, the body in one chunk."""
    exchange = vcrpy.interaction(1, interaction()).exchange()
    assert exchange.chunks == (Chunk(0, b"".join(PIECES)),)
    assert (exchange.started_ns, exchange.sent_ns, exchange.headers_ns, exchange.ended_ns) == (0, 0, 0, 0)
    assert (exchange.end, exchange.error, exchange.status) == (End.COMPLETE, "", 200)


def test_untimed_and_empty():
    """A body without bytes has no chunk."""
    assert vcrpy.interaction(1, interaction(body={"string": ""})).exchange().chunks == ()


def test_timed():
    """The chunks are those that were read, at their times after the request's last byte."""
    exchange = vcrpy.interaction(1, interaction(**{"x-llmperf": TIMING})).exchange()
    assert (exchange.started_ns, exchange.zero_ns) == (MS, MS + MS // 2)
    assert [chunk.data for chunk in exchange.chunks] == list(PIECES)
    assert [(chunk.at_ns - exchange.zero_ns) // MS for chunk in exchange.chunks] == [100, 200, 300, 400]
    assert (exchange.headers_ns - exchange.zero_ns, exchange.ended_ns - exchange.zero_ns) == (90 * MS, 400 * MS)
    assert exchange.connection.state == "new"


def test_never_sent():
    """An attempt whose request never left counts from its start, as it did."""
    timing = {key: value for key, value in TIMING.items() if key != "sent_us"} | {"end": "error", "error": "E: no"}
    exchange = vcrpy.interaction(1, interaction(**{"x-llmperf": timing})).exchange()
    assert (exchange.sent_ns, exchange.zero_ns, exchange.end, exchange.error) == (None, MS, End.ERROR, "E: no")


def test_times_come_round():
    """The timing of the attempt that was read is the timing that was stored."""
    exchange = vcrpy.interaction(1, interaction(**{"x-llmperf": TIMING})).exchange()
    assert to_plain(timing_of(exchange, began_ns=0)) == TIMING
