"""A mark that means nothing is an error before the first call. This file is collected only when it is named."""

import pytest


@pytest.mark.latency(p95=2340)
def test_unit_is_missing():
    raise AssertionError("never run")
