"""Float-like codes with a linear decoder: a few spikes at weights that fall geometrically.

The position of the first spike plays the exponent, the spikes after it the mantissa. A neuron
that stops after m spikes has the same *relative* precision over the whole range of its weights.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from .checks import check_scale, check_steps, is_whole
from .spike_code import SpikeCode

__all__ = ["geometric", "leading_one"]


def leading_one(steps: int, scale: float, *, spikes: int | None) -> SpikeCode:
    r"""The binary code that stops after ``spikes`` ones: ReLU with m significant ones.

    :func:`geometric` with :math:`\rho = 2`; with ``spikes`` of ``steps`` or more it *is* the
    binary code with rounding.

    Parameters
    ----------
    steps : int
        K, from 1 to 64.
    scale : float
        The range :math:`\alpha`, as in :func:`binary`; the largest value is the sum of the first m
        weights, :math:`\alpha (1 - 2^{-m})`.
    spikes : int or None
        m, as in :func:`geometric`.
    """
    code = geometric(steps, scale, ratio=2.0, spikes=spikes)
    return replace(code, name=f"leading one, {_spikes(spikes)}")


def geometric(steps: int, scale: float, *, ratio: float = 1.6, spikes: int | None) -> SpikeCode:
    r"""ReLU as at most ``spikes`` weights, each :math:`\rho` times smaller than the one before.

    .. math:: d(t) = h(t) = \alpha\, \rho^{-t}, \qquad c = 1 - \tfrac12 (1 - 1/\rho)^m, \\
              T(t) = \min\bigl(c\, d(t),\; d(t) - \tfrac12 d(K)\bigr)

    The largest value is the sum of the m largest weights; larger inputs give that value.

    Parameters
    ----------
    steps : int
        K, from 1 to 64.
    scale : float
        :math:`\alpha`, which is :math:`\rho` times the largest weight.
    ratio : float
        :math:`\rho`, above 1, at most 2.
    spikes : int or None
        m: the neuron falls silent after that many (``None``: never).

    Raises
    ------
    ValueError
        For steps outside 1..64, a scale that is not positive and finite, a ratio outside its
        interval, and ``spikes`` below 1.

    Notes
    -----
    A threshold below the weight rounds the last spike, but lets earlier spikes overshoot, which
    no later spike can repair. For m = 1 the factor c gives the midpoint between neighbouring
    weights. Each further spike finds a remainder of at most :math:`(\rho - 1)\, d` where
    :math:`\rho\, d` had been, so that what a last spike could gain by rounding shrinks by
    :math:`1 - 1/\rho` per spike. The second term of T rounds at the end of the word, as in
    :func:`binary`.

    References
    ----------
    The leading-one form is the logarithmic code of Miyashita et al. (2016, m = 1) continued to
    m terms; the threshold factor is derived here.
    """
    steps, scale = check_steps(steps), check_scale(scale)
    if not 1 < ratio <= 2:
        raise ValueError(f"ratio must be above 1 and at most 2 (no gaps), got {ratio}")
    if spikes is not None and not is_whole(spikes):
        raise ValueError(f"spikes must be a whole number of at least 1 or None, got {spikes}")
    factor = 1.0 if spikes is None else 1 - (1 - 1 / ratio) ** spikes / 2
    falling = float(ratio) ** -np.arange(1, steps + 1)
    weight = (float(np.float32(scale)) * falling).astype(np.float32)
    threshold = np.minimum(np.float32(factor) * weight, weight - weight[-1] / 2)
    name = f"geometric {ratio:g}, {_spikes(spikes)}"
    return SpikeCode(threshold, weight, weight, max_spikes=spikes, name=name)


def _spikes(limit: int | None) -> str:
    return "any spikes" if limit is None else f"{limit} spike{'s'[: limit != 1]}"
