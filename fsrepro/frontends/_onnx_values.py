"""Values of an ONNX graph as Keras tensors, and the layers that put their axes in order.

ONNX has channels first, the layers here want them last. Which axis lies where is noted with each
value, so a transposition costs no layer until something needs a certain order.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import keras
import numpy as np
import onnx
from keras import layers
from numpy.typing import NDArray

from ..networks.graph import unique
from ..networks.kinds import UnsupportedLayerError

__all__ = ["Call", "Session", "Value", "label", "plain"]

_WITH_WEIGHTS = {"Conv", "ConvTranspose", "Gemm", "MatMul", "BatchNormalization", "PRelu"}


@dataclass(frozen=True)
class Value:
    """A Keras tensor whose axes are, one by one, the axes ``order`` of an ONNX value."""

    tensor: keras.KerasTensor
    order: tuple[int, ...]
    batch: int
    """The size of the first axis, open in Keras, that shapes are computed with."""
    nonnegative: bool = False

    @property
    def shape(self) -> tuple[int, ...]:
        """As ONNX has it."""
        sizes = dict(zip(self.order, (self.batch, *self.tensor.shape[1:]), strict=True))
        return tuple(sizes[axis] for axis in range(len(sizes)))

    def as_onnx(self, array: NDArray) -> NDArray:
        """What ``tensor`` was computed to be, in ONNX's order of axes."""
        return array.transpose(np.argsort(self.order))


@dataclass
class Session:
    """What all nodes of one network share."""

    batch: int
    opset: int
    origin: dict[str, str] = field(default_factory=dict)
    """The tensor of the file that a constant was computed from, where it is not that itself."""
    names: set[str] = field(default_factory=set)


class Call:
    """One node of the graph while it becomes layers."""

    def __init__(self, node: onnx.NodeProto, session: Session):
        self.node, self.session = node, session
        self.name = _layer_name(node, session)
        self.attributes: dict[str, Any] = {}
        for attribute in node.attribute:
            value = onnx.helper.get_attribute_value(attribute)
            self.attributes[attribute.name] = value.decode() if isinstance(value, bytes) else value

    def refuse(self, hint: str) -> UnsupportedLayerError:
        return UnsupportedLayerError(
            f"node {label(self.node)!r} has no form in Keras layers; {hint}"
        )

    def constant(self, value: Value | NDArray, what: str) -> NDArray:
        """``value``, refused if it depends on the images."""
        if isinstance(value, Value):
            raise self.refuse(f"its {what} must be constant")
        return value

    def layer(self, kind: str, x, role: str = "", weights: Sequence | None = None, **options):
        """A new Keras layer called on the tensor or tensors ``x``, with these ``weights``."""
        make = getattr(layers, kind)
        if "data_format" in inspect.signature(make).parameters:
            options["data_format"] = "channels_last"
        name = unique(self.session.names, f"{self.name}.{role}" if role else self.name)
        made = make(**options, dtype="float32", name=name)
        output = made(x)
        if weights is not None:
            made.set_weights(weights)
        return output

    def value(self, tensor, order: Sequence[int] | None = None, nonnegative=False) -> Value:
        """A new tensor as a value, with channels last where no other order is given."""
        order = _channels_last(len(tensor.shape)) if order is None else tuple(order)
        return Value(tensor, order, self.session.batch, nonnegative)

    def arrange(self, x: Value, order: Sequence[int], role: str = "order") -> Value:
        """``x`` with its axes in that order."""
        order, shape = tuple(order), x.shape
        if order == x.order:
            return x
        if _long(order, shape) == _long(x.order, shape):  # nothing moves but axes of size 1
            sizes = [shape[axis] for axis in order[1:]]
            tensor = self.layer("Reshape", x.tensor, role, target_shape=sizes)
        else:
            places = [x.order.index(axis) for axis in order[1:]]
            tensor = self.layer("Permute", x.tensor, role, dims=places)
        return self.value(tensor, order, x.nonnegative)

    def channels_last(self, x: Value, role: str = "order") -> Value:
        return self.arrange(x, _channels_last(len(x.order)), role)

    def axis_last(self, x: Value, axis: int) -> Value:
        """``x`` with ``axis`` as its last, and the others in their order."""
        if axis == 1:
            return self.channels_last(x)
        return self.arrange(x, (*(other for other in x.order if other != axis), axis))

    def spatial(self, x: Value) -> int:
        """The number of spatial axes, for which Keras has layers."""
        axes = len(x.order) - 2
        if axes not in (1, 2, 3):
            raise self.refuse(f"its input has {axes} spatial axes, supported are 1, 2 and 3")
        return axes

    def reshape(self, x: Value, shape: Sequence[int], role: str = "") -> Value:
        """``x`` in another shape, moving only axes that are split or merged."""
        shape = tuple(shape)
        if shape == x.shape:
            return x
        if not shape or shape[0] != x.batch:
            raise self.refuse(f"from {x.shape} to {shape} it would mix the images of a batch")
        axes = _long(x.order, x.shape)[1:]
        groups = []  # where it begins, axes before, axes after
        for before, after in _groups(x.shape, shape):
            before = [axis for axis in before if axis in axes]
            groups.append((min(map(axes.index, before), default=len(axes)), before, after))
        groups.sort(key=lambda group: group[0])
        wanted = [axis for _, before, _ in groups for axis in before]
        if wanted != list(axes):
            ones = [axis for axis in x.order[1:] if axis not in axes]
            x = self.arrange(x, (0, *wanted, *ones))
        order = (0, *(axis for _, _, after in groups for axis in after))
        if _long(order, shape) == _long(_channels_last(len(shape)), shape):
            order = _channels_last(len(shape))
        if len(shape) == 2:
            tensor = self.layer("Flatten", x.tensor, role)
        else:
            sizes = [shape[axis] for axis in order[1:]]
            tensor = self.layer("Reshape", x.tensor, role, target_shape=sizes)
        return self.value(tensor, order, x.nonnegative)

    def along(self, x: Value, constant: NDArray) -> tuple[int | None, NDArray]:
        """The axis of ``x`` along which a constant differs, if any, and its numbers there."""
        if np.broadcast_shapes(constant.shape, x.shape) != x.shape:
            raise self.refuse(f"a constant of shape {constant.shape} would enlarge {x.shape}")
        constant = constant.reshape((1,) * (len(x.shape) - constant.ndim) + constant.shape)
        axes = [n for n in range(constant.ndim) if (constant != constant.take([0], n)).any()]
        if len(axes) > 1 or axes == [0]:
            raise self.refuse(
                "a constant may differ along one axis only, as one number per channel does"
            )
        places = (slice(None) if axis in axes else 0 for axis in range(constant.ndim))
        return (axes[0] if axes else None), constant[tuple(places)]


