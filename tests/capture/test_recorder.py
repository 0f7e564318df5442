"""Calls by round: grouping, forgetting, gates, warnings."""

from __future__ import annotations

import dataclasses
import gc
import sys
import types
import weakref

import httpx2
import pytest

from capture.loopback import ASKED, EVENT_STREAM, MESSAGE, OVERLOADED, streamed
from pytest_llmperf.capture import Recorder, observing
from pytest_llmperf.capture import recorder as recorder_module
from pytest_llmperf.core.exchange import SUBSTITUTED, TIMELINE, Chunk, Connection, End, Provenance, Timeline, header
from pytest_llmperf.core.generation import Delta

URL = "http://api.test/v1/messages"


def client(answer):
    return httpx2.Client(transport=httpx2.MockTransport(answer), trust_env=False)


def message(_):
    return httpx2.Response(200, json=MESSAGE)


class Chunks(httpx2.SyncByteStream):
    def __init__(self, chunks):
        self.chunks = chunks

    def __iter__(self):
        yield from self.chunks


def stream(_):
    return httpx2.Response(200, headers=EVENT_STREAM, stream=Chunks(streamed("Hel", "lo")))


def test_calls_come_in_dispatch_order_and_are_forgotten_when_taken(observed):
    """`calls` looks, `take` looks and forgets."""
    mock = client(message)
    for name in ("a", "b"):
        mock.post(URL, json=ASKED | {"model": name})
    assert [call.first.generation.request_model for call in observed.calls("round")] == ["a", "b"]
    assert observed.calls("round") == observed.take("round")
    assert observed.take("round") == ()


def test_a_response_that_is_kept_keeps_nothing_of_what_was_taken(observed):
    """An SDK's responses often live until the garbage collector comes; the chunks and deltas of theirs do not."""
    with client(stream).stream("POST", URL, json=ASKED) as response:
        response.read()
    taken = observed.take("round")
    kept = [chunk.at_ns for chunk in taken[0].last.exchange.chunks]
    del taken
    left = [one for one in gc.get_objects() if isinstance(one, Chunk | Delta) and one.at_ns in kept]
    assert (len(kept), left, response.status_code) == (7, [], 200)


def test_what_is_no_llm_traffic_is_dropped(observed):
    """A page of documentation, a token count and a batch are no calls."""
    mock = client(message)
    mock.get("http://docs.test/page")
    mock.post("http://api.test/v1/messages/count_tokens", json=ASKED)
    mock.post("http://api.test/v1/messages/batches", json={"requests": []})
    assert observed.take("round") == ()


def test_an_exchange_holds_what_was_asked_and_answered(observed):
    """Method, address, headers without credentials, status and answer headers are in the exchange; bodies are not."""
    client(lambda _: httpx2.Response(200, json=MESSAGE, headers={"Request-Id": "req_1", "Set-Cookie": "a=b"})).post(
        "http://me:word@api.test/v1/messages", json=ASKED, headers={"X-Api-Key": "key", "X-Other": "1"}
    )
    (call,) = observed.take("round")
    exchange = call.first.exchange
    assert (exchange.method, exchange.url, exchange.status) == ("POST", URL, 200)
    assert {("x-api-key", "[redacted]"), ("x-other", "1"), ("authorization", "[redacted]")} <= set(
        exchange.request_headers
    )
    assert {("request-id", "req_1"), ("set-cookie", "[redacted]")} <= set(exchange.response_headers)
    assert exchange.request_body == b""
    assert [chunk.data for chunk in exchange.chunks] == [b""]
    assert call.first.generation.text == "Hello"


def test_no_credential_is_left_anywhere(observed):
    """Nothing reachable from a taken call, and no warning, holds a secret."""
    client(stream).post(
        "http://me:hunter2@api.test/v1/messages?key=hunter2",
        json=ASKED,
        headers={"Authorization": "Bearer hunter2", "Cookie": "hunter2", "anthropic-organization-id": "hunter2"},
    )
    calls = observed.take("round")
    assert "hunter2" not in repr((dataclasses.asdict(calls[0]), observed.warnings))


