"""PyTorch modules as Keras models, by way of ONNX."""

from __future__ import annotations

import contextlib
import copy
import io
import logging
import sys
import warnings
from collections.abc import Iterator
from typing import TYPE_CHECKING

import keras
import numpy as np
from numpy.typing import ArrayLike

from .onnx_graph import from_onnx

if TYPE_CHECKING:
    import onnx
    import torch

__all__ = ["from_torch"]


def from_torch(module: torch.nn.Module, images: ArrayLike | torch.Tensor) -> keras.Model:
    """``module`` in evaluation mode as a functional Keras model; see :func:`from_onnx`.

    A copy of it is exported; it stays as it is, on its device and in its mode.

    Parameters
    ----------
    module : torch.nn.Module
        With one input and one output.
    images : array or torch.Tensor
        Some images as the module takes them, (N, C, H, W).

    Raises
    ------
    ImportError
        Without ``torch``, ``onnx`` or ``onnxscript``, by which PyTorch exports.
    ValueError
        For a module that PyTorch cannot export; otherwise as :func:`from_onnx`.
    UnsupportedLayerError
        For an operation that no plain layers compute exactly.
    """
    import torch

    for name in ("onnx", "onnxscript"):
        try:
            __import__(name)
        except ImportError:
            raise ImportError(f"PyTorch modules need {name}: pip install fsrepro[torch]") from None
    images = np.asarray(images.detach().cpu() if isinstance(images, torch.Tensor) else images)
    if images.ndim < 2 or not images.size:
        raise ValueError(f"images must be an array (N, ...) of at least one, got {images.shape}")
    copied = copy.deepcopy(module).to(torch.device("cpu"), torch.float32).eval()
    # Two, because PyTorch and its users treat a batch of one as none.
    example = torch.from_numpy(np.resize(images, (2, *images.shape[1:])).astype(np.float32))
    name = type(module).__name__
    try:
        model = _exported(copied, example)
    except Exception as error:
        raise ValueError(f"PyTorch cannot export {name}: {_reason(error)}") from error
    model.graph.name = name.lower()
    return from_onnx(model, images)


def _exported(module: torch.nn.Module, example: torch.Tensor) -> onnx.ModelProto:
    import torch

    with torch.no_grad(), _quiet(), _without_triton():
        return torch.onnx.export(module, (example,), dynamo=True, verbose=False).model_proto


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Without what the exporter prints, warns and logs."""
    before, nowhere = logging.root.manager.disable, io.StringIO()
    logging.disable(logging.CRITICAL)
    try:
        with (
            warnings.catch_warnings(action="ignore"),
            contextlib.redirect_stdout(nowhere),
            contextlib.redirect_stderr(nowhere),
        ):
            yield
    finally:
        logging.disable(before)


@contextlib.contextmanager
def _without_triton() -> Iterator[None]:
    """The exporter imports Triton if there is one, which crashes Python after TensorFlow.

    Both bring an LLVM of their own. To export, PyTorch does not need it.
    """
    hidden = "triton" not in sys.modules
    if hidden:
        sys.modules["triton"] = None  # type: ignore[assignment]
    try:
        yield
    finally:
        if hidden:
            sys.modules.pop("triton", None)


def _reason(error: BaseException) -> str:
    """What lies behind an error, in one line."""
    while error.__cause__ is not None:
        error = error.__cause__
    lines = map(str.strip, str(error).splitlines())
    return next(filter(None, lines), type(error).__name__)
