"""Weighted layers with other units before or behind them: kernels and biases rescaled.

Where the channels are in a kernel: (..., C / groups, outputs) of a convolution and of Dense,
(..., C, multiplier) of a depthwise one, (..., outputs, C) of a transposed one.
"""

from __future__ import annotations

import numpy as np

from ..networks.kinds import DEPTHWISE, TRANSPOSED

__all__ = ["scale_inputs", "scale_outputs"]


def scale_outputs(layer, scale: np.ndarray, offset: float | np.ndarray = 0.0) -> None:
    """Change the weights of a layer so that its outputs y become scale y + offset, per channel."""
    kernel, bias = (np.asarray(weight, np.float64) for weight in layer.get_weights())
    if isinstance(layer, DEPTHWISE):  # its outputs are (C, multiplier), flattened
        factors = np.reshape(scale, kernel.shape[-2:])
    else:
        factors = np.reshape(scale, (-1, 1)) if isinstance(layer, TRANSPOSED) else scale
    layer.set_weights([kernel * factors, bias * scale + offset])


def scale_inputs(layer, scale: np.ndarray, offset: float | np.ndarray = 0.0) -> None:
    """Change the weights of a layer so that it gives for x what it gave for scale x + offset.

    Per channel, (C,). An offset is right only where no zeros are padded.
    """
    kernel, *bias = (np.asarray(weight, np.float64) for weight in layer.get_weights())
    constant = _by_channel(layer, kernel, np.broadcast_to(offset, np.shape(scale)))
    kernel = _by_channel(layer, kernel, scale)
    if bias and np.any(offset):
        if isinstance(layer, DEPTHWISE):
            bias = [bias[0] + constant.sum(tuple(range(constant.ndim - 2))).ravel()]
        else:  # of transposed convolutions positions get unequal sums: never with an offset
            bias = [bias[0] + constant.sum(tuple(range(constant.ndim - 1)))]
    layer.set_weights([kernel, *bias])


def _by_channel(layer, kernel: np.ndarray, factor: np.ndarray) -> np.ndarray:
    """Each weight times the factor of the channel that it reads."""
    if isinstance(layer, TRANSPOSED):
        return kernel * factor
    if isinstance(layer, DEPTHWISE):
        return kernel * factor[:, None]
    groups = getattr(layer, "groups", 1)
    if groups > 1:  # (..., C / groups, outputs), group after group
        by_group = kernel.reshape(*kernel.shape[:-1], groups, -1)
        factors = factor.reshape(groups, -1).T[..., None]
        return (by_group * factors).reshape(kernel.shape)
    if kernel.ndim == 2:  # Dense; of a flattened map channels come fastest
        factor = np.tile(factor, len(kernel) // len(factor))
    return kernel * factor[:, None]