def test_bodies_are_let_go(observed):
    """After decoding nothing keeps the bytes of an answer."""
    pieces = streamed("Hello")
    before = [sys.getrefcount(piece) for piece in pieces]
    client(lambda _: httpx2.Response(200, headers=EVENT_STREAM, stream=Chunks(tuple(pieces)))).post(URL, json=ASKED)
    (call,) = observed.calls("round")
    gc.collect()
    assert [sys.getrefcount(piece) for piece in pieces] == before
    assert len(call.first.exchange.chunks) == 6


def test_many_undecoded_answers_are_decoded_on_the_way(observed, monkeypatch):
    """Beyond the limit the oldest answer is decoded before the next request, so that memory stays bounded."""
    monkeypatch.setattr(recorder_module, "UNDECODED_LIMIT", 3)
    decoded = []
    real = recorder_module.wire.decode
    monkeypatch.setattr(recorder_module.wire, "decode", lambda *asked: decoded.append(1) or real(*asked))
    mock = client(stream)
    for _ in range(10):
        mock.post(URL, json=ASKED)
    assert len(decoded) == 6
    assert len(observed.take("round")) == 10
    assert len(decoded) == 10


def test_taking_one_round_leaves_the_answers_of_another(recorder):
    """What is still to be decoded survives another round's being taken, and what is decoded is let go."""
    with observing(recorder):
        for key in "abab":
            with recorder.round(key):
                client(stream).post(URL, json=ASKED)
    assert len(recorder.take("a")) == 2
    assert len(recorder._undecoded) == 2
    assert [call.first.generation.text for call in recorder.take("b")] == ["Hello", "Hello"]
    assert len(recorder._undecoded) == 0


def test_an_attempt_that_still_runs_is_open(observed):
    """What is looked at before its end is `open`, with what has come so far, and is looked at anew later."""
    with client(stream).stream("POST", URL, json=ASKED) as response:
        assert observed.in_flight == 1
        chunks = response.iter_raw()
        next(chunks)
        (call,) = observed.calls("round")
        assert (call.last.exchange.end, len(call.last.exchange.chunks)) == (End.OPEN, 1)
        assert call.failure == "still running when its round ended"
    (call,) = observed.calls("round")
    assert call.last.exchange.end is End.CLOSED
    assert observed.in_flight == 0


def test_what_ends_after_it_was_taken_is_not_heard_of_again(observed):
    """A round's open attempt stays with that round's answer."""
    with client(stream).stream("POST", URL, json=ASKED) as response:
        assert len(observed.take("round")) == 1
        response.read()
    assert observed.take("round") == ()


def test_content_that_comes_with_the_response_is_complete_at_once(observed):
    """A mock's ready content, which nobody iterates, is one chunk as old as the head."""
    response = client(message).post(URL, json=ASKED)
    assert response.json() == MESSAGE
    exchange = observed.take("round")[0].first.exchange
    assert exchange.end is End.COMPLETE
    assert exchange.chunks == (Chunk(exchange.headers_ns, b""),)
    assert exchange.provenance is Provenance.UNSERVED
    assert exchange.connection == Connection("none")


def test_one_response_object_may_answer_twice(observed):
    """A mock that returns the same object each time is understood each time."""
    response = httpx2.Response(200, json=MESSAGE)
    mock = client(lambda _: response)
    for _ in range(3):
        assert mock.post(URL, json=ASKED).json() == MESSAGE
    assert [call.first.generation.text for call in observed.take("round")] == ["Hello"] * 3


def test_ready_content_that_was_compressed_is_understood(observed):
    """Content that is there already is decoded whether or not its coding was undone before."""
    import gzip
    import json

    packed = gzip.compress(json.dumps(MESSAGE).encode())
    response = httpx2.Response(200, headers={"content-encoding": "gzip"}, content=packed)
    mock = client(lambda _: response)
    assert [mock.post(URL, json=ASKED).json() for _ in range(2)] == [MESSAGE] * 2
    calls = observed.take("round")
    assert [call.first.generation.text for call in calls] == ["Hello"] * 2
    codings = [header(call.first.exchange.response_headers, "content-encoding") for call in calls]
    assert codings == ["gzip", None]


