"""Decoding of traffic that other projects recorded, against facts found by an independent parser."""

from collections import Counter
from dataclasses import astuple, replace
from hashlib import sha256
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_llmperf import wire
from pytest_llmperf.core.exchange import Exchange
from pytest_llmperf.core.generation import Generation, Kind
from wire.attempts import cut, expectations, recorded

MESSAGES = [facts for facts in expectations() if facts["api"] == "anthropic.messages"]
OTHERS = [facts for facts in expectations() if facts["api"] != "anthropic.messages"]
STREAMS = [facts for facts in MESSAGES if facts["stream"]]
USAGE = ("input_tokens", "output_tokens", "cache_creation_input_tokens", "cache_read_input_tokens")
SMALL_STREAM = (
    "Arize-ai/openinference/python/instrumentation/openinference-instrumentation-litellm/tests/cassettes/"
    "test_instrumentor/test_completion_streaming_with_extended_thinking_anthropic.yaml"
)


def each(cases: list[dict[str, Any]]) -> pytest.MarkDecorator:
    names = [f"{facts['file'].rpartition('/')[2]}-{facts['index']}" for facts in cases]
    return pytest.mark.parametrize("facts", cases, ids=names)


def exchange_of(facts: dict[str, Any]) -> Exchange:
    return recorded(facts["file"], facts["index"])


def decoded(exchange: Exchange) -> Generation:
    generation = wire.decode(exchange)
    assert generation is not None
    return generation


@each(MESSAGES)
def test_usage(facts):
    """Each count of tokens is what the wire said last, and None where it said nothing."""
    usage = decoded(exchange_of(facts)).usage
    seen = {name: getattr(usage, name) for name in USAGE}
    assert seen == {name: facts[name] for name in USAGE}
    assert usage.cache_creation_1h_input_tokens == facts.get("cache_creation_1h")
    assert usage.thinking_tokens == (facts.get("output_tokens_details") or {}).get("thinking_tokens")


@each(MESSAGES)
def test_identity(facts):
    """Models, message id and stop reason are those of the recording."""
    generation = decoded(exchange_of(facts))
    assert generation.protocol == facts["api"]
    assert generation.response_model == facts.get("response_model")
    assert generation.message_id == facts.get("message_id")
    assert generation.stop_reason == facts.get("stop_reason")
    if facts["format"] != "raw-sse":  # which has no request
        assert generation.request_model == facts["request_model"]


@each([facts for facts in MESSAGES if "content_blocks" in facts])
def test_content(facts):
    """Blocks, tools, text and thinking are those of the recording, to the character."""
    generation = decoded(exchange_of(facts))
    assert list(generation.blocks) == facts["content_blocks"]
    assert list(generation.tool_names) == facts["tool_names"]
    assert len(generation.text) == facts["text_chars"]
    assert sha256(generation.text.encode()).hexdigest()[:16] == facts["text_sha"]
    assert generation.thinking_characters == facts["thinking_chars"]


@each(STREAMS)
def test_events(facts):
    """Deltas and pings are as many as the recording's events, and message_stop is seen where it came."""
    generation = decoded(exchange_of(facts))
    assert generation.streamed
    assert len(generation.deltas) == facts["n_content_block_delta"]
    assert generation.pings == facts["sse_events"].get("ping", 0)
    assert (generation.stopped_ns is not None) == facts["message_stop"]
    kinds = Counter(delta.kind for delta in generation.deltas)
    assert kinds[Kind.SIGNATURE] == facts["delta_types"].get("signature_delta", 0)
    empty = kinds[Kind.OTHER]
    assert sum(facts["delta_types"].values()) - empty == kinds.total() - empty
    for kind, name in ((Kind.TEXT, "text_delta"), (Kind.THINKING, "thinking_delta"), (Kind.TOOL, "input_json_delta")):
        assert 0 <= facts["delta_types"].get(name, 0) - kinds[kind] <= empty


@each(MESSAGES)
def test_outcome(facts):
    """An answer is complete with nothing missing, or failed with the provider's type and words."""
    generation = decoded(exchange_of(facts))
    failed = (facts["status"] or 200) >= 400 or facts.get("error_in_stream", False)
    assert generation.complete is not failed
    assert bool(generation.failure) is failed
    assert generation.missing == ()
    if facts.get("error_type"):
        assert generation.failure == f"{facts['error_type']}: {facts['error_message']}"
    if failed:
        assert generation.streamed is facts["request_stream"]
    else:
        assert generation.streamed is facts["stream"]


