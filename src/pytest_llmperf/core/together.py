"""The claims of one test, decided together.

With a fixed number of rounds, claims that fail hand their share of the error probability on to the others (Holm 1979,
within the share that the test has of the whole run). Under early stopping the shares are in the plans.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from pytest_llmperf.core.verdict import Outcome, Verdict

Judgement = Callable[[float], Verdict]
"""Decides one claim, of whose family this part is left: 1 for all of it."""


def decided(judgements: Sequence[Judgement], stop: str) -> tuple[Verdict, ...]:
    """The answers to all claims of a test.

    Args:
        judgements: one for each claim, on whatever series.
        stop: how the test was sampled, `early` or `fixed`.
    """
    verdicts = [decide(1.0) for decide in judgements]
    failed = _failed(verdicts)
    while stop == "fixed" and 0 < failed < len(verdicts):
        left = (len(verdicts) - failed) / len(verdicts)
        verdicts = [
            verdict if verdict.outcome is not Outcome.INCONCLUSIVE else decide(left)
            for verdict, decide in zip(verdicts, judgements, strict=True)
        ]
        before, failed = failed, _failed(verdicts)
        if failed == before:
            break
    return tuple(verdicts)


def left_of(family: float, part: float) -> float:
    """How many claims still share the probability of a wrong fail."""
    return max(1.0, family * part)


def _failed(verdicts: Sequence[Verdict]) -> int:
    return sum(verdict.outcome is Outcome.FAILED for verdict in verdicts)
