"""What holds for all tests."""

from hypothesis import settings

# Machines that run tests are shared: how long an example takes there says nothing.
settings.register_profile("shared", deadline=None)
settings.load_profile("shared")
