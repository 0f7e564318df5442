"""The Messages protocol: what each event and each kind of body means, and the traps in them.

Long, because each rule of the protocol has a test of its own.
"""

import json
import zlib
from dataclasses import astuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_llmperf.core.exchange import End, Exchange
from pytest_llmperf.core.generation import Delta, Generation, Kind, Pass, Usage
from pytest_llmperf.wire.anthropic_messages import decode, recognises
from wire.attempts import (
    ASKED,
    PING,
    STOP,
    TEXT_BLOCK,
    attempt,
    block,
    change,
    delta,
    event,
    start,
    text,
)

SSE = (("content-type", "text/event-stream; charset=utf-8"),)
MESSAGE = {"id": "msg_1", "type": "message", "role": "assistant", "model": "claude-answered", "stop_reason": "end_turn"}
OVERLOADED = {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}


def document(value: object, **fields: object) -> Exchange:
    return attempt(json.dumps(value).encode(), **fields)


def message(*content: dict[str, object], **usage: object) -> dict[str, object]:
    return MESSAGE | {"content": list(content), "usage": usage}


# The traps of measuring LLM streams, each by its definition.


def test_trap_the_head_is_no_token():
    """message_start, content_block_start, pings and deltas without characters come before the first token."""
    head = (start(output_tokens=3), TEXT_BLOCK, PING, text(""))
    found = decode(attempt(*head, text("Hello"), change(output_tokens=5), STOP))
    assert next(one for one in found.deltas if one.kind is not Kind.OTHER) == Delta(5, Kind.TEXT, 5)


@pytest.mark.parametrize(
    "empty",
    [
        delta("text_delta", text=""),
        delta("thinking_delta", thinking=""),
        delta("thinking_delta", thinking="", estimated_tokens=50),
        delta("input_json_delta", partial_json=""),
        delta("signature_delta", signature=""),
        delta("citations_delta", citation={"type": "char_location", "cited_text": "Hi"}),
        delta("delta_of_next_year", text="Hi"),
    ],
)
def test_trap_an_empty_delta_is_no_token(empty):
    """A delta that brings no characters, and one that brings no words of the answer, is of no kind that counts."""
    assert decode(attempt(start(), empty)).deltas == (Delta(2, Kind.OTHER, 0),)


def test_trap_thinking_before_text():
    """The first thinking and the first text are told apart, so that both times can be reported."""
    thinking = (block(type="thinking", thinking="", signature=""), delta("thinking_delta", thinking="Hm"))
    words = (block(1, type="text", text=""), delta("text_delta", 1, text="Yes"))
    found = decode(attempt(start(), *thinking, delta("signature_delta", signature="c2ln"), *words))
    assert found.deltas == (Delta(3, Kind.THINKING, 2), Delta(4, Kind.SIGNATURE, 0), Delta(6, Kind.TEXT, 3))
    assert (found.thinking_characters, found.text) == (2, "Yes")


def test_trap_thinking_that_is_not_shown():
    """Of omitted thinking only the signature arrives: a moment, but neither characters nor a token."""
    omitted = (block(type="thinking", thinking="", signature=""), delta("signature_delta", signature="c2ln"))
    usage = {"output_tokens": 90, "output_tokens_details": {"thinking_tokens": 80}}
    found = decode(attempt(start(), *omitted, text("Yes"), change(**usage), STOP))
    assert found.deltas == (Delta(3, Kind.SIGNATURE, 0), Delta(4, Kind.TEXT, 3))
    assert (found.thinking_characters, found.usage.thinking_tokens) == (0, 80)


def test_trap_deltas_are_no_tokens():
    """The count of tokens comes from usage alone, however many deltas brought them."""
    found = decode(attempt(start(), TEXT_BLOCK, text("One two three"), text(" four"), change(output_tokens=12), STOP))
    assert (len(found.deltas), found.usage.output_tokens) == (2, 12)


def test_trap_usage_is_split_and_cumulative():
    """Usage starts from message_start, and what a later message_delta says replaces it: nothing is added up."""
    first = start(input_tokens=100, output_tokens=3, cache_read_input_tokens=50, cache_creation_input_tokens=0)
    changes = (change(None, output_tokens=7), change(output_tokens=20, input_tokens=90, cache_read_input_tokens=None))
    found = decode(attempt(first, text("Hi"), *changes, STOP))
    assert found.usage == Usage(90, 20, 0, None, 50, None)


