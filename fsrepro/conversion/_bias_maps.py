r"""What neurons receive while all is silent: a bias of their own for each, from offsets folded in.

A neuron that is silent stands for its offset y_0. With :math:`y = y_0 + \sum_t d(t)\, z(t)`, what
the next layer receives splits into spikes and a constant:

.. math:: x = W y + b = \underbrace{W (y - y_0)}_{\text{by spikes}} +
              \underbrace{W y_0 + b}_{\text{bias map}}

At the borders of a feature map, where a convolution pads with zeros and not with y_0, the constant
differs from neuron to neuron: it is a map. A simulator that transmits spikes alone adds it once.
"""

from __future__ import annotations

import keras
import numpy as np
from keras import ops

from ..codes import ExponentMantissa, SpikeCode
from ..networks.graph import calls, predict_list, retrace
from ..networks.kinds import POOLING_BY_MAXIMUM, PRODUCTS
from ..networks.population import Population
from ._normal_form import UnsupportedLayerError
from .spiking_model import SpikingModel

__all__ = ["bias_maps", "silent_inputs"]


def bias_maps(snn: SpikingModel) -> dict[str, np.ndarray]:
    """The bias of every neuron, offsets of the layers before it included.

    The image counts as an analog input: its share is not in the map of the first layer.

    Returns
    -------
    dict of float32 arrays
        By name of the spiking layer, in the shape of its neurons, (H, W, C) or (C,); and
        ``"output"``, (classes,), for the membranes that are read in the end.

    Raises
    ------
    UnsupportedLayerError
        Where a layer is not a weighted sum (products of gates, pooling by maximum).
    ValueError
        For codes whose values are not sums over spikes.
    """
    for call in calls(snn.keras_model):
        layer = call.operation
        if isinstance(layer, (*PRODUCTS, *POOLING_BY_MAXIMUM)):
            raise UnsupportedLayerError(
                f"layer {layer.name!r} ({type(layer).__name__}) is not a weighted sum, so what "
                "lies behind it has no bias map"
            )
    return {name: x for name, (x,) in silent_inputs(snn).items()}


def silent_inputs(snn: SpikingModel) -> dict[str, list[np.ndarray]]:
    """The same for each dendrite, by name of the layer that reads: of neurons the only one.

    Beside neurons and ``"output"``, products and pooling by maximum are there, with each of their
    inputs. What is behind those is what they make of it. ``ValueError`` as above.
    """
    for name, code in snn.codes.items():
        if not isinstance(code, (SpikeCode, ExponentMantissa)):
            raise ValueError(
                f"layer {name!r} has the code {code.name!r}, whose spikes cannot be added up"
            )
    received: dict[str, list] = {}

    def silence(call, *args, **kwargs):
        layer = call.operation
        if isinstance(layer, (Population, *PRODUCTS, *POOLING_BY_MAXIMUM)):
            received[layer.name] = keras.tree.flatten(args[0])
        if not isinstance(layer, Population):
            return None
        offset = np.float32(getattr(layer.code, "offset", 0.0))
        silent = keras.layers.Lambda(lambda x: ops.zeros_like(x) + offset, name=layer.name)
        return silent(*args)

    inputs, received["output"] = retrace(snn.keras_model, silence)
    model = keras.Model(inputs, [x for dendrites in received.values() for x in dendrites])
    # Two images: in a batch of one, Keras 3.15 may take what is added for a bias of channels.
    nothing = np.zeros((2, *snn.keras_model.input_shape[1:]), np.float32)
    found = iter(predict_list(model, nothing))
    return {name: [next(found)[0] for _ in dendrites] for name, dendrites in received.items()}
