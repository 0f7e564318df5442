"""Anthropic's models on Amazon Bedrock: what is known of a call whose bytes are not read."""

import pytest

from pytest_llmperf.core.exchange import End
from pytest_llmperf.wire import bedrock
from wire.attempts import attempt

HOST = "https://bedrock-runtime.us-east-1.amazonaws.com"
MODEL = "us.anthropic.claude-opus-4-20250514-v1%3A0"
STREAM = f"{HOST}/model/{MODEL}/invoke-with-response-stream"


@pytest.mark.parametrize(
    ("method", "url", "is_one"),
    [
        ("POST", STREAM, True),
        ("POST", f"{HOST}/model/anthropic.claude-v2/invoke", True),
        ("POST", f"{HOST}/model/amazon.titan-text-express-v1/invoke", False),
        ("GET", STREAM, False),
        ("POST", f"{HOST}/model/anthropic.claude-v2/converse", False),
        ("POST", "https://bedrock-runtime.us-east-1.amazonaws.com.evil.test/model/anthropic.claude-v2/invoke", False),
        ("POST", "https://api.test/model/anthropic.claude-v2/invoke", False),
    ],
)
def test_what_is_a_call(method, url, is_one):
    """Host and path tell, as Amazon writes them."""
    assert bedrock.recognises(attempt(method=method, url=url)) is is_one


def test_a_stream():
    """It has a model, an end and no words; its counts are unknown for that reason."""
    read = bedrock.decode(attempt(b"\0\0", b"\0", url=STREAM))
    assert (read.streamed, read.complete, read.stopped_ns) == (True, True, 2)
    assert read.request_model == "us.anthropic.claude-opus-4-20250514-v1:0"
    assert (read.deltas, read.usage.output_tokens) == ((), None)
    assert read.undecoded == read.uncounted == "protocol not decoded"


def test_a_stream_that_was_cut():
    """It has no end."""
    read = bedrock.decode(attempt(b"\0", url=STREAM, end=End.ERROR))
    assert (read.complete, read.stopped_ns) == (False, None)


def test_an_error():
    """The status says that it failed; what else it says is not read."""
    read = bedrock.decode(attempt(b"{}", url=f"{HOST}/model/anthropic.claude-v2/invoke", status=429))
    assert (read.streamed, read.complete, read.failure) == (False, False, "HTTP 429")
