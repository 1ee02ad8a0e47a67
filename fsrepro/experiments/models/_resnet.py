"""The residual networks for CIFAR: ResNet-8, 14, 20, ... (He et al. 2016, section 4.2)."""

from __future__ import annotations

import keras
from keras import layers

from .initial import he_normal
from .inverted_residual import conv, gated

__all__ = ["resnet"]


def resnet(
    depth: int,
    image_shape: tuple[int, int, int] = (32, 32, 3),
    classes: int = 10,
    *,
    activation="relu",
    width: int = 16,
    squeeze: int = 0,
    shortcut: str = "projection",
    padding: str = "same",
    epsilon: float = 1e-3,
    seed: int = 0,
) -> keras.Model:
    """ResNet-``depth`` of He et al. (2016) for small images. Returns logits, (N, classes).

    Three stages of n = (depth - 2) / 6 blocks with ``width``, 2 ``width`` and 4 ``width``
    channels; a block is two 3x3 convolutions with batch norm. With ReLU and width 16 on 32x32
    images the activations number 73,728 for depth 8 and 188,416 for depth 20, as in Stöckl & Maass
    (2021).

    Parameters
    ----------
    depth : int
    image_shape : tuple of int
    classes, width : int
    activation
        Anything ``keras.layers.Activation`` takes.
    squeeze : int
        With r above 0, every block ends in squeeze-and-excite (Hu et al. 2018):
        its channels are multiplied by gates, which two 1x1 convolutions (to a share 1/r of the
        channels, with ``activation``, and back, with a sigmoid) make of the channels' means.
    shortcut : "projection" or "identity"
        Where the shape changes: a 1x1 convolution with batch norm (their option B), or every second
        pixel with channels of zeros on either side (option A).
    padding : "same" or "symmetric"
        Of 3x3 convolutions: as Keras pads (with stride 2 to the right and below), or as PyTorch
        does.
    epsilon : float
        Of batch norm; PyTorch has 1e-5.
    seed : int
        Fixes the initial weights.

    Raises
    ------
    ValueError
        Unless ``depth`` is 6 n + 2 with n >= 1, for a ``squeeze`` that leaves no channel, and for
        another shortcut or padding.
    """
    if depth < 8 or (depth - 2) % 6:
        raise ValueError(f"depth must be 8, 14, 20, 26, ... (6 n + 2), got {depth}")
    if shortcut not in ("projection", "identity"):
        raise ValueError(f"shortcut must be 'projection' or 'identity', got {shortcut!r}")
    if padding not in ("same", "symmetric"):
        raise ValueError(f"padding must be 'same' or 'symmetric', got {padding!r}")
    if squeeze < 0 or squeeze > width:
        raise ValueError(f"squeeze must be from 0 to the width {width}, got {squeeze}")
    initial = he_normal(seed)

    def padded(x, channels, kernel, strides, name, activation=None):
        options = {"strides": strides, "activation": activation, "epsilon": epsilon}
        if padding == "symmetric" and strides > 1 and kernel > 1:  # else the two are one
            x = layers.ZeroPadding2D(kernel // 2, name=f"{name}_pad")(x)
            options["padding"] = "valid"
        return conv(x, channels, kernel, name, initial, **options)

    def changed_shape(x, channels, strides, name):
        if shortcut == "projection":
            return padded(x, channels, 1, strides, name)
        x = layers.AveragePooling2D(1, strides=strides, name=f"{name}_pixels")(x)
        height, width, fewer = x.shape[1:]
        zeros = (channels - fewer) // 2
        x = layers.Reshape((height * width, fewer, 1), name=f"{name}_flat")(x)
        x = layers.ZeroPadding2D(((0, 0), (zeros, zeros)), name=f"{name}_zeros")(x)
        return layers.Reshape((height, width, channels), name=f"{name}_channels")(x)

    inputs = keras.Input(image_shape, name="image")
    x = padded(inputs, width, 3, 1, "stem", activation)
    for stage in (1, 2, 3):
        channels = width * 2 ** (stage - 1)
        for block in range(1, (depth - 2) // 6 + 1):
            name = f"stage{stage}_block{block}"
            strides = 2 if stage > 1 and block == 1 else 1
            skip = changed_shape(x, channels, strides, f"{name}_shortcut") if strides > 1 else x
            x = padded(x, channels, 3, strides, f"{name}_1", activation)
            x = padded(x, channels, 3, 1, f"{name}_2")
            if squeeze:
                gates = (activation, "sigmoid")
                x = gated(x, channels // squeeze, name, initial, gates, "", padding="valid")
            x = layers.Add(name=f"{name}_add")([x, skip])
            x = layers.Activation(activation, name=f"{name}_act")(x)
    x = layers.GlobalAveragePooling2D(name="pool")(x)
    logits = layers.Dense(classes, kernel_initializer=next(initial), name="logits")(x)
    return keras.Model(inputs, logits, name=f"{'se_' if squeeze else ''}resnet{depth}")
