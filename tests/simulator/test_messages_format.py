import json
import re
from random import Random

import pytest

from pytest_llmperf.simulator import messages_format as form
from pytest_llmperf.simulator.answers import Block
from pytest_llmperf.simulator.messages_format import Allowance, Answer, CacheUse

TEXT = Block("text", ("Hel", "lo", ' "you"', "\n", "é"))
ANSWER = Answer("msg_01abcdefghijkmnopqrstuvw", "claude-opus-4-1-20250805", (TEXT,), "end_turn", 17)


def data(event: bytes) -> dict:
    return json.loads(event.decode().partition("data: ")[2])


def test_identifiers_have_the_real_form() -> None:
    """Clients log and match them, so prefix, alphabet and length are those of recorded traffic."""
    assert re.fullmatch(r"msg_01[1-9A-HJ-NP-Za-km-z]{22}", form.message_id(Random(1)))
    assert re.fullmatch(r"req_011C[1-9A-HJ-NP-Za-km-z]{20}", form.request_id(Random(1)))
    assert re.fullmatch(r"toolu_01[1-9A-HJ-NP-Za-km-z]{22}", form.tool_id(ANSWER, 0))


def test_the_head_of_a_stream_is_that_of_recorded_traffic() -> None:
    """Keys, order, padding and the one output token that is already counted."""
    assert form.message_start(ANSWER, 3) == (
        b'event: message_start\ndata: {"type":"message_start","message":{"model":"claude-opus-4-1-20250805",'
        b'"id":"msg_01abcdefghijkmnopqrstuvw","type":"message","role":"assistant","content":[],"stop_reason":null,'
        b'"stop_sequence":null,"usage":{"input_tokens":17,"cache_creation_input_tokens":0,"cache_read_input_tokens":0,'
        b'"cache_creation":{"ephemeral_5m_input_tokens":0,"ephemeral_1h_input_tokens":0},"output_tokens":1,'
        b'"service_tier":"standard"}}   }\n\n'
    )


def test_deltas_carry_groups_of_tokens() -> None:
    """Each event holds its tokens as JSON text, padded before the last brace."""
    assert form.deltas(TEXT, 2, [1, 4], iter([0, 2])) == [
        (
            b'event: content_block_delta\ndata: {"type":"content_block_delta","index":2,"delta":{"type":"text_delta",'
            b'"text":"Hel"}}\n\n'
        ),
        'event: content_block_delta\ndata: {"type":"content_block_delta","index":2,"delta":{"type":"text_delta",'
        '"text":"lo \\"you\\"\\né"}  }\n\n'.encode(),
    ]


def test_a_tool_call_begins_with_an_empty_piece_of_json() -> None:
    """As in recorded traffic, the first `input_json_delta` carries nothing."""
    answer = Answer(ANSWER.message_id, "m", (Block("tool_use", ("{", "}"), "record"),), "tool_use", 1)
    start, _, empty = form.block_start(answer, 0, 0).partition(b"\n\n")
    block = data(start)["content_block"]
    assert (block["type"], block["name"], block["input"]) == ("tool_use", "record", {})
    assert data(empty)["delta"] == {"type": "input_json_delta", "partial_json": ""}


def test_a_thinking_block_ends_with_its_signature() -> None:
    """The signature arrives in an event of its own before the block stops."""
    answer = Answer(ANSWER.message_id, "m", (Block("thinking", ("a",)),), "end_turn", 1)
    signed, _, stop = form.block_stop(answer, 0, 0).partition(b"\n\n")
    assert data(signed)["delta"] == {"type": "signature_delta", "signature": form.signature(answer, 0)}
    assert data(stop) == {"type": "content_block_stop", "index": 0}


