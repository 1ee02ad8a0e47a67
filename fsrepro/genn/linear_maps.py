r"""What lies between two populations of neurons, as a linear map: y = x A.

Convolutions, pooling, padding, dense layers and additions are linear; in a row of them the maps
multiply. Most are one convolution, with signs and paddings around it: it keeps its kernel, which
all positions share. What is more is written out as a sparse matrix. Neurons are counted as in a
flattened NHWC array. Biases are not in the maps, see :func:`~fsrepro.conversion.bias_maps`. Indices
are computed, not found by trying.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import keras
import numpy as np
from keras import layers
from scipy import sparse

from ..networks.kinds import (
    AVERAGES,
    DEPTHWISE,
    GLOBAL_AVERAGES,
    ROUTING,
    SUMS,
    TRANSPOSED,
    WEIGHTED_LAYERS,
    UnsupportedLayerError,
)
from ..wiring import borders, routes, windows

__all__ = ["Convolution", "Map", "Matrix", "Signed", "linear_maps", "routed"]


class Map:
    """A linear map from neurons to neurons."""

    def matrix(self) -> sparse.csr_array:
        """(neurons of the source, neurons of the target), float64."""
        raise NotImplementedError

    def fan_out(self) -> np.ndarray:
        """Synapses of each neuron of the source, int64."""
        return np.diff(self.matrix().indptr).astype(np.int64)

    def __matmul__(self, behind: Map) -> Map:
        """First this, then what is ``behind``."""
        if isinstance(behind, Signed):
            return self.times(behind.sign)
        return Matrix(self.matrix() @ behind.matrix())

    def __add__(self, other: Map) -> Map:
        return Matrix(self.matrix() + other.matrix())

    def times(self, sign: int) -> Map:
        return self if sign == 1 else Matrix(sign * self.matrix())


@dataclass(frozen=True, eq=False)
class Matrix(Map):
    """A map written out."""

    weights: sparse.csr_array

    def matrix(self):
        return self.weights


@dataclass(frozen=True)
class Signed(Map):
    """x or -x, of so many neurons."""

    size: int
    sign: int = 1

    def matrix(self):
        return sparse.eye_array(self.size, format="csr") * self.sign

    def __matmul__(self, behind):
        return behind.times(self.sign)

    def times(self, sign):
        return replace(self, sign=sign * self.sign)


@dataclass(frozen=True)
class Padded(Map):
    """x with zeros around it: so many before the rows and columns."""

    before: tuple[int, int]
    layer: keras.layers.Layer
    shape: tuple[int, int, int]
    sign: int = 1

    def matrix(self):
        (route,) = routes(self.layer, [self.shape])
        return routed(route, math.prod(self.shape)) * self.sign

    def __matmul__(self, behind):
        if isinstance(behind, Convolution):
            before = tuple(np.add(self.before, behind.before))
            return replace(behind, before=before, inputs=self.shape).times(self.sign)
        return super().__matmul__(behind)

    def times(self, sign):
        return replace(self, sign=sign * self.sign)


@dataclass(frozen=True, eq=False)
class Convolution(Map):
    """A convolution of a map, whose kernel all positions share.

    Output o along an axis reads the inputs ``stride`` o + ``dilation`` k - ``before``, for the
    places k of the kernel, where there are such.

    Parameters
    ----------
    kernel : (places, places, C / groups, F) float32
    groups : int
    inputs, outputs : tuple of int
        (H, W, C) and (H', W', F).
    stride, dilation, before : tuple of int
    """

    kernel: np.ndarray
    groups: int
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    stride: tuple[int, int] = (1, 1)
    dilation: tuple[int, int] = (1, 1)
    before: tuple[int, int] = (0, 0)

    def times(self, sign):
        return self if sign == 1 else replace(self, kernel=-self.kernel)

    def at(self, first: tuple[int, ...], step: tuple[int, ...], count: tuple[int, ...]) -> Map:
        """The outputs ``first``, ``first`` + ``step``, ... alone: so many along each axis."""
        before = tuple(np.subtract(self.before, np.multiply(first, self.stride)).tolist())
        stride = tuple(np.multiply(self.stride, step).tolist())
        outputs = (*count, self.outputs[-1])
        return replace(self, before=before, stride=stride, outputs=outputs)

    def _axes(self):
        """Along each axis: the inputs, outputs and places that meet."""
        for axis, places in enumerate(self.kernel.shape[:2]):
            place, output = np.indices((places, self.outputs[axis])).reshape(2, -1)
            read = output * self.stride[axis] + place * self.dilation[axis] - self.before[axis]
            inside = (read >= 0) & (read < self.inputs[axis])
            yield read[inside], output[inside], place[inside]

    def matrix(self):
        (rows, out_rows, down), (columns, out_columns, right) = self._axes()
        return _windowed(
            self.kernel, self.groups, self.inputs, self.outputs,
            (rows, columns), (out_rows, out_columns), (down, right),
        )  # fmt: skip

    def fan_out(self):
        met = [
            np.bincount(inputs, minlength=size)
            for (inputs, *_), size in zip(self._axes(), self.inputs[:2], strict=True)
        ]
        per_channel = self.kernel.shape[-1] // self.groups
        return np.repeat(np.multiply.outer(*met).ravel() * per_channel, self.inputs[-1])


def linear_maps(layer: keras.layers.Layer, shapes: list[tuple]) -> list[Map]:
    """A linear layer for each of its inputs, (H, W, C) or the like, without the bias.

    ``UnsupportedLayerError`` for a layer that is not linear.
    """
    sizes = [math.prod(shape) for shape in shapes]
    if isinstance(layer, SUMS):
        signs = [1, -1] if isinstance(layer, layers.Subtract) else [1] * len(shapes)
        if len(set(shapes)) == 1:
            return [Signed(size, sign) for size, sign in zip(sizes, signs, strict=True)]
        found = zip(routes(layer, shapes), sizes, signs, strict=True)
        return [Matrix(routed(route, size)).times(sign) for route, size, sign in found]
    if isinstance(layer, (layers.Flatten, layers.Reshape)):
        return [Signed(sizes[0])]
    if isinstance(layer, layers.ZeroPadding2D):
        (top, _), (left, _) = layer.padding
        return [Padded((top, left), layer, shapes[0])]
    if isinstance(layer, (layers.Conv2D, layers.DepthwiseConv2D)):
        outputs = tuple(layer.compute_output_shape((None, *shapes[0]))[1:])
        (top, _), (left, _) = borders(layer, shapes[0][:-1])
        kernel, groups = _grouped(layer)
        return [
            Convolution(
                kernel, groups, shapes[0], outputs, layer.strides, layer.dilation_rate, (top, left)
            )
        ]
    if isinstance(layer, layers.Dense):
        kernel = np.asarray(layer.kernel)[None, None]
        places = math.prod(shapes[0][:-1])
        inputs, outputs = ((1, places, size) for size in kernel.shape[2:])
        return [Convolution(kernel, 1, inputs, outputs)]
    if isinstance(layer, WEIGHTED_LAYERS):
        return [Matrix(_of_windows(layer, shapes[0], *_grouped(layer)))]
    if isinstance(layer, (*AVERAGES, *GLOBAL_AVERAGES)):
        places = getattr(layer, "pool_size", shapes[0][:-1])
        channels = shapes[0][-1]
        mean = _of_windows(layer, shapes[0], np.ones((*places, 1, channels)), channels)
        mean.data /= mean.sum(0)[mean.indices]  # padding is left out
        return [Matrix(mean)]
    if isinstance(layer, ROUTING):
        return [
            Matrix(routed(route, size))
            for route, size in zip(routes(layer, shapes), sizes, strict=True)
        ]
    raise UnsupportedLayerError(
        f"layer {layer.name!r} ({type(layer).__name__}) has no event-driven form: it is not linear"
    )


def _grouped(layer):
    """The kernel of a weighted layer, (places, ..., C / groups, F), and the number of groups."""
    kernel = np.asarray(layer.kernel)
    if isinstance(layer, DEPTHWISE):  # (places, ..., C, M)
        return kernel.reshape(*kernel.shape[:-2], 1, -1), kernel.shape[-2]
    if isinstance(layer, TRANSPOSED):  # (places, ..., F, C)
        return kernel.swapaxes(-2, -1), 1
    return kernel, getattr(layer, "groups", 1)


def _of_windows(layer, shape, kernel, groups):
    """What slides ``kernel`` over an input of this shape, as ``layer`` does."""
    axes = windows(layer, shape)
    outputs = (*(axis.size_out for axis in axes), kernel.shape[-1])
    indices = ([getattr(axis, n) for axis in axes] for n in ("inputs", "outputs", "places"))
    return _windowed(kernel, groups, shape, outputs, *indices)


def _windowed(kernel, groups, shape, out_shape, inputs, outputs, places):
    """The matrix of a kernel at whose ``places`` inputs meet outputs, along each axis."""
    per_group, filters = kernel.shape[-2:]
    sizes = kernel.shape[:-2] or (1,) * len(places)  # a dense layer has one
    f = np.arange(filters)
    c = f // (filters // groups) * per_group + np.arange(per_group)[:, None]  # (C / groups, F)
    pixels, out_pixels = _flat(inputs, shape[:-1]), _flat(outputs, out_shape[:-1])
    rows = pixels[:, None, None] * shape[-1] + c
    columns = np.broadcast_to(out_pixels[:, None, None] * filters + f, rows.shape)
    weights = kernel.reshape(-1, per_group, filters)[_flat(places, sizes)].astype(np.float64)
    size = math.prod(shape), math.prod(out_shape)
    return sparse.csr_array((weights.ravel(), (rows.ravel(), columns.ravel())), shape=size)


def _flat(indices, sizes):
    """All combinations of indices along each axis, as indices into the flattened array."""
    flat = np.zeros(1, int)
    for index, size in zip(indices, sizes, strict=True):
        flat = np.add.outer(flat * size, index).ravel()
    return flat


def routed(route: np.ndarray, size: int) -> sparse.csr_array:
    """The matrix of a route, see :func:`~fsrepro.wiring.routes`, from so many inputs."""
    target = np.flatnonzero(route >= 0)
    ones = np.ones(len(target))
    return sparse.csr_array((ones, (route.ravel()[target], target)), shape=(size, route.size))
