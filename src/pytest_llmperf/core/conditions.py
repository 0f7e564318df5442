"""Under which conditions a series was sampled: what two series must share before their numbers may be compared.

Where the machine stands, what it is called and which packages it has may differ from run to run, and so may the profile
of a simulated service, which stands for the service itself. Source, clock, model, endpoint and streaming may not:
numbers of different ones differ for reasons that are no regression.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, fields

from pytest_llmperf.core.series import Series


@dataclass(frozen=True, slots=True)
class Conditions:
    """What must agree, in the words a message names it by. Empty where no judged call tells."""

    source: str
    clock: str
    model: str
    """Those that answered, in alphabetical order."""
    endpoint: str
    """Hosts, likewise."""
    streaming: str
    """`yes`, `no` or `partly`."""

    def differing(self, other: Conditions, across: Collection[str] = ()) -> tuple[str, ...]:
        """Names of the fields in which the two differ; what one of them does not tell differs from nothing.

        Args:
            other: what it is held against.
            across: fields that may differ.
        """
        pairs = {field.name: (getattr(self, field.name), getattr(other, field.name)) for field in fields(self)}
        return tuple(name for name, (one, to) in pairs.items() if one and to and one != to and name not in across)


FIELDS = tuple(field.name for field in fields(Conditions))


def conditions_of(series: Series) -> Conditions:
    """The conditions that the judged calls of a series tell."""
    calls = series.judged
    kinds = {call.streamed for call in calls}
    return Conditions(
        source=str(series.source),
        clock=series.clock,
        model=", ".join(sorted({call.model for call in calls if call.model})),
        endpoint=", ".join(sorted({call.endpoint for call in calls if call.endpoint})),
        streaming="" if not kinds else "partly" if len(kinds) > 1 else "yes" if kinds == {True} else "no",
    )
