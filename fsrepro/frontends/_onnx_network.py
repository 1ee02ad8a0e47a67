"""An ONNX graph walked node by node, each made into Keras layers."""

from __future__ import annotations

import keras
import numpy as np
import onnx
from numpy.typing import NDArray

from ..files import one_line
from ..networks.kinds import UnsupportedLayerError
from ._onnx_constants import fold, fuse, initial_constants, is_constant, needed
from ._onnx_file import Network
from ._onnx_operators import OPERATORS
from ._onnx_values import Call, Session, Value, label, plain

__all__ = ["build"]


def build(network: Network) -> tuple[keras.Model, dict[str, Value]]:
    """The Keras model of a network, and what it computes by the names of the ONNX graph."""
    session = Session(network.batch, network.opset)
    constants = initial_constants(network.model.graph)
    nodes = [n for n in network.model.graph.node if not _folded(n, constants, network, session)]
    nodes = needed(fuse(nodes, constants), network.output)

    entry, shape = network.entry.name, network.images.shape[1:]
    inputs = keras.Input(shape, dtype="float32", name=plain(entry))
    session.names.add(inputs.name)
    door = _routing("channels_last", session)
    values = {entry: door.channels_last(door.value(inputs, range(len(shape) + 1)), role="")}
    for node in nodes:
        if not _folded(node, constants, network, session):
            for name, found in _computed(node, values, constants, session).items():
                if isinstance(found, Value):
                    values[name] = found
                else:
                    constants[name] = found
    if network.output not in values:
        raise ValueError(f"output {network.output!r} does not depend on the images")
    output = _routing("output", session).channels_last(values[network.output], role="")
    model = keras.Model(inputs, output.tensor, name=plain(network.model.graph.name))
    return model, values | {network.output: output}


def _routing(name: str, session: Session) -> Call:
    return Call(onnx.helper.make_node("Identity", [], [], name=name), session)


def _folded(node, constants: dict[str, NDArray], network: Network, session: Session) -> bool:
    """Whether a node does not depend on the images; what it gives is a constant from now on."""
    if not is_constant(node, constants):
        return False
    try:
        constants.update(fold(node, constants, network.model.opset_import))
    except Exception as error:
        raise Call(node, session).refuse(one_line(error)) from None
    for name in node.output if node.input else ():
        session.origin[name] = session.origin.get(node.input[0], node.input[0])
    return True


def _computed(
    node, values: dict[str, Value], constants: dict[str, NDArray], session: Session
) -> dict[str, Value | NDArray]:
    """What a node makes of its inputs, by name."""
    call = Call(node, session)
    if node.domain not in ("", "ai.onnx") or node.op_type not in OPERATORS:
        raise call.refuse(f"supported are {', '.join(sorted(OPERATORS))}")
    inputs: list[Value | NDArray | None] = []  # None for those left out
    for name in node.input:
        if name and name not in values and name not in constants:
            raise call.refuse(f"its input {name!r} is not computed at inference")
        inputs.append(values.get(name, constants.get(name)))
        if name in constants and node.op_type != "Clip":
            _check_numbers(constants[name], session.origin.get(name, name), node)
    try:
        found = OPERATORS[node.op_type](call, *inputs)
    except UnsupportedLayerError:
        raise
    except Exception as error:
        raise ValueError(f"node {label(node)!r} cannot be read: {one_line(error)}") from error
    outputs = found if isinstance(found, list) else [found]
    return dict(zip(node.output, outputs, strict=False))  # those of training are left out


def _check_numbers(numbers: NDArray, name: str, node) -> None:
    if numbers.dtype.kind == "f" and not np.isfinite(numbers).all():
        raise ValueError(f"tensor {name!r} of node {label(node)!r} holds NaN or infinite values")
