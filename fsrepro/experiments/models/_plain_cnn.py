"""Convolutional networks without skip connections."""

from __future__ import annotations

import keras
from keras import layers

from .initial import he_normal
from .inverted_residual import conv

__all__ = ["plain_cnn", "small_cnn"]


def plain_cnn(
    image_shape: tuple[int, int, int] = (32, 32, 3),
    classes: int = 10,
    *,
    activation="sigmoid",
    width: int = 32,
    seed: int = 0,
) -> keras.Model:
    """Three stages of two 3x3 convolutions, each with batch norm. Returns logits, (N, classes).

    The stages have ``width``, 2 ``width`` and 4 ``width`` channels, with average pooling after
    each. Batch norm before a sigmoid keeps it off its flat ends, so that it trains.

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
    for stage in (1, 2, 3):
        for place in (1, 2):
            channels, name = width * 2 ** (stage - 1), f"stage{stage}_{place}"
            x = conv(x, channels, 3, name, initial, activation=activation)
        pool = layers.AveragePooling2D(2, name=f"pool{stage}")
        x = pool(x) if stage < 3 else layers.GlobalAveragePooling2D(name="pool")(x)
    logits = layers.Dense(classes, kernel_initializer=next(initial), name="logits")(x)
    return keras.Model(inputs, logits, name="plain_cnn")


def small_cnn(
    image_shape: tuple[int, int, int] = (8, 8, 1),
    classes: int = 10,
    *,
    activation="relu",
    width: int = 16,
    seed: int = 0,
) -> keras.Model:
    """A network for 8x8 digits that trains in seconds. Returns logits, (N, classes).

    Two convolutions, of ``width`` and 2 ``width`` channels, each with batch norm and average
    pooling, and two dense layers. Parameters as of :func:`plain_cnn`.
    """
    initial = he_normal(seed)
    x = inputs = keras.Input(image_shape, name="image")
    for stage in (1, 2):
        names = f"conv{stage}", f"bn{stage}", f"act{stage}"
        x = conv(x, stage * width, 3, names, initial, activation=activation)
        x = layers.AveragePooling2D(2, name=f"pool{stage}")(x)
    x = layers.Flatten(name="flatten")(x)
    x = layers.Dense(4 * width, kernel_initializer=next(initial), name="dense1")(x)
    x = layers.Activation(activation, name="act3")(x)
    logits = layers.Dense(classes, kernel_initializer=next(initial), name="logits")(x)
    return keras.Model(inputs, logits, name="small_cnn")
