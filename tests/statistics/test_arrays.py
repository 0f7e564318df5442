"""Entry checks of every statistic."""

import math

import numpy as np
import pytest

from pytest_llmperf.statistics import arrays


class TestAsFloats:
    def test_takes_any_flat_sequence(self):
        """Lists, ranges and arrays of any number type become floats; infinity is a value."""
        assert arrays.as_floats(range(3)).tolist() == [0.0, 1.0, 2.0]
        assert arrays.as_floats(np.array([1, 2], dtype=np.int32)).dtype == np.float64
        assert arrays.as_floats([1.0, math.inf]).tolist() == [1.0, math.inf]

    @pytest.mark.parametrize(
        ("values", "options", "message"),
        [
            ([[1.0], [2.0]], {}, "flat sequence"),
            ([1.0, math.nan], {}, "NaN"),
            ([1.0, math.inf], {"finite": True}, "infinity"),
            ([], {"least": 1}, "at least 1 value, got 0"),
            ([1.0], {"least": 2}, "at least 2 values, got 1"),
        ],
    )
    def test_refuses_the_rest(self, values, options, message):
        """Nested, absent, endless or too few values are refused with the reason."""
        with pytest.raises(ValueError, match=message):
            arrays.as_floats(values, **options)


class TestNumbers:
    @pytest.mark.parametrize("number", [-0.1, 1.1, math.nan])
    def test_a_share_lies_between_0_and_1(self, number):
        """The ends belong to it, NaN does not."""
        arrays.require_share("rate", 0.0)
        arrays.require_share("rate", 1.0)
        with pytest.raises(ValueError, match="rate must lie between 0 and 1"):
            arrays.require_share("rate", number)

    def test_complement_is_decimal(self):
        """1 - 0.95 is 0.05 and its complement 0.95 again."""
        assert arrays.complement(0.95) == 0.05
        assert arrays.complement(arrays.complement(0.95)) == 0.95
