"""Which inputs of a layer reach which of its outputs: indices, computed and not found by trying.

Layers that slide a window over their input (convolutions, pooling) have :func:`windows`; layers
that only move values (padding, concatenation) or add them have :func:`routes`. Shapes are those of
one image, channels last.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import keras
import numpy as np
from keras import layers

from .networks.kinds import PRODUCTS, SUMS, TRANSPOSED, ZERO_PADDING

__all__ = ["Axis", "border", "borders", "routes", "windows"]

_CROPPING = (layers.Cropping1D, layers.Cropping2D, layers.Cropping3D)
_UPSAMPLING = (layers.UpSampling1D, layers.UpSampling2D, layers.UpSampling3D)


class Axis(NamedTuple):
    """A sliding window along one axis: ``inputs[n]`` meets ``outputs[n]`` at ``places[n]`` of it.

    What it meets beyond the borders of the input is not among them. The axis has ``size_in`` inputs
    and ``size_out`` outputs.
    """

    inputs: np.ndarray
    outputs: np.ndarray
    places: np.ndarray
    size_in: int
    size_out: int

    def backwards(self) -> Axis:
        return Axis(self.outputs, self.inputs, self.places, self.size_out, self.size_in)


def windows(layer: keras.layers.Layer, shape: tuple[int, ...]) -> list[Axis]:
    """The window of a weighted or pooling ``layer``, along each spatial axis of its input.

    Global pooling has one window over everything, a dense layer one of a single place.
    """
    if isinstance(layer, TRANSPOSED):  # a convolution from its outputs to its inputs
        outputs = layer.compute_output_shape((None, *shape))[1:-1]
        return [axis.backwards() for axis in _windows(layer, outputs)]
    return _windows(layer, shape[:-1])


def borders(layer: keras.layers.Layer, sizes: tuple[int, ...]) -> list[tuple[int, int]]:
    """How many zeros the ``padding`` of a layer puts before and after an input of these sizes."""
    return [border(*axis) for axis in _axes(layer, sizes)]


def border(padding: str, size: int, places: int, stride: int, dilation: int = 1) -> tuple[int, int]:
    """The same along one axis, for a window of so many ``places``."""
    span = (places - 1) * dilation + 1
    if padding == "causal":
        return span - 1, 0
    if padding == "same":
        total = max((-(-size // stride) - 1) * stride + span - size, 0)
        return total // 2, total - total // 2
    return 0, 0


def _axes(layer, sizes):
    """What :func:`border` asks for, axis by axis."""
    ones = (1,) * len(sizes)
    places = getattr(layer, "kernel_size", getattr(layer, "pool_size", sizes))
    if isinstance(layer, layers.Dense):
        places = ones
    strides, dilation = (getattr(layer, name, ones) for name in ("strides", "dilation_rate"))
    padding = (getattr(layer, "padding", "valid"),) * len(sizes)
    return zip(padding, sizes, places, strides, dilation, strict=True)


def _windows(layer, sizes):
    return [_slide(*axis) for axis in _axes(layer, sizes)]


def _slide(padding, size, places, stride, dilation):
    before, after = border(padding, size, places, stride, dilation)
    count = (size + before + after - (places - 1) * dilation - 1) // stride + 1
    place, output = np.indices((places, count)).reshape(2, -1)
    read = output * stride + place * dilation - before
    inside = (read >= 0) & (read < size)
    return Axis(read[inside], output[inside], place[inside], size, count)


def routes(layer: keras.layers.Layer, shapes: list[tuple[int, ...]]) -> list[np.ndarray]:
    """For each input of a layer that moves or merges values, the one that every output takes.

    As an index into the flattened input, in the shape of the outputs; -1 where it takes none.
    """
    indices = [np.arange(math.prod(shape)).reshape(shape) for shape in shapes]
    if isinstance(layer, (*SUMS, *PRODUCTS)):
        return list(np.broadcast_arrays(*indices))
    if isinstance(layer, layers.Concatenate):
        axis = layer.axis - (layer.axis > 0)  # Keras counts the batch
        none = [np.full_like(index, -1) for index in indices]
        return [
            np.concatenate([*none[:n], index, *none[n + 1 :]], axis)
            for n, index in enumerate(indices)
        ]
    return [_moved(layer, indices[0])]


def _moved(layer, x):
    """What ``layer`` makes of ``x``, with -1 in the place of new zeros."""
    if isinstance(layer, ZERO_PADDING):
        return np.pad(x, [*np.reshape(layer.padding, (-1, 2)), (0, 0)], constant_values=-1)
    if isinstance(layer, _CROPPING):
        borders = zip(np.reshape(layer.cropping, (-1, 2)), x.shape, strict=False)
        return x[tuple(slice(first, size - last) for (first, last), size in borders)]
    if isinstance(layer, _UPSAMPLING):
        for axis, times in enumerate(np.ravel(layer.size)):
            x = np.repeat(x, times, axis)
        return x
    if isinstance(layer, layers.Permute):
        return x.transpose(np.subtract(layer.dims, 1))
    if isinstance(layer, layers.RepeatVector):
        return np.tile(x, (layer.n, 1))
    if isinstance(layer, layers.Flatten):
        return x.ravel()
    if isinstance(layer, layers.Reshape):
        return x.reshape(layer.target_shape)
    raise TypeError(f"layer {layer.name!r} ({type(layer).__name__}) has no routes")
