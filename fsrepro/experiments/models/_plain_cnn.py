"""A plain convolutional network with batch norm, without skip connections."""

from __future__ import annotations

import keras
from keras import layers

from .initial import he_normal

__all__ = ["plain_cnn"]


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
    classes : int
    activation
        Anything ``keras.layers.Activation`` takes.
    width : int
    seed : int
        Fixes the initial weights.
    """
    initial = he_normal(seed)
    inputs = keras.Input(image_shape, name="image")
    x = inputs
    for stage in (1, 2, 3):
        for place in (1, 2):
            name = f"stage{stage}_{place}"
            x = layers.Conv2D(
                width * 2 ** (stage - 1),
                3,
                padding="same",
                use_bias=False,
                kernel_initializer=next(initial),
                name=f"{name}_conv",
            )(x)
            x = layers.BatchNormalization(name=f"{name}_bn")(x)
            x = layers.Activation(activation, name=f"{name}_act")(x)
        pool = layers.AveragePooling2D(2, name=f"pool{stage}")
        x = pool(x) if stage < 3 else layers.GlobalAveragePooling2D(name="pool")(x)
    logits = layers.Dense(classes, kernel_initializer=next(initial), name="logits")(x)
    return keras.Model(inputs, logits, name="plain_cnn")