def test_attempts_of_another_sdk_are_grouped_by_their_count(observed):
    """Without an SDK we know, one more on the retry count to the same address continues the call."""
    answers = iter([529, 529, 200, 200])
    mock = client(lambda _: httpx2.Response(next(answers), json=MESSAGE))
    for count in ("0", "1", "2", "0"):
        mock.post(URL, json=ASKED, headers={"x-stainless-retry-count": count})
    calls = observed.take("round")
    assert [[attempt.exchange.status for attempt in call.attempts] for call in calls] == [[529, 529, 200], [200]]
    assert calls[0].entered_ns is calls[0].returned_ns is calls[0].first_event_ns is None


@pytest.mark.parametrize(
    ("second", "count"), [(URL, "2"), (URL, "0"), ("http://other.test/v1/messages", "1"), (URL, "one")]
)
def test_attempts_that_do_not_continue_are_calls_of_their_own(observed, second, count):
    """Another address or another count is another call."""
    mock = client(message)
    mock.post(URL, json=ASKED)
    mock.post(second, json=ASKED, headers={"x-stainless-retry-count": count})
    assert [len(call.attempts) for call in observed.take("round")] == [1, 1]


def test_a_timeline_takes_the_place_of_the_clock(observed):
    """An answer served at once, with a timeline, has the times at which it was due."""
    timeline = Timeline(headers_ns=10, chunks_ns=(20, 30, 40, 50, 60, 70, 80), end_ns=90)
    extensions = {TIMELINE: timeline, SUBSTITUTED: True}
    client(lambda _: httpx2.Response(200, stream=Chunks(streamed("Hel", "lo")), extensions=extensions)).post(
        URL, json=ASKED
    )
    attempt = observed.take("round")[0].first
    exchange, zero = attempt.exchange, attempt.exchange.started_ns
    assert exchange.sent_ns == zero
    assert exchange.headers_ns == zero + 10
    assert [chunk.at_ns - zero for chunk in exchange.chunks] == [20, 30, 40, 50, 60, 70, 80]
    assert exchange.ended_ns == zero + 90
    assert [delta.at_ns - zero for delta in attempt.generation.deltas] == [40, 50]
    assert exchange.provenance is Provenance.SUBSTITUTED
    assert exchange.connection == Connection("none")


def test_on_a_timeline_a_reader_stops_where_it_stopped(observed):
    """Closed early, the end is the last chunk that was read."""
    timeline = Timeline(headers_ns=10, chunks_ns=(20, 30, 40, 50, 60, 70, 80), end_ns=90)
    extensions = {TIMELINE: timeline, SUBSTITUTED: True}
    mock = client(lambda _: httpx2.Response(200, stream=Chunks(streamed("Hel", "lo")), extensions=extensions))
    with mock.stream("POST", URL, json=ASKED) as response:
        chunks = response.iter_raw()
        next(chunks)
        next(chunks)
        (open_call,) = observed.calls("round")
        assert open_call.first.exchange.ended_ns is None
    exchange = observed.take("round")[0].first.exchange
    assert exchange.end is End.CLOSED
    assert exchange.ended_ns == exchange.started_ns + 30


def test_a_gate_stands_before_each_attempt_of_ours(observed):
    """Gates are asked before LLM traffic leaves and before nothing else."""
    asked = []
    observed.gates.append(lambda: asked.append(1))
    mock = client(message)
    mock.get("http://docs.test/page")
    assert asked == []
    mock.post(URL, json=ASKED)
    assert asked == [1]


