r"""Channels in other units: the same network, its activations rescaled one channel at a time.

ReLU is positively homogeneous, so for any :math:`f_c > 0`

.. math:: \sum_c W_c \max(x_c, 0) = \sum_c \frac{W_c}{f_c} \max(f_c\, x_c, 0) .

Weights of the layer before take up f, those of the layers behind its inverse. The ANN computes
what it did; a code with one scale per layer meets other activations.

Source: Nagel et al. (2019), section 4.1.
"""

from __future__ import annotations

from collections.abc import Mapping

import keras
import numpy as np
from keras import layers

from .. import activations
from ..networks.graph import calls, rewrite, uses
from ..networks.kinds import AVERAGES, GLOBAL_AVERAGES, POOLING_BY_MAXIMUM, ROUTING, WEIGHTED_LAYERS
from ..networks.population import activation_layers
from ._kernels import scale_inputs, scale_outputs

__all__ = ["rescalable_layers", "rescale_channels"]

_KEEPS_CHANNELS = (
    *AVERAGES,
    *GLOBAL_AVERAGES,
    *POOLING_BY_MAXIMUM,
    *(kind for kind in ROUTING if kind.__name__.startswith(("Cropping", "UpSampling", "ZeroPad"))),
)


def rescalable_layers(graph: keras.Model) -> list[str]:
    """The activation layers of a network in normal form whose channels can be rescaled.

    Those between one weighted layer, whose output nothing else uses, and weighted layers, with
    nothing but pooling, padding and flattening on the way.
    """
    return [name for name in activation_layers(graph) if _obstacle(graph, name) is None]


def rescale_channels(graph: keras.Model, factors: Mapping[str, np.ndarray]) -> keras.Model:
    """``graph`` with the channels of some activation layers multiplied by ``factors``.

    The logits are the same up to rounding (exactly the same for powers of two).

    Parameters
    ----------
    graph : keras.Model
        In normal form, left unchanged.
    factors : mapping of (C,) float
        By name of the activation layer, one positive number per channel.

    Raises
    ------
    ValueError
        For a layer that is unknown or cannot be rescaled, with the reason, and for factors that
        are not one positive finite number per channel.
    """
    names = activation_layers(graph)
    for name, factor in factors.items():
        if name not in names:
            raise ValueError(f"no activation layer {name!r}; there are {', '.join(names)}")
        channels = graph.get_layer(name).output.shape[-1]
        factor = np.asarray(factor, np.float64)
        if factor.shape != (channels,) or not (np.isfinite(factor) & (factor > 0)).all():
            raise ValueError(
                f"layer {name!r} needs {channels} positive finite factors, one per channel, got "
                f"{factor}"
            )
        if reason := _obstacle(graph, name):
            raise ValueError(f"the channels of layer {name!r} cannot be rescaled: {reason}")
    scaled = rewrite(graph, lambda call, *args, **kwargs: None)
    for name, factor in factors.items():
        factor = np.asarray(factor, np.float32)
        read, behind = _neighbours(graph, name)
        scale_outputs(scaled.get_layer(read[-1]._keras_history.operation.name), factor)
        for layer in behind:
            scale_inputs(scaled.get_layer(layer.name), 1 / factor)
    return scaled


def _neighbours(graph, name):
    """What an activation layer reads, back to the first that is no maximum, and the first layers
    behind it."""
    call = next(c for c in calls(graph) if c.operation.name == name)
    before = [call.input_tensors[0]]
    while isinstance(before[-1]._keras_history.operation, POOLING_BY_MAXIMUM):
        before.append(before[-1]._keras_history.operation.input)  # a factor passes unchanged
    behind, open_ = [], [call.outputs[0]]
    while open_:
        tensor = open_.pop()
        for user in calls(graph):
            if any(x is tensor for x in user.input_tensors):
                if isinstance(user.operation, (*_KEEPS_CHANNELS, layers.Flatten)):
                    open_.append(user.outputs[0])
                else:
                    behind.append(user.operation)
    return before, behind


def _obstacle(graph, name) -> str | None:
    function = graph.get_layer(name).function
    if not activations.get(function).homogeneous:
        return f"{function}(a x) is not a {function}(x)"
    read, behind = _neighbours(graph, name)
    before, used = read[-1]._keras_history.operation, uses(graph)
    if not isinstance(before, WEIGHTED_LAYERS):
        return f"its input comes from layer {before.name!r} ({type(before).__name__})"
    if any(used[id(x)] > 1 for x in read):
        return f"layer {before.name!r} before it is used elsewhere too"
    if not behind:
        return "it feeds the output"
    for layer in behind:
        if not isinstance(layer, WEIGHTED_LAYERS):
            return f"layer {layer.name!r} ({type(layer).__name__}) reads it"
    return None
