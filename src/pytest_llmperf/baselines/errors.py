"""What can be wrong with stored baselines."""

from __future__ import annotations

from pytest_llmperf.core.errors import LLMPerfError


class BaselineError(LLMPerfError):
    """A session's file is damaged or newer than this version, or the store cannot be read or written."""