@each([facts for facts in MESSAGES if facts.get("usage_iterations")])
def test_passes(facts):
    """Iterations that the top level of usage leaves out are passes of their own."""
    extra = [one for one in facts["usage_iterations"] if one["type"] != "message"]
    passes = decoded(exchange_of(facts)).passes
    assert [one.kind for one in passes] == [one["type"] for one in extra]
    assert [[getattr(one.usage, name) for name in USAGE] for one in passes] == [
        [one[name] for name in USAGE] for one in extra
    ]


@each([facts for facts in OTHERS if not facts["api"].startswith(("openai.chat", "openai.responses"))])
def test_other_calls_are_not_generations(facts):
    """A count of tokens is no generation to be measured."""
    assert wire.recognise(exchange_of(facts)) is None
    assert wire.decode(exchange_of(facts)) is None


def without_times(generation: Generation) -> Generation:
    deltas = tuple(delta._replace(at_ns=0) for delta in generation.deltas)
    return replace(generation, deltas=deltas, stopped_ns=None)


def times(generation: Generation) -> list[int]:
    stop = [] if generation.stopped_ns is None else [generation.stopped_ns]
    return [delta.at_ns for delta in generation.deltas] + stop


@settings(deadline=None)
@given(st.sampled_from(MESSAGES), st.data())
def test_chunks_do_not_change_facts(facts, data):
    """However a body is cut into chunks, it means the same."""
    exchange = exchange_of(facts)
    size = len(exchange.chunks[0].data)
    places = data.draw(st.lists(st.integers(0, size), max_size=12))
    assert without_times(decoded(cut(exchange, *places))) == without_times(decoded(exchange))


@settings(deadline=None)
@given(st.sampled_from(STREAMS), st.data())
def test_an_event_arrives_with_the_chunk_that_holds_its_last_byte(facts, data):
    """The time of each event is that of the chunk in which it became complete, however the body is cut."""
    exchange = exchange_of(facts)
    size = len(exchange.chunks[0].data)
    places = sorted(data.draw(st.sets(st.integers(1, size - 1), max_size=12)))
    last_bytes = times(decoded(cut(exchange, *range(1, size))))
    chunk_of = [sum(place <= byte for place in places) for byte in last_bytes]
    assert times(decoded(cut(exchange, *places))) == chunk_of


def test_a_stream_cut_at_every_byte():
    """A stream that ends anywhere is read as far as it came, without a final count, and says what is missing."""
    exchange = recorded(SMALL_STREAM, 0)
    body = exchange.chunks[0].data
    whole = decoded(exchange)
    assert whole.complete
    for size in range(len(body)):
        seen = decoded(replace(exchange, chunks=cut(exchange, size).chunks[:1]))
        assert seen.missing
        assert seen.streamed
        assert seen.deltas == tuple(delta._replace(at_ns=0) for delta in whole.deltas[: len(seen.deltas)])
        assert seen.usage.output_tokens in (None, 93)
        assert (seen.usage.output_tokens is None) == (seen.stop_reason is None)
        assert seen.stopped_ns is None
        assert seen.complete == (b'{"type":"message_stop"' in body[:size] and body[:size].rstrip().endswith(b"}"))


def test_a_stream_cut_at_every_byte_inside_its_compression():
    """A compressed stream that ends anywhere is read as far as it can be decompressed."""
    import zlib

    exchange = recorded(SMALL_STREAM, 0)
    packer = zlib.compressobj(wbits=31)
    body = packer.compress(exchange.chunks[0].data) + packer.flush()
    packed = replace(exchange, response_headers=(("content-encoding", "gzip"),))
    found = [decoded(replace(packed, chunks=(exchange.chunks[0]._replace(data=body[:n]),))) for n in range(len(body))]
    assert all(one.missing for one in found if not one.complete)
    assert [len(one.deltas) for one in found] == sorted(len(one.deltas) for one in found)
    assert astuple(found[-1].usage) == astuple(decoded(exchange).usage)
