r"""Weights of few bits: rounded for each output channel, and packed without loss.

.. math:: W_c \leftarrow \Delta_c \left\lfloor W_c / \Delta_c \right\rceil, \qquad
          \Delta_c = \max |W_c| / (2^{b-1} - 1)

for every output channel c, symmetric (Jacob et al. 2018). The step has so few digits (it is rounded
up) that its multiples are exact in float32, and can be told from the weights again.
"""

from __future__ import annotations

import keras
import numpy as np
from numpy.typing import NDArray

from .kinds import DEPTHWISE, WEIGHTED_LAYERS

__all__ = ["pack", "round_weights", "unpack"]

_DIGITS = 24  # bits of a float32


def round_weights(model: keras.Model, bits: int) -> None:
    """Round the kernels of ``model`` in place; biases stay. ``ValueError`` outside 2..16 bits."""
    if bits != int(bits) or not 2 <= bits <= 16:
        raise ValueError(f"weights need from 2 to 16 bits, got {bits}")
    for layer in model.layers:
        if isinstance(layer, WEIGHTED_LAYERS):
            kernel, *others = layer.get_weights()
            step = _step(kernel, int(bits), 2 if isinstance(layer, DEPTHWISE) else 1)
            layer.set_weights([(np.rint(kernel / step) * step).astype(np.float32), *others])


def pack(weights: NDArray[np.float32]) -> tuple[NDArray[np.int8], NDArray[np.float32]] | None:
    """Whole numbers and the step of each channel, if these are ``weights``; else None."""
    for channel_axes in (1, 2):  # the second for depthwise kernels
        if weights.ndim > channel_axes:
            step = _step(weights, 8, channel_axes)
            whole = np.rint(weights / step).astype(np.int8)
            if np.array_equal(unpack(whole, step), weights):
                return whole, step
    return None


def unpack(whole: NDArray[np.int8], step: NDArray[np.float32]) -> NDArray[np.float32]:
    return whole.astype(np.float32) * step


def _step(kernel: NDArray[np.float32], bits: int, channel_axes: int) -> NDArray[np.float32]:
    """Of each output channel, an axis of length 1 in the place of the others."""
    others = tuple(range(kernel.ndim - channel_axes))
    largest = np.abs(kernel).max(others, keepdims=True).astype(np.float64)
    mantissa, exponent = np.frexp(largest / (2 ** (bits - 1) - 1))
    digits = _DIGITS - (bits - 1)
    step = np.ldexp(np.ceil(np.ldexp(mantissa, digits)), exponent - digits)
    return np.where(step > 0, step, 1.0).astype(np.float32)
