"""MobileNetV3-small: hard-swish and squeeze-and-excite with hard sigmoids."""

from __future__ import annotations

from pathlib import Path

import keras
import numpy as np
from keras import layers

from ...archive import read_arrays
from ...files import reading
from .initial import he_normal
from .inverted_residual import conv, inverted_residual

__all__ = ["import_quantised", "mobilenet_v3_small"]

_BLOCKS = (  # kernel, expanded, channels, squeezed, activation, strides
    (3, 16, 16, 8, "relu", 2),
    (3, 72, 24, 0, "relu", 2),
    (3, 88, 24, 0, "relu", 1),
    (5, 96, 40, 24, "hard_silu", 2),
    (5, 240, 40, 64, "hard_silu", 1),
    (5, 240, 40, 64, "hard_silu", 1),
    (5, 120, 48, 32, "hard_silu", 1),
    (5, 144, 48, 40, "hard_silu", 1),
    (5, 288, 96, 72, "hard_silu", 2),
    (5, 576, 96, 144, "hard_silu", 1),
    (5, 576, 96, 144, "hard_silu", 1),
)


def mobilenet_v3_small(
    *, size: int = 224, classes: int = 1000, norm: bool = True, seed: int = 0
) -> keras.Model:
    """MobileNetV3-small of width 1 (Howard et al. 2019, table 2). Returns logits, (N, classes).

    Parameters
    ----------
    size : int
        Pixels to a side of the pictures, (N, size, size, 3).
    classes : int
    norm : bool
        Without it, convolutions have biases in place of batch norm, as in networks for inference.
    seed : int
        Fixes the initial weights.
    """
    initial = he_normal(seed)
    inputs = keras.Input((size, size, 3), name="image")
    swish: dict = {"activation": "hard_silu", "norm": norm}
    x = conv(inputs, 16, 3, "stem", initial, strides=2, **swish)
    for i, (kernel, expanded, channels, squeezed, activation, strides) in enumerate(_BLOCKS):
        x = inverted_residual(
            x, channels, f"block{i}", initial, expanded=expanded, kernel=kernel, strides=strides,
            activation=activation, squeezed=squeezed, norm=norm,
        )  # fmt: skip
    x = conv(x, 576, 1, "head", initial, **swish)
    x = layers.GlobalAveragePooling2D(keepdims=True, name="pool")(x)
    x = conv(x, 1024, 1, "features", initial, activation="hard_silu", norm=False)
    x = layers.Flatten(name="flat")(x)
    logits = layers.Dense(classes, kernel_initializer=next(initial), name="logits")(x)
    return keras.Model(inputs, logits, name="mobilenet_v3_small")


def import_quantised(model: keras.Model, path: str | Path) -> None:
    """Load the weights of a network quantised to 8 bits into ``model``, in place.

    ``path`` is a NumPy archive with, for each weighted layer in order of computation (numbers
    ``00``, ``01``, ...), ``w`` (uint8, TensorFlow Lite's order: out, height, width, in; a depthwise
    one 1, height, width, channels), ``scale``, ``zp`` and the bias ``b``; the weights are
    scale (w - zp). Where the file has one class more than the model, the first, which is
    "background", is left out. Nothing but arrays is read. Raises ``FileNotFoundError`` if ``path``
    is no file, and ``ValueError`` for a damaged file and one that does not fit, naming the first
    layer, before anything is loaded.
    """
    arrays = read_arrays(path)
    with reading(path, "an archive of quantised weights"):
        numbers = sorted({name.split(".")[0] for name in arrays})
        kernels = [
            arrays[f"{n}.scale"].item()
            * (arrays[f"{n}.w"].astype(np.float64) - arrays[f"{n}.zp"].item())
            for n in numbers
        ]
        biases = [arrays[f"{n}.b"] for n in numbers]
    weighted = [layer for layer in model.layers if layer.weights]
    if len(numbers) != len(weighted):
        raise ValueError(
            f"{path} has weights of {len(numbers)} layers, model {model.name!r} has {len(weighted)}"
        )
    loaded = []
    for layer, number, kernel, bias in zip(weighted, numbers, kernels, biases, strict=True):
        kernel, bias = _keras_order(layer, kernel, bias)
        for name, value, target in (("w", kernel, layer.weights[0]), ("b", bias, layer.bias)):
            if value.shape != tuple(target.shape) or not np.isfinite(value).all():
                raise ValueError(
                    f"tensor {number}.{name} of {path} has shape {value.shape}, layer "
                    f"{layer.name!r} needs finite numbers of shape {tuple(target.shape)}"
                )
        loaded.append((layer, kernel, bias))
    for layer, kernel, bias in loaded:
        layer.set_weights([kernel, bias])


def _keras_order(layer, kernel, bias):
    if not isinstance(layer, layers.Dense):
        return kernel.transpose(1, 2, 3, 0), bias
    kernel = kernel.reshape(kernel.shape[0], -1).T
    background = kernel.shape[1] - layer.units == 1
    return kernel[:, int(background) :], bias[int(background) :]
