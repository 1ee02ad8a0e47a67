"""The binary code: each time step is worth half of the one before it."""

from __future__ import annotations

import numpy as np

from .checks import check_scale, check_steps
from .spike_code import SpikeCode

__all__ = ["binary"]


def binary(steps: int, scale: float, *, rounding: bool = False) -> SpikeCode:
    r"""ReLU in ``steps`` binary digits, the most significant first.

    .. math:: d(t) = h(t) = \alpha\, 2^{-t}, \qquad T(t) = d(t) - \tfrac12 r\, \alpha\, 2^{-K}

    Parameters
    ----------
    steps : int
        K, from 1 to 64.
    scale : float
        The range :math:`\alpha`: values from 0 to :math:`\alpha (1 - 2^{-K})` can be written,
        larger ones saturate there.
    rounding : bool
        r = 1: every threshold is lowered by half of the least significant step, so that x is
        rounded to the nearest value instead of down, which costs a quarter of the mean squared
        error.

    Raises
    ------
    ValueError
        For steps outside 1..64 or a scale that is not positive and finite.

    References
    ----------
    Stöckl & Maass (2021), Methods, "FS-neurons for the ReLU" (r = 0).
    """
    steps, scale = check_steps(steps), check_scale(scale)
    digit = np.float32(scale) * np.exp2(-np.arange(1, steps + 1, dtype=np.float32))
    half = digit[-1] / 2 if rounding else np.float32(0)
    name = "binary round" if rounding else "binary floor"
    return SpikeCode(threshold=digit - half, reset=digit, weight=digit, name=name)
