"""The conditions that one test compares: the product of its factors, each combination an arm with a name of its own.

Knows names and values, and nothing of when an arm's rounds are run (`schedule`) or of what is claimed of them.
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from pytest_llmperf.core.series import Factor


@dataclass(frozen=True, slots=True)
class Arm:
    """One condition. Its factors are its attributes too: `arm.temperature`. A test without factors has one, unnamed."""

    name: str = ""
    factors: Mapping[str, Factor] = field(default_factory=dict)

    def __getattr__(self, factor: str) -> Factor:
        """The arm's value of a factor."""
        if not factor.startswith("_") and factor != "factors" and factor in self.factors:
            return self.factors[factor]
        known = "" if factor.startswith("_") or factor == "factors" else ", ".join(self.factors) or "none"
        raise AttributeError(f"there is no factor {factor!r}; the arms mark has: {known}")


def product(factors: Mapping[str, Sequence[Factor]]) -> tuple[Arm, ...]:
    """The arms of a test, the last factor changing fastest; the one unnamed arm where there is no factor.

    A text value stands in a name by itself, any other with its factor: `warm, temperature=0`. Should two arms come out
    alike that way, all values stand with their factors.
    """
    combined = [dict(zip(factors, values, strict=True)) for values in itertools.product(*factors.values())]
    names = [", ".join(map(_short, one, one.values())) for one in combined]
    if max(Counter(names).values()) > 1:
        names = [", ".join(map(_long, one, one.values())) for one in combined]
    return tuple(map(Arm, names, combined))


def matching(arms: Sequence[Arm], wanted: Factor) -> list[Arm]:
    """The arms that a claim means: the one of that name, or all that have that value in some factor.

    Args:
        arms: of the test.
        wanted: a name, a value, or both factor and value as `temperature=0`.

    Raises:
        ValueError: there is none, or the value belongs to several factors; the text lists what there is.
    """
    named = [arm for arm in arms if arm.name == wanted]
    if named:
        return named
    factors = {factor for arm in arms for factor, value in arm.factors.items() if _means(wanted, factor, value)}
    if len(factors) > 1:
        clear = " or ".join(repr(_long(factor, wanted)) for factor in sorted(factors))
        raise ValueError(f"{wanted!r} is a value of several factors; write {clear}")
    if not factors:
        if [arm.name for arm in arms] == [""]:
            raise ValueError(f"there is no arm {wanted!r}: the test has no arms mark")
        raise ValueError(f"there is no arm {wanted!r}. Arms: {listed(arms)}")
    (factor,) = factors
    return [arm for arm in arms if _means(wanted, factor, arm.factors[factor])]


def pairs(arms: Sequence[Arm], arm: Factor, to: Factor) -> list[tuple[Arm, Arm]]:
    """Which arms a contrast compares: where its two values leave other factors open, those alike in the others.

    Raises:
        ValueError: one of them is no arm, or there is no such pair.
    """
    ones, others = matching(arms, arm), matching(arms, to)
    if len(ones) == len(others) == 1 and ones != others:
        return [(ones[0], others[0])]
    found = [(one, other) for one in ones for other in others if _differ_as_said(one, arm, other, to)]
    if not found:
        raise ValueError(f"{arm!r} and {to!r} are no two arms that differ in one factor. Arms: {listed(arms)}")
    return found


def listed(arms: Sequence[Arm]) -> str:
    """The names of all arms as a reader may copy them."""
    return " · ".join(repr(arm.name) for arm in arms)


def _differ_as_said(one: Arm, said: Factor, other: Arm, said_of_other: Factor) -> bool:
    """Whether two arms differ in one factor, and in the one that the values were said of."""
    differing = [factor for factor, value in one.factors.items() if not _same(value, other.factors[factor])]
    return len(differing) == 1 and all(
        arm.name == wanted or _means(wanted, differing[0], arm.factors[differing[0]])
        for arm, wanted in ((one, said), (other, said_of_other))
    )


def _means(wanted: Factor, factor: str, value: Factor) -> bool:
    return _same(wanted, value) or wanted == _long(factor, value)


def _same(one: Factor, other: Factor) -> bool:
    """Equal, and both or neither a yes or no: 1 and 1.0 are alike, 1 and True are not."""
    return one == other and isinstance(one, bool) == isinstance(other, bool)


def _short(factor: str, value: Factor) -> str:
    return value if isinstance(value, str) and value.strip() else _long(factor, value)


def _long(factor: str, value: Factor) -> str:
    return f"{factor}={value!r}" if isinstance(value, str) and not value.strip() else f"{factor}={value}"
