"""Decoding never raises: whatever comes, it is read as far as it can be, and what is missing is said."""

import json
from dataclasses import astuple, replace

from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_llmperf.core.exchange import End
from pytest_llmperf.core.generation import Generation
from pytest_llmperf.wire import LEGIBLE
from pytest_llmperf.wire.anthropic_messages import decode
from wire.attempts import STOP, TEXT_BLOCK, attempt, change, cut, start, text

STREAM = (start(input_tokens=1), TEXT_BLOCK, text("Hi"), change(output_tokens=2), STOP)

CODINGS = st.sampled_from(["", "gzip", "deflate", "br", "zstd", "identity", "gzip, br"])
DECODERS = st.sampled_from([protocol.decode for protocol in LEGIBLE])
STATUSES = st.sampled_from([None, 200, 307, 429, 529])


def readable(found: Generation) -> None:
    """What any decoding must be: facts of the right types that can be written down."""
    assert found.complete or found.failure or found.missing
    assert not (found.complete and found.failure)
    assert all(isinstance(value, int | None) for value in astuple(found.usage))
    json.dumps(astuple(found), ensure_ascii=False).encode("utf-8")


@settings(deadline=None)
@given(DECODERS, st.lists(st.binary(max_size=80), max_size=5), st.binary(max_size=80), CODINGS, STATUSES)
def test_any_bytes(decode, pieces, request, coding, status):
    """No bytes, in whatever place, make decoding raise; what is missing is said."""
    headers = (("content-encoding", coding),)
    readable(decode(attempt(*pieces, request_body=request, status=status, response_headers=headers)))


NAMES = st.sampled_from(
    [
        "type",
        "message",
        "delta",
        "content_block",
        "content",
        "usage",
        "error",
        "iterations",
        "id",
        "model",
        "stop_reason",
        "text",
        "thinking",
        "output_tokens",
        "cache_creation",
        "output_tokens_details",
        "name",
        "choices",
        "index",
        "finish_reason",
        "tool_calls",
        "function",
        "arguments",
        "response",
        "output",
        "item",
        "summary",
        "status",
        "prompt_tokens",
        "input_tokens_details",
    ]
)
KINDS = st.sampled_from(
    [
        "message_start",
        "content_block_start",
        "content_block_delta",
        "message_delta",
        "message_stop",
        "error",
        "ping",
        "text_delta",
        "text",
        "tool_use",
        "thinking",
        "message",
        "compaction",
        "response.created",
        "response.output_item.added",
        "response.output_text.delta",
        "response.completed",
        "reasoning",
        "function_call",
        "output_text",
    ]
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(codec=None), max_size=4),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=4),
    max_leaves=15,
)


@st.composite
def protocol_like(draw) -> dict[str, object]:
    """Objects whose keys are the protocol's and whose values are anything."""
    return draw(st.dictionaries(NAMES, JSON | st.dictionaries(NAMES, JSON | KINDS, max_size=4) | KINDS, max_size=5))


@settings(deadline=None)
@given(DECODERS, st.lists(st.tuples(KINDS, protocol_like()), max_size=6))
def test_any_values_in_events(decode, events):
    """Events of the right names with values of any type never make decoding raise."""
    body = b"".join(f"event: {kind}\ndata: {json.dumps(fields)}\n\n".encode() for kind, fields in events)
    readable(decode(attempt(body)))


@settings(deadline=None)
@given(DECODERS, protocol_like(), STATUSES)
def test_any_values_in_a_document(decode, fields, status):
    """A document with the right keys and values of any type never makes decoding raise."""
    readable(decode(attempt(json.dumps(fields).encode(), status=status)))


@settings(deadline=None)
@given(st.data())
def test_a_stream_with_damage_in_it(data):
    """A stream of which some bytes were lost or changed is read without raising."""
    body = b"".join(STREAM)
    begin = data.draw(st.integers(0, len(body)))
    end = data.draw(st.integers(begin, min(len(body), begin + 60)))
    damaged = body[:begin] + data.draw(st.binary(max_size=10)) + body[end:]
    readable(decode(replace(attempt(damaged), end=data.draw(st.sampled_from(End)))))


@settings(deadline=None)
@given(st.data())
def test_cut_anywhere(data):
    """A literal stream in any chunks says the same."""
    whole = attempt(b"".join(STREAM))
    places = data.draw(st.lists(st.integers(0, len(b"".join(STREAM))), max_size=6))
    seen, expected = decode(cut(whole, *places)), decode(whole)
    assert (seen.text, seen.usage, seen.complete) == (expected.text, expected.usage, expected.complete)
