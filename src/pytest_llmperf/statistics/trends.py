"""How a value grows with a factor (context length, concurrency): its shape, and whether it bends at a knee.

Noise is taken to be proportional: y ~ N(f, (s·f)²). Five shapes of f are fitted by reweighted least squares to the raw
values, not to means, and compared by BIC (Schwarz 1978) with the knee and s counted as parameters. A shape is claimed
when the runner-up is more than 6 behind, a knee when the best bent shape beats the best straight one by more than 6.
That no knee was shown never means that there is none. Levels measured in increasing order confound the factor with
drift: randomise their order in blocks.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeAlias

import numpy as np
from scipy.special import chdtri, fdtrc

from pytest_llmperf.statistics.arrays import Floats, as_floats

if TYPE_CHECKING:
    from collections.abc import Sequence

Shape: TypeAlias = Literal["flat", "linear", "log", "bent linear", "bent log"]

BIC_GAP = 6.0
LEAST_LEVELS_FOR_KNEE = 5
KNEE_GRID = 41
PASSES = 5
LEAST_NOISE = 1e-9
"""Values that follow a shape more closely than this are taken to follow it exactly."""
MISFIT_ALPHA = 0.01


@dataclass(frozen=True, slots=True)
class Fit:
    """One shape fitted to the values.

    Attributes:
        shape: Which shape.
        coefficients: Intercept, then slope per unit of x (per doubling for the log shapes), then change of slope.
        knee: Where the slope changes, in units of x; None for straight shapes.
        relative_noise: s, the standard deviation of y / f.
        log_likelihood: At the fitted parameters.
        bic: Schwarz's criterion, smaller is better.
    """

    shape: Shape
    coefficients: tuple[float, ...]
    knee: float | None
    relative_noise: float
    log_likelihood: float
    bic: float

    @property
    def is_bent(self) -> bool:
        """Whether the shape has a knee."""
        return self.knee is not None

    def at(self, x: float) -> float:
        """Return the fitted value at ``x``."""
        u, knee = _scaled(self.shape, np.array([x, self.knee or x]))
        terms = (1.0, u, max(0.0, u - knee))
        return float(sum(c * term for c, term in zip(self.coefficients, terms, strict=False)))


@dataclass(frozen=True, slots=True)
class Trend:
    """What a set of measured levels says about the shape.

    Attributes:
        fits: All shapes fitted, best first.
        knee_range: Range of the knee in units of x, over both bent shapes; it holds the true knee in about 90 % of
            cases, less often when the bend is weak. None when no knee was sought; a claim only beside `knee`.
        misfit_p: Chance of so much lack of fit around the best shape from replicates alone; 1 without replicates.
    """

    fits: tuple[Fit, ...]
    knee_range: tuple[float, float] | None
    misfit_p: float

    @property
    def best(self) -> Fit:
        """The shape with the smallest BIC, which is not yet a claim."""
        return self.fits[0]

    @property
    def shape(self) -> Shape | None:
        """The shape that is shown; None when the runner-up is within 6 BIC or no candidate fits.

        Flat is a special case of all others, so it takes more than e⁶ = 403 values to show it: ask instead whether the
        change from the first level to the last stays within a bound.
        """
        shown = self.fits_at_all and (len(self.fits) == 1 or self.fits[1].bic - self.best.bic > BIC_GAP)
        return self.best.shape if shown else None

    @property
    def knee(self) -> Fit | None:
        """The bent shape whose knee is shown; None means that no knee was shown, never that there is none."""
        bent = next((fit for fit in self.fits if fit.is_bent), None)
        straight = next(fit for fit in self.fits if not fit.is_bent)
        return bent if bent is not None and straight.bic - bent.bic > BIC_GAP else None

    @property
    def fits_at_all(self) -> bool:
        """Whether the replicates allow the best shape to be right (pure-error F-test at 0.01)."""
        return self.misfit_p >= MISFIT_ALPHA


def find_trend(x: Sequence[float], y: Sequence[float]) -> Trend:
    """Fit the five shapes to raw values; knees are sought only with five levels or more.

    Args:
        x: The factor, one positive finite number per value.
        y: The values, positive and finite, in the same order.

    Raises:
        ValueError: If the lists differ in length, hold a number that is not positive and finite, or fewer than two
            levels.
    """
    levels = _levels(as_floats(x, finite=True), as_floats(y, finite=True))
    fits = [_fit("flat", levels)[0], _fit("linear", levels)[0], _fit("log", levels)[0]]
    enough = levels.x.size >= LEAST_LEVELS_FOR_KNEE
    profiles = [_fit("bent linear", levels), _fit("bent log", levels)] if enough else []
    fits += [max(profile, key=_likelihood) for profile in profiles]
    fits.sort(key=lambda fit: fit.bic)
    return Trend(tuple(fits), _knee_range(profiles, levels), _misfit(fits[0], levels))


@dataclass(frozen=True, slots=True)
class _Levels:
    """All that least squares needs of the values: per level its x, count, mean and sum of squares around the mean."""

    x: Floats
    count: Floats
    mean: Floats
    within: Floats


def _levels(x: Floats, y: Floats) -> _Levels:
    if x.size != y.size:
        raise ValueError(f"expected one value per level, got {x.size} and {y.size}")
    if x.size and min(x.min(), y.min()) <= 0.0:
        raise ValueError("a trend needs positive factors and values: their noise is proportional")
    at, group = np.unique(x, return_inverse=True)
    if at.size < 2:
        raise ValueError("a trend needs two levels at least")
    count = np.bincount(group).astype(np.float64)
    mean = np.bincount(group, y) / count
    within = np.bincount(group, (y - mean[group]) ** 2).astype(np.float64)
    return _Levels(at, count, mean, within)


def _likelihood(fit: Fit) -> float:
    return fit.log_likelihood


def _scaled(shape: Shape, x: Floats) -> Floats:
    return np.asarray(np.log2(x) if shape.endswith("log") else x, dtype=np.float64)


def _fit(shape: Shape, levels: _Levels) -> list[Fit]:
    """Fit one shape by least squares weighted with the last fit; a bent one once per knee of a grid.

    The knees lie strictly between the second and the second-last level, so that either side has a slope. All are fitted
    at once, on a scale that runs from 0 to 1.
    """
    scaled = _scaled(shape, levels.x)
    start, width = float(scaled[0]), float(scaled[-1] - scaled[0])
    u = (scaled - start) / width
    knees = np.linspace(u[1], u[-2], KNEE_GRID + 2)[1:-1] if shape.startswith("bent") else np.zeros(1)
    columns = 1 if shape == "flat" else 3 if shape.startswith("bent") else 2
    bend = np.maximum(0.0, u - knees[:, None])
    design = np.stack((np.ones_like(bend), np.broadcast_to(u, bend.shape), bend), axis=2)[:, :, :columns]
    f = np.broadcast_to(levels.mean, bend.shape)
    for _ in range(PASSES):
        weighted = design * (levels.count / f**2)[:, :, None]
        solved = np.linalg.solve(
            weighted.transpose(0, 2, 1) @ design, weighted.transpose(0, 2, 1) @ levels.mean[:, None]
        )
        # A fit that goes negative stays a little above zero, where its likelihood is hopeless.
        f = np.maximum((design @ solved)[:, :, 0], 1e-3 * levels.mean.min())
    units = np.array([1.0, width, width])[:columns]
    fits = []
    for knee, row, fitted in zip(knees, solved[:, :, 0] / units, f, strict=True):
        intercept = row[0] - (row[1] * start if columns > 1 else 0.0)
        place = float(start + knee * width) if columns == 3 else None
        fits.append(_judged(shape, (float(intercept), *map(float, row[1:])), place, fitted, levels))
    return fits


def _judged(shape: Shape, coefficients: tuple[float, ...], place: float | None, f: Floats, levels: _Levels) -> Fit:
    """Put a likelihood and a BIC to the fitted level means ``f``; ``place`` is the knee on the scale of the shape."""
    n = float(levels.count.sum())
    squares = float(((levels.within + levels.count * (levels.mean - f) ** 2) / f**2).sum())
    noise = max(math.sqrt(squares / n), LEAST_NOISE)
    log_likelihood = -n * math.log(noise) - float(levels.count @ np.log(f)) - n / 2.0 * (math.log(2.0 * math.pi) + 1.0)
    parameters = len(coefficients) + 1 + (place is not None)
    bic = parameters * math.log(n) - 2.0 * log_likelihood
    knee = 2.0**place if place is not None and shape.endswith("log") else place
    return Fit(shape, coefficients, knee, noise, log_likelihood, bic)


def _knee_range(profiles: list[list[Fit]], levels: _Levels) -> tuple[float, float] | None:
    """Return the knees within χ²₁/2 of the best log-likelihood, each widened by half a step of its grid.

    Both bent shapes take part: which of them is right is often open, and they put the knee in different places.
    """
    if not profiles:
        return None
    enough = max(fit.log_likelihood for profile in profiles for fit in profile) - float(chdtri(1, 0.05)) / 2.0
    ends = []
    for profile in profiles:
        shape = profile[0].shape
        inner = _scaled(shape, levels.x[[1, -2]])
        half = float(inner[1] - inner[0]) / (KNEE_GRID + 1) / 2.0
        kept = _scaled(shape, np.array([fit.knee for fit in profile if fit.log_likelihood >= enough], dtype=float))
        widened = np.concatenate((kept - half, kept + half))
        ends += [widened if shape == "bent linear" else np.exp2(widened)]
    every = np.concatenate(ends)
    return float(every.min()), float(every.max())


def _misfit(fit: Fit, levels: _Levels) -> float:
    """Return the p-value of the pure-error F-test: level means around the fit against replicates around their mean."""
    free_levels = levels.x.size - len(fit.coefficients) - fit.is_bent
    free_replicates = float(levels.count.sum()) - levels.x.size
    if free_levels < 1 or free_replicates < 1:
        return 1.0
    f = np.array([fit.at(float(x)) for x in levels.x])
    lack = float((levels.count * (levels.mean / f - 1.0) ** 2).sum())
    pure = max(float((levels.within / f**2).sum()), free_replicates * LEAST_NOISE**2)
    return float(fdtrc(free_levels, free_replicates, lack / free_levels / (pure / free_replicates)))
