"""Values to plain JSON types and back, in one place.

Infinity is written as the text `"inf"`, since JSON has no number for it; bytes as base64.
"""

from __future__ import annotations

import base64
import math
from enum import StrEnum
from functools import cache, partial
from typing import TYPE_CHECKING, Any, TypeVar

from pytest_llmperf.core.series import Factor

if TYPE_CHECKING:
    from cattrs import Converter

T = TypeVar("T")


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
