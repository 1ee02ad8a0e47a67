"""EfficientNet-Lite: EfficientNet for small devices, with ReLU6 and without gates."""

from __future__ import annotations

import math
import re

import keras
from keras import layers

from .initial import he_normal
from .inverted_residual import conv, inverted_residual

__all__ = ["LITE_SIZES", "efficientnet_lite", "lite_torch_name"]

LITE_SIZES = {0: 224, 1: 240, 2: 260, 3: 280, 4: 300}
"""Pixels to a side of the pictures, by number of the network."""

_WIDTH_DEPTH = {0: (1.0, 1.0), 1: (1.0, 1.1), 2: (1.1, 1.2), 3: (1.2, 1.4), 4: (1.4, 1.8)}
_STAGES = (  # blocks, kernel, strides, expansion, channels, before scaling
    (1, 3, 1, 1, 16),
    (2, 3, 2, 6, 24),
    (2, 5, 2, 6, 40),
    (3, 3, 2, 6, 80),
    (3, 5, 1, 6, 112),
    (4, 5, 2, 6, 192),
    (1, 3, 1, 6, 320),
)
_STEM, _HEAD = 32, 1280  # not scaled


def efficientnet_lite(
    number: int, *, size: int | None = None, classes: int = 1000, seed: int = 0
) -> keras.Model:
    """EfficientNet-Lite ``number`` (0 to 4, else ``ValueError``). Returns logits, (N, classes).

    The EfficientNet-Lite models of TensorFlow's TPU repository (2020), after Tan & Le (2019): no
    squeeze-and-excite, ReLU6, stem, head and the depth of the first and last stage not scaled.

    Parameters
    ----------
    number, classes : int
    size : int
        Pixels to a side of the pictures, (N, size, size, 3); by default that of the network,
        :data:`LITE_SIZES`.
    seed : int
        Fixes the initial weights.
    """
    if number not in LITE_SIZES:
        raise ValueError(f"EfficientNet-Lite goes from 0 to 4, got {number!r}")
    width, depth = _WIDTH_DEPTH[number]
    initial = he_normal(seed)
    size = size or LITE_SIZES[number]
    inputs = keras.Input((size, size, 3), name="image")
    x = conv(inputs, _STEM, 3, "stem", initial, strides=2, activation="relu6")
    block = 0
    for stage, (blocks, kernel, strides, expansion, channels) in enumerate(_STAGES):
        if 0 < stage < len(_STAGES) - 1:
            blocks = math.ceil(depth * blocks)
        for i in range(blocks):
            x = inverted_residual(
                x, _rounded(width * channels), f"block{block}", initial,
                expanded=expansion * x.shape[-1], kernel=kernel, strides=1 if i else strides,
                activation="relu6",
            )  # fmt: skip
            block += 1
    x = conv(x, _HEAD, 1, "head", initial, activation="relu6")
    x = layers.GlobalAveragePooling2D(name="pool")(x)
    logits = layers.Dense(classes, kernel_initializer=next(initial), name="logits")(x)
    return keras.Model(inputs, logits, name=f"efficientnet_lite{number}")


def lite_torch_name(name: str) -> str:
    """The name of a layer in PyTorch checkpoints: ``block3_expand_bn`` is ``_blocks.3._bn0``."""
    part, kind = name.rsplit("_", 1) if "_" in name else (name, "")
    if name == "logits":
        return "_fc"
    if part in ("stem", "head"):
        return {"conv": f"_conv_{part}", "bn": "_bn0" if part == "stem" else "_bn1"}[kind]
    if match := re.fullmatch(r"block(\d+)_(expand|depthwise|project)", part):
        block, place = match.groups()
        norm = {"expand": "_bn0", "depthwise": "_bn1", "project": "_bn2"}[place]
        return f"_blocks.{block}.{f'_{place}_conv' if kind == 'conv' else norm}"
    return name


def _rounded(channels: float) -> int:
    """To a multiple of 8, but never below nine tenths."""
    found = max(8, int(channels + 4) // 8 * 8)
    return found + 8 if found < 0.9 * channels else found
