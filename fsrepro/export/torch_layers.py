"""What lies between populations of neurons, in PyTorch, as Keras computes it on (N, ..., C)."""

from __future__ import annotations

import operator
from collections.abc import Callable
from functools import partial, reduce

import keras
import numpy as np
import torch
from keras import layers
from torch import nn
from torch.nn.functional import pad

from ..networks.kinds import AVERAGES, CONVOLUTIONS, DEPTHWISE, GLOBAL_AVERAGES, TRANSPOSED
from ..wiring import borders
from .layouts import kernel, refusal

__all__ = ["Convolution", "Mean", "counterpart"]


def counterpart(layer: keras.layers.Layer, shapes: list[tuple], result: tuple) -> Callable:
    """What computes ``layer``: a module if it has weights, or a function of tensors.

    ``shapes`` are those of its inputs, ``result`` that of its output, without the batch.
    ``UnsupportedLayerError`` for a layer that conversion never produces.
    """
    if type(layer) not in _COUNTERPARTS:
        raise refusal(layer, "PyTorch", "conversion does not produce such layers")
    return _COUNTERPARTS[type(layer)](layer, shapes, result)


class Convolution(nn.Module):
    """A convolution of (N, ..., C), with zeros put around its input, or its output cut."""

    def __init__(self, convolution: nn.Module, before: list[int], after: list[int]):
        super().__init__()
        self.convolution, self.before, self.after = convolution, before, after

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.convolution(pad(x, self.before).movedim(-1, 1)).movedim(1, -1)
        return pad(y, self.after)


