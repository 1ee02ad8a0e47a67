"""A small convolutional network: two convolutions, average pooling, two dense layers."""

from __future__ import annotations

import keras
from keras import layers

from .initial import he_normal

__all__ = ["small_cnn"]


def small_cnn(
    image_shape: tuple[int, int, int] = (8, 8, 1),
    classes: int = 10,
    *,
    activation="relu",
    width: int = 16,
    seed: int = 0,
) -> keras.Model:
    """A network for 8x8 digits that trains in seconds. Returns logits, shape (N, classes).

    Parameters
    ----------
    image_shape : tuple of int
    classes : int
    activation
        Anything ``keras.layers.Activation`` takes.
    width : int
        Channels of the first convolution; the second has twice as many.
    seed : int
        Fixes the initial weights.
    """
    initial = he_normal(seed)
    inputs = keras.Input(image_shape, name="image")
    x = inputs
    for stage, channels in enumerate((width, 2 * width), start=1):
        x = layers.Conv2D(
            channels,
            3,
            padding="same",
            use_bias=False,
            kernel_initializer=next(initial),
            name=f"conv{stage}",
        )(x)
        x = layers.BatchNormalization(name=f"bn{stage}")(x)
        x = layers.Activation(activation, name=f"act{stage}")(x)
        x = layers.AveragePooling2D(2, name=f"pool{stage}")(x)
    x = layers.Flatten(name="flatten")(x)
    x = layers.Dense(4 * width, kernel_initializer=next(initial), name="dense1")(x)
    x = layers.Activation(activation, name="act3")(x)
    logits = layers.Dense(classes, kernel_initializer=next(initial), name="logits")(x)
    return keras.Model(inputs, logits, name="small_cnn")
