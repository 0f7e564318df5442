"""Performance assertions on LLM API calls in ordinary pytest tests.

Importing this package costs nothing: the plugin is loaded in every pytest run of the environment.
"""

from pytest_llmperf._version import __version__

__all__ = ["__version__"]
