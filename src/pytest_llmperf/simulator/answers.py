"""What a simulated answer says: content blocks as lists of tokens, exactly as many as were asked for.

A token here is a piece of a few characters; the number of pieces is what `usage` counts. The words are beside the point
(they are the same few lines, told from another sentence each time), but their form is not: code is code, an extraction
is a JSON document that parses unless `max_tokens` cut it, a tool's input fits the tool's schema.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from itertools import cycle, islice, pairwise
from random import Random
from typing import Any

from pytest_llmperf.simulator.conditions import Ask

PROSE = (
    "The answer rests on three parts of the material. First, the opening section names the quantity and says how it was"
    " taken, which settles what may be compared with what. Second, the table in the middle gives one value for each"
    " group; the spread inside a group is wider than the gap between two neighbours, so a single row proves little."
    " Third, the closing remarks limit the claim to the season in which the readings were made. Taken together they"
    " say that the larger group did better on the whole, that the margin is small, and that nothing in the record"
    " speaks for the years before. Where two passages differ, the later one corrects the earlier one and says so."
    " A reader who needs one number should take the median, and should quote the range beside it. "
)
TALE = (
    "The lighthouse had kept its own hours since the keeper left. At dusk it woke, looked once along the coast, and"
    " counted the boats as a shepherd counts sheep. One was always missing. It was a small blue boat with a patched"
    " sail, and nobody in the harbour would admit to owning it. On the ninth night the fog came in so thick that the"
    " beam could lean on it. Out of the grey a bell answered, twice, then once, as though somebody were knocking at a"
    " door that was not yet built. The lighthouse did what no lighthouse should: it turned its lamp inland, towards"
    " the sleeping town, and waited for a window to light up in reply. "
)
CODE = '''def merge(intervals: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """Join intervals that overlap or touch."""
    merged: list[tuple[int, int]] = []
    for start, end in sorted(intervals):
        if merged and start <= merged[-1][1]:
            first, last = merged.pop()
            merged.append((first, max(last, end)))
        else:
            merged.append((start, end))
    return merged


def covered(intervals: list[tuple[int, int]]) -> int:
    """How much of the line the intervals cover."""
    return sum(end - start for start, end in merge(intervals))


def test_merge_joins_neighbours() -> None:
    assert merge([(5, 7), (1, 3), (2, 4)]) == [(1, 4), (5, 7)]
    assert covered([(0, 2), (1, 3)]) == 3


'''
MUSING = (
    "Let me look at what is asked before answering. The request has a subject, a form and a limit. The form follows"
    " from the last sentence. I should check the figures once more, then say the result plainly and stop. "
)
ANNOUNCEMENT = "I will look that up with the tool at hand, and then say what it found. "
ANNOUNCEMENT_TOKENS = 12
TEXTS = {"code": CODE, "creative": TALE}
_PIECES = re.compile(r"\s?[A-Za-z]{1,6}|\s?\d{1,3}|\s+|.")
_JSON_PIECES = re.compile(r'\s?[A-Za-z]{1,6}|\s?\d{1,3}|[\s"{}\[\],:]+|.')
_NAMES = (
    "copper valve",
    "oak panel",
    "steel hinge",
    "brass lamp",
    "glass dome",
    "cedar beam",
    "iron latch",
    "slate tile",
)


@dataclass(frozen=True, slots=True)
class Block:
    """One content block."""

    kind: str
    """`text`, `thinking` or `tool_use`."""
    pieces: tuple[str, ...]
    """Its tokens; of a tool's input, the tokens of its JSON."""
    tool: str = ""


def pieces_of(text: str) -> tuple[str, ...]:
    """A text as tokens of a few characters."""
    return tuple(_PIECES.findall(text))


def _json_pieces_of(text: str) -> tuple[str, ...]:
    """JSON as tokens: punctuation goes together."""
    return tuple(_JSON_PIECES.findall(text))


def compose(rng: Random, ask: Ask, tokens: int, thinking: int, *, complete: bool = True) -> tuple[Block, ...]:
    """The blocks of an answer, before `max_tokens` cuts them.

    Args:
        rng: chooses where the words begin.
        ask: decides the form: a tool's input, a JSON document that fits a schema, any JSON document, or a text.
        tokens: how long it is. JSON for a schema reaches it only as far as a free text in the schema can grow, and a
            tool that was not forced is called as briefly as its schema allows.
        thinking: tokens of thinking before it.
        complete: whether a tool's input has all of its schema's properties, or lacks the last one.
    """
    thought = (Block("thinking", _told(rng, MUSING, thinking)),) if thinking else ()
    if ask.tool is not None:
        said = () if ask.tool.forced else (Block("text", _told(rng, ANNOUNCEMENT, ANNOUNCEMENT_TOKENS)),)
        schema = ask.tool.schema if complete else _without_the_last(ask.tool.schema)
        called = _filled(schema, tokens if ask.tool.forced else 0)
        return (*thought, *said, Block("tool_use", called, ask.tool.name))
    return (*thought, Block("text", _text(rng, ask, tokens)))


