"""A higher bound on spikes: what no neuron can beat that encodes its own value alone."""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

from ._bound import spikes_at
from .distributions import Distribution

__all__ = ["scalar_bound", "scalar_rate"]

_POINTS = 1024
_SLOPES = 64


def scalar_bound(distribution: Distribution, steps: int, snr: float) -> float:
    r"""Fewest mean spikes of any neuron of K = ``steps`` steps that encodes alone, at ``snr`` (dB).

    Its word is a function of its own value y, so it is a scalar quantiser: of K steps with s spikes
    in the mean the word has an entropy of at most :math:`K H_b(s/K)`, and a quantiser of entropy H
    errs by :math:`D_s(H)` at least, however it is decoded. The bound is the least s with

    .. math:: K\, H_b(s / K) \ge H_s(D), \qquad D = \mathrm{E}[y^2]\, 10^{-\mathrm{SNR}/10}

    see :func:`scalar_rate`. It is above :func:`~fsrepro.fitting.bound`, which quantisers of many
    values at once may approach.

    Raises ``ValueError`` for steps outside 1..64, an SNR that is not finite, and one out of reach
    of K steps.
    """
    return spikes_at(distribution, steps, snr, scalar_rate)


def scalar_rate(distribution: Distribution, mse: float) -> float:
    r"""A lower bound of the entropy, in bits, of scalar quantisers of that mean squared error.

    For every price :math:`\mu` of a bit, with cells of probability p and variance v,

    .. math:: H_s(D) \ge \max_\mu \frac{J(\mu) - D}{\mu}, \qquad
              J(\mu) = \min_{\text{cells}} \sum p\, v - \mu\, p \log_2 p

    The best cells are intervals (György & Linder 2002), and a sum over them is least by dynamic
    programming. The source is merged into at most 1,024 points first, which only lowers J.

    ``ValueError`` for an mse that is not positive and finite.

    References
    ----------
    Entropy-constrained scalar quantisation: Gish & Pierce (1968); Sullivan (1996).
    """
    if not (np.isfinite(mse) and mse > 0):
        raise ValueError(f"mse must be positive and finite, got {mse}")
    source = distribution.thin(_POINTS)
    y, p = source.points[source.weights > 0], source.weights[source.weights > 0]
    # Sums of the points before each.
    mass, first, second = (np.append(0.0, np.cumsum(p * (y - y.mean()) ** n)) for n in (0, 1, 2))
    # At high rates D falls four times for each bit more: mu is about 2 ln(2) D.
    prices = 2 * np.log(2) * mse * np.geomspace(0.1, 3000, _SLOPES)
    return max(0.0, *((_least(mass, first, second, mu) - mse) / mu for mu in prices))


@njit(cache=True, error_model="numpy")
def _least(mass: NDArray, first: NDArray, second: NDArray, mu: float) -> float:
    """J: the least sum over intervals, from the first points on."""
    n = mass.size - 1
    cost = np.full(n + 1, np.inf)
    cost[0] = 0.0
    for end in range(1, n + 1):
        for begin in range(end):
            p = mass[end] - mass[begin]
            mean = first[end] - first[begin]
            spread = second[end] - second[begin] - mean * mean / p
            total = cost[begin] + max(spread, 0.0) - mu * p * np.log2(p)
            if total < cost[end]:
                cost[end] = total
    return cost[n]
