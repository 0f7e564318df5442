"""Decoding of OpenAI's traffic that other projects recorded, against facts found by an independent parser."""

from hashlib import sha256

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_llmperf import wire
from pytest_llmperf.core.generation import Kind
from wire.attempts import cut, expectations, recorded

CALLS = [facts for facts in expectations() if facts["api"].startswith("openai.")]
STREAMS = [facts for facts in CALLS if facts["stream"]]
ANSWERS = [facts for facts in CALLS if facts["status"] == 200]


def each(cases):
    return pytest.mark.parametrize(
        "facts", cases, ids=[f"{facts['file'].rpartition('/')[2]}-{facts['index']}" for facts in cases]
    )


def decoded(facts):
    exchange = recorded(facts["file"], facts["index"])
    return wire.protocol_of(exchange, wire.LEGIBLE).decode(exchange)


@each(CALLS)
def test_usage(facts):
    """Counts are the wire's, the cached tokens taken out of the input; without usage they are unknown."""
    usage = decoded(facts).usage
    cached = facts["cache_read_input_tokens"]
    assert usage.input_tokens == (None if facts["input_tokens"] is None else facts["input_tokens"] - (cached or 0))
    assert usage.output_tokens == facts["output_tokens"]
    assert usage.cache_read_input_tokens == cached
    assert usage.cache_creation_input_tokens is None
    assert usage.thinking_tokens == facts.get("reasoning_tokens")


@each(CALLS)
def test_identity_and_outcome(facts):
    """Protocol, models, id, stop reason and error are those of the recording."""
    generation = decoded(facts)
    assert generation.protocol == facts["api"]
    assert generation.request_model == facts["request_model"]
    assert generation.response_model == facts.get("response_model")
    assert generation.message_id == facts.get("message_id")
    assert generation.stop_reason == facts.get("stop_reason")
    assert generation.complete is (facts["status"] == 200)
    error = f"{facts['error_type']}: {facts['error_message']}" if "error_type" in facts else ""
    assert generation.failure == error


@each(ANSWERS)
def test_content(facts):
    """Blocks, tools and text are those of the recording, to the character."""
    generation = decoded(facts)
    assert list(generation.blocks) == facts.get("content_blocks", [])
    assert list(generation.tool_names) == facts["tool_names"]
    assert len(generation.text) == facts["text_chars"]
    assert sha256(generation.text.encode()).hexdigest()[:16] == facts["text_sha"]
    assert generation.thinking_characters == facts.get("thinking_chars", 0)


@each(STREAMS)
def test_deltas(facts):
    """A stream has as many deltas of text as it has events with text."""
    generation = decoded(facts)
    texts = [delta for delta in generation.deltas if delta.kind is Kind.TEXT]
    assert sum(delta.characters for delta in texts) == facts["text_chars"]
    if facts["api"] == "openai.responses":
        assert len(texts) == facts["n_output_text_delta"]
    assert generation.stopped_ns is not None


@settings(deadline=None)
@given(st.sampled_from(CALLS), st.data())
def test_any_part_of_a_recording(facts, data):
    """A body cut anywhere is read as far as it came, and is only whole when its end is there."""
    exchange = recorded(facts["file"], facts["index"])
    if not exchange.chunks[0].data:
        return
    size = data.draw(st.integers(0, len(exchange.chunks[0].data)))
    part = cut(exchange, size).chunks[:1]
    protocol = wire.protocol_of(exchange, wire.LEGIBLE)
    read = protocol.decode(type(exchange)(**{name: getattr(exchange, name) for name in FIELDS} | {"chunks": part}))
    assert read.complete or read.missing or read.failure


FIELDS = ("method", "url", "request_headers", "request_body", "started_ns", "status", "response_headers", "end")