def test_a_closed_gate_keeps_the_request_here(observed):
    """What a gate raises reaches the application, nothing leaves, and no attempt is on record."""

    class CapReached(Exception):
        pass

    def closed():
        raise CapReached

    observed.gates.append(closed)
    with pytest.raises(CapReached):
        client(lambda _: pytest.fail("it left")).post(URL, json=ASKED)
    assert observed.take("round") == ()
    assert observed.in_flight == 0


def test_an_error_of_ours_is_one_warning_and_no_exception():
    """A clock that always fails costs the measurement, not the application, and is reported once for each place."""

    def broken():
        raise ZeroDivisionError("no time")

    recorder = Recorder(broken)
    with observing(recorder), recorder.round("round"):
        mock = client(stream)
        for _ in range(3):
            assert mock.post(URL, json=ASKED).status_code == 200
    assert recorder.take("round") == ()
    assert len(recorder.warnings) == 1
    assert "observing LLM traffic failed: ZeroDivisionError: no time at test_recorder.py" in recorder.warnings[0]


def test_an_error_while_noting_the_head_is_a_warning(observed_with_gap):
    """A clock that fails in the middle leaves the answer whole and the attempt on record as far as it went."""
    recorder, mock = observed_with_gap
    assert mock.post(URL, json=ASKED).content == b"".join(streamed("Hel", "lo"))
    assert "failed: ZeroDivisionError" in recorder.warnings[0]


