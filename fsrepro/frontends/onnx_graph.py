"""ONNX files as Keras models of plain layers."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import keras
from numpy.typing import ArrayLike

if TYPE_CHECKING:
    import onnx

__all__ = ["from_onnx"]


def from_onnx(source: str | Path | bytes | onnx.ModelProto, images: ArrayLike) -> keras.Model:
    """The network of an ONNX file as a functional Keras model of float32 layers.

    The model takes images as the network does, (N, C, H, W), and permutes them once: its layers
    have channels last, and so has an output that is a map. A log-softmax at the end is dropped, so
    that the outputs are the logits.

    Parameters
    ----------
    source : str, Path, bytes or onnx.ModelProto
        With one input and one output.
    images : array
        Some images as the network takes them. They give the sizes that the file leaves open, and
        the first four are run through both networks: by ONNX Runtime where it is installed, else by
        ONNX's own reference implementation.

    Raises
    ------
    ImportError
        Without ``onnx``.
    ValueError
        For what is no complete ONNX file, images of another shape than it takes, weights that are
        NaN or infinite, and a model that differs from the network by more than 1e-4 of the largest
        output; the message names the first node that does.
    UnsupportedLayerError
        For a node that no plain layers compute exactly.
    """
    try:
        import onnx  # noqa: F401
    except ImportError:
        raise ImportError("ONNX networks need onnx: pip install fsrepro[onnx]") from None
    from . import _onnx_check, _onnx_file, _onnx_network

    network = _onnx_file.read(source, images)
    model, values = _onnx_network.build(network)
    _onnx_check.check(network, model, values)
    return model
