import json
from dataclasses import replace
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_llmperf.simulator import answers
from pytest_llmperf.simulator.answers import Block, compose, cut
from pytest_llmperf.simulator.conditions import Ask, Tool

ASK = Ask(model="m", stream=False, max_tokens=1_000, input_tokens=1, system_tokens=0, workload="qa")
WORKLOADS = ("code", "qa", "extraction", "creative", "mixed")


def text(blocks: tuple[Block, ...]) -> str:
    return "".join(blocks[-1].pieces)


@given(workload=st.sampled_from(WORKLOADS), tokens=st.integers(40, 3_000), seed=st.integers())
def test_an_answer_has_exactly_as_many_tokens_as_asked(workload, tokens, seed) -> None:
    """Pieces are what usage counts, so their number is the length."""
    (block,) = compose(Random(seed), replace(ASK, workload=workload), tokens, 0)
    assert len(block.pieces) == tokens
    assert all(block.pieces)


@pytest.mark.parametrize("workload", WORKLOADS)
def test_a_token_is_some_four_characters(workload) -> None:
    """The bytes of an answer are about as many as a real one of that length has."""
    assert 2.5 <= len(text(compose(Random(1), replace(ASK, workload=workload), 1_000, 0))) / 1_000 <= 5


@given(tokens=st.integers(1, 600))
def test_an_extraction_is_a_json_document(tokens) -> None:
    """Whatever the length, what `max_tokens` did not cut parses."""
    document = json.loads(text(compose(Random(1), replace(ASK, workload="extraction"), tokens, 0)))
    assert set(document) == {"records", "note"}


def test_code_is_code() -> None:
    """The answer to a coding task compiles when it stops at the end of a function."""
    whole = len(answers.pieces_of(answers.CODE))
    compile(text(compose(Random(3), replace(ASK, workload="code"), whole, 0)), "answer", "exec")


SCHEMA = {
    "type": "object",
    "properties": {
        "title": {"type": "string"},
        "pages": {"type": "integer", "minimum": 3},
        "score": {"type": "number"},
        "open": {"type": "boolean"},
        "kind": {"enum": ["a", "b"]},
        "fixed": {"const": 7},
        "missing": {"type": "null"},
        "either": {"anyOf": [{"type": "integer"}, {"type": "null"}]},
        "many": {"type": "array", "minItems": 2, "items": {"$ref": "#/$defs/Item"}},
        "several": {"type": ["string", "null"]},
    },
    "$defs": {"Item": {"type": "object", "properties": {"name": {"type": "string"}}}},
}
FILLED = {
    "pages": 3,
    "score": 1,
    "open": True,
    "kind": "a",
    "fixed": 7,
    "missing": None,
    "either": 1,
    "many": [{"name": "none"}, {"name": "none"}],
    "several": "none",
}


@pytest.mark.parametrize("tokens", [1, 150, 400])
def test_an_answer_fits_the_schema_that_was_asked_for(tokens) -> None:
    """Every kind of schema gets a value; the first free text grows until the length is reached."""
    (block,) = compose(Random(1), replace(ASK, schema=SCHEMA), tokens, 0)
    document = json.loads("".join(block.pieces))
    assert document.pop("title").startswith("as")
    assert document == FILLED
    assert len(block.pieces) == tokens or tokens == 1


def test_a_forced_tool_is_called_at_length_and_an_offered_one_briefly() -> None:
    """Extraction through a tool is as long as extraction; an agent's call is short and says what it does."""
    tool = Tool("record", SCHEMA, forced=True)
    (forced,) = compose(Random(1), replace(ASK, tool=tool), 150, 0)
    assert (forced.kind, forced.tool, len(forced.pieces)) == ("tool_use", "record", 150)
    said, called = compose(Random(1), replace(ASK, tool=tool._replace(forced=False)), 150, 0)
    assert (said.kind, called.kind) == ("text", "tool_use")
    assert json.loads("".join(called.pieces))["title"] == "as"


@pytest.mark.parametrize("schema", [{}, {"type": "object"}, {"$ref": "#"}, {"$ref": "#/nowhere"}, {"type": "array"}])
def test_odd_schemas_still_give_json(schema) -> None:
    """Empty, circular and dangling schemas end."""
    (block,) = compose(Random(1), replace(ASK, schema=schema), 30, 0)
    json.loads("".join(block.pieces))


def test_thinking_comes_first() -> None:
    """A thinking block has its own length, before the answer's."""
    thought, said = compose(Random(1), ASK, 50, 20)
    assert (thought.kind, len(thought.pieces), said.kind, len(said.pieces)) == ("thinking", 20, "text", 50)


@given(most=st.integers(1, 80))
def test_cutting_keeps_the_first_tokens(most) -> None:
    """`max_tokens` counts over all blocks, and drops those it leaves empty."""
    blocks = (Block("thinking", ("a",) * 20), Block("text", ("b",) * 30))
    kept = cut(blocks, most)
    assert "".join(piece for block in kept for piece in block.pieces) == ("a" * 20 + "b" * 30)[:most]
    assert all(block.pieces for block in kept)


def test_the_same_seed_says_the_same() -> None:
    """Words depend on the random numbers only."""
    assert compose(Random(5), ASK, 60, 9) == compose(Random(5), ASK, 60, 9)


def test_an_answer_that_is_not_complete_lacks_the_last_property() -> None:
    """A tool's input is otherwise as ever."""
    schema = {"type": "object", "properties": {"item": {"type": "string"}, "count": {"type": "integer"}}}
    asked = replace(ASK, tool=Tool("keep", schema, forced=True))
    whole, part = (json.loads(text(compose(Random(1), asked, 50, 0, complete=complete))) for complete in (True, False))
    assert (list(whole), list(part)) == (["item", "count"], ["item"])