@pytest.fixture
def observed_with_gap():
    """A recorder whose clock fails the second time it is read."""
    times = iter([1, 0, *[1] * 100])
    recorder = Recorder(lambda: 7 // next(times))
    with observing(recorder), recorder.round("round"):
        yield recorder, client(stream)


def test_a_decoder_that_fails_is_a_warning(observed, monkeypatch):
    """An error of the decoding is reported and drops the attempt."""
    monkeypatch.setattr(recorder_module.wire, "decode", lambda *_: 1 // 0)
    client(message).post(URL, json=ASKED)
    assert observed.take("round") == ()
    assert "ZeroDivisionError" in observed.warnings[0]
    observed.warnings.clear()


def test_a_gate_is_asked_when_it_cannot_be_told_what_leaves(observed, monkeypatch):
    """A gate guards money: if recognising fails, the gate is asked all the same."""
    asked = []
    observed.gates.append(lambda: asked.append(1))
    monkeypatch.setattr(recorder_module.wire, "recognise", lambda *_: 1 // 0)
    client(message).get("http://docs.test/page")
    assert asked == [1]
    assert "ZeroDivisionError" in observed.warnings.pop()


def test_a_request_that_takes_no_trace_is_observed_without(observed):
    """Where the request's extensions cannot be written, the connection stays unknown and all else is there."""
    http = client(message)
    http.event_hooks = {"request": [lambda request: setattr(request, "extensions", types.MappingProxyType({}))]}
    http.post(URL, json=ASKED)
    assert observed.take("round")[0].first.generation.text == "Hello"
    assert "TypeError" in observed.warnings.pop()


def test_a_response_that_no_client_takes_is_refused_as_ever(observed):
    """A body of no kind fails in the client as it would unobserved, and does not stay in flight."""

    class Bodiless(httpx2.BaseTransport):
        def handle_request(self, request):
            response = httpx2.Response(200)
            response.is_closed, response.stream = False, object()
            return response

    with pytest.raises(AssertionError):
        httpx2.Client(transport=Bodiless(), trust_env=False).post(URL, json=ASKED)
    assert observed.in_flight == 0
    assert observed.take("round")[0].first.exchange.end is End.DROPPED


def test_an_exception_without_a_text_is_named_by_its_type(observed):
    """An exception whose text raises is still on record, and reaches the application."""

    class Mute(Exception):
        def __str__(self):
            raise ValueError

    def answer(_):
        raise Mute

    with pytest.raises(Mute):
        client(answer).post(URL, json=ASKED)
    assert observed.take("round")[0].first.exchange.error == "Mute: "


def test_a_body_that_is_streamed_to_the_server_is_not_read(observed):
    """A request body from an iterator passes once, to the transport, and is not kept."""

    class Sink(httpx2.BaseTransport):
        def handle_request(self, request):
            assert list(request.stream) == [b"{", b"}"]
            return httpx2.Response(529, json=OVERLOADED)

    httpx2.Client(transport=Sink(), trust_env=False).post(URL, content=iter([b"{", b"}"]))
    attempt = observed.take("round")[0].first
    assert attempt.generation.request_model is None
    assert attempt.generation.failure == "overloaded_error: Overloaded"


def test_a_body_that_is_streamed_to_the_server_is_let_go_with_the_answer(observed):
    """What feeds a request body, an open file perhaps, lives no longer than it would unobserved."""

    class Upload:
        def __iter__(self):
            yield b"{}"

    class Sink(httpx2.BaseTransport):
        def handle_request(self, request):
            list(request.stream)
            return httpx2.Response(200, json=MESSAGE)

    upload = Upload()
    watched = weakref.ref(upload)
    with httpx2.Client(transport=Sink(), trust_env=False) as http:
        http.post(URL, content=upload)
    del upload
    gc.collect()
    assert watched() is None
    assert len(observed.take("round")) == 1


def test_a_round_may_be_left_in_another_context(recorder):
    """Leaving a round elsewhere than where it was entered is no error."""
    import contextvars

    with observing(recorder):
        manager = recorder.round("round")
        contextvars.copy_context().run(manager.__enter__)
        manager.__exit__(None, None, None)
        client(message).post(URL, json=ASKED)
    assert len(recorder.take_unattributed()) == 1


def test_a_recorder_is_not_kept_alive_by_contexts(recorder):
    """A thread or context that once knew a round does not keep its recorder."""
    watched = weakref.ref(Recorder(lambda: 0))
    gc.collect()
    assert watched() is None
    recorder = Recorder(lambda: 0)
    watched = weakref.ref(recorder)
    with observing(recorder), recorder.round("round"):
        client(message).post(URL, json=ASKED)
    recorder.take("round")
    del recorder
    gc.collect()
    assert watched() is None


def test_a_timeline_can_say_when_the_attempt_began(observed):
    """A recording brings its own begin and connection: all times are those of one recording."""
    connection = Connection("new", 1, 2, 3)
    timeline = Timeline(10, (20,), 90, started_ns=1_000, sent_ns=5, connection=connection)
    extensions = {TIMELINE: timeline, SUBSTITUTED: True}
    client(lambda _: httpx2.Response(200, stream=Chunks([b"{}"]), extensions=extensions)).post(URL, json=ASKED)
    exchange = observed.take("round")[0].first.exchange
    assert (exchange.started_ns, exchange.sent_ns, exchange.headers_ns, exchange.ended_ns) == (1000, 1005, 1015, 1095)
    assert (exchange.provenance, exchange.connection) == (Provenance.REPLAYED, connection)


def test_an_answer_without_times_says_so(observed):
    """An answer of which nobody noted the times is untimed."""
    extensions = {TIMELINE: Timeline(0, (0,), 0, known=False), SUBSTITUTED: True}
    client(lambda _: httpx2.Response(200, stream=Chunks([b"{}"]), extensions=extensions)).post(URL, json=ASKED)
    assert observed.take("round")[0].first.exchange.provenance is Provenance.UNTIMED


def test_an_attempt_without_a_response_has_its_times_too(observed):
    """Where no response carries a timeline, the request does; what was never sent stays so."""

    def refused(request):
        timeline = Timeline(90, (), 90, started_ns=1_000, sent_ns=None)
        request.extensions |= {TIMELINE: timeline, SUBSTITUTED: True}
        raise httpx2.ConnectError("refused")

    with pytest.raises(httpx2.ConnectError):
        client(refused).post(URL, json=ASKED)
    exchange = observed.take("round")[0].first.exchange
    assert (exchange.started_ns, exchange.sent_ns, exchange.headers_ns, exchange.ended_ns) == (1000, None, None, 1090)
    assert exchange.provenance is Provenance.REPLAYED