class Mean(nn.Module):
    """Average pooling of (N, ..., C); zeros put around the input do not count."""

    count: torch.Tensor

    def __init__(self, windows: Callable, shape: tuple[int, ...]):
        super().__init__()
        self.windows = windows
        count = windows(torch.ones(1, *shape)).flatten(len(shape) + 1).sum(-1)
        self.register_buffer("count", count, persistent=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.windows(x).flatten(x.ndim).sum(-1) / self.count


def _dense(layer, shapes, result):
    weights = np.asarray(layer.kernel).T
    return _filled(nn.Linear, weights, layer, *weights.shape[::-1])


def _convolution(layer, shapes, result):
    weights, groups = kernel(layer)
    filters, channels, *places = weights.shape
    convolution = _filled(
        getattr(nn, f"Conv{len(places)}d"), weights, layer, channels * groups, filters, places,
        stride=layer.strides, dilation=layer.dilation_rate, groups=groups,
    )  # fmt: skip
    return Convolution(convolution, _around(borders(layer, shapes[0][:-1])), _around([]))


def _transposed(layer, shapes, result):
    """PyTorch's without padding, of whose output Keras returns a part."""
    weights, _ = kernel(layer)
    channels, filters, *places = weights.shape
    more, cuts = [], []
    axes = zip(shapes[0], result, places, layer.strides, layer.dilation_rate, strict=False)
    for size, wanted, place, stride, dilation in axes:
        full = (size - 1) * stride + (place - 1) * dilation + 1
        first = max(full - wanted, 0) // 2 if layer.padding == "same" else 0
        more.append(max(first + wanted - full, 0))
        cuts.append((-first, first + wanted - full - more[-1]))
    convolution = _filled(
        getattr(nn, f"ConvTranspose{len(places)}d"), weights, layer, channels, filters, places,
        stride=layer.strides, dilation=layer.dilation_rate, output_padding=more,
    )  # fmt: skip
    return Convolution(convolution, _around([]), _around(cuts))


def _filled(kind, weights, layer, *arguments, **options):
    """A PyTorch module with these weights, made without drawing random ones first."""
    use_bias = layer.bias is not None
    module = nn.utils.skip_init(kind, *arguments, bias=use_bias, **options)
    with torch.no_grad():
        module.weight.copy_(torch.tensor(weights))
        if use_bias:
            module.bias.copy_(torch.tensor(np.asarray(layer.bias)))
    return module


def _pooling(layer, shape, value) -> Callable:
    axes = list(enumerate(zip(layer.pool_size, layer.strides, strict=True), start=1))
    return partial(_windows, around=_around(borders(layer, shape[:-1])), value=value, axes=axes)


def _windows(x, around, value, axes):
    """From (N, ..., C) to (N, ..., C, places, ...), with ``value`` around the input."""
    x = pad(x, around, value=value)
    for axis, (size, step) in axes:
        x = x.unfold(axis, size, step)
    return x


def _maximum(layer, shapes, result):
    windows = _pooling(layer, shapes[0], -torch.inf)
    return lambda x: windows(x).flatten(len(shapes[0]) + 1).amax(-1)


def _mean(layer, shapes, result):
    return Mean(_pooling(layer, shapes[0], 0.0), shapes[0])


def _over_space(method):
    def counterpart(layer, shapes, result):
        axes = tuple(range(1, len(shapes[0])))
        return lambda x: getattr(x, method)(axes, keepdim=layer.keepdims)

    return counterpart


def _upsampling(layer, shapes, result):
    if getattr(layer, "interpolation", "nearest") != "nearest":
        raise refusal(layer, "PyTorch", "only interpolation='nearest' copies values")
    axes = list(enumerate(np.ravel(layer.size).tolist(), start=1))
    return lambda x: reduce(lambda x, axis: x.repeat_interleave(axis[1], axis[0]), axes, x)


def _padding(layer, shapes, result):
    return partial(pad, pad=_around(layer.padding))


def _cropping(layer, shapes, result):
    return partial(pad, pad=_around(np.negative(layer.cropping)))


def _around(pairs) -> list[int]:
    """Zeros before and after along each axis of space, as ``pad`` takes them for (N, ..., C)."""
    return [0, 0, *np.reshape(pairs, (-1, 2))[::-1].astype(int).ravel().tolist()]


def _concatenate(layer, shapes, result):
    return lambda *values: torch.cat(values, layer.axis)


def _merge(operation):
    def counterpart(layer, shapes, result):
        # Values of fewer axes get new ones behind the batch.
        alike = [(-1, *(1,) * (len(result) - len(shape)), *shape) for shape in shapes]
        return lambda *values: reduce(operation, map(torch.reshape, values, alike))

    return counterpart


def _reshape(layer, shapes, result):
    return lambda x: x.reshape(-1, *result)


def _permute(layer, shapes, result):
    return lambda x: x.permute(0, *layer.dims)


def _repeat(layer, shapes, result):
    return lambda x: x.unsqueeze(1).repeat(1, layer.n, 1)


def _in_each_dimension(name, make):
    return {getattr(layers, f"{name}{dimensions}D"): make for dimensions in (1, 2, 3)}


_COUNTERPARTS: dict[type, Callable] = {
    layers.Dense: _dense,
    **dict.fromkeys((*CONVOLUTIONS, *DEPTHWISE), _convolution),
    **dict.fromkeys(TRANSPOSED, _transposed),
    **dict.fromkeys(AVERAGES, _mean),
    **dict.fromkeys(GLOBAL_AVERAGES, _over_space("mean")),
    **_in_each_dimension("MaxPooling", _maximum),
    **_in_each_dimension("GlobalMaxPooling", _over_space("amax")),
    **_in_each_dimension("UpSampling", _upsampling),
    **_in_each_dimension("ZeroPadding", _padding),
    **_in_each_dimension("Cropping", _cropping),
    layers.Concatenate: _concatenate,
    layers.Add: _merge(operator.add),
    layers.Subtract: _merge(operator.sub),
    layers.Multiply: _merge(operator.mul),
    layers.Flatten: _reshape,
    layers.Reshape: _reshape,
    layers.Permute: _permute,
    layers.RepeatVector: _repeat,
}
