"""Weights that others trained with PyTorch, in our Keras networks."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import keras
import numpy as np
from keras import layers

from .torch_file import read_tensors

__all__ = ["import_torch", "resnet_torch_name"]

_BATCH_NORM = {"gamma": "weight", "beta": "bias", "moving_mean": "running_mean",
               "moving_variance": "running_var"}  # fmt: skip


def resnet_torch_name(name: str) -> str:
    """The name of a layer in PyTorch: ``stage2_block1_1_conv`` is ``layer2.0.conv1``."""
    if name in ("stem_conv", "stem_bn"):
        return name.removeprefix("stem_") + "1"
    if name == "logits":
        return "linear"
    if match := re.fullmatch(r"stage(\d+)_block(\d+)_(\d|shortcut)_(conv|bn)", name):
        stage, block, place, kind = match.groups()
        part = f"shortcut.{'01'[kind == 'bn']}" if place == "shortcut" else f"{kind}{place}"
        return f"layer{stage}.{int(block) - 1}.{part}"
    return name


def import_torch(
    model: keras.Model, path: str | Path, *, naming: Callable[[str], str] = resnet_torch_name
) -> None:
    """Load a PyTorch state dict into ``model``, in place.

    Kernels turn from (out, in, H, W) to (H, W, in, out). Every tensor is checked before the first
    is loaded.

    Parameters
    ----------
    model : keras.Model
        By default a :func:`~fsrepro.experiments.models.resnet` for CIFAR of the same depth and
        width. What PyTorch does unlike Keras is an option there: ``resnet(20, shortcut="identity",
        padding="symmetric", epsilon=1e-5)`` is the ResNet-20 of He et al. (2016) as usually
        written in PyTorch.
    path : str or Path
        See :func:`~fsrepro.experiments.models.torch_file.read_tensors`; names as in the widespread
        implementations (``conv1``, ``layer1.0.conv1``, ``layer2.0.shortcut.0`` or ``downsample.0``,
        ``linear`` or ``fc``).
    naming : callable
        From the name of a layer to that in the checkpoint; for other networks.

    Raises
    ------
    ValueError
        Naming the first tensor that is missing, of another shape, not finite, or left over; else
        what ``read_tensors`` raises.
    """
    tensors = read_tensors(path)
    loaded, used = [], set()
    for layer in model.layers:
        for variable, name in _torch_names(layer, naming).items():
            aliases = name, name.replace("shortcut", "downsample"), name.replace("linear", "fc")
            key = next((alias for alias in aliases if alias in tensors), None)
            if key is None:
                raise ValueError(f"{path} has no tensor {name!r} for layer {layer.name!r}")
            used.add(key)
            value = tensors[key].transpose(_axes(layer, tensors[key].ndim))
            target = getattr(layer, variable)
            if value.shape != tuple(target.shape):
                order = np.argsort(_axes(layer, len(target.shape)))
                raise ValueError(
                    f"tensor {key!r} of {path} has shape {tensors[key].shape}, layer "
                    f"{layer.name!r} of model {model.name!r} needs "
                    f"{tuple(target.shape[i] for i in order)}"
                )
            with np.errstate(over="ignore"):
                value = value.astype(np.float32)
            if not np.isfinite(value).all():
                raise ValueError(f"tensor {key!r} of {path} holds values beyond float32")
            loaded.append((target, value))
    left = [key for key in tensors if key not in used and not key.endswith("num_batches_tracked")]
    if left:
        raise ValueError(
            f"{path} has a tensor {left[0]!r} that model {model.name!r} has no place for"
        )
    for target, value in loaded:
        target.assign(value)


def _torch_names(layer, naming) -> dict[str, str]:
    """Variable of the layer -> name of the tensor."""
    if isinstance(layer, layers.BatchNormalization):
        return {v: f"{naming(layer.name)}.{theirs}" for v, theirs in _BATCH_NORM.items()}
    if isinstance(layer, (layers.Conv2D, layers.DepthwiseConv2D, layers.Dense)):
        names = {"kernel": f"{naming(layer.name)}.weight"}
        if layer.use_bias:
            names["bias"] = f"{naming(layer.name)}.bias"
        return names
    if layer.weights:
        raise ValueError(
            f"layer {layer.name!r} ({type(layer).__name__}) has no counterpart in a checkpoint"
        )
    return {}


def _axes(layer, dimensions: int) -> tuple[int, ...]:
    """For each axis of Keras, that of PyTorch; depthwise kernels keep their channels."""
    if dimensions == 4:
        return (2, 3, 0, 1) if isinstance(layer, layers.DepthwiseConv2D) else (2, 3, 1, 0)
    return (1, 0) if dimensions == 2 else tuple(range(dimensions))
