"""The prompt inside a request: its blocks, how many tokens they are, what may be cached, and what its words tell.

Pure functions of the JSON document. Tokens are characters / 4, rounded up; an image counts 1,600, a binary document
3,000. Words are looked for at the edges of a prompt only: in a long context the middle is material, and the edges say
what to do with it.
"""

import hashlib
import json
import math
import re
from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache
from typing import Any, NamedTuple

CHARACTERS_PER_TOKEN = 4
FLAT_TOKENS = {"image": 1_600, "document": 3_000}
CLASSES = (
    "plain", "concise", "verbose", "xml-prompt", "xml-output", "json-output", "latex", "mixed-scripts", "nested",
    "repetitive", "adversarial",
)  # fmt: skip
"""What a prompt's form may be. `plain`, `concise`, `verbose` and `repetitive` are never found, only said."""

_EDGE = 600
_WINDOW = 4_000
_FEW_LATEX = 5
_NESTED = 10
_TELLING = {
    "extraction": (
        r"\bextract(s|ed|ing|ion)?\b|\b(as|into|in|valid) (json|xml|csv)\b|\bjson (object|schema|format)\b"
        r"|\bstructured (data|output)\b"
    ),
    "creative": r"\b(story|stories|poem|haiku|sonnet|lyrics|novel|fiction|screenplay|creative(ly)?|fairy tale|fable)\b",
    "code": (
        r"```|\b(code|function|python|javascript|typescript|rust|golang|java|sql|refactor|unit tests?|implement|debug"
        r"|compiler?|bug|algorithm)\b"
    ),
    "qa": r"\?|\b(answer|according to|question|summari[sz]e|explain)\b",
}
_WORKLOADS = {name: re.compile(telling) for name, telling in _TELLING.items()}
_XML_PROMPT = re.compile(r"<([A-Za-z][\w-]*)>.*?</\1>", re.DOTALL)
_WANTED = r"\b(respond|reply|answer|output|return|format|formatted|produce|give)\b[^.]{0,60}\b"
_XML_OUTPUT = re.compile(_WANTED + "xml")
_JSON_OUTPUT = re.compile(_WANTED + "json")
_LATEX = re.compile(
    r"\\(?:frac|sum|int|sqrt|begin|partial|left|right|mathbb|mathcal|alpha|beta|lambda|infty|nabla|prod)\b|\$\$"
)
_SCRIPTS = tuple(map(re.compile, ("[A-Za-z]", "[\u0400-\u04ff]", "[\u3040-\u30ff\u4e00-\u9fff\uac00-\ud7af]")))
_ATTACK = re.compile(
    r"ignore (all |any )?(of )?(your |the )?(previous|prior|above) (instructions|rules)|\bjailbreak"
    r"|\bdo anything now\b|without any (safety|content) (rules|policy|restrictions)"
)
_TAG = re.compile(r"<(/?)[A-Za-z][\w-]*>")


class Piece(NamedTuple):
    """One block of the prompt."""

    text: str
    flat_tokens: int
    cache_control: object


class Prefix(NamedTuple):
    """The part of a prompt up to the end of one of its blocks."""

    digest: bytes
    tokens: int
    marked: bool
    """Whether it ends with a `cache_control` mark: only then is it written; any may be read."""
    lifetime_minutes: float | None
    """As the mark's `ttl` says; None when it does not."""


def pieces(document: Mapping[str, Any]) -> list[Piece]:
    """All blocks, in the order caching counts them: tools, system, messages."""
    return [*_tools(document), *system(document), *(piece for turn in document["messages"] for piece in content(turn))]


def system(document: Mapping[str, Any]) -> list[Piece]:
    """The blocks of the system prompt."""
    return list(_blocks(document.get("system")))


def content(message: Mapping[str, Any]) -> list[Piece]:
    """The blocks of a message."""
    return list(_blocks(message.get("content")))


def tokens(blocks: Iterable[Piece]) -> int:
    """How many tokens some blocks are taken for."""
    characters = flat = 0
    for text, flat_tokens, _ in blocks:
        characters, flat = characters + len(text), flat + flat_tokens
    return math.ceil(characters / CHARACTERS_PER_TOKEN) + flat


