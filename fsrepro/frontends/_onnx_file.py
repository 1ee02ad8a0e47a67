"""An ONNX file read: whole, of one input and one output, in float32, with images that fit it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
import onnx.inliner
from google.protobuf.message import DecodeError
from numpy.typing import NDArray
from onnx import TensorProto, numpy_helper

from ..files import one_line

__all__ = ["Network", "array", "read"]

_MOST_BRANCHES = 1000
_OLDEST_OPSET = 7  # since then operators broadcast as NumPy does
_FLOATS = (TensorProto.FLOAT16, TensorProto.BFLOAT16, TensorProto.DOUBLE)


@dataclass
class Network:
    """A copy of the user's network, changed as described above, and some of its images."""

    model: onnx.ModelProto
    images: NDArray

    @property
    def entry(self) -> onnx.ValueInfoProto:
        weights = {tensor.name for tensor in self.model.graph.initializer}
        return next(entry for entry in self.model.graph.input if entry.name not in weights)

    @property
    def output(self) -> str:
        return self.model.graph.output[0].name

    @property
    def batch(self) -> int:
        """The size of the batch that a file is for, or 2 where that is left open."""
        sizes = self.entry.type.tensor_type.shape.dim
        return sizes[0].dim_value or 2 if sizes else 2

    @property
    def opset(self) -> int:
        versions = {entry.domain: entry.version for entry in self.model.opset_import}
        return versions.get("", versions.get("ai.onnx", 0))


def read(source, images) -> Network:
    model, name = _complete(source)
    _check_branches(model.graph, name)
    if model.functions:
        model = onnx.inliner.inline_local_functions(model)
    network = Network(model, np.asarray(images))
    _check_ends(network, name)
    _check_images(network, name)
    if network.opset < _OLDEST_OPSET:
        raise ValueError(f"{name} has opset {network.opset}; onnx.version_converter makes it newer")
    _to_float32(model)
    for node in model.graph.node:
        if network.output in node.output and node.op_type == "LogSoftmax":
            logits = onnx.helper.make_empty_tensor_value_info(node.input[0])
            model.graph.output[0].CopyFrom(logits)
            break
    return network


def _complete(source) -> tuple[onnx.ModelProto, str]:
    """A copy of the model with all of its weights, and its name in messages."""
    model, folder, name = onnx.ModelProto(), None, "the ONNX model"
    if isinstance(source, onnx.ModelProto):
        model.CopyFrom(source)
    else:
        if not isinstance(source, bytes):
            folder, name = Path(source).parent, str(source)
            source = Path(source).read_bytes()
        try:
            model.ParseFromString(source)
        except DecodeError:
            raise ValueError(f"{name} is damaged, or no ONNX file") from None
    if not model.graph.node or not model.opset_import:
        raise ValueError(f"{name} holds no network; it is damaged, or no ONNX file")
    if any(map(onnx.external_data_helper.uses_external_data, model.graph.initializer)):
        if folder is None:
            raise ValueError(f"{name} has its weights in another file; give the path of the model")
        try:
            onnx.load_external_data_for_model(model, str(folder))
        except Exception as error:
            raise ValueError(f"weights of {name} are missing: {one_line(error)}") from None
    return model, name


def _check_branches(graph: onnx.GraphProto, name: str) -> None:
    """Refuse graphs within graphs without end; whoever reads them goes through all."""
    inner, found = [graph], 0
    while inner and found <= _MOST_BRANCHES:
        attributes = [a for node in inner.pop().node for a in node.attribute]
        inner += [a.g for a in attributes if a.HasField("g")]
        inner += [g for a in attributes for g in a.graphs]
        found += 1
    if found > _MOST_BRANCHES:
        raise ValueError(f"{name} has more than {_MOST_BRANCHES} graphs within its graph")


def array(tensor: TensorProto) -> NDArray:
    try:
        return numpy_helper.to_array(tensor)
    except Exception as error:
        raise ValueError(f"tensor {tensor.name!r} is damaged: {one_line(error)}") from None


def _check_ends(network: Network, name: str) -> None:
    graph = network.model.graph
    weights = {tensor.name for tensor in graph.initializer}
    inputs = [entry.name for entry in graph.input if entry.name not in weights]
    for kind, names in (("input", inputs), ("output", [output.name for output in graph.output])):
        if len(names) != 1:
            listed = ", ".join(names) or "none"
            raise ValueError(
                f"{name} must have one {kind}, it has {listed}; pick one and export the network "
                "with that alone"
            )


def _check_images(network: Network, name: str) -> None:
    kind, found = network.entry.type.tensor_type, network.images.shape
    if len(found) < 2 or 0 in found:
        raise ValueError(f"images must be an array (N, ...) of at least one, got shape {found}")
    if not kind.HasField("shape"):
        return
    sizes = [size.dim_value or None for size in kind.shape.dim]
    pairs = zip(sizes[1:], found[1:], strict=False)
    if len(sizes) != len(found) or any(size not in (None, given) for size, given in pairs):
        wanted = ", ".join(str(size or "any") for size in sizes[1:])
        raise ValueError(f"{name} takes images of shape (N, {wanted}), got {found}")


def _to_float32(model: onnx.ModelProto) -> None:
    """Make all floating-point numbers float32, in place."""
    graph = model.graph
    del graph.value_info[:]  # it would contradict
    for info in (*graph.input, *graph.output):
        if info.type.tensor_type.elem_type in _FLOATS:
            info.type.tensor_type.elem_type = TensorProto.FLOAT
    attributes = [(node, attribute) for node in graph.node for attribute in node.attribute]
    for tensor in (*graph.initializer, *(attribute.t for _, attribute in attributes)):
        if tensor.data_type in _FLOATS:
            tensor.CopyFrom(numpy_helper.from_array(array(tensor).astype(np.float32), tensor.name))
    for node, attribute in attributes:
        if node.op_type == "Cast" and attribute.name == "to" and attribute.i in _FLOATS:
            attribute.i = TensorProto.FLOAT