def label(node: onnx.NodeProto) -> str:
    """A node by its name and operator, as messages have it."""
    kind = f"{node.domain}::{node.op_type}" if node.domain else node.op_type
    return f"{node.name or next(iter(node.output), '')} ({kind})"


def _channels_last(rank: int) -> tuple[int, ...]:
    return (0, *range(2, rank), 1)[:rank]


def _long(order: Sequence[int], shape: Sequence[int]) -> tuple[int, ...]:
    """The batch and the axes that hold more than one number."""
    return tuple(axis for axis in order if axis == 0 or shape[axis] > 1)


def _groups(before: Sequence[int], after: Sequence[int]):
    """The shortest runs of axes, in both shapes, that hold equally much; without the batch."""
    left = right = 1
    while left < len(before) or right < len(after):
        starts, sizes = (left, right), [1, 1]
        while True:
            if left < len(before) and (sizes[0] <= sizes[1] or right == len(after)):
                sizes[0] *= before[left]
                left += 1
            else:
                sizes[1] *= after[right]
                right += 1
            either_ended = left == len(before) or right == len(after)
            if sizes[0] == sizes[1] and (either_ended or (starts[0] < left and starts[1] < right)):
                break
        yield range(starts[0], left), range(starts[1], right)


def _layer_name(node: onnx.NodeProto, session: Session) -> str:
    """``layer1.0.conv1`` from its weight ``layer1.0.conv1.weight``, else from where the node is."""
    for name in node.input[1:]:
        module, dot, rest = session.origin.get(name, name).rpartition(".weight")
        if dot and not rest:
            return plain(module)
    told = {entry.key.rpartition(".")[-1]: entry.value for entry in node.metadata_props}
    if (
        "name_scopes" in told
    ):  # of torch.export: ['', 'layer1', 'layer1.0', 'layer1.0.relu', 'relu']
        scopes, classes = (
            ["", "", *re.findall("'([^']*)'", told.get(key, ""))]
            for key in ("name_scopes", "class_hierarchy")
        )
        module, kind = scopes[-2:]
        alone = classes[-2].startswith("torch.nn.modules.") and ".container." not in classes[-2]
    else:  # of the exporter before it, /layer1/layer1.0/relu/Relu
        *modules, kind = (node.name or node.op_type.lower()).split("/")
        if not modules:
            return plain(kind)
        then = [*modules[1:], ""]
        parts = [a for a, b in zip(modules, then, strict=True) if not b.startswith(f"{a}.")]
        module, alone = ".".join(filter(None, parts)), False
    kind, same = (re.sub(r"_\d+$", "", name).lower() for name in (kind, module))
    alone = alone or node.op_type in _WITH_WEIGHTS or same.endswith(kind)
    return plain(module if module and alone else f"{module}.{kind}")


def plain(name: str) -> str:
    """``name`` as Keras takes it."""
    return re.sub(r"[^\w.\-]+", ".", name).strip(".") or "node"
