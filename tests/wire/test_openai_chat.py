"""OpenAI's Chat Completions: documents and streams that recordings do not show."""

import json

import pytest

from pytest_llmperf.core.generation import Delta, Kind, Usage
from pytest_llmperf.wire import openai_chat
from wire.attempts import attempt

URL = "https://api.openai.com/v1/chat/completions"
DONE = b"data: [DONE]\n\n"


def chunk(*choices, **more):
    known = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "model": "gpt-answered", "choices": choices}
    return f"data: {json.dumps(known | more)}\n\n".encode()


def said(index=0, finish_reason=None, **delta):
    return {"index": index, "delta": delta, "finish_reason": finish_reason}


def decode(*pieces, **fields):
    return openai_chat.decode(attempt(*pieces, url=URL, **fields))


def document(message, **more):
    choice = {"index": 0, "message": {"role": "assistant"} | message, "finish_reason": "stop"}
    return json.dumps({"id": "chatcmpl-1", "model": "gpt-answered", "choices": [choice]} | more).encode()


@pytest.mark.parametrize(
    ("method", "url", "is_one"),
    [
        ("POST", URL, True),
        ("POST", "https://openrouter.ai/api/v1/chat/completions?x=1", True),
        ("GET", URL, False),
        ("POST", f"{URL}/chatcmpl-1", False),
    ],
)
def test_what_is_a_call(method, url, is_one):
    """Only a POST to a path that ends in /chat/completions is one, on whichever host."""
    assert openai_chat.recognises(attempt(method=method, url=url)) is is_one


def test_a_stream_with_usage():
    """Deltas arrive with their chunks, usage with the last one, and the cached input is taken out."""
    usage = {
        "prompt_tokens": 100,
        "completion_tokens": 7,
        "prompt_tokens_details": {"cached_tokens": 60},
        "completion_tokens_details": {"reasoning_tokens": 2},
    }
    read = decode(
        chunk(said(role="assistant", content="")),
        chunk(said(reasoning_content="Hm")),
        chunk(said(content="Hi")),
        chunk(said(finish_reason="stop")),
        chunk(usage=usage),
        DONE,
    )
    assert read.usage == Usage(40, 7, None, None, 60, 2)
    assert read.deltas == (Delta(2, Kind.THINKING, 2), Delta(3, Kind.TEXT, 2))
    assert (read.text, read.thinking_characters, read.stop_reason, read.stopped_ns) == ("Hi", 2, "stop", 6)
    assert read.complete
    assert read.missing == ()


def test_a_stream_that_calls_a_tool():
    """The tool is named once, its arguments are deltas of their own."""
    first = {"index": 0, "id": "call_1", "function": {"name": "lookup", "arguments": ""}}
    more = {"index": 0, "function": {"arguments": '{"a":1}'}}
    read = decode(chunk(said(tool_calls=[first])), chunk(said(tool_calls=[more], finish_reason="tool_calls")), DONE)
    assert read.tool_names == ("lookup",)
    assert read.deltas == (Delta(2, Kind.TOOL, 7),)
    assert read.stop_reason == "tool_calls"


def test_several_choices():
    """The words are those of the first choice; all of them were streamed."""
    ends = chunk(said(finish_reason="stop"), said(1, finish_reason="length"))
    usage = {"prompt_tokens": 5, "completion_tokens": 20}
    read = decode(chunk(said(content="A")), chunk(said(1, content="B")), ends, chunk(usage=usage), DONE)
    assert (read.text, read.stop_reason, read.usage.output_tokens) == ("A", "stop", 20)
    assert read.deltas == (Delta(1, Kind.TEXT, 1), Delta(2, Kind.TEXT, 1))
    assert (read.complete, read.missing) == (True, ())


def test_a_choice_that_was_cut():
    """The answer is not whole while one of its choices has no end."""
    read = decode(chunk(said(content="A"), said(1, content="B")), chunk(said(finish_reason="stop")))
    assert not read.complete
    assert read.missing[0] == "no finish_reason came for choice 1"
    assert not decode(chunk(said(1, content="B")), chunk(said(1, finish_reason="stop")), DONE).complete


