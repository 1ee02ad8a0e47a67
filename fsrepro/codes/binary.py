"""The binary code: each time step is worth half of the one before it."""

from __future__ import annotations

import numpy as np

from .spike_code import MAX_STEPS, SpikeCode

__all__ = ["binary"]


def binary(steps: int, scale: float, *, rounding: bool = False) -> SpikeCode:
    r"""ReLU in ``steps`` binary digits, the most significant first.

    .. math:: d(t) = h(t) = \alpha\, 2^{-t}, \qquad T(t) = d(t) - \tfrac12 r\, \alpha\, 2^{-K}

    ``scale`` :math:`\alpha`: the range; values from 0 to :math:`\alpha (1 - 2^{-K})` can be
    written, larger ones saturate there. ``rounding`` (r = 1): every threshold is lowered by half
    of the least significant step, so that x is rounded to the nearest value instead of down,
    which costs a quarter of the mean squared error.

    Raises ``ValueError`` for steps outside 1..64 or a scale that is not positive and finite.

    Source: Stöckl & Maass (2021), Methods, "FS-neurons for the ReLU" (r = 0).
    """
    steps, scale = check_steps(steps), check_scale(scale)
    digit = np.float32(scale) * np.exp2(-np.arange(1, steps + 1, dtype=np.float32))
    half = digit[-1] / 2 if rounding else np.float32(0)
    name = "binary round" if rounding else "binary floor"
    return SpikeCode(threshold=digit - half, reset=digit, weight=digit, name=name)


def check_steps(steps: int) -> int:
    """``steps`` as an int, or ``ValueError`` unless it is a whole number from 1 to 64."""
    if steps != int(steps) or not 1 <= steps <= MAX_STEPS:
        raise ValueError(f"steps must be a whole number from 1 to {MAX_STEPS}, got {steps}")
    return int(steps)


def check_scale(scale: float) -> float:
    """``scale`` itself, or ``ValueError`` unless it is positive and finite."""
    if not (np.isfinite(scale) and scale > 0):
        raise ValueError(f"scale must be positive and finite, got {scale}")
    return float(scale)