def test_trap_a_stream_that_dies_has_no_final_count():
    """The output count of message_start is provisional: without the end of the message, the count is unknown."""
    found = decode(attempt(start(input_tokens=100, output_tokens=3), TEXT_BLOCK, text("Hi"), end=End.ERROR))
    assert found.usage == Usage(input_tokens=100)
    assert found.missing == ("no final count of output tokens came", "message_stop never came")


def test_trap_an_interim_count_is_not_the_final_one():
    """A message_delta in mid-stream counts what came so far: the count is unknown until the message has ended."""
    found = decode(attempt(start(), text("Hi"), change(None, output_tokens=7)))
    assert found.usage.output_tokens is None
    assert decode(attempt(start(), text("Hi"), change(None, output_tokens=7), STOP)).usage.output_tokens == 7


def test_trap_no_count_but_that_of_the_head():
    """When the message ended without a count of its own, the head's stands, with the remark that it is not final."""
    found = decode(attempt(start(output_tokens=3), text("Hi"), change(), STOP))
    assert (found.usage.output_tokens, found.complete) == (3, True)
    assert found.missing == ("no final count of output tokens came",)


def test_trap_compression_bundles_events():
    """Events of one compressed chunk arrive together; a chunk flushed for each event keeps them apart."""
    events = [start(), TEXT_BLOCK, text("One"), text("two"), text("three")]
    gzip = zlib.compressobj(wbits=31)
    apart = [gzip.compress(one) + gzip.flush(zlib.Z_SYNC_FLUSH) for one in events]
    coding = {"response_headers": (*SSE, ("content-encoding", "gzip"))}
    assert [one.at_ns for one in decode(attempt(*apart, **coding)).deltas] == [3, 4, 5]
    assert [one.at_ns for one in decode(attempt(b"".join(apart[:4]), apart[4], **coding)).deltas] == [1, 1, 2]


@pytest.mark.parametrize("reason", ["end_turn", "max_tokens", "stop_sequence", "tool_use", "pause_turn", "refusal"])
def test_trap_the_stop_reason_is_kept(reason):
    """An answer that was cut by its limit can be told from one that came to its end, streamed or not."""
    assert decode(attempt(start(), text("Hi"), change(reason, output_tokens=1), STOP)).stop_reason == reason
    assert decode(document(message() | {"stop_reason": reason})).stop_reason == reason


# Streams.


def test_a_whole_stream():
    """Each fact of a stream is where it belongs."""
    head = start(input_tokens=9, output_tokens=1, cache_creation={"ephemeral_1h_input_tokens": 4})
    tool = block(1, type="tool_use", id="toolu_1", name="search", input={})
    call = delta("input_json_delta", 1, partial_json='{"a"')
    body = (head, TEXT_BLOCK, PING, text("Héllo"), event("content_block_stop", index=0), tool, call, PING)
    found = decode(attempt(*body, change("tool_use", output_tokens=11), STOP, response_headers=SSE))
    assert found == Generation(
        protocol="anthropic.messages",
        streamed=True,
        request_model="claude-asked",
        response_model="claude-answered",
        message_id="msg_1",
        usage=Usage(input_tokens=9, output_tokens=11, cache_creation_1h_input_tokens=4),
        stop_reason="tool_use",
        blocks=("text", "tool_use"),
        tool_names=("search",),
        text="Héllo",
        deltas=(Delta(4, Kind.TEXT, 5), Delta(7, Kind.TOOL, 4)),
        pings=2,
        stopped_ns=10,
        complete=True,
        max_tokens=100,
    )
    assert found.model == "claude-answered"


def test_the_last_stop_reason_counts():
    """Of two stop reasons the later one stands, and null does not replace it."""
    found = decode(attempt(start(), change("max_tokens"), change("end_turn"), change(None, output_tokens=1), STOP))
    assert found.stop_reason == "end_turn"


def test_closed_right_after_message_stop():
    """An SDK that closes the response with message_stop has read the whole answer."""
    body = (start(), text("Hi"), change(output_tokens=1), STOP)
    assert decode(attempt(*body, end=End.CLOSED)).complete
    assert not decode(attempt(*body[:-1], end=End.COMPLETE)).complete


