r"""What lies between two populations of neurons, as one sparse matrix: y = x A.

Convolutions, pooling, padding, dense layers and additions are linear; in a row of them the matrices
multiply. Neurons are counted as in a flattened NHWC array. Biases are not in the matrices, see
:func:`~fsrepro.conversion.bias_maps`. Indices are computed, not found by trying.
"""

from __future__ import annotations

import math

import keras
import numpy as np
from keras import layers
from scipy import sparse

from ..conversion.spiking_model import SpikingModel
from ..networks.graph import calls
from ..networks.kinds import (
    AVERAGES,
    DEPTHWISE,
    GLOBAL_AVERAGES,
    MERGING_LAYERS,
    ROUTING,
    TRANSPOSED,
    WEIGHTED_LAYERS,
    UnsupportedLayerError,
)
from ..networks.population import Population
from ..wiring import routes, windows

__all__ = ["arrivals", "matrices"]

IMAGE = "image"
"""Stands for what is computed from the image alone, as analog values."""

OUTPUT = "output"


def arrivals(snn: SpikingModel) -> dict[str, dict[str, sparse.csr_array | None]]:
    """What reaches every population: by its name, and from which population, a matrix.

    Names of spiking layers come in the order of computation, then ``"output"``; a matrix is
    (neurons of the source, neurons of the target). Where neurons read the image and no spikes, it
    is ``{"image": None}``. ``UnsupportedLayerError`` for layers that are not linear (products,
    pooling by maximum), and where one population reads both the image and spikes.
    """
    reach = {id(x): {IMAGE: None} for x in snn.keras_model.inputs}
    found = {}
    for call in calls(snn.keras_model):
        layer, incoming = call.operation, [reach[id(x)] for x in call.input_tensors]
        if isinstance(layer, Population):
            found[layer.name] = _one_kind(layer.name, incoming[0])
            size = int(np.prod(call.outputs[0].shape[1:]))
            outgoing = {layer.name: sparse.eye_array(size, format="csr", dtype=np.float32)}
        else:
            shapes = [x.shape[1:] for x in call.input_tensors]
            outgoing = {}
            for maps, step in zip(incoming, matrices(layer, shapes), strict=True):
                for source, before in maps.items():
                    through = None if before is None else before @ step
                    if source in outgoing and through is not None:
                        through = outgoing[source] + through
                    outgoing[source] = through
        reach[id(call.outputs[0])] = outgoing
    found[OUTPUT] = _one_kind(OUTPUT, reach[id(snn.keras_model.outputs[0])])
    return found


def _one_kind(name, maps):
    if IMAGE in maps and len(maps) > 1:
        senders = ", ".join(sorted(set(maps) - {IMAGE}))
        raise UnsupportedLayerError(
            f"layer {name!r} reads the image and spikes of {senders}; "
            'in GeNN neurons read one or the other; evaluate with simulator="keras"'
        )
    return maps


def matrices(layer: keras.layers.Layer, shapes: list[tuple]) -> list[sparse.csr_array]:
    """A linear layer as y = x A for each of its inputs, (H, W, C) or the like, without the bias.

    ``UnsupportedLayerError`` for a layer that has no such matrix.
    """
    if isinstance(layer, WEIGHTED_LAYERS):
        return [_windowed(layer, shapes[0], *_grouped(layer))]
    if isinstance(layer, (*AVERAGES, *GLOBAL_AVERAGES)):
        places = getattr(layer, "pool_size", shapes[0][:-1])
        channels = shapes[0][-1]
        found = _windowed(layer, shapes[0], np.ones((*places, 1, channels), np.float32), channels)
        found.data /= found.sum(0)[found.indices]  # padding is left out of the mean
        return [found]
    if isinstance(layer, (*ROUTING, layers.Add)):
        sizes = [math.prod(shape) for shape in shapes]
        return [_routed(*pair) for pair in zip(routes(layer, shapes), sizes, strict=True)]
    kind = type(layer).__name__
    what = "products" if isinstance(layer, MERGING_LAYERS) else "it"
    raise UnsupportedLayerError(
        f"layer {layer.name!r} ({kind}) has no event-driven form: spikes cannot carry {what} "
        'through it one by one; evaluate with simulator="keras"'
    )


def _grouped(layer):
    """The kernel of a weighted layer, (places, ..., C / groups, F), and the number of groups."""
    kernel = np.asarray(layer.kernel)
    if isinstance(layer, DEPTHWISE):  # (places, ..., C, M)
        return kernel.reshape(*kernel.shape[:-2], 1, -1), kernel.shape[-2]
    if isinstance(layer, TRANSPOSED):  # (places, ..., F, C)
        return kernel.swapaxes(-2, -1), 1
    return kernel, getattr(layer, "groups", 1)


def _windowed(layer, shape, kernel, groups):
    """What slides ``kernel`` over an input of this shape."""
    per_group, filters = kernel.shape[-2:]
    axes = windows(layer, shape)
    places = kernel.shape[:-2] or (1,) * len(axes)  # a dense layer has one
    f = np.arange(filters)
    first = f // (filters // groups) * per_group  # of the channels that a filter reads
    c = first + np.arange(per_group)[:, None]  # (C / groups, F)
    pixels = _flat([axis.inputs for axis in axes], shape[:-1])
    out_pixels = _flat([axis.outputs for axis in axes], [axis.size_out for axis in axes])
    place = _flat([axis.places for axis in axes], places)
    rows = pixels[:, None, None] * shape[-1] + c
    columns = np.broadcast_to(out_pixels[:, None, None] * filters + f, rows.shape)
    weights = kernel.reshape(-1, per_group, filters)[place].astype(np.float32)
    size = math.prod(shape), math.prod(axis.size_out for axis in axes) * filters
    return sparse.csr_array((weights.ravel(), (rows.ravel(), columns.ravel())), shape=size)


def _flat(indices, sizes):
    """All combinations of indices along each axis, as indices into the flattened array."""
    flat = np.zeros(1, int)
    for index, size in zip(indices, sizes, strict=True):
        flat = np.add.outer(flat * size, index).ravel()
    return flat


def _routed(route, size):
    target = np.flatnonzero(route >= 0)
    ones = np.ones(len(target), np.float32)
    return sparse.csr_array((ones, (route.ravel()[target], target)), shape=(size, route.size))
