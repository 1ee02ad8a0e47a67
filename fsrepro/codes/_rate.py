"""The rate code: a number is how often a neuron fires, the baseline of all conversions."""

from __future__ import annotations

import numpy as np

from .checks import check_scale, check_steps
from .spike_code import SpikeCode

__all__ = ["rate"]


def rate(steps: int, scale: float, *, rounding: bool = False) -> SpikeCode:
    r"""Integrate-and-fire with reset by subtraction: ReLU as a number of equal spikes.

    .. math:: T(t) = h(t) = d(t) = \theta = \alpha / K, \qquad
              y = \theta \min\bigl( \max( \lfloor x / \theta + \tfrac12 r \rfloor, 0 ), K \bigr)

    Parameters
    ----------
    steps : int
        K, from 1 to 64.
    scale : float
        :math:`\alpha`: the value of a neuron that fires at every step.
    rounding : bool
        r = 1: T is lowered by half a step, which is a membrane that starts at :math:`\theta/2`.

    Raises
    ------
    ValueError
        For steps outside 1..64 or a scale that is not positive and finite.

    Notes
    -----
    Convention: the usual neuron starts empty and gets the constant current x / K at each of K
    steps. Here the whole charge x is there at the start. The *number* of spikes is the same,
    floor(x / theta) up to K, and so is the value; the usual neuron spreads them over the K
    steps, this one fires them first thing, as an FS neuron does.

    References
    ----------
    Reset by subtraction, Rueckauer et al. (2017); thresholds balanced to the largest activation,
    Diehl et al. (2015).
    """
    steps, scale = check_steps(steps), check_scale(scale)
    step = np.full(steps, np.float32(scale) / np.float32(steps), np.float32)
    threshold = step / np.float32(2) if rounding else step
    name = "rate round" if rounding else "rate"
    return SpikeCode(threshold=threshold, reset=step, weight=step, name=name)
