"""Hypothesis times no example here: the first one of a test pays for imports and tables, on any machine."""

from hypothesis import settings

settings.register_profile("untimed", settings.default, deadline=None)
settings.load_profile("untimed")
