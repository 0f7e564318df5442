"""What can be wrong with a cassette, split by the remedy."""

from __future__ import annotations

from pytest_llmperf.core.errors import LLMPerfError


class CassetteError(LLMPerfError):
    """A cassette cannot serve."""


class CassetteMissing(CassetteError):
    """There is no cassette: record one."""


class CassetteUnreadable(CassetteError):
    """There is a cassette, and it cannot be read: mend or delete it. It is never taken for a new one."""