def test_the_last_blank_line_is_lost():
    """message_stop without its blank line is never dispatched, yet a body that ended in order had all of its answer."""
    body = (start(), text("Hi"), change(output_tokens=1), STOP.rstrip())
    found = decode(attempt(*body))
    assert (found.complete, found.stopped_ns) == (True, None)
    assert found.missing == (
        "message_stop never came",
        "the last event (message_stop) was cut or lacks its blank line",
    )
    assert not decode(attempt(*body, end=End.ERROR)).complete


def test_a_refusal_without_a_delta():
    """A refusal that streams nothing is a whole answer without a first token."""
    found = decode(attempt(start(output_tokens=1), PING, change("refusal", output_tokens=4), STOP))
    assert (found.complete, found.deltas, found.stop_reason) == (True, (), "refusal")


def test_an_error_event_after_deltas():
    """An error inside an HTTP 200 stream is a failure with the provider's words, whatever came before it."""
    found = decode(attempt(start(input_tokens=5), TEXT_BLOCK, text("Hi"), event("error", **OVERLOADED)))
    assert found.failure == "overloaded_error: Overloaded"
    assert (found.complete, found.text, found.usage, found.missing) == (False, "Hi", Usage(input_tokens=5), ())


@pytest.mark.parametrize(
    ("data", "failure"),
    [
        (b'{"type":"error","error":{"type":"api_error","message":"Boom"}}', "api_error: Boom"),
        (b'{"error":{"message":"Boom"}}', "error: Boom"),
        (b'{"type":"overloaded","message":"Boom"}', "error: Boom"),
        (b"upstream went away", "error: upstream went away"),
        (b"{}", "error"),
    ],
)
def test_error_events_of_every_shape(data, failure):
    """An event named error is a failure even when its data is not what the protocol says."""
    assert decode(attempt(start(), b"event: error\ndata: " + data + b"\n\n")).failure == failure


def test_pings_as_comments():
    """A comment that keeps the stream alive is a ping."""
    assert decode(attempt(start(), b": ping\n\n", PING, b"event: ping\n\n", text("Hi"))).pings == 3


def test_events_without_names():
    """The data says what an event is when its name does not."""
    body = b"".join([start(), TEXT_BLOCK, text("Hi"), change(output_tokens=1), STOP])
    nameless = b"\n".join(line for line in body.split(b"\n") if not line.startswith(b"event:"))
    assert nameless.count(b"event:") == 0
    assert decode(attempt(nameless)) == decode(attempt(body))


def test_events_of_later_versions():
    """An event that is not known means nothing, be it JSON or not."""
    body = (start(), text("Hi"), change(output_tokens=1), STOP)
    later = (event("message_note", text="x"), b"event: vendor\ndata: hello\n\n", b"data: [DONE]\n\n")
    assert astuple(decode(attempt(*body, *later))) == astuple(decode(attempt(*body)))


def test_an_event_that_cannot_be_read():
    """A known event that is not JSON is named, and the answer that lost it is not complete."""
    found = decode(attempt(start(), b'event: content_block_delta\ndata: {"ty\n\n', change(output_tokens=1), STOP))
    assert found.missing == ("events that are no JSON objects: 1, the first of them content_block_delta",)
    assert not found.complete


def test_a_stream_without_its_head():
    """A stream that lost message_start is read, and says so."""
    found = decode(attempt(text("Hi"), change(output_tokens=1), STOP))
    assert (found.complete, found.text, found.message_id) == (False, "Hi", None)
    assert found.missing == ("message_start never came",)


def test_a_block_that_starts_with_text():
    """Text inside a content_block_start is part of the answer and arrives with it."""
    found = decode(attempt(start(), block(type="text", text="Hel"), text("lo")))
    assert (found.text, found.deltas) == ("Hello", (Delta(2, Kind.TEXT, 3), Delta(3, Kind.TEXT, 2)))


def test_a_character_split_over_two_deltas():
    """Halves of a character that JSON escapes in two deltas are put together."""
    assert decode(attempt(start(), text("\ud83d"), text("\ude00"))).text == "\U0001f600"


