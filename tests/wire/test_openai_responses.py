"""OpenAI's Responses: documents and streams that recordings do not show."""

import json

import pytest

from pytest_llmperf.core.generation import Delta, Kind, Usage
from pytest_llmperf.wire import openai_responses
from wire.attempts import attempt, event

URL = "https://api.openai.com/v1/responses"
MESSAGE = {"type": "message", "content": [{"type": "output_text", "text": "Hi"}, {"type": "refusal", "refusal": "No."}]}
REASONING = {"type": "reasoning", "summary": [{"type": "summary_text", "text": "Hm"}]}
CALL = {"type": "function_call", "name": "lookup", "arguments": "{}"}
USAGE = {
    "input_tokens": 100,
    "output_tokens": 7,
    "input_tokens_details": {"cached_tokens": 60},
    "output_tokens_details": {"reasoning_tokens": 2},
}


def response(status="completed", output=(REASONING, MESSAGE, CALL), **more):
    known = {"id": "resp_1", "object": "response", "model": "gpt-answered", "error": None, "usage": USAGE}
    return known | {"status": status, "output": list(output)} | more


def decode(*pieces, **fields):
    return openai_responses.decode(attempt(*pieces, url=URL, **fields))


BEGUN = event("response.created", response=response("in_progress", (), usage=None))


@pytest.mark.parametrize(
    ("method", "url", "is_one"), [("POST", URL, True), ("GET", URL, False), ("POST", f"{URL}/resp_1/cancel", False)]
)
def test_what_is_a_call(method, url, is_one):
    """Only a POST to a path that ends in /v1/responses is one."""
    assert openai_responses.recognises(attempt(method=method, url=url)) is is_one


@pytest.mark.parametrize("streamed", [False, True])
def test_the_answer_is_the_same_streamed_or_not(streamed):
    """Facts come from the response object, which a stream's last event holds."""
    pieces = (BEGUN, event("response.completed", response=response()))
    read = decode(*(pieces if streamed else (json.dumps(response()).encode(),)), stream=streamed)
    assert read.usage == Usage(40, 7, None, None, 60, 2)
    assert read.blocks == ("reasoning", "message", "function_call")
    assert (read.text, read.thinking_characters, read.tool_names) == ("HiNo.", 2, ("lookup",))
    assert (read.stop_reason, read.response_model, read.message_id) == ("completed", "gpt-answered", "resp_1")
    assert (read.complete, read.streamed, read.missing) == (True, streamed, ())


def test_deltas():
    """Each delta arrives with its event and is of the kind that its name says; one without words is of none."""
    read = decode(
        BEGUN,
        event("response.reasoning_summary_text.delta", delta="Hm"),
        event("response.output_text.delta", delta="Hi"),
        event("response.output_text.delta", delta=""),
        event("response.function_call_arguments.delta", delta="{}"),
        event("response.completed", response=response()),
    )
    assert read.deltas == (
        Delta(2, Kind.THINKING, 2),
        Delta(3, Kind.TEXT, 2),
        Delta(4, Kind.OTHER, 0),
        Delta(5, Kind.TOOL, 2),
    )
    assert read.stopped_ns == 6


def test_a_stream_that_was_cut():
    """It is read as far as it came, its counts unknown."""
    read = decode(BEGUN, event("response.output_item.added", item=MESSAGE))
    assert (read.response_model, read.blocks, read.stop_reason) == ("gpt-answered", ("message",), None)
    assert read.usage == Usage()
    assert read.missing == ("the response's last event never came",)
    assert not read.complete


@pytest.mark.parametrize(
    ("pieces", "failure"),
    [
        ((event("error", code="server_error", message="went away"),), "server_error: went away"),
        ((event("error", error={"type": "server_error", "message": "went away"}),), "server_error: went away"),
        (
            (event("response.failed", response=response("failed", error={"message": "went away"})),),
            "failed: went away",
        ),
    ],
)
def test_a_failure_inside_a_stream(pieces, failure):
    """An error event and a failed response are the attempt's failure, whatever the status said."""
    read = decode(BEGUN, *pieces)
    assert read.failure == failure
    assert not read.complete


@pytest.mark.parametrize("body", [b"", b"null", b"[]", b"{", b'{"output": 5}', b"<html>"])
def test_a_body_that_is_no_response(body):
    """It is missing, with no word guessed."""
    read = decode(body, stream=False)
    assert read.missing == (f"the body, {len(body)} bytes, is no response",)


@pytest.mark.parametrize("output", [5, None, [7], [{"type": ["message"]}], [{"type": "message", "content": 5}]])
def test_output_of_wrong_types(output):
    """Nothing raises; what has a wrong type counts as absent."""
    assert decode(event("response.completed", response=response() | {"output": output})).text == ""


def test_no_response():
    """An attempt without an answer is missing one."""
    assert decode(status=None).missing == ("no response came",)
