"""How good a code is for an activation function and a distribution of its input."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..codes import Code, SpikeCode
from .distributions import Distribution, apply

__all__ = ["Measure", "decibels", "measure", "snr"]


@dataclass(frozen=True)
class Measure:
    r"""What a code makes of f(x).

    Parameters
    ----------
    mse : float
        E[(f(x) - y(x))^2], in squared units of f.
    snr : float
        10 log10(E[f(x)^2] / mse), in dB.
    spikes : float
        Mean spikes per neuron, E[count(x)].
    max_error : float
        The largest \|f(x) - y(x)\| over all points, however improbable.
    """

    mse: float
    snr: float
    spikes: float
    max_error: float


def measure(code: Code, f: Callable[[NDArray], NDArray], distribution: Distribution) -> Measure:
    """Error and spikes of ``code`` as a stand-in for ``f``, for x drawn from ``distribution``.

    Every sum over the points is carried out: the figures are exact for the distribution as
    stored, which for a continuous law is a midpoint rule. ``code`` may be anything with
    ``quantise`` and ``count``. ``f`` maps an array to an array of its shape; ``ValueError`` unless
    it returns one finite number per point.
    """
    x, w = distribution.points, distribution.weights
    target = apply(f, x)
    if isinstance(code, SpikeCode):  # to run it once is cheaper than to compile its staircase
        z = code.encode(x)
        y, count = code.decode(z), z.sum(0)
    else:
        y, count = code.quantise(x), code.count(x)
    error = target - y.astype(np.float64)
    mse = float(w @ error**2)
    return Measure(
        mse=mse,
        snr=decibels(float(w @ target**2), mse),
        spikes=float(w @ count.astype(np.float64)),
        max_error=float(np.abs(error).max()),
    )


def snr(code: Code, f: Callable[[NDArray], NDArray], distribution: Distribution) -> float:
    """Signal-to-noise ratio of ``code``, 10 log10(E[f(x)^2] / MSE), in dB."""
    return measure(code, f, distribution).snr


def decibels(signal: float, noise: float) -> float:
    """10 log10(signal / noise); infinite for no noise, NaN for neither signal nor noise."""
    if noise > 0:
        return float(10 * np.log10(signal / noise)) if signal > 0 else -np.inf
    return np.inf if signal > 0 else np.nan
