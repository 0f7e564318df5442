"""The rate ceiling of a service, from arms that offered it different rates."""

import numpy as np
import pytest

from factories import failed_measurement, measurement, series
from pytest_llmperf.core.ceiling import rate_ceiling
from pytest_llmperf.core.errors import UsageError


def offered(rate, minutes=4, refused_above=47.5, seed=1):
    """Calls at a rate, of which the share above the ceiling is refused once and then fails."""
    random = np.random.default_rng(seed + rate)
    share = max(0.0, 1 - refused_above / rate)
    made = []
    for n in range(rate * minutes):
        at = n * 60 / rate
        refused = random.random() < share
        made.append(failed_measurement(n, at=at, throttled=3) if refused else measurement(n, at=at, ttft=0.1, e2e=0.5))
    return series(made, arm=f"rate_per_minute={rate}", factors={"rate_per_minute": rate})


def test_the_bracket_and_the_sustained_rate_are_two_numbers():
    """Few refusals are shown at 40, many at 60, and about 47 calls a minute are let through."""
    ceiling = rate_ceiling([offered(rate) for rate in (60, 30, 40, 50, 80, 100)])
    assert ceiling.good == 40
    assert ceiling.bad == 60
    assert [level.rate for level in ceiling.levels] == [30, 40, 50, 60, 80, 100]
    assert ceiling.sustained.low < 47.5 < ceiling.sustained.high
    assert ceiling.sustained.n == 3
    assert ceiling.described().startswith("refusals of at most 5 % are shown up to 40/min, more from 60/min on; 4")
    assert ceiling.described().endswith("(3 saturated levels)")


def test_rates_below_the_ceiling_show_no_ceiling():
    """Nothing was offered that was not let through."""
    ceiling = rate_ceiling([offered(20), offered(30)])
    assert (ceiling.good, ceiling.bad, ceiling.sustained) == (30, None, None)
    assert ceiling.described() == (
        "refusals of at most 5 % are shown up to 30/min, and no rate shows more; "
        "no rate was offered long enough above the ceiling to tell what is let through"
    )


def test_one_saturated_level_has_no_interval():
    """The variation between levels is what the interval is of."""
    told = rate_ceiling([offered(40), offered(80)]).described()
    assert told.endswith("calls a minute are let through above it (1 saturated level, so without an interval)")


def test_rates_that_are_all_too_high_show_no_good_one():
    """And too few calls show nothing at all."""
    assert rate_ceiling([offered(90)]).described().startswith("refusals of at most 5 % are shown at no rate, more from")
    assert rate_ceiling([offered(5, 1)]).described().startswith("refusals of at most 5 %: nothing is shown")


def test_a_retried_call_counts_as_refused():
    """The SDK hides a refusal that a retry mended; the ceiling does not."""
    calls = [measurement(n, at=float(n), attempts=2, throttled=n % 3 == 0) for n in range(200)]
    ceiling = rate_ceiling([series(calls, factors={"rate_per_minute": 60})])
    assert ceiling.levels[0].refused == 67
    assert ceiling.bad == 60


def test_refusals_in_bursts_show_less():
    """Ten refusals in a row are not ten independent ones."""
    burst = [measurement(n, at=float(n), throttled=int(n >= 92)) for n in range(100)]
    spread = [measurement(n, at=float(n), throttled=int(n % 12 == 5)) for n in range(100)]
    assert sum(m.throttled for m in burst) == sum(m.throttled for m in spread) == 8
    together, apart = (rate_ceiling([series(m, factors={"rate_per_minute": 60})], 0.03) for m in (burst, spread))
    assert apart.bad == 60
    assert together.bad is None


def test_a_level_without_calls_shows_nothing():
    """It stands in the table all the same."""
    ceiling = rate_ceiling([offered(40), series([], factors={"rate_per_minute": 80})])
    assert (ceiling.good, ceiling.bad, ceiling.levels[1].calls) == (40, None, 0)


@pytest.mark.parametrize("arms", [[], [series([])], [offered(10, 1), offered(10, 1)]])
def test_arms_without_rates_of_their_own_are_refused(arms):
    """A ceiling is one over rates."""
    with pytest.raises(UsageError, match="a ceiling is looked for in arms"):
        rate_ceiling(arms)
