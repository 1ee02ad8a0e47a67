"""Kernels of Keras's layers as PyTorch and NIR have them: channels before space."""

from __future__ import annotations

import keras
import numpy as np
from numpy.typing import NDArray

from ..networks.kinds import DEPTHWISE, UnsupportedLayerError

__all__ = ["check", "kernel", "refusal"]


def refusal(layer: keras.layers.Layer, where: str, why: str) -> UnsupportedLayerError:
    """The error for a layer that ``where``, the other side, has nothing like."""
    kind = type(layer).__name__
    return UnsupportedLayerError(f"layer {layer.name!r} ({kind}) cannot go to {where}: {why}")


def check(call, where: str) -> None:
    """Refuse a call of a layer whose sizes are open, or of a form that conversion leaves nowhere.

    ``call`` is one of :func:`~fsrepro.networks.graph.calls`.
    """
    layer = call.operation
    if any(None in x.shape[1:] for x in (*call.input_tensors, *call.outputs)):
        raise refusal(layer, where, "the sizes of its input and output must be known")
    if getattr(layer, "data_format", "channels_last") != "channels_last":
        raise refusal(layer, where, "its data_format must be channels_last")
    if getattr(layer, "activation", None) not in (None, keras.activations.linear):
        raise refusal(layer, where, "its activation must be a layer of its own")


def kernel(layer: keras.layers.Layer) -> tuple[NDArray[np.float32], int]:
    """The kernel of a convolution, (F, C / groups, places, ...), and the number of groups.

    Of a transposed one (C, F, places, ...), where PyTorch has the channels in this order too.
    """
    weights = np.asarray(layer.kernel)
    if isinstance(layer, DEPTHWISE):  # (places, ..., C, M)
        channels = weights.shape[-2]
        weights = np.moveaxis(weights, (-2, -1), (0, 1))
        return weights.reshape(-1, 1, *weights.shape[2:]), channels
    return np.moveaxis(weights, (-1, -2), (0, 1)), getattr(layer, "groups", 1)