def test_server_tools_are_blocks_but_no_tool_names():
    """Tools that the provider runs are not tools that the application was asked to run."""
    names = ("server_tool_use", "mcp_tool_use", "web_search_tool_result", "tool_use")
    content = [{"type": name, "name": "n_" + name} for name in names]
    assert decode(document(message(*content))).tool_names == ("n_tool_use",)
    streamed = decode(attempt(start(), *[block(**one) for one in content]))
    assert (streamed.blocks, streamed.tool_names) == (names, ("n_tool_use",))


ITERATIONS = [
    {"type": "message", "input_tokens": 10, "output_tokens": 5},
    {"type": "advisor_message", "model": "claude-adviser", "input_tokens": 30, "output_tokens": 2},
    {"type": "compaction", "input_tokens": 900, "output_tokens": 40, "cache_read_input_tokens": 7},
    {"type": "fallback_message", "model": "claude-second", "input_tokens": 10, "output_tokens": 5},
]
PASSES = (
    Pass("advisor_message", "claude-adviser", Usage(30, 2)),
    Pass("compaction", None, Usage(900, 40, cache_read_input_tokens=7)),
)


def test_passes_beside_the_usage():
    """Iterations that usage itself leaves out are kept beside it, streamed or not; they are billed."""
    usage = {"input_tokens": 20, "output_tokens": 10, "iterations": ITERATIONS}
    for found in (decode(document(message(**usage))), decode(attempt(start(), change(**usage), STOP))):
        assert (found.usage, found.passes) == (Usage(20, 10), PASSES)


# Answers in one document.


def test_a_whole_document():
    """Each fact of a message that is not streamed is where it belongs, and there are no deltas."""
    blocks = (
        {"type": "thinking", "thinking": "Hm", "signature": "c2ln"},
        {"type": "text", "text": "Hé"},
        {"type": "tool_use", "id": "toolu_1", "name": "search", "input": {}},
        {"type": "text", "text": "llo"},
    )
    usage = {
        "input_tokens": 9,
        "output_tokens": 11,
        "cache_creation_input_tokens": 4,
        "cache_creation": {"ephemeral_5m_input_tokens": 1, "ephemeral_1h_input_tokens": 3},
        "cache_read_input_tokens": 2,
        "output_tokens_details": {"thinking_tokens": 6},
    }
    assert decode(document(message(*blocks, **usage), stream=False)) == Generation(
        protocol="anthropic.messages",
        streamed=False,
        request_model="claude-asked",
        response_model="claude-answered",
        message_id="msg_1",
        usage=Usage(9, 11, 4, 3, 2, 6),
        stop_reason="end_turn",
        blocks=("thinking", "text", "tool_use", "text"),
        tool_names=("search",),
        text="Héllo",
        thinking_characters=2,
        complete=True,
        max_tokens=100,
    )


def test_absent_is_never_zero():
    """Counts that the wire left out, or gave as something else, are None."""
    assert decode(document(message())).usage == Usage()
    assert decode(document(message(input_tokens=None, output_tokens="7", cache_read_input_tokens=-1))).usage == Usage()
    assert decode(document(message(input_tokens=0))).usage == Usage(input_tokens=0)


def test_a_cut_document():
    """A document that does not end has nothing to say, and says so."""
    body = json.dumps(message({"type": "text", "text": "Hi"})).encode()[:-1]
    found = decode(attempt(body, stream=False, end=End.ERROR))
    assert found == Generation(
        "anthropic.messages",
        streamed=False,
        request_model="claude-asked",
        missing=(f"the body, {len(body)} bytes, is no whole JSON document",),
        max_tokens=100,
    )


def test_a_message_with_an_empty_error():
    """A message beside which a gateway writes that there was no error is a message."""
    found = decode(document(message({"type": "text", "text": "Hi"}) | {"error": None}))
    assert (found.text, found.failure, found.complete) == ("Hi", "", True)


def test_json_that_is_no_message():
    """JSON of another kind is no answer."""
    found = decode(document({"ok": True, "error": None}))
    assert found.missing == ("the body is JSON, but neither a message nor an error",)
    assert (found.complete, found.failure) == (False, "")


# What the body is, against what its header or its request says.

