"""MobileNetV3-small: hard-swish and squeeze-and-excite with hard sigmoids."""

from __future__ import annotations

from pathlib import Path

import keras
import numpy as np
from keras import layers

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
    x = conv(
        inputs, layers.Conv2D, "stem", initial, filters=16, kernel_size=3, strides=2,
        activation="hard_silu", norm=norm,
    )  # fmt: skip
    for i, (kernel, expanded, channels, squeezed, activation, strides) in enumerate(_BLOCKS):
        x = inverted_residual(
            x, channels, f"block{i}", initial, expanded=expanded, kernel=kernel, strides=strides,
            activation=activation, squeezed=squeezed, norm=norm,
        )  # fmt: skip
    x = conv(
        x, layers.Conv2D, "head", initial, filters=576, kernel_size=1, activation="hard_silu",
        norm=norm,
    )  # fmt: skip
    x = layers.GlobalAveragePooling2D(keepdims=True, name="pool")(x)
    x = conv(
        x, layers.Conv2D, "features", initial, filters=1024, kernel_size=1,
        activation="hard_silu", norm=False,
    )  # fmt: skip
    x = layers.Flatten(name="flat")(x)
    logits = layers.Dense(classes, kernel_initializer=next(initial), name="logits")(x)
    return keras.Model(inputs, logits, name="mobilenet_v3_small")


def import_quantised(model: keras.Model, path: str | Path) -> None:
    """Load the weights of a network quantised to 8 bits into ``model``, in place.

    Nothing but arrays is read.

    Parameters
    ----------
    model : keras.Model
    path : str or Path
        A NumPy archive with, for each weighted layer in order of computation (numbers ``00``,
        ``01``, ...), ``w`` (uint8, TensorFlow Lite's order: out, height, width, in; a depthwise
        one 1, height, width, channels), ``scale``, ``zp`` and the bias ``b``; the weights are
        scale (w - zp). Where the file has one class more than the model, the first, which is
        "background", is left out.

    Raises
    ------
    FileNotFoundError
        If ``path`` is no file.
    ValueError
        For a damaged file, and one that names the first layer which does not fit, before anything
        is loaded.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"{path} does not exist")
    weighted = [layer for layer in model.layers if layer.weights]
    loaded = []
    try:
        with np.load(path, allow_pickle=False) as file:
            numbers = sorted({name.split(".")[0] for name in file.files})
            found = {
                number: (
                    float(file[f"{number}.scale"].item())
                    * (file[f"{number}.w"].astype(np.float64) - float(file[f"{number}.zp"].item())),
                    file[f"{number}.b"],
                )
                for number in numbers
            }
    except Exception as error:  # zip and zlib raise many kinds
        raise ValueError(
            f"{path} is no archive of quantised weights, or is damaged ({error})"
        ) from None
    if len(numbers) != len(weighted):
        raise ValueError(
            f"{path} has weights of {len(numbers)} layers, model {model.name!r} has {len(weighted)}"
        )
    for layer, number in zip(weighted, numbers, strict=True):
        kernel, bias = _keras_order(layer, *found[number])
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
    if isinstance(layer, layers.DepthwiseConv2D):
        return kernel.transpose(1, 2, 3, 0), bias
    if isinstance(layer, layers.Dense):
        kernel = kernel.reshape(kernel.shape[0], -1).T
        if kernel.shape[1] == layer.units + 1:
            kernel, bias = kernel[:, 1:], bias[1:]
        return kernel, bias
    return kernel.transpose(1, 2, 3, 0), bias
