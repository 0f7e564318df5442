"""TOML tables to frozen values: the shape of a file is the annotations of a dataclass.

A field may be a number, a text, a yes or no, a curve, a mapping or another dataclass. What is allowed stands
in its annotation (`Annotated[float, Within(0, 1)]`); what joins several fields stands in the `__post_init__` of its
class as a `ValueError`. This module knows nothing of LLMs.
"""

import math
from collections.abc import Mapping
from dataclasses import MISSING, dataclass, fields, is_dataclass
from itertools import pairwise
from typing import Annotated, Any, NamedTuple, TypeVar, get_args, get_origin, get_type_hints

from pytest_llmperf.core.errors import ProfileError

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Within:
    """The numbers a field may hold."""

    low: float = -math.inf
    high: float = math.inf
    open_low: bool = False

    def __contains__(self, value: float) -> bool:
        return math.isfinite(value) and self.low <= value <= self.high and not (self.open_low and value == self.low)

    def __str__(self) -> str:
        least = f"above {self.low:g}" if self.open_low else f"at least {self.low:g}"
        if self.high == math.inf:
            return "a number" if self.low == -math.inf else f"a number {least}"
        return f"a number {least} and at most {self.high:g}"


class Point(NamedTuple):
    """One given value of a curve."""

    at: float
    value: float


Positive = Annotated[float, Within(0.0, open_low=True)]
NotNegative = Annotated[float, Within(0.0)]
Share = Annotated[float, Within(0.0, 1.0)]
Count = Annotated[int, Within(1)]
Curve = tuple[Point, ...]
"""Points with rising `at`, written `[[at, value], …]`, all values above 0."""


def build(kind: type[T], table: object, *, source: str, key: str = "") -> T:
    """Read a table into a dataclass.

    Args:
        kind: the dataclass.
        table: what TOML gave for it.
        source: the file, for messages.
        key: dotted name of the table inside the file, empty for the file itself.

    Raises:
        ProfileError: an unknown or missing key, a wrong type or an impossible number; the message names file, key,
            value and what is valid.
    """
    if not isinstance(table, Mapping):
        raise _refused(source, key, table, "a table")
    hints = get_type_hints(kind, include_extras=True)
    members = {field.name: field for field in fields(kind) if field.init and not field.metadata.get("derived")}  # type: ignore[arg-type]
    _known(table, members, source=source, key=key)
    for name, field in members.items():
        if name not in table and field.default is MISSING and field.default_factory is MISSING:
            raise ProfileError(
                f"{source}: the key {_join(key, name)!r} is missing; give it, or say `extends` to take it over."
            )
    values = {name: _read(hints[name], value, source=source, key=_join(key, name)) for name, value in table.items()}
    try:
        return kind(**values)
    except ValueError as problem:
        raise ProfileError(f"{source}: {key or 'the profile'} cannot be used: {problem}.") from None


def _known(table: Mapping[str, object], members: Mapping[str, object], *, source: str, key: str) -> None:
    unknown = next((name for name in table if name not in members), None)
    if unknown is not None:
        raise ProfileError(f"{source}: unknown key {_join(key, unknown)!r}; valid here: {', '.join(sorted(members))}.")


def _read(hint: Any, value: object, *, source: str, key: str) -> object:
    limits = Within()
    if get_origin(hint) is Annotated:
        hint, limits = get_args(hint)[0], next(extra for extra in get_args(hint)[1:] if isinstance(extra, Within))
    if hint is float or hint is int:
        return _number(hint, value, limits, source=source, key=key)
    if hint == Curve:
        return _curve(value, source=source, key=key)
    if get_origin(hint) is Mapping:
        return _mapping(get_args(hint)[1], value, source=source, key=key)
    if is_dataclass(hint):
        return build(hint, value, source=source, key=key)  # type: ignore[arg-type]
    if not isinstance(value, hint):
        raise _refused(source, key, value, "true or false" if hint is bool else "a text")
    return value


def _number(hint: type, value: object, limits: Within, *, source: str, key: str) -> float:
    expected = str(limits).replace("a number", "a whole number") if hint is int else str(limits)
    if isinstance(value, bool) or not isinstance(value, int if hint is int else (int, float)) or value not in limits:
        raise _refused(source, key, value, expected)
    return hint(value)  # type: ignore[no-any-return]


def _curve(value: object, *, source: str, key: str) -> Curve:
    try:
        points = tuple(Point(float(at), float(height)) for at, height in value)  # type: ignore[attr-defined]
    except (TypeError, ValueError):
        points = ()
    rising = all(left.at < right.at for left, right in pairwise(points))
    if not points or not rising or not all(math.isfinite(at) and 0 < height < math.inf for at, height in points):
        raise _refused(source, key, value, "a list of points [at, value], rising in at, with values above 0")
    return points


def _mapping(hint: Any, value: object, *, source: str, key: str) -> Mapping[str, object]:
    if not isinstance(value, Mapping):
        raise _refused(source, key, value, "a table")
    return {name: _read(hint, item, source=source, key=_join(key, name)) for name, item in value.items()}


def _refused(source: str, key: str, value: object, expected: str) -> ProfileError:
    return ProfileError(f"{source}: {key or 'the profile'} = {value!r} cannot be used; it must be {expected}.")


def _join(key: str, name: str) -> str:
    quoted = name if name.replace("_", "").replace("-", "").isalnum() else f'"{name}"'
    return f"{key}.{quoted}" if key else quoted
