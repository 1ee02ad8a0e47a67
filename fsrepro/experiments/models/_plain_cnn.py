"""Convolutional networks without skip connections."""

from __future__ import annotations

import keras
from keras import layers

from .initial import he_normal
from .inverted_residual import conv

__all__ = ["plain_cnn", "small_cnn", "vgg16"]


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
    return _stages("plain_cnn", (2, 2, 2), image_shape, classes, activation, width, seed)


def vgg16(
    image_shape: tuple[int, int, int] = (32, 32, 3),
    classes: int = 10,
    *,
    activation="relu",
    width: int = 64,
    seed: int = 0,
) -> keras.Model:
    """VGG-16 for small images, with batch norm. Returns logits, (N, classes).

    The thirteen convolutions of configuration D of Simonyan & Zisserman (2015) and one dense
    layer, with average pooling, as networks that are to be converted have it (Bu et al. 2022). The
    stages have 1, 2, 4, 8 and 8 times ``width`` channels. With width 64 on 32x32 images the
    activations number 276,480. Parameters as of :func:`plain_cnn`.
    """
    return _stages("vgg16", (2, 2, 3, 3, 3), image_shape, classes, activation, width, seed)


def _stages(name, convolutions, image_shape, classes, activation, width, seed) -> keras.Model:
    """Stages of so many 3x3 ``convolutions``, each of twice the channels, at most 8 ``width``."""
    initial, last = he_normal(seed), len(convolutions)
    x = inputs = keras.Input(image_shape, name="image")
    for stage, places in enumerate(convolutions, 1):
        for place in range(1, places + 1):
            channels = width * min(2 ** (stage - 1), 8)
            x = conv(x, channels, 3, f"stage{stage}_{place}", initial, activation=activation)
        pool = layers.AveragePooling2D(2, name=f"pool{stage}")
        x = pool(x) if stage < last else layers.GlobalAveragePooling2D(name="pool")(x)
    logits = layers.Dense(classes, kernel_initializer=next(initial), name="logits")(x)
    return keras.Model(inputs, logits, name=name)


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
