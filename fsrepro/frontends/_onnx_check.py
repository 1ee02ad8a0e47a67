"""Whether a Keras model computes what its ONNX network does, and from which node on it does not."""

from __future__ import annotations

from collections.abc import Callable

import keras
import numpy as np
import onnx
from numpy.typing import NDArray
from onnx.reference import ReferenceEvaluator

from ..files import one_line
from ._onnx_file import Network
from ._onnx_values import Value, label

__all__ = ["check"]

_IMAGES = 4
_TOLERANCE = 1e-4
"""Of the largest number."""


def check(network: Network, model: keras.Model, values: dict[str, Value]) -> None:
    """Run both on the first images; ``ValueError`` where they differ, with the first such node."""
    output, images = network.output, network.images[:_IMAGES]
    [expected] = _reference(network.model, network, images)
    if not np.isfinite(expected).all():
        raise ValueError("the ONNX network gives NaN or infinite outputs for these images")
    found = values[output].as_onnx(_run(model, images)[0])
    if _difference(found, expected) <= _TOLERANCE:
        return
    node, difference = _first_that_differs(network, model, values, images)
    raise ValueError(
        f"the Keras model differs from the ONNX network by {_difference(found, expected):.1g} of "
        f"its largest output; the first node that does, by {difference:.1g}, is {node!r}"
    )


def _difference(found: NDArray, expected: NDArray) -> float:
    """The largest, as a part of the largest number expected."""
    if found.shape != expected.shape:
        return np.inf
    difference, largest = np.abs(found - expected).max(), np.abs(expected).max()
    return 0.0 if difference == 0 else np.inf if not largest > 0 else float(difference / largest)


def _first_that_differs(network, model, values, images) -> tuple[str, float]:
    makers = {name: node for node in network.model.graph.node for name in node.output}
    names = [name for name in values if name in makers]
    whole = onnx.ModelProto()
    whole.CopyFrom(network.model)
    del whole.graph.output[:]
    whole.graph.output.extend(map(onnx.helper.make_empty_tensor_value_info, names))
    inner = keras.Model(model.inputs[0], [values[name].tensor for name in names])
    pairs = zip(names, _run(inner, images), _reference(whole, network, images), strict=True)
    for name, found, expected in pairs:
        difference = _difference(values[name].as_onnx(found), expected)
        if not difference <= _TOLERANCE:
            break
    return label(makers[name]), difference


def _run(model: keras.Model, images: NDArray) -> list[NDArray]:
    outputs = model(images.astype(np.float32), training=False)
    return [keras.ops.convert_to_numpy(output) for output in keras.tree.flatten(outputs)]


def _reference(model: onnx.ModelProto, network: Network, images: NDArray) -> list[NDArray]:
    """All outputs of ``model``, which takes so many images at once as its file says."""
    run, batch, entry = _runner(model), network.batch, network.entry
    kind = onnx.helper.tensor_dtype_to_np_dtype(entry.type.tensor_type.elem_type)
    parts = []
    for start in range(0, len(images), batch):
        part = images[start : start + batch].astype(kind)
        try:
            outputs = run({entry.name: np.resize(part, (batch, *part.shape[1:]))})
        except Exception as error:
            raise ValueError(
                "the ONNX network does not run, so that nothing can be checked; with onnxruntime "
                f"it may ({one_line(error)})"
            ) from error
        parts.append([output[: len(part)] for output in outputs])
    return [np.concatenate(batches) for batches in zip(*parts, strict=True)]


def _runner(model: onnx.ModelProto) -> Callable[[dict], list[NDArray]]:
    """By ONNX Runtime where it is installed and takes this model, else by ONNX itself, slowly."""
    try:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.log_severity_level = 4  # what it says of a model's style is not for our users
        session = onnxruntime.InferenceSession(
            model.SerializeToString(), options, providers=["CPUExecutionProvider"]
        )
    except Exception:  # it takes no very new or very large models
        reference = ReferenceEvaluator(model)
        return np.errstate(all="ignore")(lambda feed: list(reference.run(None, feed)))
    return lambda feed: session.run(None, feed)
