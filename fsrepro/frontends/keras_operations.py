"""Operators and functions on symbolic tensors (``a + b``, ``keras.ops``), as layers.

Each entry of :data:`OPERATIONS` gets a function that makes names unique, a name, the operation, and
what it was called with; it returns the new tensor, or None where it has no form as layers.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import keras
import numpy as np
from keras import layers, ops

__all__ = ["OPERATIONS", "scaled"]

_is_tensor = keras.utils.is_keras_tensor


def scaled(x, scale, offset, name: str):
    """scale x + offset; the numbers broadcast against one value of the batch."""
    if np.all(scale == 1) and np.all(offset == 0):
        return x
    scale, offset = (np.asarray(value, np.float64).tolist() for value in (scale, offset))
    return layers.Rescaling(scale, offset, name=name)(x)


def _constant(value, x) -> np.ndarray | None:
    """A number, array, variable or tensor as what broadcasts against one value of the batch."""
    value = np.asarray(ops.convert_to_numpy(value), np.float64)
    if value.ndim == len(x.shape):
        if value.shape[0] != 1:
            return None
        value = value[0]
    return value if value.ndim < len(x.shape) else None


def _with_constant(name, wanted, a, b, tensor_first: Callable, tensor_last: Callable):
    """One of ``a`` and ``b`` a tensor: as (scale, offset) from the constant by one of the rules."""
    x, other, rule = (a, b, tensor_first) if _is_tensor(a) else (b, a, tensor_last)
    number = _constant(other, x)
    if number is None or np.broadcast_shapes(number.shape, x.shape[1:]) != tuple(x.shape[1:]):
        return None
    scale, offset = rule(number)
    return scaled(x, scale, offset, name(wanted))


def _same_rank(name, a, b):
    """Both with as many axes, as layers that merge ask for."""
    for _ in range(abs(len(a.shape) - len(b.shape))):
        if len(a.shape) < len(b.shape):
            a = layers.Reshape((1, *a.shape[1:]), name=name("expand"))(a)
        else:
            b = layers.Reshape((1, *b.shape[1:]), name=name("expand"))(b)
    return [a, b]


def _add(name, wanted, operation, x1, x2):
    if _is_tensor(x1) and _is_tensor(x2):
        return layers.Add(name=name(wanted))(_same_rank(name, x1, x2))
    return _with_constant(name, wanted, x1, x2, lambda c: (1, c), lambda c: (1, c))


def _subtract(name, wanted, operation, x1, x2):
    if _is_tensor(x1) and _is_tensor(x2):
        return layers.Subtract(name=name(wanted))(_same_rank(name, x1, x2))
    return _with_constant(name, wanted, x1, x2, lambda c: (1, -c), lambda c: (-1, c))


def _multiply(name, wanted, operation, x1, x2):
    if _is_tensor(x1) and _is_tensor(x2):
        return layers.Multiply(name=name(wanted))(_same_rank(name, x1, x2))
    return _with_constant(name, wanted, x1, x2, lambda c: (c, 0), lambda c: (c, 0))


def _divide(name, wanted, operation, x1, x2):
    if not _is_tensor(x1) or _is_tensor(x2):
        return None
    return _with_constant(name, wanted, x1, x2, lambda c: (1 / c, 0), lambda c: (1 / c, 0))


def _negative(name, wanted, operation, x):
    return scaled(x, -1, 0, name(wanted))


def _same(name, wanted, operation, x, *args, **kwargs):
    return x


def _softmax(name, wanted, operation, x, **kwargs):
    axis = getattr(operation, "axis", -1)
    return layers.Softmax(name=name(wanted))(x) if axis in (-1, len(x.shape) - 1) else None


def _concatenate(name, wanted, operation, xs, **kwargs):
    axis = operation.axis % len(xs[0].shape)
    return layers.Concatenate(axis=axis, name=name(wanted))(xs) if axis else None


def _stack(name, wanted, operation, xs, **kwargs):
    axis = operation.axis % (len(xs[0].shape) + 1)
    if not axis:
        return None
    shape = list(xs[0].shape[1:])
    shape.insert(axis - 1, 1)
    grown = [layers.Reshape(tuple(shape), name=name(f"{wanted}_part"))(x) for x in xs]
    return layers.Concatenate(axis=axis, name=name(wanted))(grown)


def _reshape(name, wanted, operation, x, *args, **kwargs):
    """Any operation that leaves all values in their order: told by the shape it gives."""
    shape = operation.compute_output_spec(x, *args, **kwargs).shape
    if None in shape[1:] or math.prod(shape[1:]) != math.prod(x.shape[1:]):
        return None
    return layers.Reshape(shape[1:], name=name(wanted))(x)


def _transpose(name, wanted, operation, x, *args, **kwargs):
    axes = getattr(operation, "axes", None)
    if axes is None or axes[0] % len(x.shape) != 0:
        return None
    return layers.Permute([axis % len(x.shape) for axis in axes[1:]], name=name(wanted))(x)


def _moved_axes(move: Callable):
    """Axes in another order, told by what NumPy makes of an array of unequal sizes."""

    def translate(name, wanted, operation, x):
        sizes = move(operation, np.empty(range(1, len(x.shape) + 1))).shape
        order = [size - 1 for size in sizes]
        return layers.Permute(order[1:], name=name(wanted))(x) if order[0] == 0 else None

    return translate


def _over_space(averages: bool):
    def translate(name, wanted, operation, x, *args, **kwargs):
        axis = operation.axis
        axes = sorted(a % len(x.shape) for a in ([axis] if isinstance(axis, int) else axis or ()))
        n = len(axes)
        if axes != list(range(1, len(x.shape) - 1)) or n not in (1, 2, 3):
            return None
        kind = getattr(layers, f"Global{'Average' if averages else 'Max'}Pooling{n}D")
        return kind(keepdims=operation.keepdims, name=name(wanted))(x)

    return translate


def _pad(name, wanted, operation, x, constant_values=None):
    widths = [tuple(map(int, pair)) for pair in operation.pad_width]
    rank = len(x.shape) - 2
    if operation.mode != "constant" or rank not in (1, 2, 3) or any((*widths[0], *widths[-1])):
        return None
    if constant_values is not None and np.any(np.asarray(constant_values) != 0):
        return None
    padding = widths[1] if rank == 1 else tuple(widths[1:-1])
    return getattr(layers, f"ZeroPadding{rank}D")(padding, name=name(wanted))(x)


def _get_item(name, wanted, operation, x, key):
    keys = list(key) if isinstance(key, tuple) else [key]
    rank = len(x.shape)
    if Ellipsis in keys:
        at = keys.index(Ellipsis)
        keys[at : at + 1] = [slice(None)] * (rank - len(keys) + 1)
    keys += [slice(None)] * (rank - len(keys))
    if len(keys) != rank or keys[0] != slice(None):
        return None
    shape = []
    for axis, k in enumerate(keys[1:], 1):
        size = x.shape[axis]
        if isinstance(k, int):
            x = part(name, wanted, x, axis, range(size)[k : k + 1 or None])
        elif isinstance(k, slice):
            chosen = range(size)[k]
            if not chosen or chosen.step < 0:
                return None
            x = part(name, wanted, x, axis, chosen)
            shape.append(len(chosen))
        else:
            return None
    if tuple(shape) == tuple(x.shape[1:]):
        return x
    return layers.Reshape(tuple(shape), name=name(f"{wanted}_squeeze"))(x)


def part(name, wanted: str, x, axis: int, chosen: range):
    """``x`` with only some places of an axis: layers cut, and skip, along the second of three."""
    shape, size = tuple(x.shape[1:]), x.shape[axis]
    if chosen == range(size):
        return x
    before, after = math.prod(shape[: axis - 1]), math.prod(shape[axis:])
    y = layers.Reshape((before, size, after), name=name(f"{wanted}_axis"))(x)
    cut = (chosen[0], size - chosen[-1] - 1)
    if any(cut):
        y = layers.Cropping2D(((0, 0), cut), name=name(f"{wanted}_crop"))(y)
    if chosen.step > 1:
        y = layers.AveragePooling2D(1, strides=(1, chosen.step), name=name(f"{wanted}_skip"))(y)
    new = (*shape[: axis - 1], len(chosen), *shape[axis:])
    return layers.Reshape(new, name=name(f"{wanted}_part"))(y)


def _split(name, wanted, operation, x):
    axis, given = operation.axis % len(x.shape), operation.indices_or_sections
    size = x.shape[axis]
    if isinstance(given, int):
        given = np.arange(1, given) * size // given
    ends = [*given, size]
    starts = [0, *ends[:-1]]
    if not axis:
        return None
    return [
        part(name, wanted, x, axis, range(int(start), int(end)))
        for start, end in zip(starts, ends, strict=True)
    ]


def _matmul(name, wanted, operation, x1, x2):
    if not _is_tensor(x1) or _is_tensor(x2):
        return None
    kernel = np.asarray(ops.convert_to_numpy(x2), np.float32)
    if kernel.ndim != 2:
        return None
    dense = layers.Dense(kernel.shape[1], use_bias=False, name=name(wanted))
    output = dense(x1)
    dense.set_weights([kernel])
    return output


OPERATIONS: dict[str, Callable] = {
    "Add": _add,
    "Amax": _over_space(False),
    "Cast": _same,
    "Concatenate": _concatenate,
    "Copy": _same,
    "Divide": _divide,
    "ExpandDims": _reshape,
    "GetItem": _get_item,
    "Matmul": _matmul,
    "Max": _over_space(False),
    "Mean": _over_space(True),
    "Moveaxis": _moved_axes(lambda op, a: np.moveaxis(a, op.source, op.destination)),
    "Multiply": _multiply,
    "Negative": _negative,
    "Pad": _pad,
    "Ravel": _reshape,
    "Reshape": _reshape,
    "Softmax": _softmax,
    "Split": _split,
    "Squeeze": _reshape,
    "Stack": _stack,
    "StopGradient": _same,
    "Subtract": _subtract,
    "Swapaxes": _moved_axes(lambda op, a: np.swapaxes(a, op.axis1, op.axis2)),
    "Transpose": _transpose,
    "TrueDivide": _divide,
}
