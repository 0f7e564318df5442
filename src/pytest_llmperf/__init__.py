"""Performance assertions on LLM API calls in ordinary pytest tests.

Importing this package costs nothing: the plugin is loaded in every pytest run of the environment. What it offers is
found when it is asked for: types for annotations here, `pytest_llmperf.testing` for tests of one's own, and
`pytest_llmperf.hookspecs` for plugins.
"""

from typing import TYPE_CHECKING, Any

from pytest_llmperf._version import __version__

if TYPE_CHECKING:
    from pytest_llmperf.plugin import CurrentArm, LLMPerf, LLMPerfWarning

__all__ = ["CurrentArm", "LLMPerf", "LLMPerfWarning", "__version__"]


def __getattr__(name: str) -> Any:
    """What the plugin offers for annotations and filters of warnings, once it is asked for."""
    if name in __all__:
        from pytest_llmperf import plugin

        return getattr(plugin, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
