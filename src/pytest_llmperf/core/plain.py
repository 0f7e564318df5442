"""Values to plain JSON types and back, and plain types to text, in one place.

Infinity is written as the text `"inf"`, since JSON has no number for it; bytes as base64.
"""

from __future__ import annotations

import base64
import json
import math
from collections.abc import Sequence
from enum import StrEnum
from functools import cache, partial
from typing import TYPE_CHECKING, Any, TypeVar

from pytest_llmperf.core.series import Factor

if TYPE_CHECKING:
    from cattrs import Converter

T = TypeVar("T")
_SIGNIFICANT_DIGITS = 9
"""A nanosecond in a second; more would only show how a float is stored."""


def number_to_plain(value: float) -> float | str:
    """A number as JSON can hold it."""
    return value if math.isfinite(value) else str(value)


def to_plain(value: object) -> Any:
    """A frozen value of this project as dicts, lists, texts, numbers, booleans and None."""
    return _converter().unstructure(value)


def from_plain(kind: type[T], data: Any) -> T:
    """The value that `to_plain` took apart.

    Raises:
        cattrs.BaseValidationError: the data has not the shape of *kind*.
    """
    return _converter().structure(data, kind)


def tidied(value: Any) -> Any:
    """Plain types with every float rounded to what is meant, and what JSON has no number for as text or null."""
    if isinstance(value, dict):
        return {key: tidied(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [tidied(item) for item in value]
    if isinstance(value, float):
        return None if math.isnan(value) else number_to_plain(float(f"{value:.{_SIGNIFICANT_DIGITS}g}"))
    return value


def laid_out(value: Any, indent: str = "") -> str:
    """JSON with a key or an object on each line, and lists of plain values on one: a thousand calls stay readable."""
    deeper = indent + "  "
    if isinstance(value, dict) and value:
        items = [f"{json.dumps(key, ensure_ascii=False)}: {laid_out(item, deeper)}" for key, item in value.items()]
        return _between("{", items, "}", indent)
    if isinstance(value, list) and any(isinstance(item, dict) for item in value):
        return _between("[", [laid_out(item, deeper) for item in value], "]", indent)
    return json.dumps(value, ensure_ascii=False, allow_nan=False)


def _between(opening: str, items: Sequence[str], closing: str, indent: str) -> str:
    lines = f",\n{indent}  ".join(items)
    return f"{opening}\n{indent}  {lines}\n{indent}{closing}"


@cache
def _converter() -> Converter:
    from cattrs import Converter
    from cattrs.cols import is_namedtuple, namedtuple_unstructure_factory

    converter = Converter(forbid_extra_keys=True, unstruct_collection_overrides={tuple: list})
    as_list = partial(namedtuple_unstructure_factory, unstructure_to=list)
    converter.register_unstructure_hook_factory(is_namedtuple, as_list)
    converter.register_unstructure_hook(float, number_to_plain)
    converter.register_structure_hook(float, lambda value, _: float(value))
    converter.register_structure_hook(Factor, lambda value, _: value)
    converter.register_unstructure_hook(StrEnum, lambda value: value.value)
    converter.register_unstructure_hook(bytes, lambda value: base64.b64encode(value).decode("ascii"))
    converter.register_structure_hook(bytes, lambda value, _: base64.b64decode(value))
    return converter
