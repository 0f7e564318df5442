"""The exceptions of the project, split by who can mend them.

    LLMPerfError
    ├── UsageError        the test, mark or option is wrong: its author can mend it
    ├── CaptureError      traffic could not be observed: a client or another plugin stands in the way
    ├── ProfileError      a simulated profile cannot be used
    ├── cassettes.errors.* a cassette is missing, unreadable or holds no such request
    └── clock.errors.*    time cannot be virtual here

A claim that does not hold is not an exception of this tree but a `Verdict`; the plugin turns it into pytest's failure.
"""


class LLMPerfError(Exception):
    """Base of everything this project raises on purpose."""


class UsageError(LLMPerfError):
    """A mark, option or fixture was used in a way that cannot mean anything."""


class CaptureError(LLMPerfError):
    """Traffic that should have been observed could not be."""


class ProfileError(LLMPerfError):
    """A simulated profile is missing, damaged or does not cover what was asked of it."""
