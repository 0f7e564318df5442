"""From marks to a scenario: our own walk over the levels, merged per keyword, validated at collection.

Nearer wins: `pytest.param`, function, class, base class, module, package. pytest's own order puts a parameter's marks
behind the function's and a base class before its child, so it is not used.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import pytest

from pytest_llmperf.plugin.arguments import ARGUMENTS, OF_ONE_ARM, check_names, checked
from pytest_llmperf.plugin.options import Settings

if TYPE_CHECKING:
    from pytest_llmperf.core.claims import Contrast, Regression, Scaling
    from pytest_llmperf.core.objective import Objective
    from pytest_llmperf.plugin.regressions import Held
    from pytest_llmperf.runner.arms import Arm
    from pytest_llmperf.runner.plan import Plan


_TELLING: dict[str, tuple[str, ...]] = {
    "claim": ("metric", "statistic"),
    "contrast": ("arm", "to", "metric", "quantile", "statistic"),
    "scaling": ("over", "metric"),
    "regression": ("metric", "baseline"),
}
"""Arguments that say which claim of several a mark makes; of other marks it is the metric."""
_NONE: tuple[bool, list[dict[str, Any]]] = (False, [])
_EACH = object()
"""Where a claim names no arm; None may be a value of a factor."""


@dataclass(frozen=True, slots=True)
class Scenario:
    """What the marks of one test ask for."""

    plan: Plan
    objectives: tuple[Objective, ...]
    contrasts: tuple[Contrast, ...] = ()
    scalings: tuple[Scaling, ...] = ()
    regressions: tuple[Regression, ...] = ()
    """One for each arm."""
    held: tuple[Held, ...] = ()
    """The same with the sessions they are held against."""

    @property
    def claims(self) -> tuple[Objective | Contrast | Scaling | Regression, ...]:
        """All that are judged."""
        return (*self.objectives, *self.contrasts, *self.scalings, *(one.regression for one in self.held if one.known))

    @property
    def verdicts(self) -> int:
        """How many answers its claims will have: one for every arm they are about."""
        of_one = sum(claim.applies_to(arm.name) for claim in self.objectives for arm in self.plan.arms)
        of_baselines = sum(len(one.claims()) for one in self.held)
        return of_one + len(self.contrasts) + len(self.scalings) + of_baselines

    def one_of(self, claims: int) -> Scenario:
        """The same, where the run has so many claims: they share the probability of a wrong fail."""
        return self._each(family=max(claims, 1))

    def shared(self, number: int, among: int) -> Scenario:
        """What one of several processes does of it; it runs all its rounds, since it cannot know what others saw."""
        return replace(self, plan=replace(self.plan.shared(number, among), stop="fixed"))

    def tried(self, attempt: int) -> Scenario:
        """The same at a later try (from 1) of a test that is run again when it fails."""
        return self._each(attempt=attempt)

    def _each(self, **changed: Any) -> Scenario:
        return replace(
            self,
            objectives=tuple(replace(each, **changed) for each in self.objectives),
            contrasts=tuple(replace(each, **changed) for each in self.contrasts),
            scalings=tuple(replace(each, **changed) for each in self.scalings),
            regressions=tuple(replace(each, **changed) for each in self.regressions),
            held=tuple(replace(one, regression=replace(one.regression, **changed)) for one in self.held),
        )


def resolve(item: pytest.Item, settings: Settings) -> Scenario | None:
    """The scenario a test's marks describe; None when it has none of our marks, or is switched off.

    Raises:
        ValueError: a mark cannot mean anything; the text says which, and what is valid.
    """
    names = tuple(ARGUMENTS) if settings.short_marks else ("llmperf",)
    found = {name: _merged(name, _levels(item)) for name in names}
    if not any(marked for marked, _ in found.values()):
        return None
    from pytest_llmperf.plugin import claims, comparisons
    from pytest_llmperf.plugin.regressions import regressions

    run, arms = (found[name][1] if name in found else [] for name in ("llmperf", "arms"))
    plan = claims.plan(run[0] if run else {}, settings, arms[0] if arms else {})
    if plan.off or settings.off:
        # Once and plainly; but where the API is simulated, no test reaches the real one.
        return Scenario(claims.plainly_once(plan), ()) if _stays_offline(item, settings) else None
    objectives = [
        objective
        for name, (_, groups) in found.items()
        for group in groups
        for objective in claims.objectives(name, group, plan)
    ]
    contrasts = [one for group in found.get("contrast", _NONE)[1] for one in comparisons.contrasts(group, plan)]
    scalings = [one for group in found.get("scaling", _NONE)[1] for one in comparisons.scalings(group, plan)]
    of_baselines = [one for group in found.get("regression", _NONE)[1] for one in regressions(group, plan, settings)]
    if of_baselines and settings.save is not None:
        plan = replace(plan, stop="fixed")  # what later runs are held against is sampled to its end
    return Scenario(plan, tuple(objectives), tuple(contrasts), tuple(scalings), tuple(of_baselines))


def first_arm(item: pytest.Item) -> Arm:
    """The arm that a test has which is switched off, and is run once."""
    from pytest_llmperf.runner.arms import product

    groups = _merged("arms", _levels(item))[1]
    return product(groups[0] if groups else {})[0]


def _stays_offline(item: pytest.Item, settings: Settings) -> bool:
    from pytest_llmperf.plugin import tapes

    if settings.backend == "replay":
        return isinstance(item, pytest.Function) and tapes.exists(item)
    return settings.backend == "simulate"


# --- the walk --------------------------------------------------------------------------------------------------------


def marks_of(item: pytest.Item) -> list[pytest.Mark]:
    """All marks of a test, nearest first."""
    return [mark for level in _levels(item) for mark in level]


def _levels(item: pytest.Item) -> Iterator[list[pytest.Mark]]:
    """The marks of each level, nearest level first and, within one, nearest the function first."""
    of_parameters = list(getattr(getattr(item, "callspec", None), "marks", ()))
    yield of_parameters
    yield [mark for mark in item.own_markers if not any(mark is other for other in of_parameters)]
    for node in reversed(item.listchain()[:-1]):
        if isinstance(node, pytest.Class):
            yield from _class_levels(node)
        else:
            yield list(node.own_markers)


def _class_levels(node: pytest.Class) -> Iterator[list[pytest.Mark]]:
    written = [_unpacked(cls.__dict__.get("pytestmark", ())) for cls in node.obj.__mro__]
    known = [mark for level in written for mark in level]
    yield [mark for mark in node.own_markers if mark not in known]
    yield from written


def _unpacked(marks: Any) -> list[pytest.Mark]:
    listed: list[Any] = list(marks) if isinstance(marks, list | tuple) else [marks]
    return [getattr(mark, "mark", mark) for mark in listed]


def _merged(name: str, levels: Iterator[list[pytest.Mark]]) -> tuple[bool, list[dict[str, Any]]]:
    """Whether the mark is there, and its keyword arguments, one mapping for each separate claim, nearer ones first.

    `mark(None)` ends the walk: what stands further away is switched off.
    """
    marked, groups = False, list[dict[str, Any]]()
    for level in levels:
        beside: list[dict[str, Any]] = []
        for mark in level:
            if mark.name != name:
                continue
            marked = True
            if mark.args == (None,) and not mark.kwargs:
                return marked, groups
            check_names(mark)
            group = next((group for group in groups if _same_claim(name, group, mark.kwargs)), None)
            if group is None or (any(group is one for one in beside) and _two_claims(name, group, mark.kwargs)):
                groups.append(group := {})
            beside.append(group)
            for key, value in mark.kwargs.items():
                group.setdefault(key, checked(name, key, value))
    return marked, groups


def _same_claim(name: str, group: Mapping[str, Any], arguments: Mapping[str, Any]) -> bool:
    """Claims about different metrics stand beside each other, and so do both limits of one; other marks are one."""
    if name in ("llmperf", "arms"):
        return True
    if name == "claim" and {"max", "min"} <= group.keys() ^ arguments.keys():
        return False
    if name in OF_ONE_ARM and group.get("arm", _EACH) != arguments.get("arm", _EACH):
        return False
    keys = _TELLING.get(name, ("metric",))
    return all(group.get(key) == arguments.get(key) or None in (group.get(key), arguments.get(key)) for key in keys)


def _two_claims(name: str, group: Mapping[str, Any], arguments: Mapping[str, Any]) -> bool:
    """Whether two marks that stand side by side mean two metrics: one names its metric, the other leaves it open."""
    limits = [set(marked) - {"metric", "quantile", "statistic", "arm", "to"} for marked in (group, arguments)]
    return name != "arms" and group.get("metric") != arguments.get("metric") and all(limits)
