"""Series of one run put together: those of one test, or of the arms that agree in some factors, as one series.

What is pooled is a mixture, each series with as many calls as it has. Rounds keep the order in which they began. All
of them count: when claims on a series were settled is no matter here, since nothing is claimed of what is pooled.
Several tests ran at different times, so what is pooled of them has no total over time.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from pytest_llmperf.core import wording
from pytest_llmperf.core.errors import UsageError
from pytest_llmperf.core.merging import Share, merged
from pytest_llmperf.core.series import Factor, Series


class Pools:
    """Puts series together as they are asked for, each combination once.

    Args:
        every: the series of all tests and arms.
    """

    def __init__(self, every: Sequence[Series]) -> None:
        self._every = every
        self._made: dict[tuple[int, ...], Series] = {}

    def of(self, test: str = "", where: Mapping[str, Factor] | None = None) -> Series:
        """The series of one test (of all without a name) whose arms have these values of these factors, as one.

        Raises:
            UsageError: there is none, or they do not come from one source and clock.
        """
        picked = tuple(
            place for place, one in enumerate(self._every) if _named(one, test) and _has(one.factors, where or {})
        )
        if not picked:
            raise UsageError(f"nothing was measured of {_told(test, where or {})}")
        if picked not in self._made:
            self._made[picked] = pooled([self._every[place] for place in picked])
        return self._made[picked]


def pooled(every: Sequence[Series]) -> Series:
    """Several series, at least one, as one that is judged once, on all of its rounds.

    Raises:
        UsageError: they do not come from one source and clock.
    """
    require_one_origin(every)
    if len(every) == 1:
        return replace(every[0], stop="fixed", budget=0)
    (whole,) = merged([Share(0.0, (one,)) for one in every])
    several = len({one.scenario for one in every}) > 1
    return replace(whole, arm="", factors={}, stop="fixed", budget=0, of_several=several)


def require_one_origin(every: Sequence[Series]) -> None:
    """Refuse to put together what does not come from the same place.

    Raises:
        UsageError: they do not come from one source and clock.
    """
    origins = list(dict.fromkeys(f"{one.source}, {one.clock} clock" for one in every))
    if len(origins) > 1:
        raise UsageError(f"numbers from different places are never put together: {wording.listed(origins)}")


def called(one: Series) -> str:
    """What a reader calls the test: the last part of its node id, without its parameters, or its own name."""
    return one.scenario.rpartition("::")[2].partition("[")[0]


def _named(one: Series, test: str) -> bool:
    return test in ("", one.scenario, called(one), one.scenario.rpartition("::")[2])


def _has(factors: Mapping[str, Factor], where: Mapping[str, Factor]) -> bool:
    """Whether an arm has all of these values; 1 is no True."""
    return all(
        name in factors and factors[name] == value and isinstance(factors[name], bool) == isinstance(value, bool)
        for name, value in where.items()
    )


def _told(test: str, where: Mapping[str, Factor]) -> str:
    conditions = [f"{name}={value}" for name, value in where.items()]
    return ", ".join([*([test] if test else []), *conditions]) or "any test"
