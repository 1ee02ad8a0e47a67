"""The block that mobile networks are made of."""

from __future__ import annotations

from collections.abc import Iterator

import keras
from keras import layers

__all__ = ["conv", "inverted_residual"]


def conv(
    x,
    kind: type[layers.Layer],
    name: str,
    initial: Iterator[keras.initializers.Initializer],
    *,
    activation: str | None = None,
    norm: bool = True,
    **options,
):
    """A convolution of the given ``kind`` ("same"), batch norm or a bias, and an activation."""
    which = "depthwise" if kind is layers.DepthwiseConv2D else "kernel"
    options |= {"padding": "same", "use_bias": not norm, f"{which}_initializer": next(initial)}
    x = kind(**options, name=f"{name}_conv")(x)
    if norm:
        x = layers.BatchNormalization(epsilon=1e-3, name=f"{name}_bn")(x)
    return x if activation is None else layers.Activation(activation, name=f"{name}_act")(x)


def inverted_residual(
    x,
    channels: int,
    name: str,
    initial: Iterator[keras.initializers.Initializer],
    *,
    expanded: int,
    kernel: int,
    strides: int,
    activation: str,
    squeezed: int = 0,
    norm: bool = True,
):
    """1x1 convolution to ``expanded`` channels, depthwise convolution, 1x1 back to ``channels``.

    There is no activation at the end; input is added where shapes agree (Sandler et al. 2018).
    Where ``expanded`` is the number of channels already there, the first convolution is left out.
    With ``squeezed`` above 0, the expanded channels are multiplied by gates made of their means
    through so many channels (ReLU) and a hard sigmoid (Howard et al. 2019, section 5.3).
    """
    skip = x
    if expanded != x.shape[-1]:
        x = conv(
            x, layers.Conv2D, f"{name}_expand", initial, filters=expanded, kernel_size=1,
            activation=activation, norm=norm,
        )  # fmt: skip
    x = conv(
        x, layers.DepthwiseConv2D, f"{name}_depthwise", initial, kernel_size=kernel,
        strides=strides, activation=activation, norm=norm,
    )  # fmt: skip
    if squeezed:
        gate = layers.GlobalAveragePooling2D(keepdims=True, name=f"{name}_mean")(x)
        for part, size, function in (
            ("squeeze", squeezed, "relu"),
            ("excite", expanded, "hard_sigmoid"),
        ):
            gate = conv(
                gate, layers.Conv2D, f"{name}_{part}", initial, filters=size, kernel_size=1,
                activation=function, norm=False,
            )  # fmt: skip
        x = layers.Multiply(name=f"{name}_gated")([x, gate])
    x = conv(
        x, layers.Conv2D, f"{name}_project", initial, filters=channels, kernel_size=1, norm=norm
    )
    if strides == 1 and skip.shape[-1] == channels:
        x = layers.Add(name=f"{name}_add")([x, skip])
    return x
