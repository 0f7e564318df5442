"""What a claim on scaling saw."""

import pytest

from factories import calls, failed_measurement, measurement, series
from pytest_llmperf.core.claims import Scaling
from pytest_llmperf.core.curves import curves


def arm(length, *, n=12, per_token=0.01, **factors):
    """Calls whose e2e rises with a length, each a little apart from the others."""
    found = [measurement(k, e2e=1.0 + length * per_token * (1 + 0.01 * (k % 5))) for k in range(n)]
    named = {"length": length, **factors}
    return series(found, arm=", ".join(f"{key}={value}" for key, value in named.items()), factors=named)


CLAIM = Scaling(over="length", metric="e2e", max_rise=9.0, shape="log", no_knee_before=300)


def test_a_curve_has_levels_fits_and_limits():
    """In order of the levels, whatever the order of the arms; the best fit first."""
    (curve,) = curves([arm(length) for length in (400, 50, 200, 100, 800)], [CLAIM])
    assert [level.at for level in curve.levels] == [50, 100, 200, 400, 800]
    first = curve.levels[0]
    assert (first.arm, first.n) == ("length=50", 12)
    assert first.low <= first.median <= first.high
    assert curve.most == pytest.approx(10 * first.median)
    assert (curve.least, curve.claimed_shape, curve.no_knee_before) == (None, "log", 300)
    assert (curve.fits[0].shape, curve.fits[0].behind, curve.unit) == ("linear", 0.0, "s")
    assert [fit.behind for fit in curve.fits] == sorted(fit.behind for fit in curve.fits)
    assert curve.fits[0].at(200) == pytest.approx(3.04, rel=0.01)


def test_a_shape_is_evaluated_as_it_was_fitted():
    """Beyond a knee its slope changes, on the scale of its shape."""
    (curve,) = curves([arm(length) for length in (50, 100, 200, 400, 800)], [CLAIM])
    log = next(fit for fit in curve.fits if fit.shape == "log")
    assert log.at(200) - log.at(100) == pytest.approx(log.coefficients[1])
    bent = next(fit for fit in curve.fits if fit.shape == "bent linear")
    slopes = [bent.at(x + 1) - bent.at(x) for x in (50, 799)]
    assert slopes == pytest.approx([bent.coefficients[1], sum(bent.coefficients[1:])])


def test_other_factors_have_curves_of_their_own():
    """As they have verdicts of their own."""
    arms = [arm(length, kind=kind) for kind in ("dull", "witty") for length in (100, 400)]
    assert [curve.arm for curve in curves(arms, [CLAIM])] == ["kind=dull", "kind=witty"]


def test_what_cannot_be_fitted_has_levels_still():
    """And the reason why there is no shape."""
    failing = series([*calls(3), failed_measurement(3)], arm="length=9", factors={"length": 9})
    (curve,) = curves([arm(5), failing], [CLAIM])
    assert (curve.fits, curve.shape, curve.knee) == ((), "", None)
    assert curve.unfitted.startswith("1 of 16 values are 0 or infinite")
    assert curve.levels[1].median == 11.0


def test_claims_on_one_curve_share_it():
    """Limits that stand in several claims are drawn once, into one plot."""
    claims = [Scaling(over="length", metric="e2e", max_rise=9.0), Scaling(over="length", metric="e2e", shape="log")]
    (curve,) = curves([arm(50), arm(100)], claims)
    assert curve.claimed_shape == "log"
    assert curve.most is not None