STREAM = (start(input_tokens=1), TEXT_BLOCK, text("Hi"), change(output_tokens=2), STOP)


@pytest.mark.parametrize(
    "headers", [(), SSE, (("content-type", "application/json"),), (("content-type", "<REDACTED>"),)]
)
@pytest.mark.parametrize("asked", [True, False])
def test_the_body_says_what_it_is(headers, asked):
    """A stream is read as a stream and a document as a document, whatever header and request say."""
    stream = decode(attempt(*STREAM, stream=asked, response_headers=headers))
    assert (stream.streamed, stream.text, stream.complete) == (True, "Hi", True)
    whole = decode(document(message({"type": "text", "text": "Hi"}), stream=asked, response_headers=headers))
    assert (whole.streamed, whole.text, whole.complete) == (False, "Hi", True)


@pytest.mark.parametrize("body", [b"", b"ev", b"<html>login</html>"])
def test_a_body_that_says_nothing_is_what_was_asked_for(body):
    """A body that is cut before it says anything, or is something else, is taken for the stream that was asked for."""
    found = decode(attempt(body))
    assert (found.streamed, found.complete, found.deltas) == (True, False, ())
    assert found.missing[:2] == ("the body holds no event", "message_start never came")
    assert decode(attempt(body, request_body=b"", response_headers=SSE)).missing == found.missing
    assert decode(attempt(body, stream=False)).missing == (f"the body, {len(body)} bytes, is no whole JSON document",)


# Failures by status.


@pytest.mark.parametrize("asked", [True, False])
@pytest.mark.parametrize(
    ("status", "body", "failure"),
    [
        (529, json.dumps(OVERLOADED).encode(), "overloaded_error: Overloaded"),
        (404, b'{"error":{"type":"not_found_error","message":"model: x"}}', "not_found_error: model: x"),
        (500, b'{"error":"Boom"}', "HTTP 500: Boom"),
        (422, b'{"detail":"Boom"}', "HTTP 422: Boom"),
        (401, b'{"message":"Boom"}', "HTTP 401: Boom"),
        (503, b"upstream connect\n  error \x00", "HTTP 503: upstream connect error"),
        (502, b"x" * 1000, "HTTP 502: " + "x" * 200),
        (500, b"", "HTTP 500"),
        (500, b"\xff", "HTTP 500: \ufffd"),
        (400, b'{"cut', 'HTTP 400: {"cut'),
    ],
)
def test_a_status_of_failure(status, body, failure, asked):
    """An error status is a failure in the provider's or the proxy's words; it stays what it was asked as."""
    found = decode(attempt(body, status=status, stream=asked))
    assert (found.failure, found.streamed, found.complete, found.missing) == (failure, asked, False, ())
    assert found.request_model == "claude-asked"


def test_an_error_document_under_a_good_status():
    """An error in a 200 document is a failure."""
    assert decode(document(OVERLOADED)).failure == "overloaded_error: Overloaded"


def test_an_error_stream_under_a_bad_status():
    """An error status whose body is an event stream takes its words from there."""
    assert decode(attempt(event("error", **OVERLOADED), status=529)).failure == "overloaded_error: Overloaded"


def test_a_stream_under_a_bad_status():
    """An error status is a failure even when its body is a stream that names no error."""
    found = decode(attempt(*STREAM, status=500))
    assert (found.failure, found.complete, found.text) == ("HTTP 500", False, "Hi")


@pytest.mark.parametrize("header", [("retry-after", "4"), ("x-should-retry", "true")])
def test_headers_of_retries_do_not_make_a_failure(header):
    """A successful answer may carry retry-after: the status decides."""
    found = decode(attempt(*STREAM, response_headers=(*SSE, header)))
    assert (found.complete, found.failure) == (True, "")


def test_a_redirect():
    """A redirect carries no answer and is no failure of the provider."""
    found = decode(attempt(b"", status=307))
    assert (found.failure, found.missing) == ("", ("HTTP 307 carries no answer",))


def test_no_response():
    """An attempt that got no response knows what it asked for."""
    found = decode(attempt(status=None, end=End.ERROR))
    assert (found.streamed, found.request_model, found.missing) == (True, "claude-asked", ("no response came",))


