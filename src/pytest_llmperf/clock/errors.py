"""Why time cannot be virtual here, or could not stay so.

LLMPerfError
└── ClockError
    ├── UnsupportedLoop        this event loop, or this place, cannot be taken over
    │   └── UnsupportedThread  a thread of the scenario sleeps by itself
    ├── VirtualDeadlock        nothing will ever happen again
    └── RealIO                 a real connection, where none was allowed
"""

from pytest_llmperf.core.errors import LLMPerfError

__all__ = ["ClockError", "ClockWarning", "RealIO", "UnsupportedLoop", "UnsupportedThread", "VirtualDeadlock"]


class ClockError(LLMPerfError):
    """Base of all errors of virtual time."""


class UnsupportedLoop(ClockError):
    """Virtual time cannot be entered here; the message gives the reason."""


class UnsupportedThread(UnsupportedLoop):
    """A thread that virtual time cannot drive called `time.sleep`."""


class VirtualDeadlock(ClockError):
    """Every task waits for something that virtual time will not bring."""


class RealIO(ClockError):
    """Real input or output was begun where only virtual time is allowed."""


class ClockWarning(UserWarning):
    """Virtual time went on, but what it says may not be what was meant."""
