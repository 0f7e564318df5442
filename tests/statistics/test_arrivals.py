"""How many requests are in flight at once."""

import pytest
from scipy import stats

from pytest_llmperf.statistics.arrivals import busy_quantile


@pytest.mark.parametrize("mean", [0.0, 0.05, 1.157, 5.79, 40.0, 3000.0])
@pytest.mark.parametrize("level", [0.5, 0.95, 0.999])
def test_it_is_the_quantile_of_a_poisson_number(mean, level):
    """As scipy's own inverse has it."""
    assert busy_quantile(mean, level) == stats.poisson.ppf(level, mean)


@pytest.mark.parametrize(("mean", "level"), [(-1.0, 0.5), (float("nan"), 0.5), (float("inf"), 0.5), (1.0, 1.0)])
def test_what_cannot_be_is_refused(mean, level):
    """A negative or infinite mean, a level of one."""
    with pytest.raises(ValueError, match=r"expected|level"):
        busy_quantile(mean, level)
