r"""What lies between two populations of neurons, as one sparse matrix: y = x A.

Convolutions, pooling, padding, dense layers and additions are linear; in a row of them the matrices
multiply. Neurons are counted as in a flattened NHWC array. Biases are not in the matrices, see
:func:`~fsrepro.conversion.bias_maps`. Indices are computed, not found by trying.
"""

from __future__ import annotations

from itertools import product

import keras
import numpy as np
from keras import layers
from scipy import sparse

from ..conversion._normal_form import UnsupportedLayerError
from ..conversion.graph import calls
from ..conversion.kinds import MERGING_LAYERS
from ..conversion.population import Population
from ..conversion.spiking_model import SpikingModel

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
    """A linear layer as y = x A for each of its inputs, (H, W, C) or (C,) each, without the bias.

    ``UnsupportedLayerError`` for a layer that has no such matrix.
    """
    shape = shapes[0]
    if isinstance(layer, layers.Conv2D):
        return [_convolution(layer, shape, np.asarray(layer.kernel), layer.groups)]
    if isinstance(layer, layers.DepthwiseConv2D):
        return [_convolution(layer, shape, *_by_channel(np.asarray(layer.kernel)))]
    if isinstance(layer, layers.Dense):  # works on the last axis
        pixels = sparse.eye_array(int(np.prod(shape[:-1])))
        return [sparse.csr_array(sparse.kron(pixels, np.asarray(layer.kernel), format="csr"))]
    if isinstance(layer, layers.AveragePooling2D):
        window = np.ones((*layer.pool_size, shape[-1], 1), np.float32)
        found = _convolution(layer, shape, *_by_channel(window))
        inside = found.sum(0)  # padding is left out
        found.data /= inside[found.indices]
        return [found]
    if isinstance(layer, layers.GlobalAveragePooling2D):
        h, w, c = shape
        return [sparse.csr_array(np.tile(np.eye(c, dtype=np.float32) / (h * w), (h * w, 1)))]
    if isinstance(layer, layers.ZeroPadding2D):
        (top, bottom), (left, right) = layer.padding
        h, w, c = shape
        to = np.arange((h + top + bottom) * (w + left + right) * c)
        to = to.reshape(h + top + bottom, w + left + right, c)
        return [_moved(to[top : top + h, left : left + w], to.size)]
    if isinstance(layer, (layers.Flatten, layers.Reshape, layers.Add)):
        same = sparse.eye_array(int(np.prod(shape)), format="csr", dtype=np.float32)
        return [same] * len(shapes)
    if isinstance(layer, layers.Concatenate):
        return _side_by_side(layer, shapes)
    kind = type(layer).__name__
    what = "products" if isinstance(layer, MERGING_LAYERS) else "it"
    raise UnsupportedLayerError(
        f"layer {layer.name!r} ({kind}) has no event-driven form: spikes cannot carry {what} "
        'through it one by one; evaluate with simulator="keras"'
    )


def _by_channel(kernel):
    """A depthwise kernel, (h, w, C, M), as one of groups, and their number."""
    return kernel.reshape(*kernel.shape[:2], 1, -1), kernel.shape[2]


def _along(size, kernel, stride, dilation, padding):
    """One axis: the output's size, and for each place of the kernel (input, output) indices."""
    span = (kernel - 1) * dilation + 1
    if padding == "same":
        out = -(-size // stride)
        before = max((out - 1) * stride + span - size, 0) // 2
    else:
        out, before = (size - span) // stride + 1, 0
    pairs = []
    for place in range(kernel):
        i = np.arange(out) * stride + place * dilation - before
        inside = (i >= 0) & (i < size)
        pairs.append((i[inside], np.flatnonzero(inside)))
    return out, pairs


def _convolution(layer, shape, kernel, groups):
    """What slides ``kernel``, (h, w, C / groups, F), over its input, (H, W, C)."""
    width, channels = shape[1:]
    per_group, filters = kernel.shape[2:]
    dilation = getattr(layer, "dilation_rate", (1, 1))
    (out_height, down), (out_width, along) = (
        _along(shape[i], kernel.shape[i], layer.strides[i], dilation[i], layer.padding)
        for i in (0, 1)
    )
    f = np.arange(filters)
    first = f // (filters // groups) * per_group  # of the channels that a filter reads
    c = first[None, :] + np.arange(per_group)[:, None]  # (C / groups, F)
    rows, columns, weights = [], [], []
    for (a, (i, out_i)), (b, (j, out_j)) in product(enumerate(down), enumerate(along)):
        pixels = (i[:, None] * width + j).reshape(-1, 1, 1)
        out_pixels = (out_i[:, None] * out_width + out_j).reshape(-1, 1, 1)
        rows.append((pixels * channels + c).ravel())
        columns.append((out_pixels * filters + np.broadcast_to(f, c.shape)).ravel())
        weights.append(np.broadcast_to(kernel[a, b], (len(pixels), *c.shape)).ravel())
    row, column, weight = (np.concatenate(parts) for parts in (rows, columns, weights))
    size = int(np.prod(shape)), out_height * out_width * filters
    return sparse.coo_array((weight.astype(np.float32), (row, column)), shape=size).tocsr()


def _moved(to, size):
    to = np.asarray(to).ravel()
    ones = np.ones(to.size, np.float32)
    return sparse.csr_array((ones, (np.arange(to.size), to)), shape=(to.size, size))


def _side_by_side(layer, shapes):
    axis = layer.axis % (len(shapes[0]) + 1) - 1
    total = list(shapes[0])
    total[axis] = sum(shape[axis] for shape in shapes)
    to = np.arange(int(np.prod(total))).reshape(total)
    ends = np.cumsum([shape[axis] for shape in shapes])
    return [_moved(part, to.size) for part in np.split(to, ends[:-1], axis)]
