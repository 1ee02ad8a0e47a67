"""VGG-16 with batch norm for small images (Simonyan & Zisserman 2015, configuration D)."""

from __future__ import annotations

import keras
from keras import layers

from .initial import he_normal
from .inverted_residual import conv

__all__ = ["vgg16"]

_STAGES = (2, 2, 3, 3, 3)  # convolutions in each


def vgg16(
    image_shape: tuple[int, int, int] = (32, 32, 3),
    classes: int = 10,
    *,
    activation="relu",
    width: int = 64,
    seed: int = 0,
) -> keras.Model:
    """Thirteen 3x3 convolutions in five stages, and one dense layer. Returns logits, (N, classes).

    The stages have 1, 2, 4, 8 and 8 times ``width`` channels, with average pooling after each, as
    networks that are to be converted have it (Bu et al. 2022); with 32x32 images the last leaves
    one pixel. With width 64 the activations number 276,480.

    Parameters
    ----------
    image_shape : tuple of int
    classes, width : int
    activation
        Anything ``keras.layers.Activation`` takes.
    seed : int
        Fixes the initial weights.
    """
    initial = he_normal(seed)
    x = inputs = keras.Input(image_shape, name="image")
    for stage, places in enumerate(_STAGES, 1):
        channels = width * min(2 ** (stage - 1), 8)
        for place in range(1, places + 1):
            x = conv(x, channels, 3, f"stage{stage}_{place}", initial, activation=activation)
        pool = layers.AveragePooling2D(2, name=f"pool{stage}")
        x = pool(x) if stage < len(_STAGES) else layers.GlobalAveragePooling2D(name="pool")(x)
    logits = layers.Dense(classes, kernel_initializer=next(initial), name="logits")(x)
    return keras.Model(inputs, logits, name="vgg16")
