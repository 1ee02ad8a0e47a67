r"""What lies between two populations of neurons, as one sparse matrix: y = x A.

Convolutions, pooling, padding, dense layers and additions are linear; in a row of them the matrices
multiply. Neurons are counted as in a flattened NHWC array. Biases are not in the matrices, see
:func:`fsrepro.conversion.bias_maps`. Indices are computed, not found by trying.
"""

from __future__ import annotations

from itertools import product

import keras
import numpy as np
from keras import layers
from scipy import sparse

from ..conversion._normal_form import MERGING_LAYERS, UnsupportedLayerError
from ..conversion.graph import calls
from ..conversion.population import Population
from ..conversion.spiking_model import SpikingModel

__all__ = ["arrivals", "matrix"]

IMAGE = "image"
"""Stands for what is computed from the image alone, as analog values."""

OUTPUT = "output"


def arrivals(snn: SpikingModel) -> dict[str, dict[str, sparse.csr_array | None]]:
    """What reaches every population: by its name, and from which population, a matrix.

    Returns
    -------
    dict of dict of scipy.sparse.csr_array
        Keys: names of spiking layers in the order of computation, and ``"output"``. Values: by
        name of the source, (neurons of the source, neurons of the target); or ``{"image": None}``
        where neurons read the image and no spikes.

    Raises
    ------
    UnsupportedLayerError
        For layers that are not linear (products, pooling by maximum), and where one population
        reads both the image and spikes.
    """
    reach = {id(x): {IMAGE: None} for x in snn.keras_model.inputs}
    found = {}
    for call in calls(snn.keras_model):
        layer, incoming = call.operation, [reach[id(x)] for x in call.input_tensors]
        if isinstance(layer, Population):
            found[layer.name] = _one_kind(layer.name, incoming[0])
            size = int(np.prod(call.outputs[0].shape[1:]))
            outgoing = {layer.name: sparse.eye_array(size, format="csr", dtype=np.float32)}
        elif any(maps for maps in incoming):
            shapes = [x.shape[1:] for x in call.input_tensors]
            outgoing = {}
            for maps, step in zip(incoming, _steps(layer, shapes), strict=True):
                for source, before in maps.items():
                    through = None if before is None else before @ step
                    if source in outgoing and through is not None:
                        through = outgoing[source] + through
                    outgoing[source] = through
        reach[id(call.outputs[0])] = outgoing
    found[OUTPUT] = _one_kind(OUTPUT, reach[id(snn.keras_model.outputs[0])])
    return found


def matrix(layer: keras.layers.Layer, shape: tuple[int, ...]) -> sparse.csr_array:
    """A linear layer with one input of ``shape``, (H, W, C) or (C,), as y = x A, without bias.

    Raises
    ------
    UnsupportedLayerError
        For a layer that has no such matrix.
    """
    (found,) = _steps(layer, [shape])
    return found


def _one_kind(name, maps):
    if IMAGE in maps and len(maps) > 1:
        senders = ", ".join(sorted(set(maps) - {IMAGE}))
        raise UnsupportedLayerError(
            f"layer {name!r} reads the image and spikes of {senders}; "
            'in GeNN neurons read one or the other; evaluate with simulator="keras"'
        )
    return maps


def _steps(layer, shapes) -> list[sparse.csr_array]:
    """A matrix for each input of ``layer``."""
    shape = shapes[0]
    if isinstance(layer, layers.DepthwiseConv2D):
        return [_depthwise(layer, shape)]
    if isinstance(layer, layers.Conv2D):
        return [_convolution(layer, shape)]
    if isinstance(layer, layers.Dense):
        return [_dense(np.asarray(layer.kernel), shape)]
    if isinstance(layer, layers.AveragePooling2D):
        return [_average(layer, shape)]
    if isinstance(layer, layers.GlobalAveragePooling2D):
        h, w, c = shape
        return [sparse.csr_array(np.tile(np.eye(c, dtype=np.float32) / (h * w), (h * w, 1)))]
    if isinstance(layer, layers.ZeroPadding2D):
        (top, bottom), (left, right) = layer.padding
        h, w, c = shape
        to = np.arange((h + top + bottom) * (w + left + right) * c)
        to = to.reshape(h + top + bottom, w + left + right, c)
        return [_moved(to[top : top + h, left : left + w], to.size)]
    if isinstance(layer, (layers.Flatten, layers.Reshape)):
        return [sparse.eye_array(int(np.prod(shape)), format="csr", dtype=np.float32)]
    if isinstance(layer, layers.Add):
        size = int(np.prod(shape))
        return [sparse.eye_array(size, format="csr", dtype=np.float32) for _ in shapes]
    if isinstance(layer, layers.Concatenate):
        return _side_by_side(layer, shapes)
    kind = type(layer).__name__
    what = "products" if isinstance(layer, MERGING_LAYERS) else "it"
    raise UnsupportedLayerError(
        f"layer {layer.name!r} ({kind}) has no event-driven form: spikes cannot carry {what} "
        'through it one by one; evaluate with simulator="keras"'
    )


