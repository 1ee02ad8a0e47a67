"""The fewest spikes of any K-step code for one neuron, decoder free: Lloyd levels, best words."""

from __future__ import annotations

from dataclasses import dataclass
from math import comb

import numpy as np
from numpy.typing import NDArray

from ..codes.checks import check_steps
from ._measure import decibels
from .distributions import Distribution

__all__ = ["FreeDecoder", "any_decoder"]

_MAX_LEVELS = 256
_POINTS = 2048


@dataclass(frozen=True, eq=False)
class FreeDecoder:
    """A quantiser whose levels have K-step words, the likelier the level the fewer the spikes.

    Parameters
    ----------
    level : (L,) float64
        Increasing.
    count : (L,) int64
        Spikes of each word.
    mse, snr, spikes : float
        As in :class:`~fsrepro.fitting.Measure`.
    """

    level: NDArray[np.float64]
    count: NDArray[np.int64]
    mse: float
    snr: float
    spikes: float


def any_decoder(distribution: Distribution, steps: int, spike_penalty: float) -> FreeDecoder:
    r"""A local minimum of MSE + ``spike_penalty`` x spikes over quantisers and words.

    .. math:: J = \sum_i w_i \min_l \big[ (y_i - r_l)^2 + \lambda c_l \big]

    Parameters
    ----------
    distribution : Distribution
        Of the value y = f(x).
    steps : int
        K, from 1 to 64.
    spike_penalty : float
        :math:`\lambda`.

    Raises
    ------
    ValueError
        For steps outside 1..64 and a penalty that is negative or not finite.

    Notes
    -----
    Alternates three steps, none of which raises J: each point goes to its cheapest level; each
    level r_l moves to the mean of its points; the levels, by falling probability, take the words
    of K letters by rising number of ones c_l. Runs from several numbers of levels and returns the
    best: a yardstick for codes with linear decoders, which are restricted, and above
    :func:`~fsrepro.fitting.bound`.

    References
    ----------
    Lloyd (1982), with a price on words as in Chou, Lookabaugh & Gray (1989).
    """
    steps = check_steps(steps)
    if not (np.isfinite(spike_penalty) and spike_penalty >= 0):
        raise ValueError(f"spike_penalty must be finite and at least 0, got {spike_penalty}")
    thinned = distribution.thin(_POINTS)
    y, w = thinned.points, thinned.weights
    ones = _ones_of_words(steps)
    power = distribution.mean(np.square)
    sizes = sorted({int(n) for n in np.geomspace(2, len(ones), 16)})
    found = [_descend(y, w, size, ones, spike_penalty) for size in sizes]
    level, count, mse, spikes = min(found, key=lambda code: code[2] + spike_penalty * code[3])
    return FreeDecoder(level, count, mse, decibels(power, mse), spikes)


def _descend(y, w, size, ones, penalty):
    # Levels start evenly spread over the range that matters.
    high = y[min(np.searchsorted(np.cumsum(w), 1 - 1e-4), len(y) - 1)]
    low = y[np.searchsorted(np.cumsum(w), 1e-4)]
    level, count = np.linspace(low, high, size), np.zeros(size, np.int64)
    last = np.inf
    for _ in range(300):
        cost = (y[:, None] - level) ** 2 + penalty * count  # (points, levels)
        nearest = cost.argmin(1)
        p = np.bincount(nearest, w, len(level))
        kept = p > 0
        level = np.bincount(nearest, w * y, len(level))[kept] / p[kept]
        count = np.empty(len(level), np.int64)
        count[np.argsort(-p[kept], kind="stable")] = ones[: len(level)]
        mse = w @ (y - level[np.cumsum(kept)[nearest] - 1]) ** 2
        spikes = p[kept] @ count
        if last - (mse + penalty * spikes) < 1e-7 * last:
            break
        last = mse + penalty * spikes
    order = np.argsort(level)
    return level[order], count[order], float(mse), float(spikes)


def _ones_of_words(steps: int) -> NDArray[np.int64]:
    """Number of ones in the words of K letters, ascending; the first ``_MAX_LEVELS`` of them."""
    words = [min(comb(steps, ones), _MAX_LEVELS) for ones in range(steps + 1)]
    return np.repeat(np.arange(steps + 1), words)[:_MAX_LEVELS]
