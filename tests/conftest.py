"""What holds for all tests."""

from hypothesis import settings

# Machines that run tests are shared: how long an example takes there says nothing.
settings.register_profile("shared", deadline=None)
settings.load_profile("shared")

LONG = ("test_example_suite.py", "test_example_baselines.py", "test_promises.py", "test_gate.py")
"""Modules that take minutes: begun last, they would leave the other processes idle."""


def pytest_collection_modifyitems(items):
    """The longest first."""
    items.sort(key=lambda item: item.path.name not in LONG)
