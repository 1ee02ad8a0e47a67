"""ONNX operators as Keras layers: one small function for each, found by name in ``OPERATORS``.

A function gets its :class:`Call` and the node's inputs, each a :class:`Value` or a constant array,
and returns a value or a constant, or a list where the node has several outputs. What it cannot make
exactly it refuses.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import reduce
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from .. import activations
from ..wiring import border
from ._onnx_values import Call, Value

__all__ = ["OPERATORS"]

OPERATORS: dict[str, Callable] = {}


def operator(*names: str):
    def register(function):
        OPERATORS.update(dict.fromkeys(names, function))
        return function

    return register


# --- windows that slide over a map --------------------------------------------------------------


class Windows(NamedTuple):
    """How a window slides along each spatial axis of its input."""

    sizes: Sequence[int]
    spans: Sequence[int]
    strides: tuple[int, ...]
    dilations: tuple[int, ...]
    pads: list[tuple[int, int]]
    """Before and after; no more than windows reach, which may be more than the node asks for."""
    asked: list[tuple[int, int]]

    @property
    def same(self) -> bool:
        """Whether Keras's padding "same" puts every window where it is here."""
        for size, span, stride, pads in zip(
            self.sizes, self.spans, self.strides, self.pads, strict=True
        ):
            count = (size + sum(pads) - span) // stride + 1
            if count != -(-size // stride) or pads != border("same", size, span, stride):
                return False
        return True


def _windows(call: Call, sizes, kernel) -> Windows:
    """Those of a convolution or pooling node on a map of ``sizes``."""
    given, ones = call.attributes, [1] * len(sizes)
    strides, dilations = given.get("strides", ones), given.get("dilations", ones)
    spans = [(width - 1) * step + 1 for width, step in zip(kernel, dilations, strict=True)]
    asked = _asked_pads(call, sizes, spans, strides)
    pads = []
    for size, span, stride, (before, after) in zip(sizes, spans, strides, asked, strict=True):
        room = size + before + after - span
        if room < 0:
            raise call.refuse(f"its window of {span} is larger than its input of {size}")
        count = room // stride + 1
        # One window more at the end, unless it would begin beyond the map.
        if given.get("ceil_mode") and room % stride and count * stride < size + before:
            count += 1
        pads.append((before, max((count - 1) * stride + span - size - before, 0)))
    return Windows(sizes, spans, tuple(strides), tuple(dilations), pads, asked)


def _asked_pads(call: Call, sizes, spans, strides) -> list[tuple[int, int]]:
    given, rule = call.attributes, call.attributes.get("auto_pad", "NOTSET")
    if rule in ("SAME_UPPER", "SAME_LOWER"):
        axes = zip(sizes, spans, strides, strict=True)
        halves = [border("same", size, span, stride) for size, span, stride in axes]
        return halves if rule == "SAME_UPPER" else [(after, before) for before, after in halves]
    pads = given.get("pads", []) if rule == "NOTSET" else []
    pads = pads or [0] * (2 * len(sizes))
    return list(zip(pads[: len(sizes)], pads[len(sizes) :], strict=True))


def _padded(call: Call, tensor, windows: Windows, may_be_same: bool = True):
    """The input with zeros around it where needed, and the padding for the layer that follows."""
    if not any(map(any, windows.pads)):
        return tensor, "valid"
    if windows.same and may_be_same:
        return tensor, "same"
    return _borders(call, "ZeroPadding", tensor, windows.pads), "valid"


def _borders(call: Call, kind: str, tensor, pairs):
    """``ZeroPadding`` or ``Cropping`` of the spatial axes."""
    pairs = [tuple(pair) for pair in pairs]
    option = "padding" if kind == "ZeroPadding" else "cropping"
    amount = {option: pairs[0] if len(pairs) == 1 else tuple(pairs)}
    return call.layer(f"{kind}{len(pairs)}D", tensor, option, **amount)


@operator("Conv")
def _conv(call, x, kernel, bias=None):
    kernel = call.constant(kernel, "weights")
    x, n = call.channels_last(x), call.spatial(x)
    filters, channels, group = len(kernel), x.shape[1], call.attributes.get("group", 1)
    windows = _windows(call, x.shape[2:], kernel.shape[2:])
    if max(windows.strides) > 1 and max(windows.dilations) > 1:
        raise call.refuse("strides and dilations at once are not supported")
    tensor, padding = _padded(call, x.tensor, windows)
    options = {
        "kernel_size": kernel.shape[2:],
        "strides": windows.strides,
        "dilation_rate": windows.dilations,
        "padding": padding,
    }
    weights = [kernel.transpose(*range(2, n + 2), 1, 0), _bias(call, bias, filters)]
    if group == channels > 1 and n < 3:
        # (C M, 1, ...) becomes (..., C, M)
        depthwise = kernel.reshape(channels, filters // channels, *kernel.shape[2:])
        weights[0] = np.moveaxis(depthwise, (0, 1), (-2, -1))
        kind, options["depth_multiplier"] = f"DepthwiseConv{n}D", filters // channels
    else:
        kind, options["filters"], options["groups"] = f"Conv{n}D", filters, group
    return call.value(call.layer(kind, tensor, weights=weights, **options))


def _bias(call: Call, bias, size: int) -> NDArray:
    return np.zeros(size, np.float32) if bias is None else call.constant(bias, "bias")


@operator("ConvTranspose")
def _conv_transpose(call, x, kernel, bias=None):
    kernel = call.constant(kernel, "weights")
    x, n, given = call.channels_last(x), call.spatial(x), call.attributes
    if given.get("group", 1) != 1:
        raise call.refuse("transposed convolutions in groups are not supported")
    if "output_shape" in given or given.get("auto_pad", "NOTSET") not in ("NOTSET", "VALID"):
        raise call.refuse("its padding must be given by pads, not by output_shape or auto_pad")
    zeros, ones = [0] * n, [1] * n
    strides, dilations = given.get("strides", ones), given.get("dilations", ones)
    if max(strides) > 1 and max(dilations) > 1:
        raise call.refuse("strides and dilations at once are not supported")
    extra, pads = given.get("output_padding", zeros), given.get("pads", zeros * 2)
    crops = []
    for axis, size in enumerate(x.shape[2:]):
        span = (kernel.shape[axis + 2] - 1) * dilations[axis] + 1
        made = size * strides[axis] + max(span - strides[axis], 0)  # by Keras, without padding
        before, after = pads[axis], pads[axis + n]
        wanted = (size - 1) * strides[axis] + span + extra[axis] - before - after
        crops.append((before, made - before - wanted))
        if min(crops[-1]) < 0:
            raise call.refuse("its output_padding reaches beyond what its kernel covers")
    tensor = call.layer(
        f"Conv{n}DTranspose",
        x.tensor,
        weights=[kernel.transpose(*range(2, n + 2), 1, 0), _bias(call, bias, kernel.shape[1])],
        filters=kernel.shape[1],
        kernel_size=kernel.shape[2:],
        strides=tuple(strides),
        dilation_rate=tuple(dilations),
    )
    return call.value(_borders(call, "Cropping", tensor, crops) if any(map(any, crops)) else tensor)


@operator("MaxPool", "AveragePool")
def _pool(call, x):
    given, maximum = call.attributes, call.node.op_type == "MaxPool"
    x, n = call.channels_last(x), call.spatial(x)
    windows = _windows(call, x.shape[2:], given["kernel_shape"])
    if max(windows.dilations) > 1:
        raise call.refuse("pooling with dilations is not supported")
    # Averages that count the padding need zeros; maxima and other averages leave it out, as Keras.
    counted = not maximum and given.get("count_include_pad") and any(map(any, windows.asked))
    if counted and any(
        used > asked for (_, used), (_, asked) in zip(windows.pads, windows.asked, strict=True)
    ):
        raise call.refuse("ceil_mode together with count_include_pad is not supported")
    if any(map(any, windows.pads)) and not windows.same and not counted:
        if not maximum:
            raise call.refuse("averages that leave out this padding are not supported")
        if not x.nonnegative:
            raise call.refuse(
                "it pads a map that may be negative, where zeros would be the maximum; after an "
                "activation such as ReLU they are not"
            )
    tensor, padding = _padded(call, x.tensor, windows, may_be_same=not counted)
    kind = f"{'Max' if maximum else 'Average'}Pooling{n}D"
    sizes = {"pool_size": tuple(given["kernel_shape"]), "strides": windows.strides}
    return call.value(call.layer(kind, tensor, padding=padding, **sizes), nonnegative=x.nonnegative)


@operator("GlobalAveragePool", "GlobalMaxPool", "ReduceMean", "ReduceMax")
def _reduce(call, x, axes=None):
    kind = "Max" if call.node.op_type.endswith(("MaxPool", "Max")) else "Average"
    n, rank = call.spatial(x), len(x.shape)
    spatial = set(range(2, rank))
    if call.node.op_type.startswith("Reduce"):
        axes = call.attributes.get("axes", axes)
        given = range(rank) if axes is None else call.constant(axes, "axes")
        axes, keep = {int(axis) % rank for axis in given}, call.attributes.get("keepdims", 1)
    else:
        axes, keep = spatial, 1
    if not axes or not axes <= spatial:
        raise call.refuse(f"it reduces the axes {sorted(axes)}, supported are spatial ones")
    x = call.channels_last(x)
    if axes == spatial:
        tensor = call.layer(f"Global{kind}Pooling{n}D", x.tensor, keepdims=bool(keep))
        return call.value(tensor, nonnegative=x.nonnegative)
    window = tuple(x.shape[axis] if axis in axes else 1 for axis in range(2, rank))
    tensor = call.layer(f"{kind}Pooling{n}D", x.tensor, pool_size=window, strides=window)
    reduced = call.value(tensor, nonnegative=x.nonnegative)
    kept = [size for axis, size in enumerate(reduced.shape) if keep or axis not in axes]
    return call.reshape(reduced, kept, "reshape")


# --- matrices and norms -------------------------------------------------------------------------


@operator("Gemm")
def _gemm(call, x, kernel, bias=None):
    given = call.attributes
    if given.get("transA"):
        raise call.refuse("transA is not supported")
    kernel = call.constant(kernel, "weights")
    if (alpha := given.get("alpha", 1.0)) != 1:
        kernel = kernel * np.float32(alpha)
    kernel = kernel.T if given.get("transB") else kernel
    if bias is not None:
        bias = call.constant(bias, "bias") * np.float32(given.get("beta", 1.0))
    return _dense(call, x, kernel, bias)


@operator("MatMul")
def _matmul(call, x, kernel, bias=None):
    if not isinstance(x, Value) or isinstance(kernel, Value):
        raise call.refuse("only products with a constant matrix on the right are supported")
    return _dense(call, x, kernel, bias)


def _dense(call: Call, x: Value, kernel: NDArray, bias: NDArray | None) -> Value:
    if kernel.ndim != 2:
        raise call.refuse(f"its weights have the shape {kernel.shape}, not that of a matrix")
    units = kernel.shape[1]
    try:
        bias = np.broadcast_to(_bias(call, bias, units), (1, units)).ravel()
    except ValueError:
        raise call.refuse("its bias must be one number per output") from None
    x = call.axis_last(x, len(x.order) - 1) if len(x.order) > 2 else x
    return call.value(call.layer("Dense", x.tensor, weights=[kernel, bias], units=units), x.order)


@operator("BatchNormalization")
def _batch_norm(call, x, *weights):
    if call.attributes.get("training_mode"):
        raise call.refuse("it is in training mode; export the network in evaluation mode")
    x = call.channels_last(x)
    options = {
        "weights": [call.constant(weight, "parameters") for weight in weights],
        "epsilon": call.attributes.get("epsilon", 1e-5),
    }
    return call.value(call.layer("BatchNormalization", x.tensor, axis=-1, **options))


# --- activations --------------------------------------------------------------------------------

_ACTIVATIONS = {
    "Relu": "relu", "Sigmoid": "sigmoid", "HardSigmoid": "hard_sigmoid", "Softplus": "softplus",
    "Tanh": "tanh", "Softsign": "softsign", "Silu": "silu", "Swish": "silu", "Gelu": "gelu",
    "HardSwish": "hard_silu", "Mish": "mish", "Selu": "selu",
}  # fmt: skip
_NONNEGATIVE = ("relu", "sigmoid", "hard_sigmoid", "softplus")
_PARAMETERS: dict[str, dict[str, tuple]] = {
    "HardSigmoid": {"alpha": (0.2, 1 / 6), "beta": (0.5, 0.5)},
    "Swish": {"alpha": (1.0, 1.0)},
    "Selu": {"alpha": (1.6732632, 1.6732632), "gamma": (1.050701, 1.050701)},
}
"""Of activations: what a parameter is if it is not given, and what it has to be."""


@operator(*_ACTIVATIONS)
def _activation(call, x):
    kind = call.node.op_type
    if kind == "Gelu" and call.attributes.get("approximate") == "tanh":
        function = activations.get("gelu_tanh").tensor_function
        return call.value(call.layer("Activation", x.tensor, activation=function), x.order)
    for parameter, (default, wanted) in _PARAMETERS.get(kind, {}).items():
        found = call.attributes.get(parameter, default)
        if abs(found - wanted) > 1e-6:
            raise call.refuse(f"its {parameter} is {found}, supported is {wanted}")
    name = _ACTIVATIONS[kind]
    tensor = call.layer("Activation", x.tensor, activation=name)
    return call.value(tensor, x.order, name in _NONNEGATIVE)


@operator("LeakyRelu")
def _leaky_relu(call, x):
    slope = call.attributes.get("alpha", 0.01)
    return call.value(call.layer("LeakyReLU", x.tensor, negative_slope=slope), x.order)


@operator("PRelu")
def _prelu(call, x, slope):
    x = call.channels_last(x)
    axis, slope = call.along(x, call.constant(slope, "slope"))
    if axis not in (None, 1):
        raise call.refuse("its slope must be one number, or one per channel")
    shape = [1] * (len(x.order) - 2) + [x.shape[1]]
    weights = [np.broadcast_to(slope, shape)]
    shared = list(range(1, len(shape))) or None
    return call.value(call.layer("PReLU", x.tensor, weights=weights, shared_axes=shared))


@operator("Elu")
def _elu(call, x):
    alpha = call.attributes.get("alpha", 1.0)
    return call.value(call.layer("ELU", x.tensor, alpha=alpha), x.order)


@operator("Clip")
def _clip(call, x, low=None, high=None):
    limits = []
    for name, given in (("min", low), ("max", high)):
        given = call.attributes.get(name, given)
        limit = None if given is None else float(np.asarray(call.constant(given, name)).item())
        limits.append(None if limit is None or abs(limit) > 3.4e38 else limit)
    if limits == [None, None]:
        return x
    if limits == [-1, 1]:
        tensor = call.layer("Activation", x.tensor, activation="hard_tanh")
        return call.value(tensor, x.order)
    if limits[0] != 0:
        raise call.refuse(f"its limits are {limits[0]} and {limits[1]}; the lower one must be 0")
    if limits[1] is None:
        tensor = call.layer("Activation", x.tensor, activation="relu")
    else:
        tensor = call.layer("ReLU", x.tensor, max_value=limits[1])
    return call.value(tensor, x.order, nonnegative=True)


@operator("Max")
def _max(call, *operands):
    values = [x for x in operands if isinstance(x, Value)]
    others = [x for x in operands if not isinstance(x, Value)]
    if len(values) != 1 or len(others) != 1 or others[0].any():
        raise call.refuse("supported is the larger of a value and 0")
    call.along(values[0], others[0])
    tensor = call.layer("Activation", values[0].tensor, activation="relu")
    return call.value(tensor, values[0].order, nonnegative=True)


@operator("Softmax")
def _softmax(call, x):
    old, rank = call.session.opset < 13, len(x.shape)
    axis = call.attributes.get("axis", 1 if old else -1) % rank
    if old and math.prod(x.shape[axis + 1 :]) > 1:
        raise call.refuse("before opset 13 it is over several axes at once")
    x = call.axis_last(x, axis)
    return call.value(call.layer("Softmax", x.tensor), x.order, nonnegative=True)


@operator("LogSoftmax")
def _log_softmax(call, x):
    raise call.refuse("it is supported only at the end, where the network ends before it")


# --- arithmetic ---------------------------------------------------------------------------------

_MERGING = {"Add": "Add", "Sum": "Add", "Sub": "Subtract", "Mul": "Multiply"}


@operator("Add", "Sub", "Mul", "Div", "Sum")
def _arithmetic(call, *operands):
    if call.node.op_type == "Sum":  # of which any may be constant
        operands = tuple(sorted(operands, key=lambda x: not isinstance(x, Value)))
    return reduce(lambda x, y: _two(call, x, y), operands)


def _two(call: Call, x, y) -> Value:
    kind = call.node.op_type
    if kind == "Div" and isinstance(y, Value):
        raise call.refuse("division by what depends on the images is not supported")
    if not isinstance(y, Value):
        return _rescaled(call, x, y)
    if not isinstance(x, Value):
        return _rescaled(call, y, x, swapped=True)
    if len(x.order) != len(y.order):
        raise call.refuse(f"its inputs have {len(x.order)} and {len(y.order)} axes")
    order = max((x, y), key=lambda value: math.prod(value.shape)).order
    tensors = [call.arrange(value, order).tensor for value in (x, y)]
    nonnegative = x.nonnegative and y.nonnegative and kind != "Sub"
    return call.value(call.layer(_MERGING[kind], tensors), order, nonnegative)


def _rescaled(call: Call, x: Value, constant: NDArray, swapped: bool = False) -> Value:
    """``x`` and a constant, or the constant and ``x``."""
    axis, numbers = call.along(x, constant)
    x = x if axis is None else call.axis_last(x, axis)
    numbers = numbers.astype(np.float64)
    if call.node.op_type == "Mul":
        return _affine(call, x, numbers, 0.0)
    if call.node.op_type == "Div":
        return _affine(call, x, 1 / numbers, 0.0)
    if call.node.op_type == "Sub":
        return _affine(call, x, -1.0, numbers) if swapped else _affine(call, x, 1.0, -numbers)
    return _affine(call, x, 1.0, numbers)


def _affine(call: Call, x: Value, scale: float | NDArray, offset: float | NDArray) -> Value:
    scale, offset = np.asarray(scale).tolist(), np.asarray(offset).tolist()
    if scale == 1 and offset == 0:
        return x
    return call.value(call.layer("Rescaling", x.tensor, scale=scale, offset=offset), x.order)


@operator("Neg")
def _neg(call, x):
    return _affine(call, x, -1.0, 0.0)


# --- values that move ---------------------------------------------------------------------------


@operator("Identity", "Dropout")
def _identity(call, x, *_):
    return x


@operator("Cast")
def _cast(call, x):
    if call.attributes["to"] != 1:  # float32
        raise call.refuse("numbers that depend on the images must stay floating-point")
    return x


@operator("Shape")
def _shape(call, x):
    first, last = call.attributes.get("start", 0), call.attributes.get("end")
    return np.asarray(x.shape[first:last], np.int64)


@operator("Reshape")
def _reshape(call, x, shape):
    wanted = [int(size) for size in call.constant(shape, "shape")]
    if not call.attributes.get("allowzero"):
        wanted = [size or x.shape[axis] for axis, size in enumerate(wanted)]
    if -1 in wanted:
        known = math.prod(size for size in wanted if size != -1)
        wanted[wanted.index(-1)] = math.prod(x.shape) // known
    return call.reshape(x, wanted)


@operator("Flatten")
def _flatten(call, x):
    axis = call.attributes.get("axis", 1)
    return call.reshape(x, (math.prod(x.shape[:axis]), math.prod(x.shape[axis:])))


@operator("Squeeze")
def _squeeze(call, x, axes=None):
    axes = call.attributes.get("axes", axes)
    if axes is None:
        axes = [axis for axis, size in enumerate(x.shape) if size == 1]
    gone = {int(axis) % len(x.shape) for axis in call.constant(axes, "axes")}
    return call.reshape(x, [size for axis, size in enumerate(x.shape) if axis not in gone])


@operator("Unsqueeze")
def _unsqueeze(call, x, axes=None):
    axes = call.constant(call.attributes.get("axes", axes), "axes")
    rank = len(x.shape) + len(axes)
    shape = list(x.shape)
    for axis in sorted(int(axis) % rank for axis in axes):
        shape.insert(axis, 1)
    return call.reshape(x, shape)


@operator("Transpose")
def _transpose(call, x):
    axes = call.attributes.get("perm", range(len(x.order))[::-1])
    if axes[0] != 0:
        raise call.refuse("it moves the batch axis")
    order = [list(axes).index(axis) for axis in x.order]
    return call.value(x.tensor, order, x.nonnegative)


@operator("DepthToSpace")
def _depth_to_space(call, x):
    size, (batch, channels, height, width) = call.attributes["blocksize"], x.shape
    fewer = channels // size**2
    if call.attributes.get("mode", "DCR") == "CRD":
        split, axes = (batch, fewer, size, size, height, width), (0, 1, 4, 2, 5, 3)
    else:
        split, axes = (batch, size, size, fewer, height, width), (0, 3, 4, 1, 5, 2)
    x = call.reshape(x, split, "split")
    x = call.value(x.tensor, [axes.index(axis) for axis in x.order], x.nonnegative)
    return call.reshape(x, (batch, fewer, height * size, width * size))


@operator("Concat")
def _concat(call, *operands):
    values = [x for x in operands if isinstance(x, Value)]
    axis = call.attributes["axis"] % len(values[0].order)
    places = [place for place, x in enumerate(operands) if isinstance(x, Value)]
    edges = operands[: places[0]], operands[places[-1] + 1 :]
    if len(values) + sum(map(len, edges)) < len(operands):
        raise call.refuse("constants that it joins must come first or last")
    if any(constant.any() for edge in edges for constant in edge):
        raise call.refuse("constants that it joins must be 0")
    zeros = [sum(constant.shape[axis] for constant in edge) for edge in edges]
    order = max(values, key=lambda value: math.prod(value.shape)).order
    joined = values[0]
    if len(values) > 1:
        tensors = [call.arrange(value, order).tensor for value in values]
        tensor = call.layer("Concatenate", tensors, axis=order.index(axis))
        joined = call.value(tensor, order, all(value.nonnegative for value in values))
    return _moved(call, joined, "ZeroPadding", {axis: tuple(zeros)})


def _moved(call: Call, x: Value, kind: str, borders: dict[int, tuple[int, int]]) -> Value:
    """``x`` with zeros at its borders (``ZeroPadding``), or without its borders (``Cropping``)."""
    borders = {axis: pair for axis, pair in borders.items() if any(pair)}
    spatial = range(2, len(x.order))
    if 3 <= len(x.order) <= 5 and set(borders) & set(spatial):
        x = call.channels_last(x)
        pairs = [borders.pop(axis, (0, 0)) for axis in spatial]
        x = call.value(_borders(call, kind, x.tensor, pairs), x.order, x.nonnegative)
    for axis, pair in borders.items():
        # Keras has this for spatial axes only: make it one, with all before it in another.
        sizes, place = list(x.tensor.shape[1:]), x.order.index(axis) - 1
        before, after = math.prod(sizes[:place]), math.prod(sizes[place + 1 :])
        flat = [before, sizes[place], after][before == 1 :]
        sizes[place] += sum(pair) if kind == "ZeroPadding" else -sum(pair)
        tensor = call.layer("Reshape", x.tensor, "flat", target_shape=flat)
        tensor = _borders(call, kind, tensor, [(0, 0), pair][before == 1 :])
        tensor = call.layer("Reshape", tensor, "channels", target_shape=sizes)
        x = call.value(tensor, x.order, x.nonnegative)
    return x


@operator("Pad")
def _pad(call, x, pads=None, number=None, axes=None):
    given, rank = call.attributes, len(x.shape)
    if given.get("mode", "constant") != "constant":
        raise call.refuse(f"padding by {given['mode']} is not supported, only by 0")
    if np.any(given.get("value", 0.0 if number is None else call.constant(number, "value"))):
        raise call.refuse("it pads with another number than 0")
    pads = [int(pad) for pad in call.constant(given.get("pads", pads), "pads")]
    axes = range(rank) if axes is None else [int(axis) % rank for axis in axes]
    pairs = dict(
        zip(axes, zip(pads[: len(pads) // 2], pads[len(pads) // 2 :], strict=True), strict=True)
    )
    if any(pairs.pop(0, (0, 0))):
        raise call.refuse("it pads the batch")
    cropped = {axis: (max(-first, 0), max(-last, 0)) for axis, (first, last) in pairs.items()}
    padded = {axis: (max(first, 0), max(last, 0)) for axis, (first, last) in pairs.items()}
    return _moved(call, _moved(call, x, "Cropping", cropped), "ZeroPadding", padded)


@operator("Slice")
def _slice(call, x, starts=None, ends=None, axes=None, steps=None):
    given = call.attributes
    starts, ends = given.get("starts", starts), given.get("ends", ends)
    axes = given.get("axes", axes)
    axes = range(len(starts)) if axes is None else axes
    steps = [1] * len(starts) if steps is None else steps
    parts = [call.constant(part, "limits") for part in (axes, starts, ends, steps)]
    return _sliced(call, x, *(list(map(int, part)) for part in parts))


def _sliced(call: Call, x: Value, axes, starts, ends, steps) -> Value:
    borders, strides = {}, [1] * (len(x.shape) - 2)
    for axis, start, end, step in zip(axes, starts, ends, steps, strict=True):
        axis %= len(x.shape)
        size = x.shape[axis]
        if step < 1 or (step > 1 and axis < 2):
            raise call.refuse(f"steps of {step} along axis {axis} are not supported")
        first, last, _ = slice(start, end, step).indices(size)
        if axis == 0 and (first, last) != (0, size):
            raise call.refuse("it takes a part of the batch")
        if last <= first:
            raise call.refuse("it takes nothing")
        borders[axis] = (first, size - last)
        if step > 1:
            strides[axis - 2] = step
    x = _moved(call, x, "Cropping", borders)
    if max(strides, default=1) == 1:
        return x
    x, n = call.channels_last(x), call.spatial(x)
    # Averages of one number each.
    tensor = call.layer(f"AveragePooling{n}D", x.tensor, pool_size=1, strides=tuple(strides))
    return call.value(tensor, nonnegative=x.nonnegative)


@operator("Split")
def _split(call, x, sizes=None):
    axis = call.attributes.get("axis", 0) % len(x.shape)
    size, count = x.shape[axis], len(call.node.output)
    sizes = call.attributes.get("split", sizes)
    if sizes is None:
        most = -(-size // count)
        sizes = [min(most, size - start) for start in range(0, size, most)]
    ends = np.cumsum(call.constant(sizes, "sizes"))
    return [
        _sliced(call, x, [axis], [end - part], [end], [1])
        for part, end in zip(sizes, ends, strict=True)
    ]


@operator("Gather")
def _gather(call, x, indices):
    axis = call.attributes.get("axis", 0) % len(x.shape)
    indices = call.constant(indices, "indices")
    wanted = np.ravel(indices) % x.shape[axis]
    if axis == 0 or indices.ndim > 1 or (np.diff(wanted) != 1).any():
        raise call.refuse("it takes other things than a range of channels, rows or columns")
    part = _sliced(call, x, [axis], [wanted[0]], [wanted[-1] + 1], [1])
    shape = [size for place, size in enumerate(part.shape) if indices.ndim or place != axis]
    return call.reshape(part, shape, "reshape")


@operator("Expand")
def _expand(call, x, shape):
    shape = np.broadcast_shapes(tuple(map(int, call.constant(shape, "shape"))), x.shape)
    return _upsampled(call, x, shape)


_PLACES: dict[str, Callable] = {
    "asymmetric": lambda place, scale: place / scale,
    "half_pixel": lambda place, scale: (place + 0.5) / scale - 0.5,
    "half_pixel_symmetric": lambda place, scale: (place + 0.5) / scale - 0.5,
    "pytorch_half_pixel": lambda place, scale: (place + 0.5) / scale - 0.5,
}
_ROUNDING: dict[str, Callable] = {
    "floor": np.floor,
    "ceil": np.ceil,
    "round_prefer_floor": lambda place: np.ceil(place - 0.5),
    "round_prefer_ceil": lambda place: np.floor(place + 0.5),
}


@operator("Resize", "Upsample")
def _resize(call, x, *inputs):
    given, old = call.attributes, call.session.opset < 11
    _, scales, sizes = (*[None] * old, *inputs, None, None, None)[:3]  # the first is for cropping
    rank = len(x.shape)
    axes = [axis % rank for axis in given.get("axes", range(rank))]
    scales = given.get("scales", scales)
    if scales is not None and len(scales):
        scales = call.constant(scales, "scales")
        changed = [x.shape[axis] * scale for axis, scale in zip(axes, scales, strict=True)]
    else:
        changed = call.constant(sizes, "sizes")
    shape = list(x.shape)
    for axis, size in zip(axes, changed, strict=True):
        shape[axis] = math.floor(size + 1e-4)
    coordinates = given.get("coordinate_transformation_mode", "asymmetric" if old else "half_pixel")
    rounding = given.get("nearest_mode", "floor" if old else "round_prefer_floor")
    for before, after in zip(x.shape, shape, strict=True):
        if before in (1, after):
            continue  # one number repeated, whatever the mode
        if given.get("mode", "nearest") != "nearest":
            raise call.refuse(f"mode {given['mode']!r} is not supported, only nearest neighbours")
        if after % before or coordinates not in _PLACES:
            raise call.refuse(
                f"from {before} to {after} ({coordinates}) is not supported, only a whole number "
                "of times as large"
            )
        places = np.arange(after)
        found = _ROUNDING[rounding](_PLACES[coordinates](places, after // before))
        if (np.clip(found, 0, before - 1) != places // (after // before)).any():
            raise call.refuse(f"nearest neighbours by {coordinates} and {rounding} are uneven")
    return _upsampled(call, x, tuple(shape))


def _upsampled(call: Call, x: Value, shape) -> Value:
    """``x`` with each number repeated along the spatial axes, to ``shape``."""
    if tuple(shape) == x.shape:
        return x
    if len(shape) != len(x.shape) or tuple(shape[:2]) != x.shape[:2]:
        raise call.refuse(f"from {x.shape} to {tuple(shape)}; only spatial axes can grow")
    x, n = call.channels_last(x), call.spatial(x)
    times = tuple(after // before for before, after in zip(x.shape[2:], shape[2:], strict=True))
    tensor = call.layer(f"UpSampling{n}D", x.tensor, size=times[0] if n == 1 else times)
    return call.value(tensor, nonnegative=x.nonnegative)
