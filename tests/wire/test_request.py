"""What a request asks for."""

import json

import pytest

from pytest_llmperf.wire.request import Asked, asked


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b'{"model": "m", "stream": true}', Asked("m", streamed=True)),
        (b'{"stream": true, "messages": [], "model": "m"}', Asked("m", streamed=True)),
        (b'{"model": "m", "stream": "true"}', Asked("m", streamed=False)),
        (b'{"model": 5}', Asked(None, streamed=False)),
        (b"", Asked(None, streamed=False)),
        (b"\xff\xfe{", Asked(None, streamed=False)),
        (b"[]", Asked(None, streamed=False)),
    ],
)
def test_asked(body, expected):
    """Model and stream are the request's own, and absent when they are of another type or it is no JSON."""
    assert asked(body) == expected


def test_a_tool_with_a_field_called_model():
    """A `model` inside a tool's schema is not the model asked."""
    schema = {"properties": {"model": {"type": "string"}, "stream": {"type": "boolean"}}}
    assert asked(json.dumps({"model": "m", "tools": [{"input_schema": schema}]}).encode()) == Asked("m", streamed=False)
