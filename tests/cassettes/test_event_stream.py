"""Bare event streams."""

import pytest

from cassettes.files import PIECES
from pytest_llmperf.cassettes import event_stream


@pytest.mark.parametrize(
    ("content", "path"),
    [
        (b"".join(PIECES), "api.anthropic.com/v1/messages"),
        (b'data: {"object": "chat.completion.chunk"}\n\n', "api.openai.com/v1/chat/completions"),
        (b'event: response.created\ndata: {"type":"response.created"}\n\n', "api.openai.com/v1/responses"),
    ],
)
def test_a_bare_event_stream(content, path):
    """Its first event tells the API; it has no status."""
    read = event_stream.interaction(content)
    assert (read.uri, read.status, read.body) == (f"https://{path}", None, content)