def test_a_damaged_compression():
    """A body that cannot be decompressed is named, and its answer is not complete."""
    found = decode(attempt(b"\x1f\x8b\x08garbage", response_headers=(("content-encoding", "gzip"),)))
    assert found.missing[0].startswith("content-encoding 'gzip' is damaged: ")
    assert not found.complete


# The request.

LONG = [{"role": "user", "content": 'word "model" ' * 5000}]
TOOL = {"name": "t", "input_schema": {"properties": {"model": {"type": "string"}, "stream": {"type": "boolean"}}}}
CALLED = [{"role": "assistant", "content": [{"type": "tool_use", "input": {"model": "decoy", "stream": True}}]}]


@pytest.mark.parametrize(
    ("request_fields", "model", "streamed"),
    [
        (ASKED | {"stream": True}, "claude-asked", True),
        (ASKED, "claude-asked", False),
        ({"stream": True} | ASKED, "claude-asked", True),
        (ASKED | {"messages": LONG, "stream": True}, "claude-asked", True),
        (ASKED | {"messages": CALLED}, "claude-asked", False),
        (ASKED | {"stream": True, "tools": [TOOL]}, "claude-asked", True),
        (ASKED | {"tools": [TOOL]}, "claude-asked", False),
        ({"model": "claude-é", "stream": True, "messages": CALLED}, "claude-é", True),
        ({"messages": CALLED}, None, False),
        ({"model": 7, "stream": "yes"}, None, False),
        ({"tools": [{"name": "model"}, {"name": "stream"}]}, None, False),
        ([1], None, False),
    ],
)
@pytest.mark.parametrize("separators", [(",", ":"), (", ", ": ")])
def test_the_request(request_fields, model, streamed, separators):
    """Model and stream are the request's own, wherever they stand and whatever prompts and tools contain."""
    body = json.dumps(request_fields, separators=separators).encode()
    found = decode(attempt(status=None, request_body=body))
    assert (found.request_model, found.streamed) == (model, streamed)


@settings(deadline=None)
@given(
    st.recursive(
        st.none() | st.booleans() | st.sampled_from(["model", '"model":', "stream", "{"]),
        lambda inner: (
            st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["model", "stream", "a"]), inner, max_size=3)
        ),
        max_leaves=12,
    )
)
def test_the_short_way_through_a_request_is_the_long_one(fields):
    """Reading a request from its last `model` on gives what reading all of it gives."""
    body = json.dumps({"messages": fields} | (fields if isinstance(fields, dict) else {"model": "m", "stream": True}))
    whole = json.loads(body)
    found = decode(attempt(status=None, request_body=body.encode()))
    assert found.request_model == (whole.get("model") if isinstance(whole.get("model"), str) else None)
    assert found.streamed == (whole.get("stream") is True)


@pytest.mark.parametrize("body", [b"", b"\xff", b"{", b"a=1&model=x", b'"model"', b'{"model":"a"'])
def test_a_request_that_cannot_be_read(body):
    """A request that is no JSON says nothing of its model, and the answer is read all the same."""
    found = decode(attempt(*STREAM, request_body=body))
    assert (found.request_model, found.text, found.complete) == (None, "Hi", True)


@pytest.mark.parametrize(
    ("method", "url", "expected"),
    [
        ("POST", "https://api.anthropic.com/v1/messages", True),
        ("post", "https://api.anthropic.com/v1/messages?beta=true", True),
        ("POST", "http://127.0.0.1:8123/v1/messages", True),
        ("POST", "https://gateway.example/anthropic/v1/messages", True),
        ("GET", "https://api.anthropic.com/v1/messages", False),
        ("POST", "https://api.anthropic.com/v1/messages/count_tokens", False),
        ("POST", "https://api.anthropic.com/v1/messages/batches", False),
        ("POST", "https://api.anthropic.com/v1/complete", False),
        ("POST", "https://api.anthropic.com/v1/files", False),
        ("POST", "https://api.openai.com/v1/chat/completions", False),
        ("POST", "https://api.example/v2/messages?next=/v1/messages", False),
    ],
)
def test_recognises(method, url, expected):
    """A generation call is a POST to a path that ends in /v1/messages, on any host."""
    assert recognises(attempt(method=method, url=url)) is expected
