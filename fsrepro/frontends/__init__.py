"""Networks as users bring them -> one kind of graph. The only door into the library.

A Keras model (``keras_model``), a PyTorch module (``torch_module``), or a file of ONNX
(``onnx_graph``) or of Keras becomes a functional Keras model of plain float32 layers that answers
as the network does, and the task that its outputs are for.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import keras
import numpy as np
from keras import layers

from ..files import Refused, reading
from ..networks.graph import calls, uses
from ..networks.kinds import UnsupportedLayerError
from ..networks.nonlinearity import Nonlinearity
from ..tasks import Task, task_of
from .keras_model import from_keras, read_keras

__all__ = ["Network", "read"]


@dataclass(frozen=True, eq=False)
class Network:
    """A trained network, read.

    Parameters
    ----------
    graph : keras.Model
        Functional, of plain float32 layers; ends in logits.
    task : Task
        What they mean; its head is what the network itself ends in.
    """

    graph: keras.Model
    task: Task


def read(
    model, images: np.ndarray | None = None, task: str | None = None, *, what: str = "images"
) -> Network:
    """The network in ``model``.

    Parameters
    ----------
    model : keras.Model, torch.nn.Module, or path of an .onnx, .keras or .h5 file
        Trained, with one input and one output; left as it is.
    images : (N, ...) array
        As the network takes them: for PyTorch and ONNX (N, C, H, W). A few are enough. They tell
        sizes that are left open, and the graph is held against the model on them. Needed for
        PyTorch and ONNX.
    task : str, optional
        One of :data:`~fsrepro.tasks.TASKS`; unless told, see :func:`~fsrepro.tasks.task_of`.
    what : str
        What messages call the images.

    Raises
    ------
    TypeError, ValueError, UnsupportedLayerError
        As :func:`~fsrepro.conversion.normal_form` does.
    FileNotFoundError
        For a path of no file.
    """
    images = None if images is None else np.asarray(images)
    opened = _opened(model, images)
    graph, head = _without_head(from_keras(opened, images, what))
    loss = getattr(opened, "loss", None)
    return Network(graph, task_of(task, head, graph.output_shape, loss))


def _opened(model, images) -> keras.Model:
    """A Keras model that computes what ``model`` does."""
    if isinstance(model, (str, Path)):
        path = Path(model)
        if path.suffix not in (".onnx", ".keras", ".h5", ".hdf5"):
            raise ValueError(f"{path} must be an .onnx, .keras or .h5 file")
        if not path.is_file():
            raise FileNotFoundError(f"{path} does not exist")
        if path.suffix != ".onnx":
            return read_keras(path)
        return _read_onnx(path, _needed(images, path.name))
    if any(kind.__module__.split(".")[0] == "torch" for kind in type(model).__mro__):
        from .torch_module import from_torch

        return from_torch(model, _needed(images, type(model).__name__))
    if not isinstance(model, keras.Model):
        raise TypeError(
            "expected a keras.Model, a torch.nn.Module or the path of an .onnx, .keras or .h5 "
            f"file, got {type(model).__name__}"
        )
    return model


def _read_onnx(path: Path, images: np.ndarray) -> keras.Model:
    from .onnx_graph import from_onnx

    with reading(path, "an ONNX network"):
        try:
            return from_onnx(path, images)
        except UnsupportedLayerError as error:
            refusal = error
        except ValueError as error:
            text = str(error)
            raise Refused(text.removeprefix(str(path)).removeprefix(":").strip()) from None
    raise UnsupportedLayerError(f"{path}: {refusal}")


def _needed(images, name: str) -> np.ndarray:
    if images is None:
        raise ValueError(f"{name} is read with the help of a few images; pass images")
    return images


def _without_head(graph: keras.Model) -> tuple[keras.Model, str]:
    """``graph`` without the activation that it ends in, and the name of that, or ``"linear"``."""
    last = graph.outputs[0]._keras_history.operation
    if not isinstance(last, (Nonlinearity, layers.Softmax)) or uses(graph)[id(last.output)] > 1:
        return graph, "linear"
    if all(call.operation is last for call in calls(graph)):
        return graph, "linear"  # nothing but an activation
    head = "softmax" if isinstance(last, layers.Softmax) else last.function
    return keras.Model(graph.inputs[0], last.input, name=graph.name), head
