"""The residual networks for CIFAR: ResNet-8, 14, 20, ... (He et al. 2016, section 4.2)."""

from __future__ import annotations

import keras
from keras import layers

from .initial import he_normal

__all__ = ["resnet"]


def resnet(
    depth: int,
    image_shape: tuple[int, int, int] = (32, 32, 3),
    classes: int = 10,
    *,
    activation="relu",
    width: int = 16,
    seed: int = 0,
) -> keras.Model:
    """ResNet-``depth`` of He et al. (2016) for small images. Returns logits, (N, classes).

    Three stages of n = (depth - 2) / 6 blocks with ``width``, 2 ``width`` and 4 ``width``
    channels; a block is two 3x3 convolutions with batch norm. Where the shape changes, the
    shortcut is a 1x1 convolution with batch norm (their option B). ``seed`` fixes the initial
    weights.

    With ReLU and width 16 on 32x32 images the activations number 73,728 for depth 8 and
    188,416 for depth 20, as in Stöckl & Maass (2021).

    Raises ``ValueError`` unless ``depth`` is 6 n + 2 with n >= 1.
    """
    if depth < 8 or (depth - 2) % 6:
        raise ValueError(f"depth must be 8, 14, 20, 26, ... (6 n + 2), got {depth}")

    initial = he_normal(seed)

    def conv_bn(x, channels, kernel, strides, name):
        x = layers.Conv2D(
            channels,
            kernel,
            strides=strides,
            padding="same",
            use_bias=False,
            kernel_initializer=next(initial),
            name=f"{name}_conv",
        )(x)
        return layers.BatchNormalization(name=f"{name}_bn")(x)

    inputs = keras.Input(image_shape, name="image")
    x = conv_bn(inputs, width, 3, 1, "stem")
    x = layers.Activation(activation, name="stem_act")(x)
    for stage in (1, 2, 3):
        channels = width * 2 ** (stage - 1)
        for block in range(1, (depth - 2) // 6 + 1):
            name = f"stage{stage}_block{block}"
            strides = 2 if stage > 1 and block == 1 else 1
            shortcut = x
            if x.shape[-1] != channels or strides > 1:
                shortcut = conv_bn(x, channels, 1, strides, f"{name}_shortcut")
            x = conv_bn(x, channels, 3, strides, f"{name}_1")
            x = layers.Activation(activation, name=f"{name}_1_act")(x)
            x = conv_bn(x, channels, 3, 1, f"{name}_2")
            x = layers.Add(name=f"{name}_add")([x, shortcut])
            x = layers.Activation(activation, name=f"{name}_act")(x)
    x = layers.GlobalAveragePooling2D(name="pool")(x)
    logits = layers.Dense(classes, kernel_initializer=next(initial), name="logits")(x)
    return keras.Model(inputs, logits, name=f"resnet{depth}")
