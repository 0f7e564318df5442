"""Which sessions of a baseline a test is held against.

Two things are asked of a run. Is it worse than of late? For that it is held against the latest sessions. Has it become
worse little by little, each time by less than shows? For that it is held against the anchor, the first sessions that
were accepted, which stay what they are while the latest move on. Where a change is accepted for good, a new anchor is
set: sessions before it stay in the history, and no run is held against them.

Plugins may keep the sessions of a baseline apart by a key, such as the region they were made in. Each key has a history
of its own, with its own anchor; a part that only one of two keys has is a difference.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace

from pytest_llmperf.baselines.document import Session, Subject
from pytest_llmperf.core.claims import Regression
from pytest_llmperf.core.conditions import Conditions, conditions_of
from pytest_llmperf.core.series import Series

LATEST = 10
"""The most sessions that count as the latest: enough to know how sessions differ, few enough to follow changes."""
ANCHORS = 5
"""The sessions that are the anchor, once there are so many: as many as it takes to know how sessions differ."""


@dataclass(frozen=True, slots=True)
class Reference:
    """The sessions a test is held against, the latest last. Both are empty where the test is new."""

    latest: tuple[Series, ...]
    anchor: tuple[Series, ...] = ()
    """Empty where it would say nothing that the latest do not say."""


def of_key(sessions: Sequence[Session], key: Mapping[str, str], across: Collection[str] = ()) -> tuple[Session, ...]:
    """The sessions with this key, but for parts that are named in *across*."""
    return tuple(one for one in sessions if not unlike_parts(one.key, key, across))


def unlike_parts(one: Mapping[str, str], other: Mapping[str, str], across: Collection[str] = ()) -> tuple[str, ...]:
    """Names of the parts in which two keys differ."""
    return tuple(name for name in sorted({*one, *other}) if one.get(name) != other.get(name) and name not in across)


def key_told(key: Mapping[str, str]) -> str:
    """A key in words: `build=debug, region=eu`; empty where it has no part."""
    return ", ".join(f"{name}={value}" for name, value in sorted(key.items()))


def known(sessions: Sequence[Session], subject: Subject) -> tuple[Series, ...]:
    """What a test showed from its last anchor on, oldest first, under whatever conditions."""
    begun: list[Series] = []
    for session in sessions:
        series = session.series_of(subject)
        if series is not None:
            begun = [] if session.anchor else begun
            begun.append(series)
    return tuple(begun)


def reference(series: Sequence[Series]) -> Reference:
    """The latest of these sessions of one test, and its anchor."""
    latest = tuple(series[-LATEST:])
    anchor = tuple(series[:ANCHORS] if len(series) >= ANCHORS else series[:1])
    return Reference(latest, () if anchor in (latest, latest[-1:]) else anchor)


def claims_against(
    regression: Regression, sessions: Sequence[Series]
) -> tuple[tuple[Regression, tuple[Series, ...]], ...]:
    """What is claimed of a run against the latest sessions, and against the anchor where that is another."""
    found = reference(sessions)
    of_anchor = replace(regression, baseline=f"{regression.baseline}, its anchor")
    return ((regression, found.latest), *([(of_anchor, found.anchor)] if found.anchor else []))


def comparable(series: Sequence[Series], conditions: Conditions, across: Collection[str] = ()) -> tuple[Series, ...]:
    """Those that were sampled under the same conditions, but for what is named in *across*."""
    return tuple(one for one in series if not conditions_of(one).differing(conditions, across))


def refusal(
    series: Sequence[Series], conditions: Conditions, names: tuple[str, str], across: Collection[str] = ()
) -> str:
    """Why a run cannot be compared with any of these sessions of its test; empty where it can, or where there is none.

    Args:
        series: what is known of the test, the latest last.
        conditions: those of the run.
        names: what the run and the baseline are called.
        across: conditions that may differ.
    """
    if not series or comparable(series, conditions, across):
        return ""
    stored = conditions_of(series[-1])
    told = [
        f"{field} is {getattr(conditions, field)} in {names[0]} and {getattr(stored, field)} in {names[1]}"
        for field in conditions.differing(stored, across)
    ]
    return f"{'; '.join(told)}: unlike numbers are not compared"
