"""What can be said about an ONNX graph before it becomes layers.

What does not depend on the images is a constant, and what exporters write in several nodes for lack
of one (SiLU, GELU, a bias) is one node.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from itertools import permutations

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx.reference import ReferenceEvaluator

from ._onnx_file import array

__all__ = ["fold", "fuse", "initial_constants", "is_constant", "needed"]


def initial_constants(graph: onnx.GraphProto) -> dict[str, NDArray]:
    return {tensor.name: array(tensor) for tensor in graph.initializer}


def is_constant(node: onnx.NodeProto, constants: Iterable[str]) -> bool:
    """Whether a node gives the same whatever the images are, and each time."""
    if node.op_type.startswith("Random") or node.op_type in ("Bernoulli", "Multinomial"):
        return False
    if any(attribute.type == attribute.GRAPH for attribute in node.attribute):
        return False
    return all(name in constants for name in node.input if name)


def fold(
    node: onnx.NodeProto, constants: dict[str, NDArray], opsets: Iterable[onnx.OperatorSetIdProto]
) -> dict[str, NDArray]:
    """What a node makes of constants, by name."""
    given = {name: constants[name] for name in node.input if name}
    inputs = [
        onnx.helper.make_tensor_value_info(
            name, onnx.helper.np_dtype_to_tensor_dtype(value.dtype), value.shape
        )
        for name, value in given.items()
    ]
    names = [name for name in node.output if name]
    outputs = [onnx.helper.make_empty_tensor_value_info(name) for name in names]
    graph = onnx.helper.make_graph([node], "constant", inputs, outputs)
    model = onnx.helper.make_model(graph, opset_imports=list(opsets))
    found = ReferenceEvaluator(model).run(None, given)
    return dict(zip(names, map(np.asarray, found), strict=True))


def needed(nodes: list[onnx.NodeProto], output: str) -> list[onnx.NodeProto]:
    """The nodes that ``output`` depends on."""
    wanted, kept = {output}, []
    for node in reversed(nodes):
        if wanted & set(node.output):
            wanted.update(node.input)
            kept.append(node)
    return kept[::-1]


# Of several nodes, the one they amount to. "x" is the same value everywhere, a number a constant.
_ERF = [("Erf", ("Div", "x", math.sqrt(2))), ("Erf", ("Mul", "x", math.sqrt(0.5)))]
_NORMAL = [("Add", erf, 1.0) for erf in _ERF]
_CLIPPED = ("Clip", ("Add", "x", 3.0), 0.0, 6.0)
_PATTERNS = [
    ("Silu", ("Mul", "x", ("Sigmoid", "x"))),
    ("HardSigmoid", ("Div", _CLIPPED, 6.0)),
    ("HardSwish", ("Div", ("Mul", "x", _CLIPPED), 6.0)),
    ("HardSwish", ("Mul", "x", ("HardSigmoid", "x"))),
    ("Mish", ("Mul", "x", ("Tanh", ("Softplus", "x")))),
    ("Softplus", ("Where", ("Greater", "x", 20.0), "x", ("Softplus", "x"))),
    ("Softsign", ("Div", "x", ("Add", ("Abs", "x"), 1.0))),
    *(("Gelu", ("Mul", ("Mul", "x", normal), 0.5)) for normal in _NORMAL),
    *(("Gelu", ("Mul", "x", ("Mul", normal, 0.5))) for normal in _NORMAL),
    *(("Gelu", ("Mul", ("Mul", "x", 0.5), normal)) for normal in _NORMAL),
]
_STANDARD = {"alpha": 1 / 6, "beta": 0.5}
"""The hard sigmoid that hard SiLU is made of."""


def fuse(nodes: list[onnx.NodeProto], constants: dict[str, NDArray]) -> list[onnx.NodeProto]:
    """``nodes`` with one in the place of several; those that are left over stay as they are."""
    makers: dict[str, onnx.NodeProto] = {}
    fused = []
    for node in nodes:
        node = _activation(node, makers, constants) or _biased(node, makers, constants) or node
        makers.update(dict.fromkeys(node.output, node))
        fused.append(node)
    return fused


def _activation(node, makers, constants) -> onnx.NodeProto | None:
    for kind, pattern in _PATTERNS:
        if pattern[0] == node.op_type and (x := _match(pattern, node, makers, constants)):
            new = onnx.helper.make_node(kind, [x], list(node.output), name=node.name)
            if kind == "HardSigmoid":
                new.attribute.extend(
                    onnx.helper.make_attribute(*given) for given in _STANDARD.items()
                )
            new.metadata_props.extend(node.metadata_props)
            return new
    return None


def _match(pattern, node, makers, constants, x: str = "") -> str | None:
    """The name of "x" if ``node`` computes ``pattern``, else None; ``x``: what it has to be."""
    if not isinstance(node, onnx.NodeProto) or node.op_type != pattern[0]:
        return None
    if node.op_type == "HardSigmoid":
        given = {attribute.name: attribute.f for attribute in node.attribute}
        standard = {"alpha": 0.2, "beta": 0.5} | given
        if any(abs(standard[key] - value) > 1e-6 for key, value in _STANDARD.items()):
            return None
    parts = pattern[1:]
    orders = permutations(parts) if node.op_type in ("Add", "Mul") else [parts]
    for order in orders:
        found: str | None = x
        for part, name in zip(order, node.input, strict=False):
            if found is not None:
                found = _match_input(part, name, makers, constants, found)
        if found is not None and len(node.input) == len(parts):
            return found
    return None


def _match_input(part, name, makers, constants, x: str) -> str | None:
    if part == "x":
        return name if name not in constants and x in ("", name) else None
    if isinstance(part, float):
        number = constants.get(name)
        if number is None or number.size != 1:
            return None
        return x if math.isclose(number.item(), part, rel_tol=1e-6) else None
    return _match(part, makers.get(name), makers, constants, x)


def _biased(node, makers, constants) -> onnx.NodeProto | None:
    """A convolution or matrix product with the constant that ``node`` adds to it as its bias."""
    if node.op_type != "Add":
        return None
    for name, other in permutations(node.input):
        linear = makers.get(name)
        if linear is None or other not in constants or linear.op_type not in _BIAS_SHAPES:
            continue
        known = [constants.get(weights) for weights in linear.input[1:]]
        if any(weights is None for weights in known):
            continue
        group = next((given.i for given in linear.attribute if given.name == "group"), 1)
        try:
            shape = _BIAS_SHAPES[linear.op_type](known[0], group)
            bias = np.broadcast_to(constants[other], shape).ravel()
        except ValueError:  # not one number for each channel
            continue
        new = onnx.NodeProto()
        new.CopyFrom(linear)
        del new.input[2:], new.output[:]
        new.input.append(f"{other} of {node.output[0]}")
        new.output.extend(node.output)
        constants[new.input[2]] = bias + (known[1] if len(known) == 2 else 0)
        return new
    return None


_BIAS_SHAPES = {
    "Conv": lambda kernel, group: (1, kernel.shape[0], *[1] * (kernel.ndim - 2)),
    "ConvTranspose": lambda kernel, group: (1, kernel.shape[1] * group, *[1] * (kernel.ndim - 2)),
    "MatMul": lambda kernel, group: (1, kernel.shape[1]),
}
"""What the sum may be broadcast from, by operator."""
