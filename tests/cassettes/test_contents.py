"""What recorded interactions say, against facts found by an independent parser, and literal ones."""

import json
from dataclasses import asdict
from functools import cache

import pytest

from cassettes.files import PIECES, TIMING, cassette, interaction
from pytest_llmperf.cassettes.contents import contents
from pytest_llmperf.cassettes.reading import read
from wire.attempts import CASSETTES, expectations, start, text

KEYS = (
    "index",
    "format",
    "method",
    "host",
    "path",
    "query",
    "api",
    "status",
    "stream",
    "request_model",
    "response_model",
    "input_tokens",
    "output_tokens",
    "cache_creation_input_tokens",
    "cache_read_input_tokens",
    "stop_reason",
    "n_content_block_delta",
    "ping",
    "has_thinking",
    "has_tool_use",
)
FILES = sorted({facts["file"] for facts in expectations()})


@cache
def found(file):
    return list(contents(read(CASSETTES / file)))


@pytest.mark.parametrize("file", FILES)
def test_recordings_of_other_projects(file):
    """Every fact is that of the recording; one that the wire does not tell is None."""
    expected = [facts for facts in expectations() if facts["file"] == file]
    assert [{key: asdict(one)[key] for key in KEYS} for one in found(file)] == [
        {key: facts.get(key) for key in KEYS} for facts in expected
    ]


@pytest.mark.parametrize("file", FILES)
def test_failures(file):
    """An attempt failed where the provider answered with an error, and none of these is timed."""
    for one, facts in zip(found(file), (facts for facts in expectations() if facts["file"] == file), strict=True):
        failed = (facts["status"] or 200) >= 400 or facts.get("error_in_stream", False)
        assert bool(one.failure) is failed
        assert (one.failure or "").startswith(facts.get("error_type") or "")
        assert (one.timed, one.ttft, one.e2e) == (False, None, None)


def the_only(tmp_path, **response):
    (one,) = contents(read(cassette(tmp_path, interaction(**response))))
    return one


def test_a_timed_stream(tmp_path):
    """Seconds run from the request's last byte: to the second chunk, with the only delta, which is the last as well."""
    one = the_only(tmp_path, **{"x-llmperf": TIMING})
    assert (one.timed, one.ttft, one.e2e) == (True, 0.2, 0.2)


def test_a_timed_document(tmp_path):
    """An answer in one piece has an end and no first token."""
    body = json.dumps({"content": [{"type": "text", "text": "Hi"}], "usage": {"output_tokens": 1}})
    timing = TIMING | {"chunks": f"250000:{len(body)}"}
    one = the_only(tmp_path, **{"body": {"string": body}, "x-llmperf": timing})
    assert (one.timed, one.stream, one.ttft, one.e2e) == (True, False, None, 0.25)


def test_a_timed_failure(tmp_path):
    """An answer that broke off says how, and has no latency."""
    size = len(PIECES[0])
    timing = TIMING | {"chunks": f"100000:{size}", "end": "error", "error": "ReadError: reset"}
    one = the_only(tmp_path, **{"body": {"string": PIECES[0].decode()}, "x-llmperf": timing})
    assert (one.failure, one.timed, one.ttft, one.e2e) == ("ReadError: reset", True, None, None)


def test_a_stream_that_was_cut(tmp_path):
    """An answer without its end is a failure that says what is missing."""
    one = the_only(tmp_path, body={"string": (start(input_tokens=3) + text("Hi")).decode()})
    assert "message_stop never came" in one.failure
    assert (one.n_content_block_delta, one.ping, one.output_tokens) == (1, False, None)


def test_traffic_of_no_known_api(tmp_path):
    """It is listed with what HTTP tells."""
    request = {"method": "GET", "uri": "https://example.com/page?x=1", "body": None}
    entry = interaction(request=request, body={"string": "<html>"}, status={"code": 404, "message": ""})
    (one,) = contents(read(cassette(tmp_path, entry)))
    assert (one.api, one.host, one.path, one.query, one.status) == (None, "example.com", "/page", "x=1", 404)
    assert (one.stream, one.request_model, one.failure) == (False, None, "HTTP 404: <html>")


def test_input_of_openai_holds_what_was_cached(tmp_path):
    """Tokens are shown as the provider counts them."""
    usage = {"prompt_tokens": 100, "completion_tokens": 1, "prompt_tokens_details": {"cached_tokens": 60}}
    body = json.dumps({"choices": [{"message": {"content": "Hi"}}], "usage": usage})
    request = {"uri": "https://api.openai.com/v1/chat/completions"}
    (one,) = contents(read(cassette(tmp_path, interaction(request=request, body={"string": body}))))
    assert (one.input_tokens, one.cache_read_input_tokens) == (100, 60)
