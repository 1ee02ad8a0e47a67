"""What activations look like: weighted points on the line, the measure every code is judged by.

A :class:`Distribution` is discrete. Constructors of continuous laws cut the line into bins whose
weights are exact and stand each bin for its centre, so sums over the points are midpoint rules.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats

__all__ = [
    "Distribution",
    "empirical",
    "gaussian",
    "laplace",
    "lognormal",
    "mixture",
    "relu",
    "uniform",
]


@dataclass(frozen=True, eq=False, repr=False)
class Distribution:
    r"""A probability distribution on finitely many points.

    .. math:: \mathrm{E}[g(x)] = \sum_{i=1}^{N} w_i\, g(x_i)

    Parameters
    ----------
    points : (N,) float64
        x, strictly increasing, in units of the activation.
    weights : (N,) float64
        w, at least zero, summing to one.
    name : str
        For tables.

    Raises
    ------
    ValueError
        For points that are empty, not finite or not increasing, and for weights of another
        length, negative, or not summing to one (within 1e-6; then normalised).
    """

    points: NDArray[np.float64]
    weights: NDArray[np.float64]
    name: str = "distribution"

    def __post_init__(self):
        x, w = _numbers("points", self.points), _numbers("weights", self.weights)
        if x.shape != w.shape:
            raise ValueError(f"one weight per point is needed, got {len(w)} for {len(x)} points")
        if np.any(np.diff(x) <= 0):
            raise ValueError("points must be strictly increasing; `empirical` sorts samples")
        if w.min() < 0:
            raise ValueError(f"weights must not be negative, got {w.min()}")
        if abs(w.sum() - 1) > 1e-6:
            raise ValueError(f"weights must sum to 1, got a sum of {w.sum():.6g}")
        object.__setattr__(self, "points", x)
        object.__setattr__(self, "weights", w / w.sum())
        for table in (self.points, self.weights):
            table.setflags(write=False)

    @classmethod
    def collect(cls, x: NDArray, weights: NDArray, name: str = "samples") -> Distribution:
        """Points in any order; equal ones become one, and their weights are added."""
        points, index = np.unique(x, return_inverse=True)
        # NumPy's types know bincount without weights only, which counts in integers.
        return cls(points, np.bincount(index, weights), name)  # type: ignore[arg-type]

    def mean(self, g: Callable | None = None) -> float:
        """E[g(x)], or E[x]; ``g`` maps an array to an array of its shape."""
        return float(self.weights @ (self.points if g is None else g(self.points)))

    def map(self, f: Callable[[NDArray], NDArray]) -> Distribution:
        """The distribution of f(x); points that f makes equal become one (an atom).

        ``ValueError`` if ``f`` does not return one finite number per point.
        """
        name = f"{getattr(f, '__name__', 'f')} of {self.name}"
        return Distribution.collect(apply(f, self.points), self.weights, name)

    def thin(self, size: int) -> Distribution:
        """At most ``size`` points: neighbours are merged into their mean, keeping total and mean.

        Groups are equal in :math:`w^{1/3} g^{2/3}`, g the gap between neighbours: the integral of
        the cube root of the density, by which a fine quantiser has the least squared error (Bennett
        1948). Rare tails keep their share of the points so, and the two extremes stay themselves.
        """
        if size < 1:
            raise ValueError(f"size must be at least 1, got {size}")
        if len(self.points) <= size:
            return self
        share = np.cumsum(np.cbrt(self.weights * np.gradient(self.points) ** 2))
        share -= share[0]
        group = np.minimum((share / share[-1] * (size - 1)).astype(int), size - 1)
        if size > 2:
            group = np.clip(group, 1, size - 2)
            group[[0, -1]] = 0, size - 1
        weight = np.bincount(group, self.weights, size)
        kept = weight > 0
        centre = np.bincount(group, self.weights * self.points, size)[kept] / weight[kept]
        return Distribution.collect(centre, weight[kept], self.name)

    def __repr__(self) -> str:
        low, high = self.points[[0, -1]]
        return f"Distribution({self.name!r}, {len(self.points)} points in [{low:.4g}, {high:.4g}])"


def gaussian(mean: float, std: float, *, points: int = 8192) -> Distribution:
    """Normal distribution, cut off six standard deviations from its mean. ``std`` > 0."""
    _check("mean", mean)
    _check("std", std, positive=True)
    edges = np.linspace(mean - 6 * std, mean + 6 * std, points + 1)
    return _binned(edges, stats.norm(mean, std), f"N({mean:g}, {std:g}²)")


def laplace(mean: float, scale: float, *, points: int = 8192) -> Distribution:
    r"""Density exp(-\|x - mean\| / scale) / (2 scale), cut off 16 scales from its mean."""
    _check("mean", mean)
    _check("scale", scale, positive=True)
    edges = np.linspace(mean - 16 * scale, mean + 16 * scale, points + 1)
    return _binned(edges, stats.laplace(mean, scale), f"Laplace({mean:g}, {scale:g})")


def lognormal(mean: float, std: float, *, points: int = 8192) -> Distribution:
    """exp(x) of normal x with that ``mean`` and ``std``: positive, heavy-tailed activations."""
    exponent = gaussian(mean, std, points=points)
    return Distribution(np.exp(exponent.points), exponent.weights, f"lognormal({mean:g}, {std:g})")


def uniform(low: float, high: float, *, points: int = 8192) -> Distribution:
    """Uniform distribution from ``low`` to ``high``."""
    _check("low", low)
    _check("high", high)
    if not low < high:
        raise ValueError(f"low must be below high, got {low} and {high}")
    edges = np.linspace(low, high, points + 1)
    return _binned(edges, stats.uniform(low, high - low), f"U({low:g}, {high:g})")


def empirical(samples: ArrayLike, *, points: int = 8192, name: str = "samples") -> Distribution:
    """Recorded activations, any shape, each of equal weight; at most ``points`` distinct ones.

    ``ValueError`` for samples that are empty, NaN or infinite.
    """
    x = _numbers("samples", np.ravel(samples))
    return Distribution.collect(x, np.full(len(x), 1 / len(x)), name).thin(points)


def mixture(parts: Sequence[tuple[float, Distribution]]) -> Distribution:
    """Distributions drawn from with the given probabilities, ``[(share, distribution), ...]``.

    ``mixture([(0.99, gaussian(0, 1.5)), (0.01, uniform(-8, 8))])`` keeps a fit sane where the
    Gaussian alone would hardly look. ``ValueError`` unless the shares sum to one.
    """
    if not parts:
        raise ValueError("a mixture needs at least one (share, distribution) pair, got none")
    shares = [share for share, _ in parts]
    if min(shares) < 0 or abs(sum(shares) - 1) > 1e-6:
        raise ValueError(f"shares must be at least zero and sum to 1, got {shares}")
    x = np.concatenate([part.points for _, part in parts])
    w = np.concatenate([share * part.weights for share, part in parts])
    return Distribution.collect(x, w, " + ".join(f"{share:g} {part.name}" for share, part in parts))


def relu(x: NDArray) -> NDArray:
    """max(x, 0)."""
    return np.maximum(x, 0)


def apply(f: Callable[[NDArray], NDArray], x: NDArray) -> NDArray[np.float64]:
    """``f(x)`` as float64, or ``ValueError`` unless it is one finite number per point."""
    y = np.asarray(f(x), np.float64)
    if y.shape != x.shape or not np.isfinite(y).all():
        raise ValueError(
            f"f must return one finite number per point, got shape {y.shape} for {x.shape}"
            + ("" if np.isfinite(y).all() else " with NaN or infinity")
        )
    return y


def _binned(edges: NDArray, law, name: str) -> Distribution:
    # Differences of whichever tail is smaller keep their precision far from the mean.
    w = np.where(edges[1:] <= law.median(), np.diff(law.cdf(edges)), -np.diff(law.sf(edges)))
    return Distribution((edges[1:] + edges[:-1]) / 2, w / w.sum(), name)


def _numbers(what: str, values: ArrayLike) -> NDArray[np.float64]:
    array = np.array(values, np.float64)
    if array.ndim != 1 or array.size == 0:
        raise ValueError(f"{what} must be a list of at least one number, got shape {array.shape}")
    if not np.isfinite(array).all():
        bad = array.size - np.isfinite(array).sum()
        raise ValueError(f"{what} must be finite; {bad} of {array.size} are NaN or infinite")
    return array


def _check(what: str, value: float, positive: bool = False) -> None:
    if not np.isfinite(value) or (positive and value <= 0):
        kind = "positive and finite" if positive else "finite"
        raise ValueError(f"{what} must be {kind}, got {value}")