def test_the_end_of_a_stream_holds_the_final_usage() -> None:
    """`message_delta` counts all output tokens, thinking included."""
    thinking = Answer(ANSWER.message_id, "m", (Block("thinking", ("a", "b")), TEXT), "max_tokens", 9, CacheUse(1, 2, 4))
    delta, _, stop = form.message_end(thinking, 0).partition(b"\n\n")
    assert data(delta) == {
        "type": "message_delta",
        "delta": {"stop_reason": "max_tokens", "stop_sequence": None},
        "usage": {
            "input_tokens": 9,
            "cache_creation_input_tokens": 3,
            "cache_read_input_tokens": 4,
            "output_tokens": 7,
            "output_tokens_details": {"thinking_tokens": 2},
        },
    }
    assert data(stop) == {"type": "message_stop"}


def test_the_head_of_a_thinking_stream_counts_no_more_thinking_than_output() -> None:
    """One token is counted when the stream begins, and it is one of thinking."""
    thinking = Answer(ANSWER.message_id, "m", (Block("thinking", ("a", "b")), TEXT), "end_turn", 9)
    usage = data(form.message_start(thinking, 0))["message"]["usage"]
    assert (usage["output_tokens"], usage["output_tokens_details"]) == (1, {"thinking_tokens": 1})


def test_a_whole_message_holds_all_blocks() -> None:
    """Thinking, text and tool calls in the form of an answer that was not streamed."""
    blocks = (Block("thinking", ("a",)), TEXT, Block("tool_use", ('{"n": ', "1}"), "record"))
    message = json.loads(form.message(Answer(ANSWER.message_id, "m", blocks, "tool_use", 3)))
    thought, said, called = message["content"]
    assert (thought["type"], thought["thinking"], said["text"]) == ("thinking", "a", 'Hello "you"\né')
    assert (called["name"], called["input"]) == ("record", {"n": 1})
    assert message["usage"]["output_tokens"] == 8
    assert message["stop_reason"] == "tool_use"


def test_a_tool_call_that_was_cut_open_has_no_input() -> None:
    """Half a JSON document is not made up into a whole one."""
    message = json.loads(form.message(Answer("msg_01a", "m", (Block("tool_use", ('{"n',), "t"),), "max_tokens", 3)))
    assert message["content"][0]["input"] == {}


@pytest.mark.parametrize(("status", "kind"), [(429, "rate_limit_error"), (500, "api_error"), (529, "overloaded_error")])
def test_errors_have_the_real_body(status, kind) -> None:
    """Type, message and request id, as the SDK reads them."""
    content_type, body = form.status_error(status, "req_1")
    document = json.loads(body)
    assert content_type == "application/json"
    assert (document["type"], document["error"]["type"], document["request_id"]) == ("error", kind, "req_1")


def test_a_503_is_a_proxys_plain_text() -> None:
    """What stands before the API knows no JSON."""
    assert form.status_error(503, "req_1")[0] == "text/plain"


def test_headers_of_a_stream_and_of_an_error() -> None:
    """A stream is chunked; an error says whether and when to try again."""
    stream = dict(form.headers("text/event-stream", status=200, request="req_1", elapsed_seconds=0))
    assert stream["transfer-encoding"] == "chunked"
    assert stream["request-id"] == "req_1"
    assert "content-length" not in stream
    assert "x-should-retry" not in stream
    allowance = Allowance(50, 0, 61.0)
    error = dict(
        form.headers(
            "text/plain", status=429, request="r", elapsed_seconds=5, allowance=allowance, length=7, retry_after=2
        )
    )
    assert (error["content-length"], error["retry-after"], error["x-should-retry"]) == ("7", "2", "true")
    assert error["date"] == "Mon, 02 Jun 2025 15:00:05 GMT"
    assert error["anthropic-ratelimit-requests-limit"] == "50"
    assert error["anthropic-ratelimit-requests-remaining"] == "0"
    assert error["anthropic-ratelimit-requests-reset"] == "2025-06-02T15:01:06Z"
    refused = dict(form.headers("text/plain", status=400, request="r", elapsed_seconds=0, length=0))
    assert refused["x-should-retry"] == "false"


def test_the_answer_says_who_served_it() -> None:
    """Nobody can take it for the real API."""
    assert dict(form.headers("a/b", status=200, request="r", elapsed_seconds=0))["server"] == "pytest-llmperf"