def _windows(layer, shape, kernel):
    """Pairs of pixels that a sliding window connects, for each place in the window.

    Yields (place, pixels of the input, pixels of the output), indices of flattened (H, W).
    """
    rows, columns = (
        _along(shape[axis], kernel[axis], layer.strides[axis], dilation[axis], layer.padding)
        for dilation in [getattr(layer, "dilation_rate", (1, 1))]
        for axis in (0, 1)
    )
    width, out_width = shape[1], columns[0]
    for a, b in product(range(kernel[0]), range(kernel[1])):
        (i, out_i), (j, out_j) = rows[1][a], columns[1][b]
        yield (
            (a, b),
            (i[:, None] * width + j).ravel(),
            (out_i[:, None] * out_width + out_j).ravel(),
        )


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


def _out_pixels(layer, shape, kernel) -> int:
    dilation = getattr(layer, "dilation_rate", (1, 1))
    return int(
        np.prod(
            [
                _along(shape[i], kernel[i], layer.strides[i], dilation[i], layer.padding)[0]
                for i in (0, 1)
            ]
        )
    )


def _convolution(layer, shape):
    kernel = np.asarray(layer.kernel)  # (kh, kw, C / groups, F)
    channels, (per_group, filters) = shape[-1], kernel.shape[2:]
    f = np.arange(filters)
    first = f // (filters // layer.groups) * per_group  # of the channels that a filter reads
    c = first[None, :] + np.arange(per_group)[:, None]  # (C / groups, F)
    return _assembled(layer, shape, kernel, c, np.broadcast_to(f, c.shape), channels, filters)


def _depthwise(layer, shape):
    kernel = np.asarray(layer.kernel)  # (kh, kw, C, m)
    channels, multiplier = kernel.shape[2:]
    c = np.broadcast_to(np.arange(channels)[:, None], (channels, multiplier))
    f = np.arange(channels * multiplier).reshape(channels, multiplier)
    return _assembled(layer, shape, kernel, c, f, channels, channels * multiplier)


def _assembled(layer, shape, kernel, c, f, channels, filters):
    rows, columns, weights = [], [], []
    for (a, b), i, o in _windows(layer, shape, kernel.shape[:2]):
        rows.append((i[:, None, None] * channels + c).ravel())
        columns.append((o[:, None, None] * filters + f).ravel())
        weights.append(np.broadcast_to(kernel[a, b], (len(i), *c.shape)).ravel())
    pixels = _out_pixels(layer, shape, kernel.shape[:2])
    return _sparse(rows, columns, weights, int(np.prod(shape)), pixels * filters)


def _average(layer, shape):
    channels = shape[-1]
    c = np.arange(channels)
    windows = list(_windows(layer, shape, layer.pool_size))
    pixels = _out_pixels(layer, shape, layer.pool_size)
    inside = np.bincount(np.concatenate([o for _, _, o in windows]), minlength=pixels)
    rows = [(i[:, None] * channels + c).ravel() for _, i, _ in windows]
    columns = [(o[:, None] * channels + c).ravel() for _, _, o in windows]
    weights = [np.repeat(1 / inside[o], channels) for _, _, o in windows]  # padding is left out
    return _sparse(rows, columns, weights, int(np.prod(shape)), pixels * channels)


def _dense(kernel, shape):
    pixels = int(np.prod(shape[:-1]))  # a dense layer works on the last axis
    return sparse.csr_array(sparse.kron(sparse.eye_array(pixels), kernel, format="csr"))


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


def _sparse(rows, columns, weights, size, out):
    rows, columns, weights = (np.concatenate(parts) for parts in (rows, columns, weights))
    found = sparse.coo_array((weights.astype(np.float32), (rows, columns)), shape=(size, out))
    return found.tocsr()
