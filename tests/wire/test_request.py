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


@pytest.mark.parametrize(
    ("body", "limits"),
    [
        (b'{"max_tokens": 64, "messages": ["a long prompt"], "model": "m", "temperature": 0}', (64, 0.0)),
        (b'{"messages": [], "model": "m", "max_completion_tokens": 9, "temperature": 0.5}', (9, 0.5)),
        (b'{"input": "", "model": "m", "max_output_tokens": 7}', (7, None)),
        (b'{"messages": ["\\"max_tokens\\": 5,"], "max_tokens": 3, "model": "m"}', (None, None)),
        (b'{"model": "m", "max_tokens": -1, "temperature": true}', (None, None)),
        (b'{"model": "m", "temperature": 1' + b"0" * 400 + b"}", (None, None)),
    ],
)
def test_limits(body, limits):
    """The most tokens and the temperature are known beside the model, and the former in front of all; else absent."""
    found = asked(body)
    assert (found.max_tokens, found.temperature) == limits