def prefixes(document: Mapping[str, Any], blocks: list[Piece]) -> tuple[Prefix, ...]:
    """The prefixes up to the last `cache_control` mark, shortest first; hashed only when a request marks any.

    Raises:
        ValueError: a mark's `ttl` is unknown.
    """
    if document.get("cache_control") and blocks:
        blocks = [*blocks[:-1], blocks[-1]._replace(cache_control=document["cache_control"])]
    last = max((end for end, block in enumerate(blocks, 1) if block.cache_control), default=0)
    digest, found = hashlib.blake2b(str(document["model"]).encode(), digest_size=16), []
    for end, (text, _, mark) in enumerate(blocks[:last], 1):
        digest.update(b"\0" + text.encode("utf-8", "surrogatepass"))
        found.append(Prefix(digest.digest(), tokens(blocks[:end]), bool(mark), _lifetime(mark)))
    return tuple(found)


def edges(document: Mapping[str, Any]) -> tuple[str, str]:
    """The beginning of the system prompt with both ends of the last message: short ends, and longer ones."""
    head = "\n".join(piece.text[:_EDGE] for piece in system(document))[:_EDGE]
    last = "\n".join(piece.text for piece in content(document["messages"][-1]))
    return f"{head}\n{_ends(last, _EDGE)}", f"{head}\n{_ends(last, _WINDOW)}"


@lru_cache(256)
def workloads(words: str) -> tuple[str, ...]:
    """The workloads that words speak of, the most telling first."""
    lower = words.lower()
    return tuple(name for name, telling in _WORKLOADS.items() if telling.search(lower))


@lru_cache(256)
def classes(words: str) -> frozenset[str]:
    """The members of `CLASSES` that words show."""
    lower = words.lower()
    latex = len(_LATEX.findall(words))
    seen = {
        "xml-prompt": _XML_PROMPT.search(words),
        "xml-output": _XML_OUTPUT.search(lower),
        "json-output": _JSON_OUTPUT.search(lower),
        "latex": latex >= _FEW_LATEX and latex >= len(words) / 200,
        "mixed-scripts": not words.isascii() and sum(len(script.findall(words)) >= 10 for script in _SCRIPTS) > 1,
        "nested": _depth(words) >= _NESTED,
        "adversarial": _ATTACK.search(lower),
    }
    return frozenset(name for name, found in seen.items() if found)


def _tools(document: Mapping[str, Any]) -> Iterator[Piece]:
    for tool in as_list(document.get("tools")):
        rest = {key: value for key, value in as_mapping(tool).items() if key != "cache_control"}
        yield Piece(json.dumps(rest, ensure_ascii=False), 0, as_mapping(tool).get("cache_control"))


def _blocks(content: object) -> Iterator[Piece]:
    if isinstance(content, str):
        yield Piece(content, 0, None)
    for block in map(as_mapping, as_list(content)):
        text = _text(block)
        yield Piece(text, 0 if text else FLAT_TOKENS.get(str(block.get("type")), 0), block.get("cache_control"))


def _text(block: Mapping[str, Any]) -> str:
    kind, source = block.get("type"), as_mapping(block.get("source"))
    if kind == "tool_use":
        return json.dumps(block.get("input"), ensure_ascii=False)
    if kind == "tool_result":
        return "".join(piece.text for piece in content(block))
    if kind == "document":
        return str(source.get("data", "")) if source.get("type") == "text" else ""
    return str(block.get("text", block.get("thinking", "")))


def _lifetime(mark: object) -> float | None:
    ttl = as_mapping(mark).get("ttl")
    if ttl not in (None, "5m", "1h"):
        raise ValueError("cache_control.ttl: Input should be '5m' or '1h'")
    return None if ttl is None else {"5m": 5.0, "1h": 60.0}[ttl]


def _ends(text: str, size: int) -> str:
    return text if len(text) <= 2 * size else f"{text[:size]}\n{text[-size:]}"


def _depth(words: str) -> int:
    """Levels of nesting of brackets or of tags, whichever is more."""
    deepest = 0
    if words.count("{") + words.count("[") >= _NESTED:
        deepest = _deepest(1 if mark in "{[" else -1 for mark in words if mark in "{[]}")
    if words.count("</") >= _NESTED:
        deepest = max(deepest, _deepest(-1 if closing else 1 for closing in _TAG.findall(words)))
    return deepest


def _deepest(steps: Iterable[int]) -> int:
    level = deepest = 0
    for step in steps:
        level = max(0, level + step)
        deepest = max(deepest, level)
    return deepest


def as_mapping(value: object) -> Mapping[str, Any]:
    """A JSON object as it is, anything else as an empty one."""
    return value if isinstance(value, dict) else {}


def as_list(value: object) -> list[Any]:
    """A JSON array as it is, anything else as an empty one."""
    return value if isinstance(value, list) else []