def _text(rng: Random, ask: Ask, tokens: int) -> tuple[str, ...]:
    if ask.schema is not None:
        return _filled(ask.schema, tokens)
    if ask.workload == "extraction" or "json-output" in ask.prompt:
        return _records(tokens)
    return _told(rng, TEXTS.get(ask.workload, PROSE), tokens)


def cut(blocks: tuple[Block, ...], most: int) -> tuple[Block, ...]:
    """The blocks as `max_tokens` cuts them."""
    kept = []
    for block in blocks:
        if most <= 0:
            break
        kept.append(block if len(block.pieces) <= most else Block(block.kind, block.pieces[:most], block.tool))
        most -= len(block.pieces)
    return tuple(kept)


@cache
def _sentences(text: str) -> tuple[tuple[str, ...], tuple[int, ...]]:
    """The text as tokens, and where in them a sentence or line begins."""
    pieces = pieces_of(text)
    pairs = enumerate(pairwise(pieces), 1)
    ends = [
        index
        for index, (left, right) in pairs
        if "\n\n" in left or (left == "." and len(right) > 1 and right[0] == " ")
    ]
    return pieces, (0, *ends)


def _told(rng: Random, text: str, tokens: int) -> tuple[str, ...]:
    pieces, starts = _sentences(text)
    start = starts[int(rng.random() * len(starts))]
    told = tuple(islice(cycle(pieces), start, start + tokens))
    return (told[0].lstrip() or told[0], *told[1:]) if told else ()


def _records(tokens: int) -> tuple[str, ...]:
    """A JSON document of exactly so many tokens, or the least one if that is longer."""
    opening, closing = _json_pieces_of('{"records": ['), _json_pieces_of('], "note": "')
    end = _json_pieces_of('"}')
    pieces: list[str] = [*opening]
    room = tokens - len(opening) - len(closing) - len(end)
    for number, name in enumerate(cycle(_NAMES), 1):
        record = _json_pieces_of(
            f'{", " if number > 1 else ""}{{"id": {number}, "item": "{name}", "count": {number * 7 % 40}}}'
        )
        if len(record) > room:
            break
        pieces += record
        room -= len(record)
    return (*pieces, *closing, *islice(cycle(_json_pieces_of("as listed ")), max(0, room)), *end)


# --- schemas -------------------------------------------------------------------------------------------------------

_FILLER = "\ue000"
_DEEPEST = 12


def _filled(schema: Mapping[str, Any], tokens: int) -> tuple[str, ...]:
    """JSON that fits a schema; its first free text grows until the whole has so many tokens."""
    text = json.dumps(_value(schema, schema), ensure_ascii=False)
    head, filler, tail = text.partition(_FILLER)
    if not filler:
        return _json_pieces_of(text)
    before, after = _json_pieces_of(head), _json_pieces_of(tail.replace(_FILLER, "none"))
    return (*before, *islice(cycle(_json_pieces_of("as found ")), max(1, tokens - len(before) - len(after))), *after)


def _without_the_last(schema: Mapping[str, Any]) -> Mapping[str, Any]:
    """The schema without its last property."""
    properties = dict(schema.get("properties", {}))
    if properties:
        properties.popitem()
    return {**schema, "properties": properties}


def _value(schema: Mapping[str, Any], root: Mapping[str, Any], depth: int = 0) -> object:
    """A value of a JSON schema: its first choice where it names any, else a small one of its type."""
    if depth > _DEEPEST:
        return None
    for given in ("const", "default"):
        if given in schema:
            return schema[given]
    if schema.get("enum"):
        return schema["enum"][0]
    if "$ref" in schema:
        return _value(_referred(schema["$ref"], root), root, depth + 1)
    for choice in ("anyOf", "oneOf", "allOf"):
        if schema.get(choice):
            return _value(schema[choice][0], root, depth + 1)
    kind = schema.get("type", "object" if "properties" in schema else "string")
    return _of_type(kind[0] if isinstance(kind, list) else kind, schema, root, depth)


def _of_type(kind: str, schema: Mapping[str, Any], root: Mapping[str, Any], depth: int) -> object:
    if kind == "object":
        return {name: _value(inner, root, depth + 1) for name, inner in schema.get("properties", {}).items()}
    if kind == "array":
        return [_value(schema.get("items", {}), root, depth + 1)] * max(1, int(schema.get("minItems", 1)))
    if kind in ("integer", "number"):
        return schema.get("minimum", 1)
    return {"string": _FILLER, "boolean": True}.get(kind)


def _referred(reference: str, root: Mapping[str, Any]) -> Mapping[str, Any]:
    """What `#/$defs/Name` stands for."""
    found: Any = root
    for name in reference.removeprefix("#/").split("/"):
        found = found.get(name, {})
    return found if isinstance(found, Mapping) else {}
