"""The name of the API that an attempt calls."""

import pytest

from pytest_llmperf.wire import endpoints
from wire.attempts import attempt

ANTHROPIC, OPENAI = "https://api.anthropic.com", "https://api.openai.com"


@pytest.mark.parametrize(
    ("method", "url", "name"),
    [
        ("POST", f"{ANTHROPIC}/v1/messages?beta=true", "anthropic.messages"),
        ("POST", "http://127.0.0.1:8080/anthropic/v1/messages", "anthropic.messages"),
        ("POST", f"{ANTHROPIC}/v1/messages/count_tokens?beta=true", "anthropic.count_tokens"),
        ("GET", f"{ANTHROPIC}/v1/messages/batches/msgbatch_1/results", "anthropic.batches"),
        ("POST", f"{ANTHROPIC}/v1/complete", "anthropic.complete"),
        ("POST", f"{ANTHROPIC}/v1/files", "anthropic.files"),
        ("GET", f"{ANTHROPIC}/v1/messages", None),
        ("POST", f"{OPENAI}/v1/chat/completions", "openai.chat"),
        ("POST", f"{OPENAI}/v1/responses", "openai.responses"),
        ("GET", f"{OPENAI}/v1/responses/resp_1", None),
        ("POST", f"{OPENAI}:443/v1/embeddings", "openai.embeddings"),
        ("GET", OPENAI, None),
        ("GET", "https://example.com/v1/models", None),
        ("POST", "https://example.com/v1/completely", None),
    ],
)
def test_name(method, url, name):
    """A generation call has its protocol's name, another call its vendor's and the first part of its path."""
    assert endpoints.name(attempt(method=method, url=url)) == name