def test_tools_and_reasoning_of_several_choices():
    """The tools are those of the first, the deltas those of all, by kind."""
    calls = [[{"index": 0, "function": {"name": name, "arguments": "{}"}}] for name in ("lookup", "guess")]
    read = decode(
        chunk(said(reasoning="Hm"), said(1, reasoning="Hm?")),
        *(chunk(said(index, tool_calls=one)) for index, one in enumerate(calls)),
        chunk(said(finish_reason="tool_calls"), said(1, finish_reason="tool_calls")),
        DONE,
    )
    assert (read.tool_names, read.thinking_characters, read.complete) == (("lookup",), 2, True)
    assert [delta.kind for delta in read.deltas] == [Kind.THINKING, Kind.THINKING, Kind.TOOL, Kind.TOOL]


def test_a_document_of_several_choices():
    """The words are those of the first by its index, wherever it stands; without usage nothing is counted."""
    choices = [{"index": index, "message": {"content": word}} for index, word in ((1, "B"), (0, "A"))]
    read = decode(json.dumps({"id": "chatcmpl-1", "choices": choices}).encode(), stream=False)
    assert (read.text, read.usage, read.complete) == ("A", Usage(), True)


def test_a_stream_that_was_cut():
    """What is missing is named, and nothing is counted from chunks."""
    read = decode(chunk(said(content="Hi")))
    assert not read.complete
    assert read.usage == Usage()
    assert read.missing == (
        "no finish_reason came",
        "[DONE] never came",
        "no usage came (stream_options.include_usage was not asked for)",
    )


def test_why_a_stream_has_no_counts():
    """Nobody asked for them, or they were asked for and never came."""
    whole = (chunk(said(content="Hi")), chunk(said(finish_reason="stop")), DONE)
    asked = json.dumps({"stream": True, "stream_options": {"include_usage": True}}).encode()
    assert decode(*whole).uncounted == "no usage came (stream_options.include_usage was not asked for)"
    assert decode(*whole, request_body=asked).uncounted == "no usage came"
    assert decode(*whole).complete


def test_an_error_inside_a_stream():
    """An error is the attempt's failure, whatever the status said."""
    error = b'data: {"error": {"type": "server_error", "message": "went away"}}\n\n'
    read = decode(chunk(said(content="Hi")), error)
    assert read.failure == "server_error: went away"
    assert not read.complete


def test_a_document_with_tools_and_a_refusal():
    """A document says the same as a stream, without times."""
    calls = [{"function": {"name": "lookup", "arguments": "{}"}}, {"function": {"name": "", "arguments": "{}"}}, None]
    read = decode(document({"content": None, "refusal": "No.", "tool_calls": calls}), stream=False)
    assert (read.text, read.tool_names, read.streamed, read.complete) == ("No.", ("lookup",), False, True)
    assert read.deltas == ()


@pytest.mark.parametrize("body", [b"", b"null", b"[]", b"{", b'{"choices": 5}', b'{"choices": [7]}', b"<html>"])
def test_a_body_that_is_no_completion(body):
    """It is missing, with no word guessed."""
    read = decode(body, stream=False)
    assert read.missing == (f"the body, {len(body)} bytes, is no completion of a chat",)
    assert not read.complete


def test_a_proxy_that_refuses():
    """The body of a status of failure is quoted when it is no JSON."""
    assert decode(b"upstream  away", status=503).failure == "HTTP 503: upstream away"


def test_no_response():
    """An attempt without an answer is missing one."""
    assert decode(status=None).missing == ("no response came",)


def test_damaged_compression():
    """What could not be decompressed is said, and the answer is not whole."""
    read = decode(b"\x1f\x8b\x00damaged", response_headers=(("content-encoding", "gzip"),))
    assert not read.complete
    assert "damaged" in read.missing[0]
