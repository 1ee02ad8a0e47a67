"""A higher bound on spikes: what no neuron can beat that encodes its own value alone."""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

from ..codes.checks import check_steps
from ._bound import spikes_at
from .distributions import Distribution

__all__ = ["scalar_bound", "scalar_rate", "word_bound"]

_POINTS, _SLOPES = 1024, 64
_POINTS_OF_WORDS, _SLOPES_OF_WORDS = 400, 40


def scalar_bound(distribution: Distribution, steps: int, snr: float) -> float:
    r"""Fewest mean spikes of any neuron of K = ``steps`` steps that encodes alone, at ``snr`` (dB).

    Its word is a function of its own value y, so it is a scalar quantiser: of K steps with s spikes
    in the mean the word has an entropy of at most :math:`K H_b(s/K)`, and a quantiser of entropy H
    errs by :math:`D_s(H)` at least, however it is decoded. The bound is the least s with

    .. math:: K\, H_b(s / K) \ge H_s(D), \qquad D = \mathrm{E}[y^2]\, 10^{-\mathrm{SNR}/10}

    see :func:`scalar_rate`; or, if that is more, what :func:`word_bound` counts. It is above
    :func:`~fsrepro.fitting.bound`, which quantisers of many values at once may approach.

    Raises ``ValueError`` for steps outside 1..64, an SNR that is not finite, and one out of reach
    of K steps.
    """
    by_entropy = spikes_at(distribution, steps, snr, scalar_rate)
    power = distribution.mean(np.square)
    return max(by_entropy, word_bound(distribution, steps, power / 10 ** (snr / 10)))


def word_bound(distribution: Distribution, steps: int, mse: float) -> float:
    r"""Fewest mean spikes of scalar quantisers of that error, as few words have few spikes.

    Of K = ``steps`` steps, one word has no spike and K have one. For every price :math:`\lambda` of
    a spike, with cells of probability p and variance v, and n the spikes of their words,

    .. math:: s \ge \max_\lambda \frac{J(\lambda) - D}{\lambda}, \qquad
              J(\lambda) = \min_{\text{cells, words}} \sum p\, v + \lambda\, p\, n

    where words of two spikes are taken to be without number and more than two to be none. Again
    cells are intervals. Where spikes are few this is what binds: entropy alone allows words of a
    tenth of a spike.

    ``ValueError`` for steps outside 1..64 and an mse that is not positive and finite.
    """
    steps = check_steps(steps)
    if not (np.isfinite(mse) and mse > 0):
        raise ValueError(f"mse must be positive and finite, got {mse}")
    mass, first, second = _sums(distribution.thin(_POINTS_OF_WORDS))
    prices = mse * np.geomspace(0.3, 10_000, _SLOPES_OF_WORDS)
    found = ((_least_of_words(mass, first, second, price, steps) - mse) / price for price in prices)
    return max(0.0, *found)


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
    mass, first, second = _sums(distribution.thin(_POINTS))
    # At high rates D falls four times for each bit more: mu is about 2 ln(2) D.
    prices = 2 * np.log(2) * mse * np.geomspace(0.1, 3000, _SLOPES)
    return max(0.0, *((_least(mass, first, second, mu) - mse) / mu for mu in prices))


def _sums(source: Distribution) -> list[NDArray]:
    """Probability, first and second moment of the points before each."""
    y, p = source.points[source.weights > 0], source.weights[source.weights > 0]
    return [np.append(0.0, np.cumsum(p * (y - y.mean()) ** n)) for n in (0, 1, 2)]


@njit(cache=True, error_model="numpy")
def _least_of_words(
    mass: NDArray, first: NDArray, second: NDArray, price: float, steps: int
) -> float:
    """J, with words of no spike taken (0 or 1) and words of one spike taken (up to K) as state."""
    n = mass.size - 1
    cost = np.full((n + 1, 2, steps + 1), np.inf)
    cost[0, 0, 0] = 0.0
    for end in range(1, n + 1):
        for begin in range(end):
            p = mass[end] - mass[begin]
            mean = first[end] - first[begin]
            spread = max(second[end] - second[begin] - mean * mean / p, 0.0)
            for silent in range(2):
                for single in range(steps + 1):
                    so_far = cost[begin, silent, single] + spread
                    if silent == 0 and so_far < cost[end, 1, single]:
                        cost[end, 1, single] = so_far
                    one = so_far + price * p
                    if single < steps and one < cost[end, silent, single + 1]:
                        cost[end, silent, single + 1] = one
                    if one + price * p < cost[end, silent, single]:
                        cost[end, silent, single] = one + price * p
    return cost[n].min()


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
