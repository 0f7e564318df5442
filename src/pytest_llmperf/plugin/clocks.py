"""Which clock keeps a scenario's time, and what that clock cannot answer.

Only the simulated API and cassettes can wait in anything but real time. For the simulated API, `auto` is virtual time
wherever it is possible, and the instant clock elsewhere: on trio, for plain tests with several rounds at once, and
where a test starts threads of its own. For cassettes it is the instant clock, on which the recorded times are judged;
only a claim on something that is on no cassette, such as the wall time of a round, takes virtual time.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from pytest_llmperf.core.claims import Contrast, Regression, Scaling
from pytest_llmperf.core.errors import UsageError
from pytest_llmperf.core.metrics import needs_waiting
from pytest_llmperf.core.objective import Objective
from pytest_llmperf.plugin.options import Settings

if TYPE_CHECKING:
    from pytest_llmperf.clock import Clock

_OTHERS = "use --llmperf-clock=instant or realtime"


def of_plain_test(settings: Settings, *, usual: str, together: bool, strangers: str) -> Clock:
    """The clock of a test that is no coroutine.

    Args:
        settings: the run's.
        usual: what `auto` stands for.
        together: several rounds run at once.
        strangers: why its threads cannot live in virtual time; empty while none was seen.

    Raises:
        UsageError: virtual time is asked for and not possible.
    """
    reason = strangers
    if together:
        reason = "a plain (not async) test cannot run several rounds at once in virtual time; make it async"
    return _chosen(settings, usual, reason)


def of_coroutine(settings: Settings, *, usual: str, strangers: str) -> Clock:
    """The clock of a test that is a coroutine, to be asked for in its event loop.

    Args:
        settings: the run's.
        usual: what `auto` stands for.
        strangers: why its threads cannot live in virtual time; empty while none was seen.

    Raises:
        UsageError: virtual time is asked for and not possible.
    """
    from pytest_llmperf.clock import virtual

    return _chosen(settings, usual, strangers or virtual.why_unsupported() or "")


def _chosen(settings: Settings, usual: str, why_not_virtual: str) -> Clock:
    from pytest_llmperf.clock.virtual import VirtualClock
    from pytest_llmperf.clock.wall import WallClock

    asked = settings.clock
    wanted = usual if asked == "auto" else asked
    if wanted == "realtime":
        return WallClock()
    if asked == "virtual" and why_not_virtual:
        raise UsageError(f"--llmperf-clock=virtual: {why_not_virtual}; {_OTHERS}")
    if wanted == "instant" or why_not_virtual:
        return WallClock("instant")
    return VirtualClock()


def for_recordings(claims: Sequence[Objective | Contrast | Scaling | Regression]) -> str:
    """What `auto` stands for when timed recordings are replayed."""
    return "virtual" if any(needs_waiting(claim.metric, recorded=True) for claim in claims) else "instant"


def check_paced(clock: Clock, *, paced: bool, strangers: str) -> None:
    """Refuse to send at a rate where no time passes; what was recorded at one needs none.

    Raises:
        UsageError: with the reason.
    """
    if clock.name == "instant" and paced:
        raise UsageError(
            "llmperf(rate_per_minute=…): the instant clock does not wait, so nothing can be sent at a rate; "
            "use --llmperf-clock=virtual (tests on asyncio, plain tests) or realtime"
            + (f". It was taken because {strangers}" if strangers else "")
        )


def check_answerable(
    clock: Clock,
    claims: Sequence[Objective | Contrast | Scaling | Regression],
    strangers: str,
    *,
    recorded: bool = False,
) -> None:
    """Refuse claims that the clock cannot answer.

    Args:
        clock: that was chosen.
        claims: of the test.
        strangers: why it was not virtual time, as for the functions above.
        recorded: answers come with the times of a recording.

    Raises:
        UsageError: with the claim and the reason.
    """
    refused = [claim for claim in claims if needs_waiting(claim.metric, recorded=recorded)]
    if clock.name == "instant" and refused:
        raise UsageError(
            f"{refused[0].mark}: the instant clock does not wait, so it cannot give {refused[0].metric}; "
            "use --llmperf-clock=virtual (async tests on asyncio, plain tests one round at a time) or realtime"
            + (f". It was taken because {strangers}" if strangers else "")
        )
