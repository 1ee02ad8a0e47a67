"""The honest rival: the same ANN with its weights and activations in a few bits."""

from __future__ import annotations

import keras
import numpy as np

from .convert import convert
from .normal_form import WEIGHTED_LAYERS, normal_form

__all__ = ["quantised_ann", "round_weights"]


def quantised_ann(
    model: keras.Model,
    calibration: np.ndarray,
    *,
    bits: int,
    weight_bits: int = 8,
    seed: int = 0,
    progress: bool = True,
) -> keras.Model:
    r"""``model`` with activations of ``bits`` bits and weights of ``weight_bits`` bits.

    Activations are rounded to the 2^b values :math:`0, \Delta, \dots`, with the range of least
    mean squared error for each layer; that is what the binary code with rounding and K = ``bits``
    writes. Weights: see :func:`round_weights`. Biases and sums stay as they are. A plain Keras
    model; it multiplies as often as the ANN.

    Raises what :func:`convert` raises, and ``ValueError`` for ``weight_bits`` outside 2..16.

    Source: post-training quantisation as in Jacob et al. (2018), with calibrated ranges.
    """
    graph = round_weights(model, weight_bits)
    return convert(
        graph, calibration, code="binary", steps=bits, seed=seed, progress=progress
    ).keras_model


def round_weights(model: keras.Model, bits: int) -> keras.Model:
    r"""``model`` in normal form, its kernels rounded to ``bits`` bits, symmetric, per channel.

    .. math:: W_c \leftarrow \Delta_c \left\lfloor W_c / \Delta_c \right\rceil, \qquad
              \Delta_c = \max |W_c| / (2^{b-1} - 1)

    for every output channel c. Raises ``ValueError`` for ``bits`` outside 2..16.
    """
    if bits != int(bits) or not 2 <= bits <= 16:
        raise ValueError(f"weights need from 2 to 16 bits, got {bits}")
    graph = normal_form(model)
    for layer in graph.layers:
        if isinstance(layer, WEIGHTED_LAYERS):
            kernel, *bias = layer.get_weights()
            channels = 2 if isinstance(layer, keras.layers.DepthwiseConv2D) else 1
            axes = tuple(range(kernel.ndim - channels))
            step = np.abs(kernel).max(axes, keepdims=True) / (2 ** (int(bits) - 1) - 1)
            step = np.where(step > 0, step, 1.0)
            layer.set_weights([(np.round(kernel / step) * step).astype(np.float32), *bias])
    return graph
